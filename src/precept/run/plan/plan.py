"""``precept plan RECIPE``: what each training step will need, before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from precept.errors import InputError
from precept.forecast import DEVICES, Device
from precept.models.folder import resolve_model
from precept.run.console import say
from precept.run.recipe.named_steps import named_steps
from precept.run.recipe.resolve import training_pairs
from precept.run.recipe.step_kinds import TrainKeys
from precept.run.settings import parse_settings, unknown_key


def plan(
    recipe: str | None,
    *,
    words: Sequence[str],
    model: str | None = None,
    data: Sequence[str] = (),
    device: str | None = None,
    count: int = 1,
) -> dict[str, Any]:
    """The JSON document of ``precept plan``: ``{steps: [...], total}``, one entry a training step.

    A recipe with ``step.key=value`` words, or one step of a model and data with ``key=value`` words. Instances that
    differ in the seed alone have one entry with their number, ``instances``; ``total`` counts each.
    """
    device_asked = _device(device, count)
    steps = named_steps(recipe, words=words, model=model, data=data)
    from precept.run.plan.job import Machine
    from precept.run.plan.step import forecast_step

    machine = Machine(device_asked, count) if device_asked else None
    planned = []
    for named in steps:
        step = named.step
        keys = TrainKeys(**step.settings)
        say(f"step '{named.title}' ({step.uses})")
        settings = parse_settings(
            {**training_pairs(step), "data": [keys.data] if isinstance(keys.data, str) else keys.data},
            where=step.where,
        )
        method = step.uses.partition(".")[2]
        forecast = forecast_step(resolve_model(named.base), settings, method=method, machine=machine)
        axes = {"axes": dict(named.axes)} if step.axes else {}
        planned.append({"name": step.name, **axes, "instances": named.instances, "uses": step.uses, **forecast})
    return {"steps": planned, "total": _total(planned)}


def _total(planned: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """All training steps one after another, evaluations not counted; bounds of the time are added up, too."""
    counted = [(step["instances"], step) for step in planned]
    return {
        "training_steps": sum(n for n, _ in counted),
        "optimizer_steps": sum(n * step["optimizer_steps"] for n, step in counted),
        "seconds": {
            bound: sum(n * step["seconds"][bound] for n, step in counted) for bound in ("value", "low", "high")
        },
        "disk_bytes": sum(n * step["disk_bytes"] for n, step in counted),
    }


def _device(device: str | None, count: int) -> Device | None:
    if device is None:
        if count > 1:
            raise InputError("count needs a device", code="count-without-device", do="add --device h100")
        return None
    if device not in DEVICES:
        raise unknown_key(device, list(DEVICES), where="--device", kind="device")
    return DEVICES[device]
