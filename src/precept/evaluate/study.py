"""Evaluations of one kind over axes: their means with intervals, and contrasts between them on the same items.

Two sources of chance are kept apart: runs that repeat the same (usually with other seeds), and items. Other axes that a
page does not show are conditions, over which each run is averaged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from precept.errors import InputError
from precept.evaluate.repeats import over_seeds, student_p, student_quantile
from precept.evaluate.run import ItemResult
from precept.evaluate.statistics import Values, interval_of_means, sign_flip_p

Key: TypeAlias = tuple[str, ...]
"""What makes an item the same in two evaluations: task, id, references, and which of several with all these it is."""
Scalar: TypeAlias = str | int | float | bool | None
LONGEST = 60
"""Characters of the references that an error shows."""
NO_SPREAD = 1e-12
"""Runs nearer to each other than this are equal; sums of the same numbers differ in their last bits."""


@dataclass(frozen=True, slots=True)
class Axis:
    """A name and its values as text, in the file's order; ``numbers`` where all of them are numbers."""

    name: str
    values: tuple[str, ...]
    numbers: tuple[float, ...] | None = None

    def find(self, wanted: Scalar) -> str | None:
        """The value that a claim means: one of them, or ``first`` or ``last``; None where there is none."""
        text = text_of(wanted)
        if text in self.values:
            return text
        return {"first": self.values[0], "last": self.values[-1]}.get(text)

    def grows_by_factors(self) -> bool:
        """Whether a logarithmic scale shows the values better: positive, each at least half as large again as the one
        before, in steps that grow."""
        if self.numbers is None or len(self.numbers) < 3:
            return False
        ordered = sorted(self.numbers)
        pairs = list(pairwise(ordered))
        steps = [after - before for before, after in pairs]
        return (
            ordered[0] > 0
            and all(after >= 1.5 * before for before, after in pairs)
            and all(after > before for before, after in pairwise(steps))
        )


@dataclass(frozen=True, slots=True, eq=False)
class Stratum:
    """The items of a task, or of all tasks together: keys in ascending order and the score of each, in 0..1."""

    keys: tuple[Key, ...]
    values: Values


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """One evaluation: its value on every axis, its scores by stratum, and its folder for messages. The mean is that of
    the means of the strata."""

    at: Mapping[str, str]
    strata: Mapping[str, Stratum]
    folder: str

    @property
    def value(self) -> float:
        """The score of the evaluation, in 0..1."""
        return float(np.mean([stratum.values.mean() for stratum in self.strata.values()]))


@dataclass(frozen=True, slots=True)
class Layout:
    """The axes, which of them a page shows, and whose values are no more than ``repetitions`` of the same. All that are
    not shown are averaged."""

    axes: tuple[Axis, ...]
    x: str
    lines: str | None = None
    panels: str | None = None
    repetitions: tuple[str, ...] = ("seed",)

    def axis(self, name: str) -> Axis:
        """The axis of a name."""
        return next(axis for axis in self.axes if axis.name == name)

    @property
    def shown(self) -> tuple[str, ...]:
        """Names of the axes on the page."""
        return tuple(name for name in (self.panels, self.lines, self.x) if name is not None)

    @property
    def averaged(self) -> tuple[Axis, ...]:
        """Axes of more than one value that the page does not show."""
        return tuple(axis for axis in self.axes if axis.name not in self.shown and len(axis.values) > 1)

    @property
    def repeats(self) -> tuple[Axis, ...]:
        """Those among them whose values are runs of the same."""
        return tuple(axis for axis in self.averaged if axis.name in self.repetitions)

    @property
    def conditions(self) -> tuple[Axis, ...]:
        """The others among them: each run is the mean over their values."""
        return tuple(axis for axis in self.averaged if axis.name not in self.repetitions)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean of scores, or a contrast of such means, with 95 % intervals.

    ``runs`` are its values run by run; ``low`` and ``high`` are Student's over runs, with ``freedom`` degrees, where
    two or more are there and differ, else (``freedom`` 0) those over items. ``items`` is the percentile bootstrap over
    the ``n`` items, each averaged over the runs. ``p`` is two-sided, of a contrast of zero: Student's or by flipping
    the items' signs; None of a mean.
    """

    value: float
    low: float
    high: float
    items: tuple[float, float]
    runs: tuple[float, ...]
    n: int
    freedom: int = 0
    p: float | None = None

    @property
    def over(self) -> Literal["runs", "items"]:
        """Whether chance is that of training anew or that of other items."""
        return "runs" if self.freedom else "items"


class Point(NamedTuple):
    """A mean at its place on the page."""

    panel: str | None
    line: str | None
    x: str
    mean: Estimate


class Contrast(NamedTuple):
    """Weights of an axis' values that add up to zero, the positive ones to ``reach``; other axes may be ``fixed``."""

    axis: str
    weights: Mapping[str, float]
    fixed: Mapping[str, str]

    @property
    def reach(self) -> float:
        """The largest value that scores in 0..1 can give."""
        return sum(weight for weight in self.weights.values() if weight > 0)


def text_of(value: Scalar) -> str:
    """An axis' value as recipes write it."""
    return str(value).lower() if isinstance(value, bool) else "null" if value is None else str(value)


def find_axes(places: Sequence[Mapping[str, Scalar]]) -> tuple[Axis, ...]:
    """The axes of evaluations and their values, each in the order of first appearance."""
    found: dict[str, dict[str, Scalar]] = {}
    for place in places:
        for name, value in place.items():
            found.setdefault(name, {})[text_of(value)] = value
    return tuple(make_axis(name, values.values()) for name, values in found.items())


def make_axis(name: str, values: Iterable[Scalar]) -> Axis:
    """An axis of these values."""
    listed = list(values)
    numbers = [float(value) for value in listed if isinstance(value, int | float) and not isinstance(value, bool)]
    return Axis(name, tuple(map(text_of, listed)), tuple(numbers) if len(numbers) == len(listed) else None)


def missing_places(axes: Sequence[Axis], places: Iterable[Mapping[str, str]]) -> list[dict[str, str]]:
    """Combinations of values at which no evaluation stands."""
    names = [axis.name for axis in axes]
    there = {tuple(place[name] for name in names) for place in places}
    every = product(*(axis.values for axis in axes))
    return [dict(zip(names, values, strict=True)) for values in every if values not in there]


def make_stratum(results: Sequence[ItemResult], metric: str, known: dict[tuple[Key, ...], tuple[Key, ...]]) -> Stratum:
    """The scores of items by a metric. ``known`` keeps the keys of earlier strata, so that equal ones are one object:
    the evaluations of a study mostly ask the same."""
    seen: Counter[Key] = Counter()
    scores: dict[Key, float] = {}
    for result in results:
        for value in result.values(metric):
            named = (result.task, result.id, *result.references)
            seen[named] += 1
            scores[(*named, str(seen[named]))] = value
    keys = tuple(sorted(scores))
    return Stratum(known.setdefault(keys, keys), np.array([scores[key] for key in keys], np.float64))


def find_points(layout: Layout, cells: Sequence[Scored]) -> list[Point]:
    """Every mean on the page: by panel, line and place, in the axes' order."""
    shown = [layout.axis(name) for name in layout.shown]
    points = []
    for values in product(*(axis.values for axis in shown)):
        at = {axis.name: value for axis, value in zip(shown, values, strict=True)}
        chosen = _at(cells, at)
        panel, line = (at[name] if name else None for name in (layout.panels, layout.lines))
        points.append(Point(panel, line, at[layout.x], find_mean(chosen, [axis.name for axis in layout.repeats])))
    return points


def find_mean(cells: Sequence[Scored], repeats: Sequence[str]) -> Estimate:
    """The mean of evaluations; those alike on the axes ``repeats`` are one run."""
    strata = _by_items([cell.strata for cell in cells])
    items = interval_of_means(strata, lowest=0.0, highest=1.0)
    n = sum(map(len, strata))
    by_run: dict[tuple[str, ...], list[float]] = {}
    for cell in cells:
        by_run.setdefault(tuple(cell.at[name] for name in repeats), []).append(cell.value)
    runs = tuple(float(np.mean(own)) for own in by_run.values())
    # Runs that all agree tell nothing of how far others would lie from them; their items still do.
    if len(runs) < 2 or max(runs) - min(runs) < NO_SPREAD:
        return Estimate(sum(runs) / len(runs), *items, items, runs, n)
    spread = over_seeds(runs)
    low, high = max(0.0, spread["low"]), min(1.0, spread["high"])  # no score lies beyond
    return Estimate(spread["mean"], low, high, items, runs, n, len(runs) - 1)


def difference(axis: str, of: str, than: str, fixed: Mapping[str, str]) -> Contrast:
    """One value of an axis minus another."""
    return Contrast(axis, {of: 1.0, than: -1.0}, fixed)


def fitted_rise(axis: Axis, fixed: Mapping[str, str]) -> Contrast:
    """How far the line of least squares through all values rises from the first to the last of them, the values lying
    evenly spaced in their order; two at least."""
    count = len(axis.values)
    middle = (count - 1) / 2
    square = sum((place - middle) ** 2 for place in range(count))
    return Contrast(
        axis.name,
        {value: (place - middle) / square * (count - 1) for place, value in enumerate(axis.values)},
        fixed,
    )


def find_contrast(layout: Layout, cells: Sequence[Scored], contrast: Contrast, *, seed: int = 0) -> Estimate:
    """The contrast on the same items, run by run and item by item, averaged over the axes that it leaves open.

    Each combination of values of the axes that repeat is a run, and is averaged over the conditions that are left open.
    Raises InputError where the evaluations under one condition have different items.
    """
    held = _at(cells, contrast.fixed)
    by_condition: dict[tuple[str, ...], list[Scored]] = {}
    for cell in held:
        if cell.at[contrast.axis] in contrast.weights:
            condition = tuple(cell.at[axis.name] for axis in layout.axes if axis.name != contrast.axis)
            by_condition.setdefault(condition, []).append(cell)
    strata = _by_items([_contrasted(own, contrast) for own in by_condition.values()])
    items = interval_of_means(strata, lowest=-contrast.reach, highest=contrast.reach, seed=seed)
    n = sum(map(len, strata))
    scores = _runs_and_values(layout, held, contrast)
    weights = np.array([contrast.weights.get(value, 0.0) for value in layout.axis(contrast.axis).values])
    runs = tuple((scores @ weights).tolist())
    value = float(np.mean(runs))
    error, freedom = _residual_error(scores)
    if error < NO_SPREAD:
        # Scaled so that their mean is the mean of the strata's means.
        scaled = [own * (n / (len(strata) * len(own))) for own in strata]
        return Estimate(value, *items, items, runs, n, p=sign_flip_p(np.concatenate(scaled), seed=seed))
    error *= float(np.sqrt((weights**2).sum() / len(runs)))
    half = student_quantile(freedom) * error
    return Estimate(value, value - half, value + half, items, runs, n, freedom, student_p(value / error, freedom))


def _runs_and_values(layout: Layout, cells: Sequence[Scored], contrast: Contrast) -> Values:
    """Mean scores [runs, values of the contrast's axis], over the conditions of each run."""
    open_axes = [axis.name for axis in layout.repeats if axis.name not in contrast.fixed and axis.name != contrast.axis]
    found: dict[tuple[str, ...], dict[str, list[float]]] = {}
    for cell in cells:
        own = found.setdefault(tuple(cell.at[name] for name in open_axes), {})
        own.setdefault(cell.at[contrast.axis], []).append(cell.value)
    values = layout.axis(contrast.axis).values
    return np.array([[np.mean(own[value]) for value in values] for own in found.values()], np.float64)


def _residual_error(scores: Values) -> tuple[float, int]:
    """Standard deviation and degrees of freedom of what the means of run and value leave of scores [runs, values].

    Of two values it is that of their differences over the square root of 2, so that Student's interval is the paired
    one; of more all tell how far training anew moves a score.
    """
    runs, values = scores.shape
    freedom = (runs - 1) * (values - 1)
    if not freedom:
        return 0.0, 0
    rest = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    return float(np.sqrt((rest**2).sum() / freedom)), freedom


def _contrasted(cells: Sequence[Scored], contrast: Contrast) -> dict[str, Stratum]:
    """The contrast of each item under one condition."""
    _refuse_other_items(cells)
    weights = [contrast.weights[cell.at[contrast.axis]] for cell in cells]
    return {
        name: Stratum(own.keys, np.tensordot(weights, [cell.strata[name].values for cell in cells], axes=1))
        for name, own in cells[0].strata.items()
    }


def _by_items(parts: Sequence[Mapping[str, Stratum]]) -> list[Values]:
    """Items averaged over the parts that hold the same ones. Others, of another condition or drawn by another seed,
    are a stratum of their own."""
    found: dict[tuple[str, tuple[Key, ...]], list[Values]] = {}
    for part in parts:
        for name, stratum in part.items():
            found.setdefault((name, stratum.keys), []).append(stratum.values)
    # Rounded, so that items without a difference have exactly none.
    return [np.asarray(np.mean(values, axis=0), np.float64).round(12) for values in found.values()]


def _at(cells: Sequence[Scored], place: Mapping[str, str]) -> list[Scored]:
    return [cell for cell in cells if all(cell.at[name] == value for name, value in place.items())]


def _refuse_other_items(cells: Sequence[Scored]) -> None:
    first = cells[0]
    for cell in cells[1:]:
        if list(first.strata) != list(cell.strata) or any(
            first.strata[name].keys != cell.strata[name].keys for name in first.strata
        ):
            raise InputError(
                "two evaluations that a claim compares asked different items",
                code="study-items-differ",
                where=f"{first.folder} and {cell.folder}",
                found=_first_difference(first, cell),
                do="ask both the same file, whose rows keep their ids, or leave the claim out",
            )


def _first_difference(one: Scored, other: Scored) -> str:
    """An item that one of two evaluations alone holds."""
    ours, theirs = ({key for stratum in cell.strata.values() for key in stratum.keys} for cell in (one, other))
    only = sorted(ours ^ theirs)
    if not only:
        return "the same items in other tasks"
    task, name, *references, _ = only[0]
    whose = one.folder if only[0] in ours else other.folder
    right = f" (right: {'; '.join(references)[:LONGEST]})" if references else ""
    return f"{len(only):,} items that one alone has, such as '{name}' of {task}{right} in {whose}"
