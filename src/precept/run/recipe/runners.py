"""What each kind of step does in its folder: reuse what is there where settings and inputs are equal, else the work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from pydantic import BaseModel

from precept import __version__
from precept.bundled.make import WorldSettings
from precept.bundled.start import StartSettings
from precept.models.folder import resolve_model
from precept.run.data.make import make_data
from precept.run.data.steps import files_hash
from precept.run.fingerprint import fingerprint
from precept.run.output import COMPLETED, differing, open_output, read_manifest, stored_result
from precept.run.recipe.file import Step
from precept.run.recipe.resolve import training_pairs
from precept.run.recipe.step_kinds import DataKeys, EvalKeys, MergeKeys, TrainKeys
from precept.run.report.study_settings import StudySettings
from precept.run.tuning.train import train

if TYPE_CHECKING:
    from precept.run.report.study import Cell


class Reuse(NamedTuple):
    """What to do with an earlier run of a step: remove it, or go on from it although its settings differ."""

    fresh: bool
    allow_changed: bool


Ended: TypeAlias = tuple[str, dict[str, Any]]
"""``done`` or ``reused``, and the step's result."""
Runner: TypeAlias = Callable[[Step, Path, Reuse], Ended]


def runner_of(uses: str) -> Runner:
    """What runs a kind of step."""
    return RUNNERS[uses if uses in RUNNERS else uses.partition(".")[0]]


def _train(step: Step, folder: Path, reuse: Reuse) -> Ended:
    keys = TrainKeys(**step.settings)
    before = _is_completed(folder, reuse)
    result = train(
        step.uses.partition(".")[2],
        model=keys.model,
        data=[keys.data] if isinstance(keys.data, str) else keys.data,
        output=folder,
        pairs=training_pairs(step),
        fresh=reuse.fresh,
        allow_changed=reuse.allow_changed,
        where=step.where,
    )
    return "reused" if before else "done", result


def _data(step: Step, folder: Path, reuse: Reuse) -> Ended:
    before = _is_completed(folder, reuse)
    data = DataKeys(data=step.settings["data"]).data
    result = make_data(
        step.uses.partition(".")[2],
        data=[data] if isinstance(data, str) else data,
        output=folder,
        pairs={key: value for key, value in step.settings.items() if key != "data"},
        fresh=reuse.fresh,
        where=step.where,
    )
    return "reused" if before else "done", result


def _eval(step: Step, folder: Path, reuse: Reuse) -> Ended:
    from precept.run.eval.evaluate import run_eval
    from precept.run.recipe.eval_inputs import eval_inputs

    keys = EvalKeys(**step.settings)
    options = {**keys.model_dump(exclude={"task"}), "tasks": keys.tasks, "data_dir": Path(keys.data_dir)}
    return _once(step, keys, folder, reuse, eval_inputs(step), lambda: run_eval(output=folder, **options), goes_on=True)


def _merge(step: Step, folder: Path, reuse: Reuse) -> Ended:
    from precept.run.merge import fold_into

    keys = MergeKeys(**step.settings)
    inputs = {keys.adapter: fingerprint(resolve_model(keys.adapter))}
    return _once(step, keys, folder, reuse, inputs, lambda: fold_into(keys.adapter, folder))


def _world(step: Step, folder: Path, reuse: Reuse) -> Ended:
    from precept.bundled.make import make

    keys = WorldSettings(**step.settings)

    def work() -> dict[str, Any]:
        manifest = make(folder, count=keys.documents, seed=keys.seed)
        return {"output": str(folder), **{key: value for key, value in manifest.items() if key != "files"}}

    return _once(step, keys, folder, reuse, {"precept": __version__}, work)


def _start(step: Step, folder: Path, reuse: Reuse) -> Ended:
    from precept.bundled.start import start

    keys = StartSettings(**step.settings)
    inputs = {keys.world: fingerprint(Path(keys.world) / "tokenizer")}
    return _once(step, keys, folder, reuse, inputs, lambda: {"output": str(folder), "parameters": start(keys, folder)})


def run_study_step(step: Step, folder: Path, reuse: Reuse, cells: Sequence[Cell]) -> Ended:
    """Make the page of a study; it is made again when one of its evaluations was."""
    from precept.run.eval.evaluate import RESULT
    from precept.run.report.study import run_study

    keys = StudySettings(**step.settings)
    inputs = {str(cell.output): files_hash([str(cell.output / RESULT)]) for cell in cells}
    return _once(step, keys, folder, reuse, inputs, lambda: run_study(cells, keys, folder))


def _once(
    step: Step,
    keys: BaseModel,
    folder: Path,
    reuse: Reuse,
    inputs: Mapping[str, str],
    work: Callable[[], dict[str, Any]],
    *,
    goes_on: bool = False,
) -> Ended:
    """Reuse a finished step whose settings and inputs are the same; else do it in its folder, anew unless it
    ``goes_on`` from what an earlier, killed run of the same left there."""
    manifest = {"method": step.uses, "inputs": dict(inputs), "with": keys.model_dump(mode="json")}
    if not reuse.fresh and (result := stored_result(folder, manifest)) is not None:
        return "reused", result
    stored = read_manifest(folder) if goes_on and not reuse.fresh else None
    anew = stored is None or bool(differing(stored, manifest))
    with open_output(folder, manifest, fresh=anew) as out:
        out.claim(manifest)
        result = work()
        out.complete(result)
    return "done", result


def _is_completed(folder: Path, reuse: Reuse) -> bool:
    return (folder / COMPLETED).is_file() and not reuse.fresh


RUNNERS: Mapping[str, Runner] = {
    "data": _data,
    "train": _train,
    "eval": _eval,
    "merge": _merge,
    "bundled.world": _world,
    "bundled.start": _start,
}
"""By kind, or by what stands before the dot of its kinds. Studies are made of other steps' folders."""
