"""``precept run RECIPE``: typed steps in order; finished ones are reused by hash, a broken one resumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.models.folder import check_max_length, check_model_folder, resolve_model
from precept.run.console import say
from precept.run.output import MANIFEST
from precept.run.recipe.file import Step, find_recipe, override, read_recipe
from precept.run.recipe.resolve import compared, resolve
from precept.run.recipe.runners import Ended, Reuse, run_study_step, runner_of


def run(
    name: str, *, overrides: Sequence[str], output: Path | None, fresh: bool = False, allow_changed: bool = False
) -> dict[str, Any]:
    """Check every step first, then run them in order.

    Returns ``{recipe, output, steps: [{name, axes?, uses, state, output, result}]}``, an entry for each instance of a
    step; ``axes`` are its values.
    """
    recipe = override(read_recipe(find_recipe(name)), overrides)
    root = output or Path("runs") / recipe.name
    steps = resolve(recipe, root)
    _refuse_whole_steps(steps, root)
    _refuse_unfit_models(steps, root)
    done = []
    for number, step in enumerate(steps, 1):
        folder = root / step.place
        say(f"step {number} of {len(steps)}, {step.title} ({step.uses}) -> {folder}")
        state, result = _run(step, folder, Reuse(fresh, allow_changed), steps, root)
        axes = {"axes": dict(step.axes)} if step.axes else {}
        done.append(
            {"name": step.name, **axes, "uses": step.uses, "state": state, "output": str(folder), "result": result}
        )
    return {"recipe": recipe.name, "output": str(root), "steps": done}


def _run(step: Step, folder: Path, reuse: Reuse, steps: Sequence[Step], root: Path) -> Ended:
    if step.uses != "study":
        return runner_of(step.uses)(step, folder, reuse)
    from precept.run.report.study import Cell

    cells = [Cell(own.axes, root / own.place) for own in compared(step, steps)]
    return run_study_step(step, folder, reuse, cells)


def _refuse_unfit_models(steps: Sequence[Step], root: Path) -> None:
    """The last steps of a grid may be the only ones that use a model: those that no step makes are found, and judged
    by their files, before the first step."""
    made = [f"{root / step.place}/" for step in steps]
    asked: dict[tuple[str, int], Step] = {}
    for step in steps:
        if step.uses == "eval" or step.uses.startswith("train."):
            longest = step.settings.get("max_length")
            for name in (step.settings["model"], step.settings.get("against")):
                if name is not None and not f"{name}/".startswith(tuple(made)):
                    asked.setdefault((name, longest if isinstance(longest, int) else 0), step)
    for (name, longest), step in asked.items():
        try:
            # code of its own is judged when the step runs, which knows whether the user trusts it
            check_max_length(check_model_folder(resolve_model(name), trust_remote_code=True), longest)
        except InputError as error:
            error.where = f"{step.where('model')}: {error.where}"
            raise


def _refuse_whole_steps(steps: Sequence[Step], root: Path) -> None:
    """Instances do not go into a folder that holds the step as it was before it had axes."""
    for step in steps:
        if step.axes and (root / step.name / MANIFEST).is_file():
            raise InputError(
                f"the step '{step.name}' ran here without axes, and its instances would lie inside of that",
                code="step-ran-without-axes",
                where=str(root / step.name),
                do="name another folder with -o, or remove this one",
            )
