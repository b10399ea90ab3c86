"""What is decided between settings and the first step."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.errors import InputError
from precept.models.folder import ModelFolder
from precept.run.settings import parse_settings
from precept.run.tuning.prepare import longest_allowed


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
