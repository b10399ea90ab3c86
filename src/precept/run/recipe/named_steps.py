"""The training steps that a command looks at before they run: those of a recipe, or one of a model and data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from precept.errors import InputError
from precept.evaluate.study import Scalar
from precept.records import load
from precept.run.console import say
from precept.run.output import COMPLETED
from precept.run.recipe.file import Step, find_recipe, override, read_recipe, told_with
from precept.run.recipe.instances import texts
from precept.run.recipe.resolve import resolve
from precept.run.recipe.runners import Reuse, runner_of
from precept.run.recipe.step_kinds import EvalKeys, MergeKeys, TrainKeys
from precept.run.settings import parse_words
from precept.types import Row

MADE_AT_ONCE = ("data", "bundled")
"""Kinds whose steps are run where they were not: without rows there is nothing to look at."""


class Named(NamedTuple):
    """A training step; the model whose size and kind it has; and the number of its instances that this one stands for:
    itself, and those that differ from it in the seed alone."""

    step: Step
    base: str
    instances: int
    axes: Mapping[str, Scalar]
    """The values that they share."""

    @property
    def title(self) -> str:
        """The step's name and the values that its instances share."""
        return told_with(self.step.name, self.axes)


def named_steps(recipe: str | None, *, words: Sequence[str], model: str | None, data: Sequence[str]) -> list[Named]:
    """The training steps of a recipe, one for all instances that differ in the seed alone, or of a model and data.

    ``words`` are ``step.key=value`` beside a recipe, else ``key=value``. Data steps of the recipe are run where they
    were not. Raises InputError where no step is named.
    """
    if model is not None and recipe is not None and "=" in recipe:
        words, recipe = [recipe, *words], None  # the first setting stands where a recipe would
    return _single(model, data, words) if recipe is None else _of_recipe(recipe, words, model, data)


def asked_by(recipe: str | None, words: Sequence[str]) -> list[Row]:
    """The rows that a recipe's evaluation steps ask, of files that are there; none without a recipe."""
    if recipe is None or "=" in recipe:
        return []
    from precept.evaluate.suite import suite_files
    from precept.run.eval.tasks import data_of_task

    found = override(read_recipe(find_recipe(recipe)), words)
    asked: dict[tuple[str, int | None], None] = {}
    for step in resolve(found, Path("runs") / found.name):
        if step.uses == "eval":
            keys = EvalKeys(**step.settings)
            named = [data_of_task(path) or path for path in keys.tasks]
            asked |= dict.fromkeys(
                (file, keys.limit) for file in [*named, *suite_files(keys.suite, Path(keys.data_dir))]
            )
    there = [(file, limit) for file, limit in asked if Path(file.partition("#")[0]).exists()]
    return [row for file, limit in there for row in load([file]).rows[:limit]]


def _single(model: str | None, data: Sequence[str], words: Sequence[str]) -> list[Named]:
    if model is None or not data:
        raise InputError(
            "no training step was named", code="no-training-step", do="name a recipe, or --model M --data D"
        )
    pairs = parse_words(words)
    settings = {**pairs, "model": model, "data": [*data, *pairs.get("data", ())]}
    return [Named(Step("train", "train.sft", settings, {}), model, 1, {})]


def _of_recipe(name: str, words: Sequence[str], model: str | None, data: Sequence[str]) -> list[Named]:
    if model is not None or data:
        raise InputError(
            "a recipe names its own model and data",
            code="recipe-and-model",
            found=f"{name} beside --model or --data",
            do="override them: step.model=M step.data=D",
        )
    recipe = override(read_recipe(find_recipe(name)), words)
    root = Path("runs") / recipe.name
    steps = resolve(recipe, root)
    _make_rows(steps, root)
    found = _one_for_all_seeds(list(_with_bases(steps, root)))
    if not found:
        raise InputError(
            "no step of this recipe trains",
            code="no-training-step",
            where=str(recipe.path),
            do="add a step 'uses: train.sft'",
        )
    return found


def _make_rows(steps: Sequence[Step], root: Path) -> None:
    """Run what needs no training. Raises InputError for rows that are made of what is not trained yet."""
    later: dict[str, Step] = {}
    for step in steps:
        folder = root / step.place
        if step.uses.partition(".")[0] not in MADE_AT_ONCE:
            if not (folder / COMPLETED).is_file():
                later[str(folder)] = step
            continue
        for text in texts(step.settings):
            waited_for = next((other for place, other in later.items() if f"{text}/".startswith(f"{place}/")), None)
            if waited_for is not None:
                raise InputError(
                    f"the rows of '{step.title}' are made of what '{waited_for.title}' leaves, which has not run",
                    code="rows-need-training",
                    where=step.where("name"),
                    do="run the recipe first, or name other rows for the steps behind it",
                )
        runner_of(step.uses)(step, folder, Reuse(fresh=False, allow_changed=False))


def _with_bases(steps: Sequence[Step], root: Path) -> Iterator[tuple[Step, str]]:
    """Training steps with the model whose size theirs has: where a step goes on from an earlier one, its base."""
    made: dict[str, str] = {}
    for step in steps:
        if step.uses.startswith("train."):
            base = _base(TrainKeys(**step.settings).model, made)
            made[str(root / step.place)] = base
            yield step, base
        elif step.uses == "merge":
            made[str(root / step.place)] = _base(MergeKeys(**step.settings).adapter, made)


def _base(model: str, made: Mapping[str, str]) -> str:
    if model not in made:
        return model
    say(f"{model} is not made yet: {made[model]}, which it is made from, stands in for it")
    return made[model]


def _one_for_all_seeds(found: Sequence[tuple[Step, str]]) -> list[Named]:
    """The first of the instances that differ in the seed alone, for all of them."""
    alike: dict[str, list[tuple[Step, str]]] = {}
    for step, base in found:
        settings: dict[str, Any] = {**step.settings, "model": base, "seed": None}
        alike.setdefault(f"{step.name} {sorted(settings.items())!r}", []).append((step, base))
    named = []
    for own in alike.values():
        first, base = own[0]
        shared = {axis: value for axis, value in first.axes.items() if all(s.axes[axis] == value for s, _ in own)}
        named.append(Named(first, base, len(own), shared))
    return named
