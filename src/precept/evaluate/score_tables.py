"""Scores with their intervals, as tables with bars: levels or tasks, one model or two, and trivial baselines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from precept.evaluate.examples import Example
from precept.evaluate.markup import Markup, element
from precept.evaluate.page_parts import Facts, facts_list, scrolled
from precept.evaluate.svg import interval_bar


@dataclass(frozen=True, slots=True)
class Score:
    """A score in 0..1, or a difference in -1..1, with its 95 % interval over ``n`` items; ``p`` is of a difference."""

    value: float
    low: float
    high: float
    n: int
    p: float | None = None


Scores: TypeAlias = Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Level:
    """Items that are scored together: a task, a level of novelty, or all of them. All scores are by metric.

    ``base`` is what ``tuned`` is compared with, ``baselines`` are further models or rules by name; ``difference`` is
    tuned minus base on the same items. ``note`` is a sentence below the scores.
    """

    name: str
    tuned: Scores
    base: Scores = field(default_factory=dict)
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    difference: Scores = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores by level, the items behind them, and what the two models are called."""

    name: str
    tuned: str
    base: str | None = None
    levels: tuple[Level, ...] = ()
    examples: tuple[Example, ...] = ()
    facts: Facts = ()


def read_level(name: str, entry: Mapping[str, Any], *, note: str = "") -> Level:
    """A level from the JSON form ``{tuned: {METRIC}, base?, baselines?: {NAME: {METRIC}}, difference?}``."""
    return Level(
        name,
        read_scores(entry["tuned"]),
        base=read_scores(entry.get("base", {})),
        baselines={label: read_scores(scores) for label, scores in entry.get("baselines", {}).items()},
        difference=read_scores(entry.get("difference", {})),
        note=note,
    )


def read_scores(entry: Mapping[str, Mapping[str, Any]]) -> Scores:
    """Scores by metric from their JSON form."""
    return {metric: Score(**score) for metric, score in entry.items()}


def scores_section(evaluation: Evaluation) -> Markup | None:
    """A table a metric, the first one open; None without levels."""
    metrics = list(dict.fromkeys(metric for level in evaluation.levels for metric in level.tuned))
    if not metrics:
        return None
    tables = [_metric_table(evaluation, metric) for metric in metrics]
    folded = [
        element("details", element("summary", f"The same by {metric}"), table)
        for metric, table in zip(metrics[1:], tables[1:], strict=True)
    ]
    told = (
        "Bars of scores run from 0 to 100 %, those of differences from the middle to either side; the line over a bar"
        " is the 95 % interval over items."
    )
    return element(
        "section",
        element("h2", f"Evaluation: {evaluation.name}"),
        element("p", told, class_="quiet"),
        element("h3", metrics[0]),
        tables[0],
        *folded,
        *([facts_list(evaluation.facts)] if evaluation.facts else []),
    )


def _metric_table(evaluation: Evaluation, metric: str) -> Markup:
    columns = ("", "", "%", "95 % interval")
    head = element("tr", *(element("th", column, scope="col") for column in columns))
    bodies = [
        element("tbody", *_level_rows(evaluation, level, metric))
        for level in evaluation.levels
        if metric in level.tuned
    ]
    return scrolled(element("table", element("thead", head), *bodies, class_="scores"))


def _level_rows(evaluation: Evaluation, level: Level, metric: str) -> Iterator[Markup]:
    n = level.tuned[metric].n
    counted = element("span", f"{n:,} item{'s' * (n != 1)}", class_="quiet")
    yield element("tr", element("th", level.name, " ", counted, colspan=4, scope="rowgroup"), class_="level")
    for label, scores in level.baselines.items():
        if metric in scores:
            yield _score_row(label, scores[metric], "baseline")
    if metric in level.base:
        yield _score_row(evaluation.base or "base", level.base[metric], "base")
    yield _score_row(evaluation.tuned, level.tuned[metric], "tuned")
    if metric in level.difference:
        yield _difference_row(level.difference[metric])
    if level.note:
        yield element("tr", element("td", level.note, colspan=4, class_="quiet"))


def _score_row(label: str, score: Score, style: str) -> Markup:
    bar = interval_bar(score.value, score.low, score.high, style=style)
    cells = f"{100 * score.value:.1f}", f"{100 * score.low:.1f} to {100 * score.high:.1f}"
    return _row([label], bar, cells, style)


def _difference_row(score: Score) -> Markup:
    bar = interval_bar(score.value, score.low, score.high, style="difference", axis=(-1, 1))
    cells = f"{100 * score.value:+.1f}", f"{100 * score.low:+.1f} to {100 * score.high:+.1f}"
    p = [] if score.p is None else [" ", element("span", f"p {format_p(score.p)}", class_="quiet")]
    return _row(["difference", *p], bar, cells, "paired")


def _row(label: Sequence[str], bar: Markup, cells: tuple[str, str], style: str) -> Markup:
    value, interval = cells
    return element(
        "tr",
        element("th", *label, scope="row"),
        element("td", bar, class_="drawn"),
        element("td", value, class_="number"),
        element("td", interval, class_="number quiet"),
        class_=style,
    )


def format_p(p: float) -> str:
    """A p value with two digits; below what 10,000 draws can tell, the bound."""
    return f"= {p:.2g}" if p >= 1e-4 else "< 0.0001"
