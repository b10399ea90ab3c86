"""Intervals for scores and for paired differences, and what a comparison can show. Deterministic for a given seed.

The unit of resampling is the item, with all of its scores where it has several: an interval says how far the mean
would move with other items of the same kind, not with other prompts, tasks or training seeds. Several runs are in
``repeats``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

RESAMPLES = 2000
FLIPS = 10_000
EXACT_UP_TO = 14
"""Differences other than zero up to which all 2^n sign patterns are counted; beyond, ``FLIPS`` are drawn."""

_Z = 1.959963984540054  # the normal distribution's 97.5 % point
_SAME = 1e-12  # means of the same scores in another order differ by less
_BLOCK = 1 << 22  # numbers drawn at a time, 32 MiB


def interval(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """95 % interval of the mean of scores in 0..1: percentile bootstrap over items, 2000 resamples.

    Where all values are equal no resample differs, and the interval is Wilson's (1927) for an event not seen
    in n items, at most a share z^2/(n + z^2), whose score could be anything in 0..1.
    """
    scores = np.asarray(values, np.float64)
    assert scores.size and ((scores >= 0) & (scores <= 1)).all(), "needs scores in 0..1"
    return _bootstrap(scores, lowest=0.0, highest=1.0, seed=seed)


def wilson(correct: int, n: int) -> tuple[float, float]:
    """95 % interval of a share, ``correct`` of ``n``, by Wilson (1927): the one to use without the items at hand."""
    assert 0 <= correct <= n and n > 0, "needs a count among n"
    share, z2 = correct / n, _Z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2)) / (1 + z2 / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def unseen_share(n: int) -> float:
    """The most that an event not seen in n items has by Wilson's 95 % interval, as a share of all items."""
    return _Z**2 / (n + _Z**2)


def paired_difference(a: Sequence[float], b: Sequence[float], *, seed: int = 0) -> dict[str, float]:
    """Mean of a - b over items that both scored in 0..1, as ``{value, low, high, p, n}``.

    ``low`` and ``high``: as ``interval``, over the items' differences. ``p``: two-sided sign-flip permutation
    test of "neither is better", exact up to 14 items that differ, else with 10,000 draws and the data's own.
    """
    return grouped_difference([[score] for score in a], [[score] for score in b], seed=seed)


def grouped_difference(
    a: Sequence[Sequence[float]], b: Sequence[Sequence[float]], *, seed: int = 0
) -> dict[str, float]:
    """``paired_difference`` of scores that hang together in groups, the instructions of a prompt: the bootstrap draws
    whole groups and the test flips their signs. ``n`` counts scores."""
    assert len(a) == len(b) > 0, "needs the same items on both sides"
    groups = [[x - y for x, y in zip(ours, theirs, strict=True)] for ours, theirs in zip(a, b, strict=True)]
    low, high = grouped_interval([groups], lowest=-1.0, highest=1.0, seed=seed)
    p = sign_flip_p(np.array([sum(group) for group in groups]), seed=seed)
    values = np.concatenate(groups)
    return {"value": float(values.mean()), "low": low, "high": high, "p": p, "n": len(values)}


def interval_of_means(
    strata: Sequence[Sequence[float] | Values], *, lowest: float = 0.0, highest: float = 1.0, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the unweighted mean of the means of ``strata``: percentile bootstrap over the items within each,
    the strata kept as they are. Values lie in ``lowest`` to ``highest``; of one stratum it is ``interval``.

    Where the items of no stratum differ, it is the interval of all items together.
    """
    values = [np.asarray(stratum, np.float64) for stratum in strata]
    assert values and all(len(stratum) for stratum in values), "needs items in every stratum"
    if len(values) == 1 or all((stratum == stratum[0]).all() for stratum in values):
        return _bootstrap(np.concatenate(values), lowest=lowest, highest=highest, seed=seed)
    rng = np.random.default_rng(seed)
    means = np.mean([_resampled_means(stratum, rng) for stratum in values], axis=0)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def grouped_interval(
    strata: Sequence[Sequence[Sequence[float]]], *, lowest: float = 0.0, highest: float = 1.0, seed: int = 0
) -> tuple[float, float]:
    """``interval_of_means`` of scores that hang together in groups, none empty, such as the instructions of a prompt: a
    stratum counts with the mean of all its scores, and the bootstrap draws whole groups within it.

    Groups of one score, and strata whose groups have one mean, as a single group has, have the interval of as many
    single scores.
    """
    if all(len(group) == 1 for stratum in strata for group in stratum):
        firsts = [[group[0] for group in stratum] for stratum in strata]
        return interval_of_means(firsts, lowest=lowest, highest=highest, seed=seed)
    averaged = [np.array([sum(group) / len(group) for group in stratum]) for stratum in strata]
    if all(np.ptp(means) < _SAME for means in averaged):
        alike = [np.full(len(means), means[0]) for means in averaged]
        return interval_of_means(alike, lowest=lowest, highest=highest, seed=seed)
    rng = np.random.default_rng(seed)
    sums = [([sum(group) for group in stratum], [len(group) for group in stratum]) for stratum in strata]
    means = np.mean([resampled_ratios(over, under, rng) for over, under in sums], axis=0)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def verdict(difference: Mapping[str, float], *, alpha: float = 0.05) -> Literal["better", "worse", "undecided"]:
    """What a ``paired_difference`` shows: better or worse only where the 95 % interval lies on one side of zero and p
    is below ``alpha``. Of several comparisons some look real by chance: see ``holm``."""
    if difference["p"] >= alpha:
        return "undecided"
    return "better" if difference["low"] > 0 else "worse" if difference["high"] < 0 else "undecided"


def add_p_holm(compared: Iterable[dict[str, Any]]) -> None:
    """Put ``p_holm`` beside the ``p`` of each comparison, corrected for all of them."""
    listed = list(compared)
    corrected = holm({str(n): found["p"] for n, found in enumerate(listed)})
    for n, found in enumerate(listed):
        found["p_holm"] = corrected[str(n)]


def holm(p: Mapping[str, float]) -> dict[str, float]:
    """Each p value corrected for all of them by Holm (1979), under its name, at most 1.

    Sorted, the k-th smallest of m is multiplied by m - k + 1, and none may fall below the one before it: whoever then
    stops at 0.05 calls a difference real where there is none in at most one of twenty such sets of comparisons.
    """
    corrected: dict[str, float] = {}
    highest = 0.0
    for k, name in enumerate(sorted(p, key=lambda name: p[name])):
        highest = max(highest, min(1.0, (len(p) - k) * p[name]))
        corrected[name] = highest
    return {name: corrected[name] for name in p}


def minimal_detectable_difference(n: int, *, discordance: float, alpha: float = 0.05, power: float = 0.8) -> float:
    """The smallest difference of two accuracies that ``n`` paired items show with probability ``power`` in a two-sided
    test at ``alpha``, known before a run; infinite where no difference would be shown.

    ``discordance`` is the share of items that one side alone gets right, in 0..1, as pilot runs have it (never below
    the difference itself). McNemar's test by Connor (1987, Biometrics 43):
    d sqrt(n) = z_alpha/2 sqrt(discordance) + z_power sqrt(discordance - d^2), solved for d.
    """
    assert n > 0 and 0 < discordance <= 1 and power > 0.5, "needs items, and a share of them that differ"
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    # Squared, d sqrt(n) - z_alpha sqrt(discordance) = z_power sqrt(...) is a quadratic in d; its larger root is wanted.
    a, b, c = n + z_power**2, z_alpha * math.sqrt(n * discordance), discordance * (z_alpha**2 - z_power**2)
    difference = (b + math.sqrt(b**2 - a * c)) / a if b**2 >= a * c else math.inf
    return difference if difference <= discordance else math.inf


def items_needed(difference: float, *, discordance: float, alpha: float = 0.05, power: float = 0.8) -> int:
    """How many paired items show a difference of two accuracies: ``minimal_detectable_difference`` turned round."""
    assert 0 < abs(difference) <= discordance <= 1, "no difference exceeds the share of items that differ"
    z_alpha, z_power = NormalDist().inv_cdf(1 - alpha / 2), NormalDist().inv_cdf(power)
    root = z_alpha * math.sqrt(discordance) + z_power * math.sqrt(discordance - difference**2)
    return math.ceil((root / difference) ** 2)


def _bootstrap(values: Values, *, lowest: float, highest: float, seed: int) -> tuple[float, float]:
    distinct = np.unique(values)
    n = len(values)
    if len(distinct) == 1:
        value, unseen = float(distinct[0]), unseen_share(n)
        return value - unseen * (value - lowest), value + unseen * (highest - value)
    low, high = np.quantile(_resampled_means(values, np.random.default_rng(seed)), (0.025, 0.975))
    return float(low), float(high)


def _resampled_means(values: Values, rng: np.random.Generator) -> Values:
    """Means of the items drawn anew. Drawing n with replacement is drawing how often each distinct value comes."""
    distinct, counts = np.unique(values, return_counts=True)
    n = len(values)
    blocks = _blocks(RESAMPLES, len(distinct))
    return np.concatenate([rng.multinomial(n, counts / n, size=size) @ distinct / n for size in blocks])


def resampled_ratios(over: Sequence[float], under: Sequence[float], rng: np.random.Generator) -> Values:
    """Ratios of the sum of ``over`` to the sum of ``under`` with the pairs drawn anew; a draw whose lower sum is 0 has
    none and is left out."""
    n = len(over)
    ratios = []
    for size in _blocks(RESAMPLES, n):
        counts = rng.multinomial(n, np.full(n, 1 / n), size=size)
        above, below = counts @ np.asarray(over, np.float64), counts @ np.asarray(under, np.float64)
        ratios.append(above[below > 0] / below[below > 0])
    return np.concatenate(ratios)


def sign_flip_p(differences: Values, *, seed: int = 0) -> float:
    """Two-sided permutation test that differences are as likely one way as the other: the share of sign patterns whose
    sum is at least as far from zero as the one seen; exact up to 14 differences other than zero, else with 10,000 draws
    and the data's own."""
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
