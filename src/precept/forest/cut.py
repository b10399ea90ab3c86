"""Cuts the sequences of one optimizer step into forests that fit the machine.

A cut between two neighbours of the prefix order costs the tokens they share, since both forests then hold
them; a cut between two trees costs nothing. So each tree that is too large is cut where the least is
repeated, by dynamic programming over its neighbours, and the pieces are packed first fit, largest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from precept.forest.tree import order_by_prefix, sequence_lengths
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
    sides = np.searchsorted(np.sort(np.asarray(switches, np.int64)), sequence_lengths(sequences))
    forests: list[list[int]] = []
    for side in np.unique(sides):
        members = np.flatnonzero(sides == side)
        alike = [sequences[i] for i in members.tolist()]
        order, overlap = order_by_prefix(alike, share=share)
        line = _Line(sequence_lengths(alike)[order], overlap)
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

    def shared(self, left: range, right: range) -> int:
        """Tokens that the last sequence of ``left`` shares with the first of ``right``, which comes later."""
        return int(self.overlap[left.stop : right.start + 1].min())


def _cut_tree(line: _Line, tree: range, max_tokens: int) -> list[range]:
    """Runs of neighbours that fit, with the fewest repeated tokens and then the fewest runs."""
    if line.size(tree) <= max_tokens:
        return [tree]
    n = len(tree)
    overlap = line.overlap[tree.start : tree.stop]
    total = line.total[tree.start : tree.stop + 1]
    cost = np.zeros(n + 1, np.int64)  # repeated tokens and, in the low bits, runs, of the best cut of tree[:i]
    came_from = np.zeros(n + 1, np.int64)
    per_token = n + 1
    for stop in range(1, n + 1):
        size = total[stop] - total[:stop] + overlap[:stop]
        fits = size <= max_tokens
        fits[stop - 1] = True
        through = np.where(fits, cost[:stop] + overlap[:stop] * per_token + 1, np.iinfo(np.int64).max)
        came_from[stop] = through.argmin()
        cost[stop] = through[came_from[stop]]
    pieces, stop = [], n
    while stop:
        start = int(came_from[stop])
        pieces.append(range(tree.start + start, tree.start + stop))
        stop = start
    return pieces[::-1]


def _pack(line: _Line, pieces: list[range], max_tokens: int) -> list[list[int]]:
    """Positions in the line of each forest: largest piece first, each into the first forest that has room."""
    forests: list[list[range]] = []
    sizes: list[int] = []
    for piece in sorted(pieces, key=lambda p: (-line.size(p), p.start)):
        for i, forest in enumerate(forests):
            size = sizes[i] + _added(line, forest, piece)
            if size <= max_tokens:
                forest.append(piece)
                forest.sort(key=lambda p: p.start)
                sizes[i] = size
                break
        else:
            forests.append([piece])
            sizes.append(line.size(piece))
    return [[i for piece in forest for i in piece] for forest in forests]


def _added(line: _Line, forest: list[range], piece: range) -> int:
    """Distinct tokens that a piece adds to a forest of pieces; it shares with its neighbours in the line."""
    before = max((p for p in forest if p.start < piece.start), key=lambda p: p.start, default=None)
    after = min((p for p in forest if p.start > piece.start), key=lambda p: p.start, default=None)
    added = line.size(piece)
    if before:
        added -= line.shared(before, piece)
    if after:
        added -= line.shared(piece, after)
    if before and after:
        added += line.shared(before, after)  # the part of both overlaps that was subtracted twice
    return added
