"""Mixtures of sources: how much of each, and which row comes when. A pure function of seed, sizes and hashes.

Row k of a mixture follows from k alone, so a mixture that is read in parts needs to remember its seed and k.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from precept.types import LongArray

ROUNDING = 9  # decimals of a count that is computed from shares


@dataclass(frozen=True)
class MixtureSource:
    """Some rows to draw from: how many they are, and a hash that names them in their order."""

    name: str
    rows: int
    hash: str


class Draw(NamedTuple):
    """One row of a mixture: which source, which of its rows, and in which pass over that source (from 0)."""

    source: int
    row: int
    epoch: int


def mixing_shares(
    sizes: Sequence[int],
    *,
    caps: Sequence[int | None] | None = None,
    weights: Sequence[float] | None = None,
    temperature: float = 1.0,
) -> list[float]:
    """The share of each source, in all 1: proportional to ``min(size, cap)``, or to its weight where weights are given.

    Rows above the cap add no weight; they are drawn all the same (FLAN, 2109.01652: cap 3,000). ``temperature`` T takes
    each rate to the power 1/T, so that 1 leaves it and more makes shares more alike (T5, 1910.10683, section 3.5.2).
    """
    limits = caps or [None] * len(sizes)
    sized = [float(min(size, size if cap is None else cap)) for size, cap in zip(sizes, limits, strict=True)]
    rates = sized if weights is None else weights
    largest = max(rates, default=0.0)  # divided out, so that a low temperature does not overflow
    heated = [(rate / largest) ** (1 / temperature) for rate in rates]
    total = math.fsum(heated)
    return [rate / total for rate in heated]


def counts_for(shares: Sequence[float], total: int) -> list[int]:
    """Whole rows of each source, ``total`` in all: every source gets its share cut down to whole rows, and those with
    the largest remainders one more."""
    quotas = [round(share * total, ROUNDING) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    by_remainder = sorted(range(len(shares)), key=lambda place: (counts[place] - quotas[place], place))
    for place in by_remainder[: total - sum(counts)]:
        counts[place] += 1
    return counts


def most_without_repeats(sizes: Sequence[int], shares: Sequence[float]) -> int:
    """The length at which the first source is used up, cut down to whole rows: no row comes twice in that many. (Whole
    rows by ``counts_for`` may let some more do without repeats too.)"""
    return min(math.floor(round(size / share, ROUNDING)) for size, share in zip(sizes, shares, strict=True) if share)


@dataclass(frozen=True)
class Mixture:
    """``counts[m]`` rows of source m, spread evenly: every beginning of the mixture has nearly the wanted shares.

    Each source is gone through in an order of its own, which seed, hash and pass decide; a new pass begins when all
    of its rows were drawn.
    """

    sources: Sequence[MixtureSource]
    counts: Sequence[int]
    seed: int
    _orders: dict[int, tuple[int, LongArray]] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: int) -> Draw:
        if not 0 <= place < len(self):
            raise IndexError(place)
        source = int(self._order[0][place])
        epoch, position = divmod(int(self._order[1][place]), self.sources[source].rows)
        return Draw(source, int(self._rows(source, epoch)[position]), epoch)

    @cached_property
    def _size(self) -> int:
        return sum(self.counts)

    @cached_property
    def _order(self) -> tuple[LongArray, LongArray]:
        """For each place its source, and how many rows of that source come before it.

        Draw j of a source with c rows stands at (2j + 1) / 2c of the way, equal places in the order of the sources.
        (Equal fractions round to equal numbers, and unequal ones of counts below 2**25 do not.)
        """
        draws = [np.arange(count, dtype=np.int64) for count in self.counts]
        places = np.concatenate([(2 * own + 1) / (2 * len(own)) for own in draws if len(own)] or [np.zeros(0)])
        order = np.argsort(places, kind="stable")
        sources = np.repeat(np.arange(len(draws), dtype=np.int64), [len(own) for own in draws])
        return sources[order], np.concatenate(draws)[order]

    def _rows(self, source: int, epoch: int) -> LongArray:
        """The order of a source's rows in one pass; of each source the one asked for last is kept."""
        if source not in self._orders or self._orders[source][0] != epoch:
            entropy = hashlib.sha256(f"{self.seed}:{self.sources[source].hash}:{epoch}".encode()).digest()
            rng = np.random.Generator(np.random.PCG64(int.from_bytes(entropy, "big")))
            self._orders[source] = epoch, rng.permutation(self.sources[source].rows).astype(np.int64)
        return self._orders[source][1]
