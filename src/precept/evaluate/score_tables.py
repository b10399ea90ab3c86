"""Scores with their intervals: a plot by task, and tables with all metrics side by side, of one model or of two."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from precept.evaluate.likelihood import show_score
from precept.evaluate.markup import Markup, element, join
from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.page_items import Items
from precept.evaluate.page_parts import Facts, facts_list, link, plain_table, scrolled
from precept.evaluate.statistics import verdict
from precept.evaluate.svg import Dot, DotRow, dot_plots

ALPHA = 0.05
PLOTS = 2
"""Drawings of ``svg.MOST_ROWS`` tasks that stand open."""


@dataclass(frozen=True, slots=True)
class Score:
    """A score in 0..1, or a difference in -1..1, with its 95 % interval over ``n`` items; ``p`` is of a difference, and
    ``p_holm`` the same corrected for all comparisons that it was made with."""

    value: float
    low: float
    high: float
    n: int
    p: float | None = None
    p_holm: float | None = None


Scores: TypeAlias = Mapping[str, Score]


@dataclass(frozen=True, slots=True)
class Level:
    """Items that are scored together: a task, a group of tasks, a level of novelty, or all. All scores are by metric.

    ``base`` is what ``tuned`` is compared with, ``baselines`` are further models or rules by name; ``difference`` is
    tuned minus base on the same items. ``note`` is a sentence below the scores, ``href`` leads to the items with their
    prompts.
    """

    name: str
    tuned: Scores
    base: Scores = field(default_factory=dict)
    baselines: Mapping[str, Scores] = field(default_factory=dict)
    difference: Scores = field(default_factory=dict)
    note: str = ""
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """Scores of the same items divided in another way: by length, by contamination, by variant."""

    title: str
    told: str
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Texts in columns, under a title and a sentence; ``folded`` until asked for."""

    title: str
    told: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Scores by level, the items behind them, and what the two models are called.

    ``overall`` is over all items, ``groups`` are unweighted means over tasks, ``parts`` further divisions, ``tables``
    what else there is to tell.
    """

    name: str
    tuned: str
    base: str | None = None
    overall: tuple[Level, ...] = ()
    groups: tuple[Level, ...] = ()
    levels: tuple[Level, ...] = ()
    parts: tuple[Part, ...] = ()
    items: tuple[Items, ...] = ()
    facts: Facts = ()
    tables: tuple[Table, ...] = ()

    @property
    def first(self) -> Level | None:
        """What the evaluation is told by in one line; None where there are no scores."""
        return next(iter((*self.overall, *self.levels)), None)


def read_level(name: str, entry: Mapping[str, Any], *, note: str = "", href: str | None = None) -> Level:
    """A level from the JSON form ``{tuned: {METRIC}, base?, baselines?: {NAME: {METRIC}}, difference?}``. Raises
    ValueError where there is no score."""
    if not entry["tuned"]:
        raise ValueError(f"no score of {name}")
    return Level(
        name,
        read_scores(entry["tuned"]),
        base=read_scores(entry.get("base", {})),
        baselines={label: read_scores(scores) for label, scores in entry.get("baselines", {}).items()},
        difference=read_scores(entry.get("difference", {})),
        note=note,
        href=href,
    )


def read_scores(entry: Mapping[str, Mapping[str, Any]]) -> Scores:
    """Scores by metric from their JSON form."""
    return {metric: read_score(score) for metric, score in entry.items()}


def read_score(entry: Mapping[str, Any]) -> Score:
    """One score from its JSON form, which may say more than is shown."""
    return Score(entry["value"], entry["low"], entry["high"], entry["n"], entry.get("p"), entry.get("p_holm"))


def scores_section(evaluation: Evaluation, *, anchor: str) -> Markup | None:
    """The plot by task, the tables, what else is known of the scores; None where there are none."""
    if evaluation.first is None:
        return None
    parts = [element("h2", f"Evaluation: {evaluation.name}", id=anchor)]
    whole = [*evaluation.overall, *evaluation.groups]
    metrics = {metric for level in (*whole, *evaluation.levels) for metric in level.tuned}
    parts.append(element("p", units(metrics), class_="quiet"))
    if whole:
        parts.append(score_table(whole, evaluation))
    if evaluation.groups:
        means = "Means over tasks are unweighted; their intervals are over the items within each task."
        parts.append(element("p", means, class_="quiet"))
    if evaluation.levels:
        parts += _level_parts(evaluation)
    for part in evaluation.parts:
        told = [element("p", part.told, class_="quiet")] if part.told else []
        parts += [element("h3", part.title), *told, score_table(part.levels, evaluation)]
    if evaluation.facts:
        parts.append(facts_list(evaluation.facts))
    parts += [part for table in evaluation.tables for part in _table_parts(table)]
    return element("section", *parts)


def units(metrics: Collection[str]) -> str:
    """What the numbers in a table of these metrics are."""
    but = "" if set(LIKELIHOOD_SCORES).isdisjoint(metrics) else ", perplexity and bits per byte as they are,"
    return f"Scores in per cent{but} with 95 % intervals over items."


def _table_parts(table: Table) -> list[Markup]:
    told = [element("p", table.told, class_="quiet")] if table.told else []
    shown = [*told, *([plain_table(table.columns, table.rows, stacked=True)] if table.rows else [])]
    if table.folded:
        return [element("details", element("summary", table.title), *shown)]
    return [element("h3", table.title), *shown]


def _level_parts(evaluation: Evaluation) -> list[Markup]:
    """The plot of several tasks, their table, and what chance does among many comparisons."""
    levels = evaluation.levels
    drawn = [level for level in levels if next(iter(level.tuned)) not in LIKELIHOOD_SCORES]
    note = _chance_note(levels)
    return [
        *(_plot(drawn, evaluation) if len(drawn) > 1 else []),
        score_table(levels, evaluation),
        *([element("p", note, class_="quiet")] if note else []),
    ]


def _plot(levels: Sequence[Level], evaluation: Evaluation) -> list[Markup]:
    """Each level's first metric, a dot with its interval for everyone asked, the best of ``tuned`` first."""
    ranked = sorted(levels, key=lambda level: (-next(iter(level.tuned.values())).value, level.name))
    drawn = dot_plots([_dot_row(level, evaluation) for level in ranked], title="scores by task with 95 % intervals")
    metrics = list(dict.fromkeys(next(iter(level.tuned)) for level in levels))
    folded = element("details", element("summary", "The other tasks"), element("div", *drawn[PLOTS:], class_="charts"))
    return [
        element("h3", f"{metrics[0] if len(metrics) == 1 else 'First metric'}, the highest first"),
        _legend(levels, evaluation),
        element("div", *drawn[:PLOTS], class_="charts"),
        *([folded] if drawn[PLOTS:] else []),
        element("h3", "The numbers"),
    ]


def _legend(levels: Sequence[Level], evaluation: Evaluation) -> Markup:
    """Whose dots have which colour."""
    entries = [("tuned", evaluation.tuned)]
    if any(level.base for level in levels):
        entries.append(("base", evaluation.base or "base"))
    if any(level.baselines for level in levels):
        entries.append(("baseline", "others, in the order of the table"))
    marks = [element("span", element("i", class_=style), name) for style, name in entries]
    return element("p", *marks, class_="legend")


def _dot_row(level: Level, evaluation: Evaluation) -> DotRow:
    metric = next(iter(level.tuned))
    dots = [
        Dot(label, score.value, score.low, score.high, style)
        for label, style, scores in _contenders(level, evaluation)
        if (score := scores.get(metric))
    ]
    return DotRow(level.name, tuple(dots))


def _contenders(level: Level, evaluation: Evaluation) -> Iterator[tuple[str, str, Scores]]:
    """(name, style, scores) of everyone asked, the model that the page is about last."""
    for label, scores in level.baselines.items():
        yield label, "baseline", scores
    if level.base:
        yield evaluation.base or "base", "base", level.base
    yield evaluation.tuned, "tuned", level.tuned


def score_table(levels: Sequence[Level], evaluation: Evaluation) -> Markup:
    """A row a level, or a row for everyone who was asked on it, with a column a metric."""
    metrics = list(dict.fromkeys(metric for level in levels for metric in level.tuned))
    head = element(
        "tr",
        element("th", scope="col"),
        element("th", "n", scope="col", class_="number"),
        *(element("th", metric, scope="col", class_="number") for metric in metrics),
    )
    bodies = [element("tbody", *_level_rows(evaluation, level, metrics)) for level in levels]
    return scrolled(element("table", element("thead", head), *bodies, class_="scores"))


def _level_rows(evaluation: Evaluation, level: Level, metrics: Sequence[str]) -> Iterator[Markup]:
    n = next(iter(level.tuned.values())).n
    counted = element("td", f"{n:,}", class_="number", data_label="n")
    named = link(level.name, level.href)
    contenders = list(_contenders(level, evaluation))
    if len(contenders) == 1:
        cells = _cells(level.tuned, metrics, n)
        yield element("tr", element("th", named, scope="row"), counted, *cells)
    else:
        empty = [element("td") for _ in metrics]
        yield element("tr", element("th", named, scope="rowgroup"), counted, *empty, class_="level")
        for label, style, scores in contenders:
            yield _row(element("i", class_=style), label, _cells(scores, metrics, n))
    if level.difference:
        yield _row(Markup(), "difference", _cells(level.difference, metrics, n, signed=True))
    if level.note:
        yield element("tr", element("td", level.note, colspan=len(metrics) + 2, class_="quiet note"))


def _row(mark: Markup, label: str, cells: Sequence[Markup]) -> Markup:
    return element("tr", element("th", mark, label, scope="row"), element("td"), *cells, class_="who")


def _cells(scores: Scores, metrics: Sequence[str], n: int, *, signed: bool = False) -> list[Markup]:
    return [_cell(metric, scores.get(metric), n, signed) for metric in metrics]


def _cell(metric: str, score: Score | None, n: int, signed: bool) -> Markup:
    """Value and interval; ``n`` where it is not the row's, and what a difference shows."""
    if score is None:
        return element("td", class_="number", data_label=metric)
    value, low, high = (show_score(metric, x, signed=signed) for x in (score.value, score.low, score.high))
    told = [f"{low} to {high}"]
    if score.n != n:
        told.append(f"n {score.n:,}")
    found = Markup()
    if score.p is not None:
        told.append(f"p {format_p(score.p)}")
        shown = verdict({"low": score.low, "high": score.high, "p": score.p})
        found = join(" ", element("b", shown, class_=shown))
    return element(
        "td", value, " ", element("span", ", ".join(told), class_="quiet"), found, class_="number", data_label=metric
    )


def _chance_note(levels: Sequence[Level]) -> str:
    """What remains of several comparisons after Holm's correction; empty where none is corrected."""
    compared = [
        (f"{level.name} ({metric})", score.p, score.p_holm)
        for level in levels
        for metric, score in level.difference.items()
        if score.p is not None and score.p_holm is not None
    ]
    if not compared:
        return ""
    kept = [name for name, _, corrected in compared if corrected < ALPHA]
    names = f": {', '.join(kept[:8])}{' and others' if len(kept) > 8 else ''}" if kept else ""
    seen = sum(p < ALPHA for _, p, _ in compared)
    return (
        f"{len(compared)} comparisons: of as many without any difference about {ALPHA * len(compared):.2g} would have"
        f" p < {ALPHA}, {seen} have. After Holm's correction {len(kept)} remain{names}."
    )


def format_p(p: float) -> str:
    """A p value with two digits; below what 10,000 draws can tell, the bound."""
    return f"= {p:.2g}" if p >= 1e-4 else "< 0.0001"
