"""A model in numbers, read without its weights, and a model of its first layers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.tiny import tiny_model, tiny_model_folder

from precept.forecast import read_shape
from precept.forecast.shape import shape_of, write_first_layers


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gemma3", "t5"])
def test_a_shape_read_from_config_is_that_of_the_loaded_model(tmp_path: Path, family: str) -> None:
    folder = tiny_model_folder(tmp_path / family, family)
    found = read_shape(folder)
    assert found == shape_of(tiny_model(family, vocab_size=found.vocabulary))
    assert found.parameters >= found.linear_parameters > 0


def test_linear_layers_leave_out_the_head(tmp_path: Path) -> None:
    # Llama of 2 layers, hidden 32, two key heads of 8, inner 64: q, k, v, o, gate, up, down
    found = read_shape(tiny_model_folder(tmp_path / "llama"))
    sides = [(linear.inputs, linear.outputs) for linear in found.linears]
    assert sides == 2 * [(32, 32), (32, 16), (32, 16), (32, 32), (32, 64), (32, 64), (64, 32)]
    assert found.head == 32 * found.vocabulary


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2", "t5"])
def test_the_first_layers_are_a_model_of_the_same_class(tmp_path: Path, family: str) -> None:
    folder = tiny_model_folder(tmp_path / "whole", family)
    shorter = read_shape(write_first_layers(folder, tmp_path / "first", layers=1))
    whole = read_shape(folder)
    assert (shorter.layers, whole.layers) == (1, 2)
    assert len(shorter.linears) * 2 == len(whole.linears)
    assert (shorter.head, shorter.vocabulary) == (whole.head, whole.vocabulary)
    kind = json.loads((tmp_path / "first" / "config.json").read_text())["model_type"]
    assert kind == json.loads((folder / "config.json").read_text())["model_type"]
