"""Tokens over the planned steps: real, distinct and trained, counted or, for very long plans, sampled."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precept.types import LongArray

COUNTED = 1000  # steps of a plan that are all cut into forests; of a longer plan as many are drawn evenly
Z_95 = 1.96
BINS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192)


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """Totals over all steps. Real and trained tokens are exact; distinct tokens and forests are exact where every step
    was counted (``counted == steps``), else the sample's, with a 95 % interval for the distinct ones.

    ``heaviest`` is (step, forest of the step) of the forest that needs most memory among those counted, ``typical``
    the step whose distinct tokens are nearest to the mean. ``sizes`` counts the different sizes of forests.
    """

    steps: int
    real: int
    trained: int
    distinct: int
    distinct_low: int
    distinct_high: int
    counted: int
    forests: int
    sizes: int
    most_forests: int
    heaviest: tuple[int, int]
    typical: int

    @property
    def saved_by_sharing(self) -> float:
        """Share of the real tokens that is not computed."""
        return 1.0 - self.distinct / self.real if self.real else 0.0


def count_tokens(
    steps: int,
    rows_of: Callable[[int], LongArray],
    *,
    lengths: LongArray,
    trained: LongArray,
    cut: Callable[[LongArray], Sequence[Sequence[int]]],
    distinct: Callable[[Sequence[int]], int],
    needs: Callable[[int, int], float],
) -> TokenCounts:
    """Counts over ``steps`` optimizer steps.

    ``rows_of(step)`` are the step's rows; ``cut`` divides them into the rows of each forest, whose ``distinct`` tokens
    are asked for; ``needs(distinct, trained)`` is what a forest of that size needs, in any unit.
    """
    chosen = np.unique(np.linspace(0, steps - 1, min(steps, COUNTED)).round().astype(np.int64))
    uses = np.zeros(len(lengths), np.int64)
    for step in range(steps):
        uses[rows_of(step)] += 1
    sums, forests, heaviest, most = [], [], (0, 0), -math.inf
    sizes: set[int] = set()
    for step in chosen.tolist():
        groups = cut(rows_of(step))
        counts = [distinct(group) for group in groups]
        for place, (group, count) in enumerate(zip(groups, counts, strict=True)):
            need = needs(count, int(trained[list(group)].sum()))
            if need > most:
                most, heaviest = need, (step, place)
        sizes.update(counts)
        sums.append(sum(counts))
        forests.append(len(groups))
    found = np.array(sums, np.float64)
    total = float(found.mean()) * steps
    doubt = 0.0
    if len(found) < steps:
        doubt = Z_95 * float(found.std(ddof=1)) / math.sqrt(len(found)) * steps * math.sqrt(1 - len(found) / steps)
    return TokenCounts(
        steps=steps,
        real=int((uses * lengths).sum()),
        trained=int((uses * trained).sum()),
        distinct=round(total),
        distinct_low=round(total - doubt),
        distinct_high=round(total + doubt),
        counted=len(found),
        forests=round(float(np.mean(forests)) * steps),
        sizes=len(sizes),
        most_forests=max(forests),
        heaviest=heaviest,
        typical=int(chosen[np.abs(found - found.mean()).argmin()]),
    )


def describe_lengths(lengths: LongArray) -> dict[str, Any]:
    """Shortest, median, 90th and 99th percentile, longest, and a histogram whose bins end at powers of two."""
    edges = [bound for bound in BINS if bound < lengths.max()]
    bins = [*zip([0, *edges], [*edges, int(lengths.max())], strict=True)]
    counts = [int(((lengths > low) & (lengths <= high)).sum()) for low, high in bins]
    filled = [{"above": low, "up_to": high, "sequences": n} for (low, high), n in zip(bins, counts, strict=True) if n]
    return {
        "sequences": len(lengths),
        "shortest": int(lengths.min()),
        "median": int(np.median(lengths)),
        "p90": int(np.percentile(lengths, 90)),
        "p99": int(np.percentile(lengths, 99)),
        "longest": int(lengths.max()),
        "histogram": filled,
    }
