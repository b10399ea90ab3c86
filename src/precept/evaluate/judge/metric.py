"""The one form in which scores leave this package: ``{value, low, high, n}`` with a 95 % interval over questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from precept.evaluate.statistics import interval, resampled_ratios

Metric = dict[str, float]


def mean_metric(values: Sequence[float], *, seed: int = 0) -> Metric | None:
    """The mean of scores in 0..1; None where there is none."""
    if not values:
        return None
    low, high = interval(values, seed=seed)
    return {"value": float(np.mean(values)), "low": low, "high": high, "n": len(values)}


def grouped_metric(groups: Iterable[Sequence[float]], *, highest: float, seed: int = 0) -> Metric | None:
    """The mean of all values in 0..``highest``; None where there is none.

    The values of a group, the turns of one question, hang together: the bootstrap draws whole groups. ``n`` counts
    values. Where all values are equal the interval is that of ``statistics.interval``.
    """
    kept = [group for group in groups if group]
    values = [value for group in kept for value in group]
    if not values:
        return None
    if len(set(values)) == 1:
        low, high = (highest * bound for bound in interval([values[0] / highest] * len(kept), seed=seed))
    else:
        low, high = _ratio_interval([sum(group) for group in kept], [len(group) for group in kept], seed=seed)
    return {"value": float(np.mean(values)), "low": low, "high": high, "n": len(values)}


def ratio_metric(ours: Sequence[float], theirs: Sequence[float], *, seed: int = 0) -> Metric | None:
    """The sum of ``ours`` over the sum of ``theirs``, question by question: the relative score, 1 for equals. ``n``
    counts questions. None where there is no question, or ``theirs`` has nothing but zeros.
    """
    assert len(ours) == len(theirs), "needs the same questions on both sides"
    if not sum(theirs):
        return None
    low, high = _ratio_interval(ours, theirs, seed=seed)
    return {"value": sum(ours) / sum(theirs), "low": low, "high": high, "n": len(ours)}


def _ratio_interval(over: Sequence[float], under: Sequence[float], *, seed: int) -> tuple[float, float]:
    """Percentile bootstrap of a ratio of sums."""
    low, high = np.quantile(resampled_ratios(over, under, np.random.default_rng(seed)), (0.025, 0.975))
    return float(low), float(high)
