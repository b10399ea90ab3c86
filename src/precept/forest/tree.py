"""Merges token sequences by common prefix.

Sorted by their tokens, sequences that share a prefix are neighbours, and a sequence that is a prefix of
another stands right before it. Walking down that order is a depth-first walk of the prefix tree: each
sequence keeps the nodes of the prefix it shares with the one before (its *overlap*) and adds one run of new
nodes for the rest::

    sorted      overlap   new nodes          tree
    1 2 3          0      0:1 1:2 2:3        1 - 2 - 3
    1 2 4 5        2      3:4 4:5                 \\- 4 - 5
    7              0      5:7                7

Everything else follows from the runs, a few steps a sequence: a node's parent is the node before it, except
at the start of a run, where it is the last node of the overlap; a node closes where a later sequence overlaps
less than the node's depth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from precept.errors import InputError
from precept.types import Answers, FloatArray, Forest, IntArray, LongArray, TokenSequence


def build_forest(sequences: Sequence[TokenSequence], *, share: bool = True) -> Forest:
    """The forest of the sequences, with one entry of ``answers`` a sequence in the order given.

    Sequences that are equal share all nodes. ``share=False`` gives every sequence a tree of its own: packing
    with isolation. Sequences for encoder-decoder models are never merged, since their tokens also depend on
    what the encoder reads. The weight of a first token is dropped: nothing predicts a root. Raises InputError
    for a sequence without tokens.
    """
    order, overlap, lengths = order_by_prefix(sequences, share=share)
    runs = _find_runs(overlap, lengths)
    parent = np.arange(-1, runs.n_nodes - 1, dtype=np.int32)
    parent[runs.start[:-1][overlap == 0]] = -1
    joined = np.flatnonzero((overlap > 0) & (overlap < lengths))
    parent[runs.start[joined]] = runs.nodes(joined, overlap[joined] - 1)
    new_ids = [sequences[s].ids[shared:] for s, shared in zip(order.tolist(), overlap.tolist(), strict=True)]
    edges, weight, answers = _collect_edges(sequences, order, runs)
    encoder_ids = tuple(s.encoder_ids for s in sequences if s.encoder_ids is not None)
    return Forest(
        ids=np.concatenate([np.empty(0, np.int32), *new_ids], dtype=np.int32),
        depth=(np.arange(runs.n_nodes) - np.repeat(runs.shift, np.diff(runs.start))).astype(np.int32),
        parent=parent,
        end=runs.end,
        edges=edges,
        weight=weight,
        answers=answers,
        encoder_ids=encoder_ids or None,
    )


def distinct_tokens(sequences: Sequence[TokenSequence]) -> int:
    """Number of nodes the forest of these sequences has, without building it."""
    _, overlap, lengths = order_by_prefix(sequences)
    return int(lengths.sum() - overlap.sum())


class PrefixOrder(NamedTuple):
    """Sequences sorted by their tokens. All int64 [S], in that order."""

    rows: LongArray  # their indices as given
    overlap: LongArray  # how many leading tokens each shares with the one before it
    lengths: LongArray  # tokens of each


def order_by_prefix(sequences: Sequence[TokenSequence], *, share: bool = True) -> PrefixOrder:
    """Sort sequences so that those with a common prefix are neighbours; where nothing is shared, as they are given.

    Reads each sequence once. Raises InputError for one without tokens.
    """
    ids: list[IntArray] = []
    for sequence in sequences:
        if len(sequence.ids) == 0:
            raise InputError(
                "a token sequence has no tokens",
                code="empty-sequence",
                where=f"{sequence.source.file}, row {sequence.source.row}",
                found=f"sequence {len(ids)} of {len(sequences)} with 0 ids",
                do="drop the row",
            )
        ids.append(sequence.ids)
        share = share and sequence.encoder_ids is None
    lengths = np.array([len(own) for own in ids], np.int64)
    overlap = np.zeros(len(ids), np.int64)
    if not share:
        return PrefixOrder(np.arange(len(ids)), overlap, lengths)
    # Token ids are not negative, so their big-endian bytes sort as the ids do, and a prefix sorts first.
    keys = [own.astype(">i4").tobytes() for own in ids]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for place, (before, row) in enumerate(pairwise(order), start=1):
        overlap[place] = _common_prefix(ids[before], ids[row])
    rows = np.array(order, np.int64)
    return PrefixOrder(rows, overlap, lengths[rows])


def _common_prefix(left: IntArray, right: IntArray) -> int:
    """Number of leading tokens that agree."""
    n = min(len(left), len(right))
    differs = left[:n] != right[:n]
    first = int(differs.argmax()) if n else 0
    return first if n and differs[first] else n


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs of new nodes of S sequences in prefix order, and the T nodes that they make."""

    overlap: LongArray  # [S]
    start: LongArray  # [S+1] first node of each run, then T
    shift: LongArray  # [S] what a depth inside the run and its node differ by
    above: LongArray  # [S] the run that holds the last node of the overlap, -1 where there is none
    end: IntArray  # [T] one past the last descendant of each node

    @property
    def n_nodes(self) -> int:
        return int(self.start[-1])

    def nodes(self, sequences: LongArray, depths: LongArray) -> LongArray:
        """The node at a depth of a sequence's path, for each pair: in its own run or in one above."""
        run = sequences.copy()
        higher = np.flatnonzero(depths < self.overlap[run])
        while len(higher):
            run[higher] = self.above[run[higher]]
            higher = higher[depths[higher] < self.overlap[run[higher]]]
        return depths + self.shift[run]


def _find_runs(overlap: LongArray, lengths: LongArray) -> _Runs:
    """Walk the sequences in prefix order with the runs that the last path is made of, root first.

    A sequence that shares ``k`` tokens closes the nodes of depth k and more of that path, run by run: their
    subtrees end where its own nodes begin.
    """
    start = np.concatenate(([0], np.cumsum(lengths - overlap)))
    path: list[tuple[int, int, int]] = []  # run, depth of its first node, depth of its first closed node
    above: list[int] = []
    first_closed: list[int] = []
    closed_at: list[int] = []
    shift = start[:-1] - overlap
    shifts = shift.tolist()
    steps = zip([*overlap.tolist(), 0], [*lengths.tolist(), 0], start.tolist(), strict=True)
    for run, (shared, length, node) in enumerate(steps):  # the step after the last sequence closes all
        while path and path[-1][2] > shared:
            holder, top, _ = path.pop()
            first_closed.append(max(top, shared) + shifts[holder])
            closed_at.append(node)
            if top < shared:
                path.append((holder, top, shared))
        above.append(path[-1][0] if path else -1)
        if shared < length:
            path.append((run, shared, length))
    in_order = np.argsort(first_closed)
    pieces = np.diff(np.array(first_closed, np.int64)[in_order], append=start[-1])
    end = np.repeat(np.array(closed_at, np.int32)[in_order], pieces)
    return _Runs(overlap, start, shift, np.array(above[:-1], np.int64), end)


def _collect_edges(
    sequences: Sequence[TokenSequence], order: LongArray, runs: _Runs
) -> tuple[IntArray, FloatArray, Answers]:
    """Edges in node order, their weights summed over sequences, and each sequence's own entries."""
    lengths = np.array([len(sequence.ids) for sequence in sequences], np.int64)
    first = np.concatenate(([0], np.cumsum(lengths)))
    weights = np.concatenate([np.empty(0, np.float32), *(sequence.weights for sequence in sequences)])
    weights[first[:-1]] = 0
    entries = np.flatnonzero(weights)
    start = np.searchsorted(entries, first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    owner = np.repeat(np.arange(len(order)), np.diff(start))
    nodes = runs.nodes(rank[owner], entries - first[owner])
    is_edge = np.zeros(runs.n_nodes, np.bool_)
    is_edge[nodes] = True
    edges = np.flatnonzero(is_edge)
    edge = (np.cumsum(is_edge) - 1)[nodes]
    own_weights = weights[entries].astype(np.float32, copy=False)
    weight = np.bincount(edge, weights=own_weights, minlength=len(edges)).astype(np.float32)
    return edges.astype(np.int32), weight, Answers(start, edge, own_weights, runs.nodes(rank, lengths - 1))
