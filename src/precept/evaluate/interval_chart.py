"""A chart of scores with their intervals over numbers or words, as one SVG that also stands alone as a file.

Lines are told apart by colour and by the shape of their marks. Colours are for a light and a dark background, and are
those of Okabe and Ito (2008) where their contrast allows, so that no pair is alike to colour-blind eyes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from unicodedata import east_asian_width

from precept.evaluate.markup import Markup, element
from precept.evaluate.svg import Axis, round_ticks

LEFT, RIGHT, TOP, PLOT = 62.0, 24.0, 38.0, 220.0  # PLOT is the height between the axes
LEAST_WIDTH, INSET = 460.0, 22.0
SLOT = 72.0
"""The least room of a word on the horizontal axis; more words make a wider chart."""
LEGEND_ROW, SWATCH = 20.0, 26.0
CHANCE = "chance"
APART = 6.0
"""Between the marks of neighbouring lines at one place, so that their intervals can be told apart."""

COLOURS = (
    ("#0072b2", "#56b4e9"),
    ("#d55e00", "#f0925a"),
    ("#008a63", "#2fc79a"),
    ("#a8488f", "#dd94c6"),
    ("#7a6a00", "#d9c84a"),
    ("#3b4654", "#e3e8ee"),
)
"""On a light and on a dark background, by the place of the line; a seventh line begins again."""
MARKS = (
    "M-4.2 0a4.2 4.2 0 1 0 8.4 0a4.2 4.2 0 1 0-8.4 0z",
    "M-3.8-3.8h7.6v7.6h-7.6z",
    "M0-4.8 4.6 3.6h-9.2z",
    "M0-5.2 5.2 0 0 5.2-5.2 0z",
    "M0 4.8 4.6-3.6h-9.2z",
    "M-1.5-4.6h3v3.1h3.1v3h-3.1v3.1h-3v-3.1h-3.1v-3h3.1z",
    "M-4.6 4.2 0-4.8 4.6 4.2 0 1.4z",
)
"""Shapes around their middle; of another number than the colours, so that 42 lines differ."""


def _scheme(ink: str, quiet: str, rule: str, paper: str, *, dark: bool) -> str:
    rules = [f".study-chart text{{fill:{quiet}}}", f".study-chart .title{{fill:{ink}}}"]
    rules += [f".study-chart .paper{{fill:{paper}}}", f".study-chart .grid{{stroke:{rule}}}"]
    rules += [f".study-chart .axis,.study-chart .chance{{stroke:{quiet}}}"]
    for place, pair in enumerate(COLOURS):
        rules.append(f".study-chart .c{place}{{fill:{pair[dark]};stroke:{pair[dark]}}}")
    return "".join(rules)


CHART_STYLE = f"""
.study-chart{{display:block;width:100%;height:auto}}
.study-chart text{{font:12px system-ui,-apple-system,"Segoe UI",sans-serif}}
.study-chart .title{{font-weight:600;font-size:13px}}
.study-chart polyline{{fill:none;stroke-width:1.6;stroke-linejoin:round;opacity:.75}}
.study-chart path{{stroke:none}}
.study-chart .whisker{{stroke-width:1.4}}
.study-chart .chance{{stroke-dasharray:2 4;stroke-width:1.5}}
{_scheme("#1d2530", "#4a5564", "#d9dde3", "#ffffff", dark=False)}
@media (prefers-color-scheme:dark){{{_scheme("#e4e8ee", "#aab4c2", "#343c47", "#14181e", dark=True)}}}
"""


@dataclass(frozen=True, slots=True)
class Mark:
    """A score with its interval at one of the places of the horizontal axis, all in the axis' unit."""

    place: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Line:
    """Marks in ascending place, joined by a line. Without a name it stands in no legend."""

    name: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """The horizontal axis: its label, the texts of its places and where they lie in 0..1, ascending. Each of ``words``
    has a slot of its own and is shortened to it; a number whose text would touch the one before it is not written."""

    label: str
    texts: tuple[str, ...]
    places: tuple[float, ...]
    words: bool


def interval_chart(
    lines: Sequence[Line],
    scale: Scale,
    *,
    title: str,
    told: str,
    y_label: str,
    reach: tuple[float, float],
    chance: float | None = None,
) -> Markup:
    """The drawing. ``told`` says in words what it shows; the vertical axis holds ``reach``, and what leaves it is cut;
    ``chance`` is a dotted line."""
    width = max(LEAST_WIDTH, LEFT + RIGHT + SLOT * len(scale.texts) if scale.words else 0.0)
    across = width - LEFT - RIGHT
    inset = 0.0 if scale.words else INSET
    xs = [LEFT + inset + place * (across - 2 * inset) for place in scale.places]
    up = Axis(round_ticks(*reach), TOP + PLOT, -PLOT)
    rows = list(_legend_rows([*(line.name for line in lines), "" if chance is None else CHANCE], width))
    height = TOP + PLOT + 48 + LEGEND_ROW * len(rows)
    return element(
        "svg",
        element("title", title),
        element("desc", told),
        element("style", Markup(CHART_STYLE)),
        element("rect", width=width, height=height, class_="paper"),
        element("text", shorten(title, 0.85 * (width - 24)), x=12, y=20, class_="title"),
        *_grid(up, width, y_label),
        *_places(scale, xs, width),
        *_chance(chance, up, width),
        *(_drawn(line, number, len(lines), xs, up) for number, line in enumerate(lines)),
        *(
            _entry(*entry, TOP + PLOT + 62 + LEGEND_ROW * place, len(lines))
            for place, row in enumerate(rows)
            for entry in row
        ),
        viewBox=f"0 0 {width:g} {height:g}",
        role="img",
        class_="study-chart",
        xmlns="http://www.w3.org/2000/svg",
    )


def text_width(text: str) -> float:
    """About the width of a 12 px text; wide signs count double. Rather too wide than too narrow."""
    return sum(12.5 if east_asian_width(sign) in "WF" else 6.9 for sign in text)


def shorten(text: str, room: float) -> str:
    """The text, or as much of its beginning as fits with an ellipsis."""
    if text_width(text) <= room:
        return text
    kept = text
    while kept and text_width(f"{kept}…") > room:
        kept = kept[:-1]
    return f"{kept}…"


def _grid(up: Axis, width: float, y_label: str) -> Iterator[Markup]:
    for tick in up.ticks:
        y = up.place(tick)
        yield element("line", x1=LEFT, x2=width - RIGHT, y1=y, y2=y, class_="grid")
        yield element("text", up.label(tick), x=LEFT - 7, y=y + 4, text_anchor="end")
    middle = TOP + PLOT / 2
    label = shorten(y_label, PLOT + 40)
    yield element("text", label, x=14, y=middle, text_anchor="middle", transform=f"rotate(-90 14 {middle:g})")


def _places(scale: Scale, xs: Sequence[float], width: float) -> Iterator[Markup]:
    floor = TOP + PLOT
    yield element("line", x1=LEFT, x2=width - RIGHT, y1=floor, y2=floor, class_="axis")
    free = 0.0
    for x, text in zip(xs, scale.texts, strict=True):
        yield element("line", x1=x, x2=x, y1=floor, y2=floor + 5, class_="axis")
        slot = (width - LEFT - RIGHT) / len(xs) - 6 if scale.words else 90.0
        shown = shorten(text, slot)
        half = text_width(shown) / 2
        if x - half >= free or scale.words:
            yield element("text", shown, x=min(x, width - half - 2), y=floor + 19, text_anchor="middle")
            free = x + half + 4
    label = shorten(scale.label, width - LEFT - RIGHT)
    yield element("text", label, x=(LEFT + width - RIGHT) / 2, y=floor + 38, text_anchor="middle")


def _chance(chance: float | None, up: Axis, width: float) -> Iterator[Markup]:
    if chance is not None:
        y = up.place(chance)
        yield element("line", x1=LEFT, x2=width - RIGHT, y1=y, y2=y, class_="chance")


def _drawn(line: Line, number: int, lines: int, xs: Sequence[float], up: Axis) -> Markup:
    gaps = [right - left for left, right in pairwise(xs)]
    aside = (number - (lines - 1) / 2) * min(APART, 0.6 * min(gaps, default=60.0) / lines)
    lowest, highest = up.ticks[0], up.ticks[-1]
    ends: list[tuple[float, float]] = []
    parts: list[Markup] = []
    for mark in line.marks:
        x, y = xs[mark.place] + aside, up.place(mark.value)
        top, bottom = up.place(min(mark.high, highest)), up.place(max(mark.low, lowest))
        ends.append((x, y))
        parts.append(element("line", x1=x, x2=x, y1=top, y2=bottom, class_="whisker"))
        for end, inside in ((top, mark.high <= highest), (bottom, mark.low >= lowest)):
            if inside:  # an interval that goes on beyond the axis has no cap there
                parts.append(element("line", x1=x - 3, x2=x + 3, y1=end, y2=end, class_="whisker"))
        told = f"{line.name}{': ' if line.name else ''}{mark.value:.1f} ({mark.low:.1f} to {mark.high:.1f})"
        parts.append(_mark(number, x, y, element("title", told)))
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in ends)
    return element("g", element("polyline", points=path), *parts, class_=f"c{number % len(COLOURS)}")


def _mark(number: int, x: float, y: float, *inside: Markup) -> Markup:
    return element("path", *inside, d=MARKS[number % len(MARKS)], transform=f"translate({x:.1f} {y:.1f})")


def _legend_rows(names: Sequence[str], width: float) -> Iterator[list[tuple[int, str, float]]]:
    """(number of the line, name, x) by row, as many to a row as fit."""
    row: list[tuple[int, str, float]] = []
    x = LEFT
    for number, name in enumerate(names):
        if not name:
            continue
        shown = shorten(name, width - LEFT - RIGHT - SWATCH)
        if row and x + SWATCH + text_width(shown) > width - RIGHT:
            yield row
            row, x = [], LEFT
        row.append((number, shown, x))
        x += SWATCH + text_width(shown) + 14
    if row:
        yield row


def _entry(number: int, name: str, x: float, y: float, lines: int) -> Markup:
    """A line's look beside its name; behind all ``lines`` stands that of chance."""
    ends = {"x1": x, "x2": x + 18, "y1": y - 4, "y2": y - 4}
    if number == lines:
        swatch = element("line", **ends, class_="chance")
    else:
        both = element("line", **ends), _mark(number, x + 9, y - 4)
        swatch = element("g", *both, class_=f"c{number % len(COLOURS)}")
    return element("g", swatch, element("text", name, x=x + SWATCH, y=y))


def spread_out(numbers: Sequence[float], *, log: bool) -> tuple[float, ...]:
    """Where numbers lie between their smallest (0) and largest (1), by their logarithms or themselves."""
    values = [math.log(number) for number in numbers] if log else list(numbers)
    low, high = min(values), max(values)
    return tuple((value - low) / (high - low) if high > low else 0.5 for value in values)
