"""Charts as inline SVG: lines over steps, and dots with intervals. Colours come from the page's classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from precept.evaluate.markup import Markup, element

Points = tuple[tuple[float, float], ...]

WIDTH, HEIGHT = 440.0, 260.0  # small enough that text stays legible where a phone scales it down
LEFT, RIGHT, TOP, BOTTOM = 58.0, 24.0, 14.0, 44.0
MOST_POINTS = 400
DOT_MARGIN, DOT_TOP, LABEL_HEIGHT, DOT_HEIGHT = 18.0, 22.0, 24.0, 10.0
MOST_ROWS = 40
"""Rows of a plot; what is more comes in plots of their own beside it, which a phone shows below one another."""
LONGEST_NAME = 56
"""Characters of a row's name that fit the width."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart: (x, y) in ascending x. ``style`` is its class; ``dots`` marks each point."""

    name: str
    points: Points
    style: str
    dots: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A score in 0..1 with its interval. ``name`` says whose it is, ``style`` is its class."""

    name: str
    value: float
    low: float
    high: float
    style: str


@dataclass(frozen=True, slots=True)
class DotRow:
    """What is drawn below one name."""

    name: str
    dots: tuple[Dot, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """From values to places along one side of the drawing, with ticks at round values."""

    ticks: tuple[float, ...]
    start: float
    length: float

    def place(self, value: float) -> float:
        """Where a value lies."""
        low, high = self.ticks[0], self.ticks[-1]
        return self.start + self.length * (value - low) / (high - low)

    def label(self, value: float) -> str:
        """A tick's value with as many digits as tell it from the next."""
        if value == 0:
            return "0"
        step = self.ticks[1] - self.ticks[0]
        if max(abs(self.ticks[0]), abs(self.ticks[-1])) < 0.01:
            return f"{value:.2g}"
        return f"{value:,.{max(0, -math.floor(math.log10(step) + 1e-9))}f}"


def round_ticks(low: float, high: float, *, count: int = 5) -> tuple[float, ...]:
    """About ``count`` multiples of 1, 2 or 5 times a power of ten, from at most ``low`` to at least ``high``."""
    if low == high:
        low, high = (low - abs(low) / 2, high + abs(high) / 2) if low else (0.0, 1.0)
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return tuple(number * step for number in range(first, last + 1))


def thin(points: Points, *, most: int = MOST_POINTS) -> tuple[Points, int]:
    """At most ``most`` points, each the mean of as many neighbours as the number beside them says."""
    size = math.ceil(len(points) / most) if points else 1
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return tuple((sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups), size


def line_chart(lines: Sequence[Line], *, title: str, x_label: str, from_zero: bool = False) -> Markup:
    """Lines over a shared pair of axes, each named with its first and last value below the drawing."""
    shown = [(line, *thin(line.points)) for line in lines if line.points]
    assert shown, "needs a line with points"
    xs = [x for line in lines for x, _ in line.points]
    ys = [y for _, points, _ in shown for _, y in points] + [0.0] * from_zero
    x_axis = Axis(_whole(round_ticks(min(xs), max(xs))), LEFT, WIDTH - LEFT - RIGHT)
    y_axis = Axis(round_ticks(min(ys), max(ys)), HEIGHT - BOTTOM, TOP + BOTTOM - HEIGHT)
    drawing = element(
        "svg",
        element("title", title),
        *_grid(x_axis, y_axis),
        element("text", x_label, x=LEFT + x_axis.length / 2, y=HEIGHT - 8, text_anchor="middle"),
        *(_drawn(line, points, x_axis, y_axis) for line, points, _ in shown),
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        class_="chart",
    )
    legend = element("p", *(_legend(line, size) for line, _, size in shown), class_="legend")
    return element("figure", element("figcaption", title), drawing, legend)


def dot_plots(rows: Sequence[DotRow], *, title: str) -> list[Markup]:
    """Scores in 0..1 with their intervals, a line each below the row's name; the rows in columns of ``MOST_ROWS`` over
    one shared axis in per cent, which holds zero."""
    dots = [dot for row in rows for dot in row.dots]
    assert dots, "needs a score"
    ticks = round_ticks(min(0.0, *(100 * dot.low for dot in dots)), max(100 * dot.high for dot in dots))
    axis = Axis(ticks, DOT_MARGIN, WIDTH - 2 * DOT_MARGIN)
    parts = [rows[start : start + MOST_ROWS] for start in range(0, len(rows), MOST_ROWS)]
    return [_dot_plot(part, axis, title=title) for part in parts]


def _dot_plot(rows: Sequence[DotRow], axis: Axis, *, title: str) -> Markup:
    marks: dict[str, list[Markup]] = {}
    whiskers: dict[str, list[str]] = {}
    labels = []
    y = DOT_TOP
    for row in rows:
        labels.append(element("text", shorten_name(row.name), x=DOT_MARGIN, y=y + 13))
        y += LABEL_HEIGHT
        for dot in row.dots:
            low, value, high = (axis.place(100 * number) for number in (dot.low, dot.value, dot.high))
            told = f"{dot.name}: {100 * dot.value:.1f} % ({100 * dot.low:.1f} to {100 * dot.high:.1f})"
            whiskers.setdefault(dot.style, []).append(f"M{low:.1f} {y:g}H{high:.1f}")
            marks.setdefault(dot.style, []).append(element("circle", element("title", told), cx=value, cy=y, r=3.5))
            y += DOT_HEIGHT
    grid = [element("line", x1=(x := axis.place(t)), x2=x, y1=DOT_TOP, y2=y, class_="grid") for t in axis.ticks]
    scale = [element("text", axis.label(t), x=axis.place(t), y=DOT_TOP - 6, text_anchor="middle") for t in axis.ticks]
    groups = [
        element("g", element("path", d="".join(whiskers[style])), *circles, class_=style)
        for style, circles in marks.items()
    ]
    drawing = element(
        "svg",
        element("title", title),
        *grid,
        *scale,
        *labels,
        *groups,
        viewBox=f"0 0 {WIDTH:g} {y:g}",
        role="img",
        class_="chart dots",
    )
    return element("figure", drawing)


def shorten_name(name: str) -> str:
    """A name that fits above its row: of a longer one the beginning and the end."""
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 13]}…{name[-12:]}"


def _whole(ticks: tuple[float, ...]) -> tuple[float, ...]:
    """Steps are counted: no ticks between whole numbers."""
    return tuple(float(n) for n in range(math.floor(ticks[0]), math.ceil(ticks[-1]) + 1)) if ticks[1] % 1 else ticks


def _grid(x_axis: Axis, y_axis: Axis) -> list[Markup]:
    bottom, right = y_axis.start, LEFT + x_axis.length
    drawn = []
    for tick in y_axis.ticks:
        y = y_axis.place(tick)
        drawn.append(element("line", x1=LEFT, x2=right, y1=y, y2=y, class_="grid"))
        drawn.append(element("text", y_axis.label(tick), x=LEFT - 6, y=y + 4, text_anchor="end"))
    for tick in x_axis.ticks:
        x = x_axis.place(tick)
        drawn.append(element("line", x1=x, x2=x, y1=bottom, y2=bottom + 4, class_="axis"))
        drawn.append(element("text", x_axis.label(tick), x=x, y=bottom + 18, text_anchor="middle"))
    return [*drawn, element("line", x1=LEFT, x2=right, y1=bottom, y2=bottom, class_="axis")]


def _drawn(line: Line, points: Points, x_axis: Axis, y_axis: Axis) -> Markup:
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    marks = [
        element("circle", element("title", f"{line.name}, step {x:g}: {y:.4f}"), cx=cx, cy=cy, r=3.5)
        for (x, y), (cx, cy) in zip(points, places, strict=True)
        if line.dots or len(points) == 1
    ]
    return element("g", element("polyline", points=path), *marks, class_=line.style)


def _legend(line: Line, size: int) -> Markup:
    first, last = (f"{y:.4g}" for _, y in (line.points[0], line.points[-1]))
    means = f" (each point the mean of {size} steps)" if size > 1 else ""
    return element("span", element("i", class_=line.style), f"{line.name}: {first} → {last}{means}")
