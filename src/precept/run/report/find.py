"""The steps in a folder, told by their files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from precept.errors import InputError
from precept.run.eval.folder import PREDICTIONS, RESULT
from precept.run.output import MANIFEST
from precept.run.report.run_files import RunFiles

KINDS = ("train", "merge", "eval", "judge", "study")
"""The kinds of steps that a page tells of, in its order."""
UNTOLD = ("data", "bundled")
"""Methods whose steps make rows or new weights: the steps that use them tell of them."""


class FoundStep(NamedTuple):
    """A step's folder, and its name: the path below the folder that the page is of."""

    kind: str
    folder: Path
    name: str


def find_steps(run: Path) -> list[FoundStep]:
    """The run itself, or the steps in its folders; those of a step that is repeated lie a folder deeper. Raises
    InputError where there are none."""
    if not run.is_dir():
        raise InputError(
            "no such run folder",
            code="run-not-found",
            where=str(run),
            do="name the output folder of 'precept train', 'precept run', 'precept eval' or 'precept judge'",
        )
    steps = [FoundStep(kind, run, run.resolve().name) for kind in kinds_of(run)] or list(_steps_below(run))
    if not steps:
        found = ", ".join(sorted(path.name for path in run.iterdir())[:5]) or "an empty folder"
        raise InputError(
            "this folder holds no run",
            code="run-without-files",
            where=str(run),
            found=found,
            do=f"name a folder with {MANIFEST} or {RESULT}, or one that holds such folders",
        )
    return sorted(steps, key=lambda step: KINDS.index(step.kind))


def _steps_below(run: Path) -> Iterator[FoundStep]:
    for folder in _folders(run):
        kinds = kinds_of(folder)
        yield from (FoundStep(kind, folder, folder.name) for kind in kinds)
        if kinds or (folder / MANIFEST).is_file():
            continue
        for cell in _folders(folder):
            yield from (FoundStep(kind, cell, f"{folder.name}/{cell.name}") for kind in kinds_of(cell))


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def kinds_of(folder: Path) -> list[str]:
    """The kinds of steps that left their files here: an evaluation may lie in a model's folder. Empty for a folder that
    is not ours."""
    kinds = []
    if (folder / MANIFEST).is_file():
        method = str(RunFiles(folder).document(MANIFEST, holds="").get("method")).partition(".")[0]
        if method in UNTOLD:
            return []
        kinds.append("judge" if method == "annotations" else method if method in KINDS else "train")
    evaluated = any((folder / name).is_file() for name in (RESULT, PREDICTIONS)) or any(folder.glob("*.items.jsonl"))
    if evaluated and kinds in ([], ["train"], ["merge"]):
        kinds.append("eval")
    return kinds
