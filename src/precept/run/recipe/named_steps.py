"""The training steps that a command looks at before they run: those of a recipe, or one of a model and data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from precept.errors import InputError
from precept.records import load
from precept.run.console import say
from precept.run.recipe.file import Recipe, Step, find_recipe, override, read_recipe
from precept.run.recipe.run import Reuse, make, resolve
from precept.run.recipe.step_kinds import EvalKeys, MergeKeys, TrainKeys
from precept.run.settings import parse_words
from precept.types import Row


def named_steps(
    recipe: str | None, *, words: Sequence[str], model: str | None, data: Sequence[str]
) -> list[tuple[Step, str]]:
    """Each training step, and the model whose size and kind it has.

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
    rows: list[Row] = []
    for step in resolve(found, Path("runs") / found.name):
        if step.uses == "eval":
            keys = EvalKeys(**step.settings)
            named = [data_of_task(path) or path for path in keys.tasks]
            for file in [*named, *suite_files(keys.suite, Path(keys.data_dir))]:
                if Path(file.partition("#")[0]).exists():
                    rows += load([file]).rows[: keys.limit]
    return rows


def _single(model: str | None, data: Sequence[str], words: Sequence[str]) -> list[tuple[Step, str]]:
    if model is None or not data:
        raise InputError(
            "no training step was named", code="no-training-step", do="name a recipe, or --model M --data D"
        )
    pairs = parse_words(words)
    settings = {**pairs, "model": model, "data": [*data, *pairs.get("data", ())]}
    return [(Step("train", "train.sft", settings, {}), model)]


def _of_recipe(name: str, words: Sequence[str], model: str | None, data: Sequence[str]) -> list[tuple[Step, str]]:
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
    for step in steps:
        if step.uses.startswith("data."):  # without rows there is nothing to look at; making them needs no model
            make(step, root / step.name, Reuse(fresh=False, allow_changed=False))
    found = list(_with_bases(recipe, steps, root))
    if not found:
        raise InputError(
            "no step of this recipe trains",
            code="no-training-step",
            where=str(recipe.path),
            do="add a step 'uses: train.sft'",
        )
    return found


def _with_bases(recipe: Recipe, steps: Sequence[Step], root: Path) -> Iterator[tuple[Step, str]]:
    """Training steps with the model whose size theirs has: where a step goes on from an earlier one, its base."""
    made: dict[str, str] = {}
    for step in steps:
        if step.uses.startswith("train."):
            base = _base(TrainKeys(**step.settings).model, made)
            made[str(root / step.name)] = base
            yield step, base
        elif step.uses == "merge":
            made[str(root / step.name)] = _base(MergeKeys(**step.settings).adapter, made)


def _base(model: str, made: Mapping[str, str]) -> str:
    if model not in made:
        return model
    say(f"{model} is not made yet: {made[model]}, which it is made from, stands in for it")
    return made[model]
