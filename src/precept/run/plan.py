"""``precept plan RECIPE``: what each training step will need, before anything is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.forecast import DEVICES, Device
from precept.models.folder import resolve_model
from precept.run.console import say
from precept.run.recipe import resolve, training_pairs
from precept.run.recipe_file import Recipe, Step, find_recipe, override, read_recipe
from precept.run.settings import parse_settings, parse_words, unknown_key
from precept.run.step_kinds import MergeKeys, TrainKeys


def plan(
    recipe: str | None,
    *,
    words: Sequence[str],
    model: str | None = None,
    data: Sequence[str] = (),
    device: str | None = None,
    count: int = 1,
) -> dict[str, Any]:
    """The JSON document of ``precept plan``: ``{steps: [...]}``, one entry a training step.

    A recipe with ``step.key=value`` words, or one step of a model and data with ``key=value`` words.
    """
    if model is not None and recipe is not None and "=" in recipe:
        words, recipe = [recipe, *words], None  # the first setting stands where a recipe would
    device_asked = _device(device, count)
    steps = _single(model, data, words) if recipe is None else _of_recipe(recipe, words, model, data)
    from precept.run.plan_job import Machine
    from precept.run.plan_step import forecast_step

    machine = Machine(device_asked, count) if device_asked else None
    planned = []
    for step, base in steps:
        keys = TrainKeys(**step.settings)
        say(f"step '{step.name}' ({step.uses})")
        settings = parse_settings(
            {**training_pairs(step), "data": [keys.data] if isinstance(keys.data, str) else keys.data},
            where=step.where,
        )
        method = step.uses.partition(".")[2]
        forecast = forecast_step(resolve_model(base), settings, method=method, machine=machine)
        planned.append({"name": step.name, "uses": step.uses, **forecast})
    return {"steps": planned}


def _device(device: str | None, count: int) -> Device | None:
    if device is None:
        if count > 1:
            raise InputError("count needs a device", code="count-without-device", do="add --device h100")
        return None
    if device not in DEVICES:
        raise unknown_key(device, list(DEVICES), where="--device", kind="device")
    return DEVICES[device]


def _single(model: str | None, data: Sequence[str], words: Sequence[str]) -> list[tuple[Step, str]]:
    if model is None or not data:
        raise InputError(
            "nothing to plan was named", code="nothing-to-plan", do="name a recipe, or both --model M and --data D"
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
    found = list(_with_bases(recipe, resolve(recipe, root), root))
    if not found:
        raise InputError("no step of this recipe trains", code="nothing-to-plan", where=str(recipe.path))
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
    say(f"{model} is planned as {made[model]}, which it is made from")
    return made[model]
