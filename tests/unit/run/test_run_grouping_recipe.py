"""The study of ``group_by_prefix``: three trainings that differ in nothing else, each level asked against the first."""

from __future__ import annotations

from pathlib import Path

from precept.bundled.tasks import LEVELS
from precept.run.quickstart import TUNING
from precept.run.recipe.file import Step, read_recipe
from precept.run.recipe.run import resolve

RECIPE = Path(__file__).parents[3] / "src" / "precept" / "bundled" / "grouping.yaml"


def steps(uses: str) -> list[Step]:
    return [step for step in resolve(read_recipe(RECIPE), Path("out")) if step.uses == uses]


def test_the_trainings_differ_in_their_groups_alone_and_are_the_quickstarts() -> None:
    settings = [dict(step.settings) for step in steps("train.sft")]
    assert [given.pop("group_by_prefix", None) for given in settings] == [None, 4, 8]
    assert settings[0] == settings[1] == settings[2]
    assert {**TUNING, **settings[0]} == {**settings[0], "save_steps": TUNING["save_steps"]}


def test_every_level_is_asked_of_both_against_rows_drawn_one_by_one() -> None:
    asked = [(step.settings["model"], step.settings["against"], step.settings["task"]) for step in steps("eval")]
    files = [f"quickstart/tasks/{level}.jsonl" for level in LEVELS]
    assert sorted(asked) == sorted((f"out/{arm}", "out/alone", file) for arm in ("four", "eight") for file in files)
