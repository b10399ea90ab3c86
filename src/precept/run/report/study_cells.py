"""The evaluations that a study compares, read from their folders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import orjson

from precept.errors import InputError
from precept.evaluate import ItemResult, read_items
from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.study import Axis, Key, Scalar, Scored, make_stratum, missing_places, text_of
from precept.run.eval.evaluate import RESULT
from precept.run.report.study_settings import StudySettings
from precept.run.settings import unknown_key

OVERALL = "overall"
MOST_NAMED = 10


class Cell(NamedTuple):
    """One evaluation of the grid: its value on every axis (the name, where values have names), and its folder."""

    axes: Mapping[str, Scalar]
    output: Path


class _Evaluation(NamedTuple):
    """What a folder holds: (task as asked, group of its suite, its items) in order, and the first metric."""

    asked: list[tuple[str, str | None, list[ItemResult]]]
    metric: str


def refuse_missing(cells: Sequence[Cell], axes: Sequence[Axis]) -> None:
    """Raise InputError where the grid is not whole."""
    places = [{name: text_of(value) for name, value in cell.axes.items()} for cell in cells]
    there = [place for place, cell in zip(places, cells, strict=True) if (cell.output / RESULT).is_file()]
    if missing := missing_places(axes, there):
        told = ["; ".join(f"{name} {value}" for name, value in place.items()) or "the one" for place in missing]
        more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
        raise InputError(
            "evaluations that the study compares are not finished",
            code="study-cells-missing",
            found=f"{len(told)} missing: {', '.join(f'({one})' for one in told[:MOST_NAMED])}{more}",
            do="run their steps first: 'precept run' goes on where it stopped",
        )


def refuse_unbounded(metric: str | None, where: str | None) -> None:
    """Raise InputError for a score that does not lie in 0..1."""
    if metric in LIKELIHOOD_SCORES:
        raise InputError(
            "a study compares scores in 0..1",
            code="study-metric",
            where=where,
            found=f"metric {metric}",
            do="set another metric; 'precept report' has tables of perplexity and bits per byte",
        )


def read_cells(cells: Sequence[Cell], settings: StudySettings) -> tuple[dict[tuple[str, str], list[Scored]], str]:
    """The evaluations by group and metric, for all that the page and its claims ask, and the page's metric."""
    metric = settings.metric
    readings: dict[tuple[str, str], list[Scored]] = {}
    known: dict[tuple[Key, ...], tuple[Key, ...]] = {}
    for cell in cells:
        evaluation = _read(cell.output)
        metric = metric or evaluation.metric
        refuse_unbounded(metric, str(cell.output))
        asked = [(group, metric) for group in settings.groups]
        asked += [(claim.group or settings.groups[0], claim.metric or metric) for claim in settings.claims]
        at = {name: text_of(value) for name, value in cell.axes.items()}
        for group, name in dict.fromkeys(asked):
            parts = _parts(evaluation, group, cell.output)
            strata = {part: make_stratum(results, name, known) for part, results in parts.items()}
            if not any(stratum.keys for stratum in strata.values()):
                metrics = {score for results in parts.values() for result in results for score in result.scores}
                raise unknown_key(name, sorted(metrics), where=f"{cell.output}, {group}", kind="metric")
            scored = Scored(at, {part: stratum for part, stratum in strata.items() if stratum.keys}, str(cell.output))
            readings.setdefault((group, name), []).append(scored)
    assert metric is not None, "needs evaluations"
    return readings, metric


def _read(folder: Path) -> _Evaluation:
    try:
        document = orjson.loads((folder / RESULT).read_bytes())
        asked = []
        # What is asked again, as variants or with other seeds, comes in files behind these.
        files = document["item_files"][: len(document["asked"])]
        for (name, entry), file in zip(document["asked"].items(), files, strict=True):
            items = read_items(folder / file)
            if len(items) != entry["items"]:
                raise ValueError(f"{len(items)} of {entry['items']} items in {file}")
            asked.append((name, entry["group"] if "suite" in document else None, items))
        return _Evaluation(asked, next(iter(next(iter(document["tasks"].values())))))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration) as error:
        raise InputError(
            "an evaluation does not hold what it should",
            code="study-cell-damaged",
            where=str(folder),
            found=f"{type(error).__name__}: {error}",
            do="run the step again with --fresh",
        ) from error


def _parts(evaluation: _Evaluation, group: str, folder: Path) -> dict[str, list[ItemResult]]:
    """The items that a name means: all, those of a task, or those of a suite's group, by task as it was asked."""
    every = [result for _, _, results in evaluation.asked for result in results]
    if group == OVERALL:
        return {OVERALL: every}
    if own := [result for result in every if result.task == group]:
        return {group: own}
    if tasks := {name: results for name, of, results in evaluation.asked if of == group}:
        return tasks
    if named := {name: results for name, _, results in evaluation.asked if name == group}:
        return named
    valid = [OVERALL, *(result.task for result in every), *(of for _, of, _ in evaluation.asked if of)]
    raise unknown_key(group, list(dict.fromkeys(valid)), where=str(folder), kind="group")
