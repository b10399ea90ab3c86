"""A recipe as it will run: every instance of every step, and all of their keys checked before any of them runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import NoneType
from typing import Any, get_args

from pydantic import ValidationError

from precept.errors import InputError
from precept.run.data.makers import MAKERS
from precept.run.data.steps import parse_keys
from precept.run.recipe.file import Recipe, Step
from precept.run.recipe.instances import expand
from precept.run.recipe.step_kinds import KINDS, DataKeys, TrainKeys, key_classes
from precept.run.report.study_settings import StudySettings
from precept.run.settings import PRODUCT, explain_invalid, parse_settings, unknown_key


def resolve(recipe: Recipe, root: Path) -> list[Step]:
    """The steps as ``expand`` gives them, with every key checked. Raises InputError naming file, line and instance."""
    for step in recipe.steps:
        if step.uses not in KINDS:
            raise unknown_key(step.uses, list(KINDS), where=step.where("name"), kind="step-kind")
    steps = [_without_nulls(step) for step in expand(recipe, root)]
    for place, step in enumerate(steps):
        _check(step)
        if step.uses == "study":
            _check_study(step, compared(step, steps[:place]))
    return steps


def compared(study: Step, steps: Sequence[Step]) -> list[Step]:
    """The evaluations that a ``study`` step compares: those of its ``results`` with the values that it has itself.

    Raises InputError where none of ``steps`` is one.
    """
    name = study.settings["results"]
    found = [
        step
        for step in steps
        if (step.name, step.uses) == (name, "eval")
        and all(step.axes.get(axis, value) == value for axis, value in study.axes.items())
    ]
    if not found:
        known = ", ".join(dict.fromkeys(step.name for step in steps if step.uses == "eval"))
        raise InputError(
            "a study compares the evaluations of an earlier step, and this is none",
            code="study-results",
            where=study.where("results"),
            found=f"results: {name}",
            do=f"name one of: {known}" if known else "add a step 'uses: eval' before it",
        )
    return found


def training_pairs(step: Step) -> dict[str, Any]:
    """The training settings of a step: its keys without those that name model and data."""
    return {key: value for key, value in step.settings.items() if key not in ("model", "data")}


def _without_nulls(step: Step) -> Step:
    """The step without keys that are null and belong to a setting that takes no null: an axis leaves them so at their
    default for some of its values."""
    fields = {key: field for cls in key_classes(step.uses) for key, field in cls.model_fields.items()}
    unset = {
        key
        for key, value in step.settings.items()
        if value is None and key in fields and NoneType not in get_args(fields[key].annotation)
    }
    return replace(step, settings={key: value for key, value in step.settings.items() if key not in unset})


def _check(step: Step) -> None:
    keys = KINDS[step.uses]
    classes = key_classes(step.uses)
    valid = [key for cls in classes for key in cls.model_fields]
    for key in step.settings:
        if key not in valid and not (keys is TrainKeys and key in PRODUCT):
            raise unknown_key(key, valid, where=step.where(key))
    if keys is DataKeys:
        parse_keys(MAKERS[step.uses.partition(".")[2]], step.settings, step.where)
        return
    try:
        keys(**step.settings)
    except ValidationError as error:
        problem = explain_invalid(error, step.settings, step.where, classes)
        problem.where = problem.where or step.where("name")
        raise problem from error
    if keys is TrainKeys:
        parse_settings(training_pairs(step), where=step.where)


def _check_study(step: Step, cells: Sequence[Step]) -> None:
    """The page's axes, before the evaluations are there."""
    from precept.run.report.study import check_study

    check_study(StudySettings(**step.settings), [cell.axes for cell in cells], step.where)
