"""``precept report RUN``: the page of a training step, an evaluation, a judging, or of a folder of such steps."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.evaluate.likelihood import show_score
from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.page import FOLDED_FROM, Page, Training, items_anchor, make_page
from precept.evaluate.page_judge import Judging, show_rating
from precept.evaluate.page_parts import Facts
from precept.evaluate.score_tables import Evaluation, format_p
from precept.run.eval.complete import read_complete
from precept.run.eval.folder import PREDICTIONS, RESULT
from precept.run.output import COMPLETED, write_atomic
from precept.run.report.evaluation import read_evaluation
from precept.run.report.find import FoundStep, find_steps
from precept.run.report.items import ItemPages
from precept.run.report.judging import read_judging
from precept.run.report.levels import read_levels
from precept.run.report.run_files import RunFiles
from precept.run.report.training import read_training

PAGE, STUDY = "report.html", "study.html"


def report(run: Path, *, output: Path | None) -> dict[str, Any]:
    """Write the page of a run and, in a folder beside it, those of its items; returns ``{report, missing}``. Raises
    InputError for a folder that holds no run."""
    path = output or run / PAGE
    pages = ItemPages(path)
    try:
        page = read_run(run, pages)
        text = make_page(page)
        pages.write()
        write_atomic(path, text.encode())
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(run, error) from error
    except OSError as error:
        raise _unwritable(path, error) from error
    return {"report": str(path), "missing": list(page.missing)}


@dataclass
class _Told:
    """What the steps tell, gathered in their order."""

    trainings: list[Training] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    judgings: list[Judging] = field(default_factory=list)
    studies: list[tuple[str, str, str]] = field(default_factory=list)
    others: list[tuple[str, Facts]] = field(default_factory=list)
    said: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    chat: str | None = None


def read_run(run: Path, pages: ItemPages) -> Page:
    """All that the folder tells, as the page takes it; ``pages`` are planned, not written."""
    told = _Told()
    steps = find_steps(run)
    for step in steps:
        files = RunFiles(step.folder)
        _read_step(step, files, told, pages, alone=len(steps) == 1)
        told.missing += files.missing
        if step.kind in ("train", "merge") and (step.folder / COMPLETED).is_file():
            told.chat = f"precept chat {shlex.quote(str(step.folder))}"
    return Page(
        run.resolve().name,
        _summary(told.said),
        chat=told.chat,
        missing=tuple(told.missing),
        trainings=tuple(told.trainings),
        evaluations=tuple(told.evaluations),
        judgings=tuple(told.judgings),
        studies=tuple(told.studies),
        others=tuple(told.others),
    )


def _read_step(step: FoundStep, files: RunFiles, told: _Told, pages: ItemPages, *, alone: bool) -> None:
    """One step into what is told."""
    said = told.said.setdefault(step.kind, [])
    if step.kind == "train":
        training, document = read_training(files, step.name)
        told.trainings.append(training)
        said.append(_say_training(training, document))
    elif step.kind == "eval":
        evaluation = _read_evaluation(files, step.name, pages, len(told.evaluations), alone=alone)
        told.evaluations.append(evaluation)
        said.append(_say_evaluation(evaluation))
    elif step.kind == "judge":
        if result := files.document(RESULT, holds="the numbers, written when all is judged"):
            judging = read_judging(files, result, pages, name=step.name, anchor=f"judged-{len(told.judgings)}")
            told.judgings.append(judging)
            said.append(_say_judging(judging))
    elif result := files.document(COMPLETED, holds="written last: this step is not done"):
        if step.kind == "study":
            told.studies.append((" ".join(result["sentences"]), step.name, pages.address(step.folder / STUDY)))
        else:
            facts = tuple((key, str(value)) for key, value in result.items())
            told.others.append((f"{step.kind.capitalize()}: {step.name}", facts))


def _read_evaluation(files: RunFiles, name: str, pages: ItemPages, number: int, *, alone: bool) -> Evaluation:
    """An evaluation whose manifest or items are not whole shows no scores. Raises InputError for one that is all that
    there is to show."""
    anchor = items_anchor(number)
    if (files.folder / PREDICTIONS).is_file():
        result = files.document(PREDICTIONS, holds="the scores")
        return read_evaluation(files, result, pages, name=name, anchor=anchor)
    if (files.folder / RESULT).is_file():
        result = files.document(RESULT, holds="the scores")
        if "levels" in result:
            return read_levels(files, result, pages, name=name, anchor=anchor)
    try:
        result = read_complete(files.folder)
    except InputError as error:
        if alone:
            raise
        files.note(RESULT, " ".join(f"{error.what}: {error.found}".split()))
        return Evaluation(name, "model")
    return read_evaluation(files, result, pages, name=name, anchor=anchor)


def _summary(said: Mapping[str, list[str]]) -> str:
    """The sentences of all steps; of the cells of a grid how many there are."""
    parts = [
        f"{len(own)} steps of the kind '{kind}'." if len(own) >= FOLDED_FROM else " ".join(own)
        for kind, own in said.items()
        if own
    ]
    return " ".join(parts) or "This run has no step that trains, evaluates or judges."


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
    if evaluation.first is None:
        return f"The evaluation '{evaluation.name}' is not whole, and has no scores to show."
    metric, score = next(iter(evaluation.first.tuned.items()))
    value, low, high = (show_score(metric, number) for number in (score.value, score.low, score.high))
    unit = "" if metric in LIKELIHOOD_SCORES else " %"
    told = f"{evaluation.tuned} scores {value}{unit} {metric} on {score.n:,} items (95 % {low} to {high})"
    if (change := evaluation.first.difference.get(metric)) is None:
        return f"{told}."
    told += f", {100 * change.value:+.1f} points against {evaluation.base}"
    p = f", p {format_p(change.p)}" if change.p is not None else ""
    return f"{told} (95 % {100 * change.low:+.1f} to {100 * change.high:+.1f}{p})."


def _say_judging(judging: Judging) -> str:
    """Who was judged and the first rating, in one or two sentences."""
    if not judging.ratings:
        return judging.told
    rating = judging.ratings[0]
    value, low, high = (show_rating(rating, x) for x in (rating.score.value, rating.score.low, rating.score.high))
    return f"{judging.told} {rating.name.capitalize()}: {value} (95 % {low} to {high})."


def _damaged(run: Path, error: Exception) -> InputError:
    return InputError(
        "a file of this run does not hold what it should",
        code="run-file-damaged",
        where=str(run),
        found=f"{type(error).__name__}: {error}",
        do="run the step again with --fresh",
    )


def _unwritable(path: Path, error: OSError) -> InputError:
    return InputError(
        "the page cannot be written",
        code="unwritable-path",
        where=str(path),
        found=error.strerror,
        do="name another file with -o",
    )
