"""What a study shows as HTML, as Markdown and as JSON: sentences, a figure and a table a panel, claims."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from precept.evaluate.interval_chart import Line, Mark, Scale, interval_chart, spread_out
from precept.evaluate.markup import Markup, element
from precept.evaluate.page_parts import document, plain_table
from precept.evaluate.score_tables import format_p
from precept.evaluate.study import Axis, Estimate, Layout, Point, Scalar, Scored, text_of
from precept.evaluate.study_claims import Answered, Verdict, say

VERDICTS: tuple[Verdict, ...] = ("agrees", "disagrees", "undecided", "untested")
# What Markdown would take for its own; line ends would break a row of a table.
MARKDOWN = re.compile(r"([\\|*`\[\]<>])")
LINE_END = re.compile(r"\s*[\r\n]+\s*")


@dataclass(frozen=True, slots=True)
class Panel:
    """The means that one figure and one table show, over the items of a task or group."""

    title: str
    group: str
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class Study:
    """Everything on the page. ``scale`` is that of the horizontal axis, ``chance`` a score in 0..1 that guessing has;
    ``cells`` are the evaluations by task or group of tasks, in the same order for each."""

    title: str
    metric: str
    layout: Layout
    scale: Literal["linear", "log", "category"]
    cells: Mapping[str, Sequence[Scored]]
    panels: tuple[Panel, ...]
    answers: tuple[Answered, ...]
    chance: float | None = None


@dataclass(frozen=True, slots=True)
class TextTable:
    """Texts in columns, of which ``numbers`` are set right; a column without a text is left out."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int]


def html_page(study: Study) -> str:
    """The document, with its figures inside."""
    found = sentences(study)
    told = [element("ul", *(element("li", sentence) for sentence in found))] if found else []
    scores = [part for panel in study.panels for part in (element("h3", panel.title), _html(score_table(study, panel)))]
    parts = [
        element("header", element("h1", study.title), element("p", summary(study), class_="summary"), *told),
        element("section", element("h2", "Figures"), element("div", *figures(study), class_="charts")),
        element("section", element("h2", "Scores"), *scores),
    ]
    if study.answers:
        parts.append(element("section", element("h2", "Claims"), _html(claim_table(study))))
    notes = element("ul", *(element("li", note) for note in notes_on(study)))
    cells = cell_table(study)
    every = element("details", element("summary", f"All {len(cells.rows)} evaluations"), _html(cells))
    parts.append(element("section", element("h2", "How to read this page"), notes, every))
    return document(study.title, *parts)


def markdown_page(study: Study, figure_files: Sequence[str]) -> str:
    """The same without the list of evaluations. ``figure_files`` are the figures' names, one a panel."""
    lines = [f"# {_plain(study.title)}", "", _plain(summary(study)), ""]
    lines += [f"- {_plain(sentence)}" for sentence in sentences(study)]
    for panel, name in zip(study.panels, figure_files, strict=True):
        lines += ["", f"## {_plain(panel.title)}", "", f"![{_plain(describe(study, panel))}]({name})", ""]
        lines += _markdown(score_table(study, panel))
    if study.answers:
        lines += ["", "## Claims", "", *_markdown(claim_table(study))]
    lines += ["", "## How to read this page", "", *(f"- {_plain(note)}" for note in notes_on(study))]
    return "\n".join(lines) + "\n"


def json_document(study: Study) -> dict[str, Any]:
    """The numbers behind the page: scores, and differences of scores, unrounded in 0..1 and -1..1."""
    layout = study.layout
    return {
        "title": study.title,
        "metric": study.metric,
        "axes": {axis.name: list(axis.values) for axis in layout.axes},
        "shown": {"x": layout.x, "lines": layout.lines, "panels": layout.panels, "scale": study.scale},
        "averaged_over": [axis.name for axis in layout.averaged],
        "repeats": [axis.name for axis in layout.repeats],
        "points": [
            {"group": panel.group, "panel": p.panel, "line": p.line, "x": p.x, **_numbers(p.mean)}
            for panel in study.panels
            for p in panel.points
        ],
        "claims": [_claim(found) for found in study.answers],
        "sentences": sentences(study),
    }


def figures(study: Study) -> list[Markup]:
    """One drawing a panel, all over the same vertical axis."""
    ends = [100 * end for panel in study.panels for p in panel.points for end in (p.mean.low, p.mean.high)]
    ends += [] if study.chance is None else [100 * study.chance]
    # Student's interval may leave what scores can be.
    reach = max(0.0, min(ends)), min(100.0, max(ends))
    scale, order = _scale(study)
    return [
        interval_chart(
            [Line(f"{study.layout.lines} {name}" if name else "", tuple(m)) for name, m in _lines(panel, order)],
            scale,
            title=panel.title,
            told=describe(study, panel),
            y_label=f"{study.metric}, %",
            reach=reach,
            chance=None if study.chance is None else 100 * study.chance,
        )
        for panel in study.panels
    ]


def sentences(study: Study) -> list[str]:
    """What each claim came to."""
    compared = _compared(study)
    return [say(found, study.layout, groups=len(study.cells), compared=compared) for found in study.answers]


def summary(study: Study) -> str:
    """How many claims came out how."""
    if not study.answers:
        return "This page tests no claim."
    counts = Counter(found.verdict for found in study.answers)
    told = [f"{counts[verdict]} {_verb(verdict, counts[verdict])}" for verdict in VERDICTS if counts[verdict]]
    claims = len(study.answers)
    return f"Of {claims} claim{'s' * (claims != 1)} {', '.join(told)}."


def describe(study: Study, panel: Panel) -> str:
    """A figure in words."""
    x, lines = study.layout.x, study.layout.lines
    told = [f"{study.metric} in per cent by {x}" + (f", a line for each {lines}" if lines else "") + "."]
    for name, points in _by_line(panel).items():
        means = ", ".join(f"{p.x}: {_percent(p.mean.value)} ({_interval(p.mean)})" for p in points)
        told.append(f"{f'{lines} {name}, ' if name else ''}{means}.")
    return " ".join(told)


def score_table(study: Study, panel: Panel) -> TextTable:
    """A row a mean."""
    columns = (study.layout.lines or "", study.layout.x, f"{study.metric}, %", "95 % interval", "over items alone")
    rows = tuple(
        (p.line or "", p.x, _percent(p.mean.value), _interval(p.mean), _items(p.mean), *_counts(p.mean))
        for p in panel.points
    )
    return TextTable((*columns, "runs", "items"), rows, frozenset(range(2, 7)))


def claim_table(study: Study) -> TextTable:
    """A row a claim."""
    columns = (
        "source",
        "claim",
        "compared",
        "expected",
        "points",
        "95 % interval",
        "over items alone",
        "by run",
        "items",
        "p",
    )
    rows = []
    for found in study.answers:
        claim, estimate = found.claim, found.estimate
        margin = f", margin {100 * claim.margin:.1f}" if claim.margin else ""
        cells = [claim.source, claim.says, _compared_here(study, found), claim.expected + margin]
        if estimate is None:
            rows.append((*cells, *[""] * 7, f"untested: {found.untested}"))
            continue
        points, interval = _signed(estimate.value), f"{_signed(estimate.low)} to {_signed(estimate.high)}"
        items = f"{_signed(estimate.items[0])} to {_signed(estimate.items[1])}" if estimate.over == "runs" else ""
        runs = ", ".join(map(_signed, estimate.runs)) if len(estimate.runs) > 1 else ""
        p = "" if estimate.p is None else format_p(estimate.p).removeprefix("= ")
        corrected = "" if found.p_holm is None else format_p(found.p_holm).removeprefix("= ")
        rows.append((*cells, points, interval, items, runs, f"{estimate.n:,}", p, corrected, found.verdict))
    return TextTable((*columns, "p by Holm", "verdict"), tuple(rows), frozenset({4, 5, 6, 8, 9, 10}))


def cell_table(study: Study) -> TextTable:
    """A row an evaluation."""
    names = [axis.name for axis in study.layout.axes]
    rows = [
        (*(own[0].at[name] for name in names), *(_percent(scored.value) for scored in own), own[0].folder)
        for own in zip(*study.cells.values(), strict=True)
    ]
    columns = (*names, *(f"{group}, %" for group in study.cells), "folder")
    return TextTable(columns, tuple(rows), frozenset(range(len(names), len(columns) - 1)))


def notes_on(study: Study) -> Iterator[str]:
    """What the numbers are, and what they do not say."""
    if conditions := study.layout.conditions:
        yield f"Each run is the mean over {_named(conditions)}."
    if repeats := study.layout.repeats:
        yield (
            f"Runs differ in {_named(repeats)}. The interval is Student's, of the mean over runs: how far training"
            " anew moves it. Beside it stands the percentile bootstrap over items, each averaged over the runs: how far"
            " other items of the same kind would. Where all runs agree the interval is that over items. A claim's takes"
            " the spread over runs from all values of its axis, as one: (runs - 1) x (values - 1) degrees of freedom."
        )
    else:
        yield (
            "One run each: the interval is the percentile bootstrap over items, and does not say how far training anew"
            " would move a score."
        )
    if not study.answers:
        return
    yield (
        "A claim agrees where its interval lies on the expected side and beyond the margin, or for 'same' and 'flat'"
        " within the margin on both sides. It disagrees where the interval lies wholly on the other side of zero, or"
        " for 'same' and 'flat' wholly outside of the margin. Else it is undecided. Both sides were asked the same"
        " items, and are compared run by run."
    )
    if any(found.claim.trend for found in study.answers):
        yield (
            "A trend is the rise from the first to the last value of the line of least squares, the values evenly"
            " spaced in their order."
        )
    if compared := _compared(study):
        yield (
            "p is two-sided, of no difference: Student's over runs, else by flipping the signs of items. Of"
            f" {compared} such claims some may look real by chance: 'p by Holm' is corrected for their number, the"
            " verdict is not."
        )


def _named(axes: Sequence[Axis]) -> str:
    return " and ".join(f"{axis.name} ({', '.join(axis.values)})" for axis in axes)


def _claim(found: Answered) -> dict[str, Any]:
    numbers: dict[str, Any] = {"untested": found.untested}
    if found.estimate is not None:
        numbers = {**_numbers(found.estimate), "p": found.estimate.p, "p_holm": found.p_holm}
        numbers["detectable"] = found.detectable
    own = {"group": found.group, "metric": found.metric, "verdict": found.verdict}
    return {**found.claim.model_dump(by_alias=True, exclude_none=True), **own, **numbers}


def _compared_here(study: Study, found: Answered) -> str:
    """The values, the conditions, and the items and metric where they are not those of all the page."""
    claim = found.claim

    def named(axis: str, value: Scalar) -> str:
        return study.layout.axis(axis).find(value) or text_of(value)

    sides = "first to last" if claim.trend else f"{named(claim.axis, claim.of)} - {named(claim.axis, claim.with_)}"
    held = [f"{name} {named(name, value)}" for name, value in claim.where.items()]
    own = [found.group] if len(study.cells) > 1 or found.group not in study.cells else []
    own += [found.metric] if found.metric != study.metric else []
    return "; ".join([f"{claim.axis} {sides}", *held, *own])


def _numbers(found: Estimate) -> dict[str, Any]:
    return {"over": found.over, **{key: value for key, value in asdict(found).items() if key != "p"}}


def _compared(study: Study) -> int:
    """Claims that expect a difference and were tested."""
    return sum(found.p_holm is not None for found in study.answers)


def _scale(study: Study) -> tuple[Scale, dict[str, int]]:
    """The horizontal axis, and the place of each value on it."""
    axis = study.layout.axis(study.layout.x)
    if study.scale == "category":
        count = len(axis.values)
        places = tuple((place + 0.5) / count for place in range(count))
        return Scale(axis.name, axis.values, places, words=True), {value: n for n, value in enumerate(axis.values)}
    assert axis.numbers is not None, "a scale of numbers needs numbers"
    ordered = sorted(zip(axis.numbers, axis.values, strict=True))
    texts = tuple(value for _, value in ordered)
    places = spread_out([number for number, _ in ordered], log=study.scale == "log")
    label = f"{axis.name} (logarithmic)" if study.scale == "log" else axis.name
    return Scale(label, texts, places, words=False), {value: n for n, value in enumerate(texts)}


def _lines(panel: Panel, order: Mapping[str, int]) -> Iterator[tuple[str, list[Mark]]]:
    for name, points in _by_line(panel).items():
        marks = [Mark(order[p.x], 100 * p.mean.value, 100 * p.mean.low, 100 * p.mean.high) for p in points]
        yield name, sorted(marks, key=lambda mark: mark.place)


def _by_line(panel: Panel) -> dict[str, list[Point]]:
    lines: dict[str, list[Point]] = {}
    for point in panel.points:
        lines.setdefault(point.line or "", []).append(point)
    return lines


def _percent(score: float) -> str:
    return f"{100 * score:.1f}"


def _signed(score: float) -> str:
    return f"{100 * score:+.1f}"


def _interval(mean: Estimate) -> str:
    return f"{_percent(mean.low)} to {_percent(mean.high)}"


def _items(mean: Estimate) -> str:
    return f"{_percent(mean.items[0])} to {_percent(mean.items[1])}" if mean.over == "runs" else ""


def _counts(mean: Estimate) -> tuple[str, str]:
    return str(len(mean.runs)), f"{mean.n:,}"


def _verb(verdict: Verdict, count: int) -> str:
    if verdict in ("agrees", "disagrees"):
        return f"{verdict} with its paper" if count == 1 else f"{verdict[:-1]} with their papers"
    return f"{'is' if count == 1 else 'are'} {verdict}"


def _html(table: TextTable) -> Markup:
    return plain_table(table.columns, table.rows, numbers=table.numbers)


def _markdown(table: TextTable) -> list[str]:
    shown = [n for n in range(len(table.columns)) if any(row[n] for row in table.rows)]
    lines = [[_plain(table.columns[n]) for n in shown], ["---:" if n in table.numbers else "---" for n in shown]]
    lines += [[_plain(row[n]) for n in shown] for row in table.rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _plain(text: str) -> str:
    """Text that Markdown shows as it stands, on one line."""
    return MARKDOWN.sub(r"\\\1", LINE_END.sub(" ", text))
