"""``precept report RUN``: the page of a training step, an evaluation, or a recipe's folder of such steps."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.evaluate.page import Page, Training, make_page
from precept.evaluate.score_tables import Evaluation, format_p
from precept.run.eval.evaluate import RESULT
from precept.run.output import COMPLETED, MANIFEST, write_atomic
from precept.run.report.run_files import RunFiles
from precept.run.report.steps import read_evaluation, read_training

PAGE = "report.html"
KINDS = ("train", "merge", "eval")
"""The kinds of steps, in the order in which a recipe's folder is told."""


def report(run: Path, *, output: Path | None) -> dict[str, Any]:
    """Write the page of a run; returns ``{report, missing}``. Raises InputError for a folder that holds no run."""
    path = output or run / PAGE
    try:
        page = read_run(run)
        text = make_page(page)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(run, error) from error
    _write(path, text)
    return {"report": str(path), "missing": list(page.missing)}


def read_run(run: Path) -> Page:
    """All that the folder tells, as the page takes it."""
    trainings, evaluations, others, said, missing = [], [], [], [], []
    talk_to = None
    for kind, folder in find_steps(run):
        files = RunFiles(folder)
        if kind == "train":
            training, document = read_training(files)
            trainings.append(training)
            said.append(_say_training(training, document))
        elif kind == "eval":
            evaluation = read_evaluation(files)
            evaluations.append(evaluation)
            said.append(_say_evaluation(evaluation))
        else:
            result = files.document(COMPLETED, holds="written last: this step is not done")
            others.append((f"{kind.capitalize()}: {folder.name}", tuple((k, str(v)) for k, v in result.items())))
        missing += files.missing
        if kind != "eval" and (folder / COMPLETED).is_file():
            talk_to = f"precept chat {shlex.quote(str(folder))}"
    return Page(
        run.resolve().name,
        " ".join(said) or "This run has no step that trains or evaluates.",
        chat=talk_to,
        missing=tuple(missing),
        trainings=tuple(trainings),
        evaluations=tuple(evaluations),
        others=tuple(others),
    )


def find_steps(run: Path) -> list[tuple[str, Path]]:
    """(kind, folder) of the run itself, or of the steps in its folders."""
    if not run.is_dir():
        raise InputError(
            "no such run folder",
            code="run-not-found",
            where=str(run),
            do="name the output folder of 'precept train', 'precept run' or 'precept eval'",
        )
    folders = [run] if kinds_of(run) else sorted(path for path in run.iterdir() if path.is_dir())
    steps = [(kind, folder) for folder in folders for kind in kinds_of(folder)]
    if not steps:
        found = ", ".join(sorted(path.name for path in run.iterdir())[:5]) or "an empty folder"
        raise InputError(
            "this folder holds no run",
            code="run-without-files",
            where=str(run),
            found=found,
            do=f"name a folder with {MANIFEST} or {RESULT}, or one that holds such folders",
        )
    return sorted(steps, key=lambda step: KINDS.index(step[0]))


def kinds_of(folder: Path) -> list[str]:
    """``train``, ``merge`` or ``eval``, by what the folder holds; an evaluation may lie in a model's folder. Empty
    for a folder that is not ours."""
    kinds = []
    if (folder / MANIFEST).is_file():
        method = str(RunFiles(folder).document(MANIFEST, holds="").get("method"))
        if not method.startswith("data."):  # rows alone have no page; the training step tells of its data
            kinds.append(method if method in KINDS else "train")
    if "eval" not in kinds and ((folder / RESULT).is_file() or any(folder.glob("*.items.jsonl"))):
        kinds.append("eval")
    return kinds


def _say_training(training: Training, document: Mapping[str, Any]) -> str:
    """What was tuned and how the losses moved, in one sentence."""
    model, method = document.get("model", "A model"), document.get("method", "method not told")
    adapter = document.get("with", {}).get("adapter", "none")
    how = f"{method}, {'all weights' if adapter == 'none' else adapter}"
    steps = f"{len(training.loss)} step{'s' * (len(training.loss) != 1)}"
    unfinished = "" if document[COMPLETED] else "; training is not done"
    losses = [
        f"{name} {curve[0][1]:.4f} to {curve[-1][1]:.4f}"
        for name, curve in (("training loss", training.loss), ("evaluation loss", training.eval_loss))
        if curve
    ]
    return f"{model} was tuned ({how}) in {steps}{': ' if losses else ''}{', '.join(losses)}{unfinished}."


def _say_evaluation(evaluation: Evaluation) -> str:
    """The first metric over all items, in one sentence."""
    if not evaluation.levels:
        return f"The evaluation '{evaluation.name}' is not done."
    level = evaluation.levels[0]
    metric, score = next(iter(level.tuned.items()))
    told = f"{evaluation.tuned} scores {100 * score.value:.1f} % {metric} on {score.n:,} items"
    told += f" (95 % {100 * score.low:.1f} to {100 * score.high:.1f})"
    if (change := level.difference.get(metric)) is None:
        return f"{told}."
    told += f", {100 * change.value:+.1f} points against {evaluation.base}"
    p = f", p {format_p(change.p)}" if change.p is not None else ""
    return f"{told} (95 % {100 * change.low:+.1f} to {100 * change.high:+.1f}{p})."


def _damaged(run: Path, error: Exception) -> InputError:
    return InputError(
        "a file of this run does not hold what it should",
        code="run-file-damaged",
        where=str(run),
        found=f"{type(error).__name__}: {error}",
        do="run the step again with --fresh",
    )


def _write(path: Path, page: str) -> None:
    try:
        write_atomic(path, page.encode())
    except OSError as error:
        raise InputError(
            "the page cannot be written",
            code="unwritable-path",
            where=str(path),
            found=error.strerror,
            do="name another file with -o",
        ) from error
