"""Several runs of the same thing: what their seeds spread over, and whether two sets of runs differ.

Runs of two systems are not paired. The published figures on repeated runs (2312.08055, validity threats of large
language models) are rank-sum tests and A12.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist
from typing import TypedDict

import numpy as np

EXACT_UP_TO = 60
"""Runs on both sides together up to which ``rank_sum`` counts all arrangements."""


class Spread(TypedDict):
    """What one score did over ``n`` runs. ``low`` and ``high``: 95 % Student interval of the mean over seeds."""

    n: int
    mean: float
    low: float
    high: float
    median: float
    iqr: float
    min: float
    max: float


def over_seeds(values: Sequence[float]) -> Spread:
    """Mean, median and spread of one score over runs that differ in their seed alone; two runs at least.

    ``iqr`` is the distance of the quartiles by linear interpolation. The interval has n - 1 degrees of freedom, and
    ends where the mean does where all runs agree; it may leave 0..1.
    """
    runs = np.asarray(values, np.float64)
    assert runs.ndim == 1 and len(runs) >= 2, "one run tells nothing of the spread"
    half = student_quantile(len(runs) - 1) * float(runs.std(ddof=1)) / math.sqrt(len(runs))
    mean = float(runs.mean())
    first, median, third = (float(value) for value in np.quantile(runs, (0.25, 0.5, 0.75)))
    return {
        "n": len(runs),
        "mean": mean,
        "low": mean - half,
        "high": mean + half,
        "median": median,
        "iqr": third - first,
        "min": float(runs.min()),
        "max": float(runs.max()),
    }


def a12(a: Sequence[float], b: Sequence[float]) -> float:
    """Effect size of Vargha and Delaney (2000): the probability that a run of ``a`` has the larger value than one of
    ``b``, ties half. 0.5 is no effect; 0.56, 0.64 and 0.71 are called small, medium and large."""
    assert a and b, "needs runs on both sides"
    others = np.sort(np.asarray(b, np.float64))
    smaller, not_larger = (np.searchsorted(others, np.asarray(a, np.float64), side) for side in ("left", "right"))
    return int((smaller + not_larger).sum()) / (2 * len(a) * len(b))  # each tie is in one of the two counts: half


def rank_sum(a: Sequence[float], b: Sequence[float], *, exact: bool | None = None) -> float:
    """Two-sided p of the rank-sum test of Wilcoxon (1945) that ``a`` and ``b`` come from one distribution; ties share
    their mean rank.

    Exact over all ways to deal the ranks to both sides, up to 60 runs in all; beyond, or by ``exact=False``, the normal
    approximation without corrections for ties and continuity, which is how published figures are often computed.
    """
    assert a and b, "needs runs on both sides"
    counts = Counter([*a, *b])
    doubled: dict[float, int] = {}  # twice the rank, which is whole also where ties share one
    below = 0
    for value in sorted(counts):
        doubled[value] = 2 * below + counts[value] + 1
        below += counts[value]
    distance = abs(sum(doubled[value] for value in a) - len(a) * (below + 1))
    if exact is None:
        exact = below <= EXACT_UP_TO
    if not exact:
        return 2 * NormalDist().cdf(-distance / 2 / math.sqrt(len(a) * len(b) * (below + 1) / 12))
    sums = _rank_sums([doubled[value] for value in (*a, *b)], len(a))
    as_far = sum(ways for total, ways in sums.items() if abs(total - len(a) * (below + 1)) >= distance)
    return as_far / math.comb(below, len(a))


def _rank_sums(ranks: Sequence[int], chosen: int) -> Counter[int]:
    """How many choices of ``chosen`` of the ranks have each sum."""
    sums: list[Counter[int]] = [Counter({0: 1}), *(Counter() for _ in range(chosen))]
    for rank in ranks:
        for size in range(chosen, 0, -1):  # downwards, so that a rank is chosen once
            for total, ways in sums[size - 1].items():
                sums[size][total + rank] += ways
    return sums[chosen]


def student_quantile(freedom: int, *, probability: float = 0.975) -> float:
    """Where Student's t with whole degrees of freedom has ``probability``, above 1/2, below it, to 1e-9 relative."""
    assert freedom >= 1 and 0.5 < probability < 1, "needs degrees of freedom and an upper point"
    low, high = 0.0, 1.0
    while _student_cdf(high, freedom) < probability:
        high *= 2
    while high - low > 1e-10 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _student_cdf(middle, freedom) < probability else (low, middle)
    return high


def student_p(t: float, freedom: int) -> float:
    """Two-sided p of a statistic that follows Student's t with whole degrees of freedom where nothing differs."""
    return max(0.0, 2 * (1 - _student_cdf(abs(t), freedom)))


def _student_cdf(t: float, freedom: int) -> float:
    """Abramowitz and Stegun 26.7.3 and 26.7.4: a finite sum, exact for whole degrees of freedom."""
    angle = math.atan(t / math.sqrt(freedom))
    square = math.cos(angle) ** 2
    odd = freedom % 2
    term = math.cos(angle) if odd else 1.0
    total = 0.0
    for k in range(odd + 2, freedom + 1, 2):
        total += term
        term *= square * (k - 1) / k
    within = 2 / math.pi * (angle + math.sin(angle) * total) if odd else math.sin(angle) * total
    return (1 + within) / 2
