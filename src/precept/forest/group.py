"""Groups of rows that share a prefix, so that a batch of few groups shares more than one of random rows.

This changes what a batch is made of, so it is the user's choice. A row meets others of its kind more often, and
still other ones each epoch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from precept.forest.tree import order_by_prefix
from precept.types import LongArray, TokenSequence

ALIKE = 0.75
"""Neighbours that share less than this part of what either shares with its closest company are of two kinds."""


@dataclass(frozen=True, slots=True, eq=False)
class PrefixGroups:
    """Rows in prefix order, in runs of one kind: which rows of a run meet in a group is drawn anew each epoch."""

    size: int
    """Rows of a group."""
    rows: LongArray  # [R] row numbers in prefix order
    run: LongArray  # [R] the run of each place in that order, ascending from 0

    def draw(self, random: np.random.PCG64) -> LongArray:
        """All rows, int64 [R], a group after the other; those that make no whole group come last.

        Each run is shuffled and cut to groups. What is left of the runs, still in prefix order, is cut to groups
        too, from a place that is drawn. Then the groups are shuffled.
        """
        shuffled = self.rows[np.lexsort((random.random_raw(len(self.rows)), self.run))]
        sizes = np.bincount(self.run)
        place = np.arange(len(shuffled)) - (np.cumsum(sizes) - sizes)[self.run]
        whole = place < (sizes - sizes % self.size)[self.run]
        left = shuffled[~whole]
        turn = int(random.random_raw()) % max(1, len(left))
        rows = np.concatenate([shuffled[whole], np.roll(left, turn)])
        count = len(rows) // self.size
        order = np.argsort(random.random_raw(count), kind="stable")
        groups = rows[: count * self.size].reshape(count, self.size)
        return np.concatenate([groups[order].reshape(-1), rows[count * self.size :]])


def find_groups(sequences: Sequence[TokenSequence], *, size: int) -> PrefixGroups:
    """Sort the rows by their tokens, and find the runs of neighbours that are of one kind.

    A row's closest company are the ``size - 1`` neighbours that it shares most with: had it only them beside it in
    a group, all would share so many tokens. A run ends where two neighbours share less than three quarters of that.
    So rows of one task, with its long definition, are one run, which may be shuffled; and rows of a hundred tasks
    that have nothing but a short template in common are one run too. All sequences are sorted at once: their
    token ids are in memory meanwhile.
    """
    rows, overlap, _ = order_by_prefix(sequences)
    inner = overlap[1:]
    shared_by_window = sliding_window_view(np.pad(inner, size - 1), size - 1).min(axis=1)
    closest = sliding_window_view(shared_by_window, size).max(axis=1)
    ends = inner < ALIKE * np.maximum(closest[:-1], closest[1:])
    return PrefixGroups(size, rows, np.concatenate(([0], np.cumsum(ends))))
