"""Cuts the sequences of one optimizer step into forests that fit the machine.

A cut between two neighbours of the prefix order costs the tokens they share, since both forests then hold
them; a cut between two trees costs nothing. So each tree that is too large is cut where the least is
repeated, by dynamic programming over its neighbours, and the pieces are packed first fit, largest first.
"""

from __future__ import annotations

from bisect import bisect, insort
from collections import deque
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from precept.forest.tree import order_by_prefix
from precept.types import LongArray, TokenSequence


def cut(
    sequences: Sequence[TokenSequence], *, max_tokens: int, share: bool = True, switches: Sequence[int] = ()
) -> list[list[int]]:
    """Indices of the sequences of each forest; every index appears once.

    A forest has at most ``max_tokens`` distinct tokens, except that a longer sequence is a forest of its own.
    Few tokens are repeated first, few forests are made second. ``switches`` are lengths at which a model
    changes behaviour for the whole input (a RoPE that depends on length): one forest holds only sequences
    that are longer than the same switches.
    """
    sides = np.searchsorted(np.sort(np.asarray(switches, np.int64)), [len(sequence.ids) for sequence in sequences])
    forests: list[list[int]] = []
    for side in np.unique(sides):
        members = np.flatnonzero(sides == side)
        alike = [sequences[i] for i in members.tolist()]
        order, overlap, lengths = order_by_prefix(alike, share=share)
        line = _Line(lengths, overlap)
        pieces = [piece for tree in line.trees() for piece in _cut_tree(line, tree, max_tokens)]
        forests += [sorted(members[order[forest]].tolist()) for forest in _pack(line, pieces, max_tokens)]
    return sorted(forests)


class _Line:
    """Sequences in prefix order: their lengths and each one's overlap with the one before it."""

    def __init__(self, lengths: LongArray, overlap: LongArray) -> None:
        self.lengths = lengths
        self.overlap = overlap
        self.total = np.concatenate(([0], np.cumsum(lengths - overlap)))  # new tokens before each sequence

    def trees(self) -> list[range]:
        """Runs of neighbours that share at least their first token."""
        starts = [*np.flatnonzero(self.overlap == 0).tolist(), len(self.lengths)]
        return [range(a, b) for a, b in pairwise(starts)]

    def size(self, piece: range) -> int:
        """Distinct tokens of a run of neighbours."""
        return int(self.total[piece.stop] - self.total[piece.start] + self.overlap[piece.start])

    def most_shared(self, piece: range) -> int:
        """No forest shares more tokens with the piece: what it shares with its neighbours in the line."""
        after = int(self.overlap[piece.stop]) if piece.stop < len(self.lengths) else 0
        return int(self.overlap[piece.start]) + after

    def shared(self, left: range, right: range) -> int:
        """Tokens that the last sequence of ``left`` shares with the first of ``right``, which comes later."""
        return int(self.overlap[left.stop : right.start + 1].min())


def _cut_tree(line: _Line, tree: range, max_tokens: int) -> list[range]:
    """Runs of neighbours that fit, with the fewest repeated tokens and then the fewest runs.

    A run that begins later is smaller, so those that fit and end at one place begin in a window, which only
    moves on. ``window`` holds the beginnings that may still be the cheapest, cheapest first.
    """
    if line.size(tree) <= max_tokens:
        return [tree]
    overlap = line.overlap[tree.start : tree.stop].tolist()
    total = line.total[tree.start : tree.stop + 1].tolist()
    per_token = len(tree) + 1
    cost = [0]  # repeated tokens and, in the low bits, runs, of the best cut of tree[:i]
    came_from = [0]
    window: deque[tuple[int, int]] = deque()  # cost of the runs before and of this one, where it begins
    for stop in range(1, len(tree) + 1):
        through = cost[-1] + overlap[stop - 1] * per_token + 1
        while window and window[-1][0] > through:
            window.pop()
        window.append((through, stop - 1))
        while window[0][1] < stop - 1 and total[stop] - total[window[0][1]] + overlap[window[0][1]] > max_tokens:
            window.popleft()
        cost.append(window[0][0])
        came_from.append(window[0][1])
    pieces, stop = [], len(tree)
    while stop:
        start = came_from[stop]
        pieces.append(range(tree.start + start, tree.start + stop))
        stop = start
    return pieces[::-1]


def _pack(line: _Line, pieces: list[range], max_tokens: int) -> list[list[int]]:
    """Positions in the line of each forest: largest piece first, each into the first forest that has room."""
    forests: list[list[range]] = []
    sizes: list[int] = []
    for size, piece in sorted(((line.size(piece), piece) for piece in pieces), key=lambda p: (-p[0], p[1].start)):
        most_shared = line.most_shared(piece)
        for i, forest in enumerate(forests):
            if sizes[i] + size - most_shared > max_tokens:
                continue
            together = sizes[i] + _added(line, forest, piece) if most_shared else sizes[i] + size
            if together <= max_tokens:
                insort(forest, piece, key=lambda p: p.start)
                sizes[i] = together
                break
        else:
            forests.append([piece])
            sizes.append(size)
    return [[i for piece in forest for i in piece] for forest in forests]


def _added(line: _Line, forest: list[range], piece: range) -> int:
    """Distinct tokens that a piece adds to a forest of pieces in order; it shares with its neighbours there."""
    place = bisect(forest, piece.start, key=lambda p: p.start)
    before, after = forest[place - 1 : place], forest[place : place + 1]
    added = line.size(piece)
    if before:
        added -= line.shared(before[0], piece)
    if after:
        added -= line.shared(piece, after[0])
    if before and after:
        added += line.shared(before[0], after[0])  # the part of both overlaps that was subtracted twice
    return added
