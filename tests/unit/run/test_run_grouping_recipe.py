"""The study of ``group_by_prefix``: trainings that differ in groups and seed alone, each asked on every level."""

from __future__ import annotations

from pathlib import Path

from precept.bundled.tasks import LEVELS
from precept.run.quickstart import TUNING
from precept.run.recipe.file import Step, find_recipe, read_recipe
from precept.run.recipe.resolve import resolve


def steps(uses: str) -> list[Step]:
    return [step for step in resolve(read_recipe(find_recipe("studies/grouping")), Path("out")) if step.uses == uses]


def test_the_trainings_differ_in_groups_and_seed_alone_and_are_the_quickstarts() -> None:
    settings = [dict(step.settings) for step in steps("train.sft")]
    drawn = [(given.pop("group_by_prefix"), given.pop("seed")) for given in settings]
    assert drawn == [(group, seed) for group in (None, 4, 8) for seed in (0, 1, 2)]
    assert all(given == settings[0] for given in settings)
    assert {**TUNING, **settings[0]} == {**settings[0], "save_steps": TUNING["save_steps"]}


def test_every_training_is_asked_on_every_level() -> None:
    asked = [(step.settings["model"], step.settings["task"]) for step in steps("eval")]
    trained = [f"out/{step.place}" for step in steps("train.sft")]
    files = [f"out/world/tasks/{level}.jsonl" for level in LEVELS]
    assert sorted(asked) == sorted((model, file) for model in trained for file in files)
    assert len(asked) == 9 * 4


def test_every_level_has_a_claim_for_each_size_of_group() -> None:
    (page,) = steps("study")
    claims = [(claim["where"]["level"], claim["of"], claim["with"]) for claim in page.settings["claims"]]
    assert claims == [(level, size, "one") for level in LEVELS for size in ("four", "eight")]
