"""Every key that a user sets is read by code of the run, or the run is refused before it starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import Field
from tests.command_line import Ended, chat_rows, precept, write_rows
from tests.tiny import CHATML, tiny_model_folder

from precept.errors import InputError
from precept.models.settings import ModelSettings
from precept.run.quickstart import TUNING
from precept.run.settings import CLASSES, parse_settings
from precept.run.tuning.train import train
from precept.run.tuning.unread import NEEDS, refuse_unread
from precept.settings import Settings
from precept.train.settings import LoopSettings

# Each with a value other than its default, if that needs no extra. What is left out here is tested beside the
# condition that it needs.
ALWAYS = {
    "bad_rows": "drop",
    "chat_template": "chatml",
    "max_length": 200,
    "over_length": "drop",
    "prompt_weight": 0.1,
    "train_on": "last",
    "turns": "whole",
    "special_tokens_in_text": "as_text",
    "template_date": "2026-02-03",
    "add_tokens": True,
    "sharing": "off",
    "dtype": "float32",
    "save_dtype": "bfloat16",
    "gradient_checkpointing": True,
    "trust_remote_code": True,
    "attn_implementation": "eager",
    "learning_rate": 1e-3,
    "lr_scheduler_type": "linear",
    "warmup_ratio": 0.5,
    "weight_decay": 0.1,
    "max_grad_norm": 2.0,
    "adam_beta1": 0.8,
    "adam_beta2": 0.99,
    "adam_epsilon": 1e-7,
    "batch_size": 4,
    "max_tokens_per_forest": 300,
    "group_by_prefix": 2,
    "num_train_epochs": 0.2,
    "seed": 7,
    "save_steps": 1,
    "save_total_limit": 1,
    "report_to": "none",
    "skip_proof": "train_eval_disjoint",
}
ADAPTER = {"adapter": "lora", "lora_r": 4, "lora_alpha": 8, "lora_dropout": 0.1, "lora_target_modules": "q_proj"}
EVALUATION = {"eval_fraction": 0.2, "eval_steps": 1, "early_stopping_patience": 9, "sample_answers": 1}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("read") / "llama", chat_template=CHATML)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_rows(tmp_path_factory.mktemp("read") / "rows.jsonl", chat_rows(20))


def run(model: Path, rows: Path, output: Path, **pairs: Any) -> Ended:
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in pairs.items()]
    return precept("train", "sft", "-m", model, "-d", rows, "-o", output, *words)


def test_only_attributes_count_as_read() -> None:
    settings = LoopSettings(save_steps=5, eval_steps=2, early_stopping_patience=3)
    settings.model_dump()
    assert settings == LoopSettings(save_steps=5, eval_steps=2, early_stopping_patience=3)
    repr(settings)
    # The validator looked at eval_steps and early_stopping_patience: that is no use of them.
    assert settings.unread_keys() == ["eval_steps", "save_steps", "early_stopping_patience"]
    assert settings.save_steps == 5
    assert settings.unread_keys() == ["eval_steps", "early_stopping_patience"]


def test_a_copy_reads_for_its_original() -> None:
    settings = LoopSettings(save_steps=5)
    assert settings.model_copy(update={"seed": 1}).save_steps == 5
    assert settings.unread_keys() == []


def test_a_default_that_was_written_out_is_set_and_null_is_not() -> None:
    assert LoopSettings(save_steps=200, max_steps=None).unread_keys() == ["save_steps"]


def test_every_key_of_every_class_is_tried_here() -> None:
    tried = {*ALWAYS, *ADAPTER, *EVALUATION, "max_steps", "eval_data", "data"}
    assert tried == {key for cls in CLASSES.values() for key in cls.model_fields}
    assert set(NEEDS) <= tried


@pytest.mark.filterwarnings("ignore::UserWarning:torch.*")  # of checkpointing, which is asked for here
def test_keys_that_have_effect_are_accepted(model: Path, rows: Path, tmp_path: Path) -> None:
    without = run(model, rows, tmp_path / "a", **ALWAYS)
    assert without.code == 0, without.err
    lora = run(model, rows, tmp_path / "b", max_steps=2, **ADAPTER, **EVALUATION)
    assert lora.code == 0, lora.err


def test_the_quickstart_sets_nothing_in_vain(model: Path, rows: Path, tmp_path: Path) -> None:
    pairs = {**TUNING, "max_steps": 1, "eval_fraction": 0.1}  # 0.01 of 20 rows is none
    assert train("sft", model=str(model), data=[str(rows)], output=tmp_path / "out", pairs=pairs)["steps"] == 1


class Planted(LoopSettings):
    """The loop's settings and one that no code knows."""

    look_ahead: int = Field(default=0)
    """Read by nobody."""


def test_a_planted_key_that_nothing_reads_is_refused_by_name(model: Path, rows: Path, tmp_path: Path) -> None:
    classes: dict[str, type[Settings]] = {**CLASSES, "loop": Planted}
    with pytest.raises(InputError) as caught:
        train(
            "sft",
            model=str(model),
            data=[str(rows)],
            output=tmp_path / "out",
            pairs={"look_ahead": 0, "max_steps": 1},
            where=lambda key: f"recipe.yaml line {len(key)}",
            classes=classes,
        )
    assert (caught.value.code, caught.value.exit_code) == ("setting-not-read", 2)
    assert "'look_ahead'" in caught.value.what
    assert caught.value.where == "recipe.yaml line 10"
    assert caught.value.do == "remove it"
    assert not (tmp_path / "out" / "run.yaml").exists(), "refused before it starts"


@pytest.mark.parametrize(
    ("pairs", "do"),
    [
        ({"lora_r": 16}, "remove it, or set adapter=lora"),
        ({"lora_target_modules": "all-linear"}, "remove it, or set adapter=lora"),
        ({"eval_steps": 2}, "remove it, or set eval_fraction=0.1 or eval_data=FILE"),
        ({"sample_answers": 2}, "remove it, or set eval_fraction=0.1 or eval_data=FILE"),
        (
            {"lora_alpha": 8, "early_stopping_patience": 1, "eval_steps": 1},
            "remove them, or set adapter=lora, or set eval_fraction=0.1 or eval_data=FILE",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else "",
)
def test_a_key_without_what_it_needs_is_refused(
    model: Path, rows: Path, tmp_path: Path, pairs: dict[str, Any], do: str
) -> None:
    ended = run(model, rows, tmp_path / "out", max_steps=1, **pairs)
    assert ended.code == 2
    assert all(f"'{key}'" in ended.err and f"{key}={pairs[key]}" in ended.err for key in pairs)
    assert f"do: {do}\n" in ended.err
    assert not (tmp_path / "out" / "run.yaml").exists()


def test_a_value_that_asks_for_nothing_is_met(model: Path, rows: Path, tmp_path: Path) -> None:
    pairs = {"lora_dropout": 0.0, "sample_answers": 0, "eval_steps": None}
    ended = run(model, rows, tmp_path / "out", max_steps=1, **pairs)
    assert ended.code == 0, ended.err


def test_rows_are_held_out_in_one_way(model: Path, rows: Path, tmp_path: Path) -> None:
    other = write_rows(tmp_path / "other.jsonl", chat_rows(30)[20:])
    ended = run(model, rows, tmp_path / "out", max_steps=1, eval_data=str(other), eval_fraction=0.1)
    assert ended.code == 2 and "'eval_fraction'" in ended.err and "eval_data names the rows" in ended.err
    ended = run(model, rows, tmp_path / "out", max_steps=1, eval_data=str(other), eval_fraction=0)
    assert ended.code == 0, ended.err


def test_plain_text_has_no_turns_to_choose_from(model: Path, tmp_path: Path) -> None:
    texts = write_rows(tmp_path / "texts.jsonl", [{"text": f"The cat sat on mat {n}."} for n in range(8)])
    plain = run(model, texts, tmp_path / "out", max_steps=1, train_on="all", turns="auto", prompt_weight=0)
    assert plain.code == 0, plain.err
    ended = run(model, texts, tmp_path / "other", max_steps=1, train_on="last", turns="split", prompt_weight=0.5)
    assert ended.code == 2
    assert all(f"'{key}'" in ended.err for key in ("train_on", "turns", "prompt_weight"))


def test_a_recipe_is_told_the_line(model: Path, rows: Path, tmp_path: Path) -> None:
    keys = {"model": str(model), "data": str(rows), "max_steps": 1, "lora_r": 4}
    recipe = tmp_path / "mine.yaml"
    text = yaml.safe_dump({"steps": [{"name": "tune", "uses": "train.sft", "with": keys}]}, sort_keys=False)
    recipe.write_text(text)
    line = 1 + [row.strip().startswith("lora_r") for row in text.splitlines()].index(True)
    ended = precept("run", recipe, "-o", tmp_path / "out")
    assert ended.code == 2 and f"{recipe} line {line}" in ended.err and "'lora_r'" in ended.err
    ended = precept("run", recipe, "-o", tmp_path / "out", "tune.adapter=lora", "tune.lora_alpha=8")
    assert ended.code == 0, ended.err


def test_settings_that_were_read_raise_nothing() -> None:
    settings = parse_settings({"lora_r": 4})
    with pytest.raises(InputError, match="lora_r"):
        refuse_unread(settings, where=lambda key: None)
    assert isinstance(settings.model, ModelSettings) and settings.model.lora_r == 4
    refuse_unread(settings, where=lambda key: None)
