"""The one form in which scores leave this package: ``{value, low, high, n}`` with a 95 % interval over questions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from precept.evaluate.statistics import grouped_interval, interval, resampled_ratios, unseen_share

Metric = dict[str, float]


def mean_metric(values: Sequence[float], *, seed: int = 0) -> Metric | None:
    """The mean of scores in 0..1; None where there is none."""
    if not values:
        return None
    low, high = interval(values, seed=seed)
    return {"value": float(np.mean(values)), "low": low, "high": high, "n": len(values)}


def grouped_metric(groups: Iterable[Sequence[float]], *, highest: float, seed: int = 0) -> Metric | None:
    """The mean of all values in 0..``highest``; None where there is none.

    The values of a group, the turns of one question, hang together: the interval is ``grouped_interval``. ``n`` counts
    values.
    """
    kept = [group for group in groups if group]
    values = [value for group in kept for value in group]
    if not values:
        return None
    low, high = grouped_interval([kept], highest=highest, seed=seed)
    return {"value": float(np.mean(values)), "low": low, "high": high, "n": len(values)}


def ratio_metric(ours: Sequence[float], theirs: Sequence[float], *, highest: float, seed: int = 0) -> Metric | None:
    """The sum of ``ours`` over the sum of ``theirs``, question by question: the relative score, 1 for equals. ``n``
    counts questions. None where there is no question, or ``theirs`` has nothing but zeros.

    The bootstrap draws questions. Where all have one ratio no draw differs, and as for ``statistics.interval`` the
    questions not seen could be anything: 0 on one side and ``highest`` on the other.
    """
    assert len(ours) == len(theirs), "needs the same questions on both sides"
    if not sum(theirs):
        return None
    ratio = sum(ours) / sum(theirs)
    if np.allclose(ours, ratio * np.asarray(theirs)):
        unseen = highest * len(ours) * unseen_share(len(ours))
        above, below = (sum(points) * (1 - unseen_share(len(ours))) for points in (ours, theirs))
        low, high = above / (below + unseen), (above + unseen) / below
    else:
        low, high = np.quantile(resampled_ratios(ours, theirs, np.random.default_rng(seed)), (0.025, 0.975))
    return {"value": ratio, "low": float(low), "high": float(high), "n": len(ours)}
