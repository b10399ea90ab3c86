"""Intervals for scores and for paired differences. Deterministic for a given seed.

The unit of resampling is the item: an interval says how far the mean would move with other items of the same
kind, not with other prompts, tasks or training seeds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 2000
FLIPS = 10_000
EXACT_UP_TO = 14
"""Differences other than zero up to which all 2^n sign patterns are counted; beyond, ``FLIPS`` are drawn."""

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
_BLOCK = 1 << 22  # numbers drawn at a time, 32 MiB


def interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of scores in 0..1: percentile bootstrap over items, 2000 resamples.

    Where all values are equal no resample differs, and the interval is Wilson's (1927) for an event not seen
    in n items, at most a share z^2/(n + z^2), whose score could be anything in 0..1.
    """
    scores = np.asarray(values, np.float64)
    assert scores.size and ((scores >= 0) & (scores <= 1)).all(), "needs scores in 0..1"
    return _bootstrap(scores, lowest=0.0, highest=1.0, seed=seed)


def paired_difference(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """Mean of a - b over items that both scored in 0..1, as ``{value, low, high, p, n}``.

    ``low`` and ``high``: as ``interval``, over the items' differences. ``p``: two-sided sign-flip permutation
    test of "neither is better", exact up to 14 items that differ, else with 10,000 draws and the data's own.
    """
    assert len(a) == len(b) > 0, "needs the same items on both sides"
    differences = np.asarray(a, np.float64) - np.asarray(b, np.float64)
    low, high = _bootstrap(differences, lowest=-1.0, highest=1.0, seed=seed)
    p = _sign_flip_p(differences, seed=seed)
    return {"value": float(differences.mean()), "low": low, "high": high, "p": p, "n": len(differences)}


def _bootstrap(values: Values, *, lowest: float, highest: float, seed: int) -> tuple[float, float]:
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    if len(distinct) == 1:
        unseen = _Z**2 / (n + _Z**2)
        value = float(distinct[0])
        return value - unseen * (value - lowest), value + unseen * (highest - value)
    # Drawing n items with replacement is drawing how often each distinct value comes.
    rng = np.random.default_rng(seed)
    means = [rng.multinomial(n, counts / n, size=size) @ distinct / n for size in _blocks(RESAMPLES, len(distinct))]
    low, high = np.quantile(np.concatenate(means), (0.025, 0.975))
    return float(low), float(high)


def _sign_flip_p(differences: Values, *, seed: int) -> float:
    """Share of sign patterns whose sum is at least as far from zero as the one seen."""
    nonzero = differences[differences != 0]
    # Sums of the same terms in another order differ in the last bits and must still count as equal.
    bound = abs(nonzero.sum()) - 1e-9
    if len(nonzero) <= EXACT_UP_TO:
        signs = np.array(list(product((-1.0, 1.0), repeat=len(nonzero))))
        return float(np.mean(abs(signs @ nonzero) >= bound))
    sizes, counts = np.unique(abs(nonzero), return_counts=True)
    rng = np.random.default_rng(seed)
    as_far = sum(
        int((abs((2 * rng.binomial(counts, 0.5, size=(size, len(sizes))) - counts) @ sizes) >= bound).sum())
        for size in _blocks(FLIPS, len(sizes))
    )
    return (as_far + 1) / (FLIPS + 1)


def _blocks(draws: int, width: int) -> Iterator[int]:
    """Cut ``draws`` rows of ``width`` numbers into blocks that fit memory."""
    rows = max(1, _BLOCK // width)
    return (min(rows, draws - start) for start in range(0, draws, rows))
