"""``precept run RECIPE``: typed steps in order; finished ones are reused by hash, a broken one resumes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from precept.errors import InputError
from precept.models.folder import resolve_model
from precept.run.console import say
from precept.run.data.make import make_data
from precept.run.data.makers import MAKERS
from precept.run.data.steps import parse_keys
from precept.run.fingerprint import fingerprint
from precept.run.output import open_output, stored_result
from precept.run.recipe.file import Recipe, Step, find_recipe, override, read_recipe
from precept.run.recipe.step_kinds import KINDS, DataKeys, EvalKeys, MergeKeys, TrainKeys, key_classes
from precept.run.settings import explain_invalid, parse_settings, unknown_key
from precept.run.tuning.train import train

REFERENCE = re.compile(r"\$\{([^}]*)\}")


class Reuse(NamedTuple):
    """What to do with an earlier run of a step: remove it, or go on from it although its settings differ."""

    fresh: bool
    allow_changed: bool


def run(
    name: str, *, overrides: Sequence[str], output: Path | None, fresh: bool = False, allow_changed: bool = False
) -> dict[str, Any]:
    """Check every step first, then run them in order. Returns ``{recipe, output, steps: [...]}``."""
    recipe = override(read_recipe(find_recipe(name)), overrides)
    root = output or Path("runs") / recipe.name
    steps = resolve(recipe, root)
    done = []
    for step in steps:
        folder = root / step.name
        say(f"step '{step.name}' ({step.uses}) -> {folder}")
        state, result = RUNNERS[step.uses.partition(".")[0]](step, folder, Reuse(fresh, allow_changed))
        done.append({"name": step.name, "uses": step.uses, "state": state, "output": str(folder), "result": result})
    return {"recipe": recipe.name, "output": str(root), "steps": done}


def resolve(recipe: Recipe, root: Path) -> list[Step]:
    """Replace ``${step}`` by that step's folder, and check all keys of all steps before any of them runs."""
    known: list[str] = []
    steps = []
    for step in recipe.steps:
        if step.uses not in KINDS:
            raise unknown_key(step.uses, list(KINDS), where=step.where("name"), kind="step-kind")
        settings = {key: _refer(value, key, step, known, root) for key, value in step.settings.items()}
        step = Step(step.name, step.uses, settings, step.lines)
        _check(step)
        known.append(step.name)
        steps.append(step)
    return steps


def _check(step: Step) -> None:
    keys = KINDS[step.uses]
    valid = [key for cls in key_classes(step.uses) for key in cls.model_fields]
    for key in step.settings:
        if key not in valid and key not in ("per_device_train_batch_size", "gradient_accumulation_steps"):
            raise unknown_key(key, valid, where=step.where(key))
    if keys is DataKeys:
        parse_keys(MAKERS[step.uses.partition(".")[2]], step.settings, step.where)
        return
    try:
        keys(**step.settings)
    except ValidationError as error:
        raise explain_invalid(error, step.settings, step.where) from error
    if keys is TrainKeys:
        parse_settings(training_pairs(step), where=step.where)


def _refer(value: Any, key: str, step: Step, known: Sequence[str], root: Path) -> Any:
    if isinstance(value, list):
        return [_refer(item, key, step, known, root) for item in value]
    if not isinstance(value, str):
        return value

    def folder(match: re.Match[str]) -> str:
        if match[1] not in known:
            raise unknown_key(match[1], known, where=step.where(key), kind="step")
        return str(root / match[1])

    return REFERENCE.sub(folder, value)


def training_pairs(step: Step) -> dict[str, Any]:
    """The training settings of a step: its keys without those that name model and data."""
    return {key: value for key, value in step.settings.items() if key not in ("model", "data")}


def _train(step: Step, folder: Path, reuse: Reuse) -> tuple[str, dict[str, Any]]:
    keys = TrainKeys(**step.settings)
    data = [keys.data] if isinstance(keys.data, str) else keys.data
    before = (folder / "COMPLETED").is_file() and not reuse.fresh
    method = step.uses.partition(".")[2]
    result = train(
        method,
        model=keys.model,
        data=data,
        output=folder,
        pairs=training_pairs(step),
        fresh=reuse.fresh,
        allow_changed=reuse.allow_changed,
        where=step.where,
    )
    return "reused" if before else "done", result


def make(step: Step, folder: Path, reuse: Reuse) -> tuple[str, dict[str, Any]]:
    """Run a data step: ``(done or reused, its result)``."""
    before = (folder / "COMPLETED").is_file() and not reuse.fresh
    data = DataKeys(data=step.settings["data"]).data
    pairs = {key: value for key, value in step.settings.items() if key != "data"}
    result = make_data(
        step.uses.partition(".")[2],
        data=[data] if isinstance(data, str) else data,
        output=folder,
        pairs=pairs,
        fresh=reuse.fresh,
        where=step.where,
    )
    return "reused" if before else "done", result


def _eval(step: Step, folder: Path, reuse: Reuse) -> tuple[str, dict[str, Any]]:
    from precept.evaluate.suite import suite_files
    from precept.run.eval.evaluate import run_eval
    from precept.run.eval.tasks import data_of_task

    keys = EvalKeys(**step.settings)
    inputs = {name: fingerprint(resolve_model(name)) for name in (keys.model, keys.against) if name}
    files = [file for path in keys.tasks for file in (path, data_of_task(path)) if file]
    inputs |= {path: _file_hash(path, step) for path in [*files, *suite_files(keys.suite, Path(keys.data_dir))]}
    return _once(
        step,
        folder,
        reuse,
        inputs,
        lambda: run_eval(
            output=folder,
            **{**keys.model_dump(exclude={"task"}), "tasks": keys.tasks, "data_dir": Path(keys.data_dir)},
        ),
    )


def _merge(step: Step, folder: Path, reuse: Reuse) -> tuple[str, dict[str, Any]]:
    from precept.run.merge import fold_into

    adapter = MergeKeys(**step.settings).adapter
    inputs = {adapter: fingerprint(resolve_model(adapter))}
    return _once(step, folder, reuse, inputs, lambda: fold_into(adapter, folder))


def _once(
    step: Step, folder: Path, reuse: Reuse, inputs: Mapping[str, str], work: Callable[[], dict[str, Any]]
) -> tuple[str, dict[str, Any]]:
    """Reuse a finished step whose settings and inputs are the same; else do it anew in its folder."""
    manifest = {"method": step.uses, "inputs": dict(inputs), "with": step.settings}
    if not reuse.fresh and (result := stored_result(folder, manifest)) is not None:
        return "reused", result
    with open_output(folder, manifest, fresh=True) as out:
        out.claim(manifest)
        result = work()
        out.complete(result)
    return "done", result


def _file_hash(path: str, step: Step) -> str:
    if path.startswith("hf:"):
        return path
    file = Path(path.partition("#")[0])
    if file.is_dir():
        return hashlib.sha256("".join(_file_hash(str(p), step) for p in sorted(file.iterdir())).encode()).hexdigest()
    if not file.is_file():
        raise InputError("no such file", code="missing-path", where=step.where("task"), found=path, do="check the path")
    return hashlib.sha256(file.read_bytes()).hexdigest()


RUNNERS: dict[str, Callable[[Step, Path, Reuse], tuple[str, dict[str, Any]]]] = {
    "data": make,
    "train": _train,
    "eval": _eval,
    "merge": _merge,
}
