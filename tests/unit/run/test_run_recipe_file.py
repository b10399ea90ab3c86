"""Recipes name file and line of what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.errors import InputError
from precept.run.recipe.file import override, read_recipe

GOOD = """\
name: tiny
steps:
  - name: tune
    uses: train.sft
    with:
      model: base
      data: [rows.jsonl]
      learning_rate: 1e-4
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(text)
    return path


def test_a_recipe_keeps_the_line_of_every_key(tmp_path: Path) -> None:
    recipe = read_recipe(write(tmp_path, GOOD))
    step = recipe.steps[0]
    assert (step.name, step.uses, step.settings["data"]) == ("tune", "train.sft", ["rows.jsonl"])
    assert str(step.where("learning_rate")).endswith("tiny.yaml line 8")


def test_overrides_replace_keys_of_a_step(tmp_path: Path) -> None:
    recipe = override(read_recipe(write(tmp_path, GOOD)), ["tune.max_steps=3", "tune.data=a", "tune.data=b"])
    assert recipe.steps[0].settings["max_steps"] == 3
    assert recipe.steps[0].settings["data"] == ["a", "b"]


def test_an_override_of_no_step_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        override(read_recipe(write(tmp_path, GOOD)), ["tun.max_steps=3"])
    assert caught.value.do == "did you mean 'tune'?"


@pytest.mark.parametrize(
    ("text", "what", "line"),
    [
        (GOOD.replace("steps:", "step:"), "'step' is not a known key", 2),
        (GOOD.replace("    uses: train.sft\n", ""), "a step has no 'uses'", 3),
        (GOOD + "      model: other\n", "'model' is set twice", 9),
        ("name: [\n", "not valid YAML", None),
        ("- a\n", "not a mapping", 1),
        ("name: x\n", "no list of steps", None),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, what: str, line: int | None) -> None:
    with pytest.raises(InputError, match=what) as caught:
        read_recipe(write(tmp_path, text))
    assert line is None or str(caught.value.where).endswith(f"line {line}")
