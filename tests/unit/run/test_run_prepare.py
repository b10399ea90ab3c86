"""What is decided between settings and the first step."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pytest
from tests.command_line import chat_rows, write_rows
from tests.tiny import CHATML, tiny_model_folder

from precept.decode.inference import decoder_start_id
from precept.errors import InputError
from precept.models.folder import ModelFolder, check_model_folder
from precept.run.data.rows import read_data
from precept.run.opened import open_model
from precept.run.settings import parse_settings
from precept.run.tuning.prepare import decoder_start, load_for_training, longest_allowed, render_data


def folder(**config: object) -> ModelFolder:
    return ModelFolder(path=Path("base"), base=Path("base"), config=config, adapter_config=None)


def test_max_length_is_the_models_own_limit_and_at_most_4096() -> None:
    assert longest_allowed(folder(max_position_embeddings=2048), parse_settings({})) == 2048
    assert longest_allowed(folder(max_position_embeddings=131_072), parse_settings({})) == 4096
    assert longest_allowed(folder(model_type="t5"), parse_settings({})) == 4096


def test_a_longer_max_length_than_the_models_positions_is_refused() -> None:
    settings = parse_settings({"max_length": 2048})
    assert longest_allowed(folder(max_position_embeddings=2048), settings) == 2048
    assert longest_allowed(folder(model_type="t5"), settings) == 2048
    with pytest.raises(InputError, match="max_length 2048 is beyond the model's 1024 positions"):
        longest_allowed(folder(n_positions=1024), settings)


def test_held_out_rows_count_among_the_longest(tmp_path: Path) -> None:
    factors = {"short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [2.0, 2.6, 3.2, 3.8]}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 100} | factors
    lengths = {"max_position_embeddings": 256, "original_max_position_embeddings": 100, "sliding_window": None}
    model = tiny_model_folder(tmp_path / "m", "phi3", rope_parameters=rope, chat_template=CHATML, **lengths)
    rows = write_rows(tmp_path / "rows.jsonl", chat_rows(8))
    long = {
        "messages": [{"role": "user", "content": "some words " * 30}, {"role": "assistant", "content": "an answer"}]
    }
    held_out = write_rows(tmp_path / "long.jsonl", [long])
    switches = []
    for pairs in ({}, {"eval_data": str(held_out)}):
        settings = parse_settings({"data": [str(rows)], "eval_fraction": 0, "dtype": "float32", **pairs})
        checked = check_model_folder(model)
        data = render_data(read_data(settings, method="sft"), checked, settings, date=datetime.date(2026, 1, 2))
        switches.append(load_for_training(checked, data, settings)[1].length_switches)
    assert not any(length > 99 for length in switches[0])
    assert any(length > 99 for length in switches[1])


def test_a_decoder_is_trained_from_the_token_that_it_generates_from(tmp_path: Path) -> None:
    model = tiny_model_folder(tmp_path / "t5", "t5", chat_template=CHATML)
    stated = json.loads((model / "generation_config.json").read_text())
    (model / "generation_config.json").write_text(json.dumps(stated | {"decoder_start_token_id": 5}))
    opened = open_model(str(model), chat_template=None)
    assert decoder_start(check_model_folder(model)) == decoder_start_id(opened.loaded.model) == 5
    assert opened.renderer.decoder_start_id == 5
