"""Merges token sequences by common prefix.

Sorted by their tokens, sequences that share a prefix are neighbours, and a sequence that is a prefix of
another stands right before it. Walking down that order is a depth-first walk of the prefix tree: each
sequence keeps the nodes of the prefix it shares with the one before (its *overlap*) and adds one run of new
nodes for the rest::

    sorted      overlap   new nodes          tree
    1 2 3          0      0:1 1:2 2:3        1 - 2 - 3
    1 2 4 5        2      3:4 4:5                 \\- 4 - 5
    7              0      5:7                7

Everything else follows from the runs: a node's parent is the node before it, except at the start of a run,
where it is the last node of the overlap; a node closes where a later sequence overlaps less than the node's
depth.
"""

from __future__ import annotations

from collections.abc import Sequence

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
    order, overlap = order_by_prefix(sequences, share=share)
    lengths = sequence_lengths(sequences)[order]
    start = np.concatenate(([0], np.cumsum(lengths - overlap)))  # first new node of each sequence, then T
    n_nodes = int(start[-1])
    longest = int(lengths.max(initial=0))
    ids = np.empty(n_nodes, np.int32)
    depth = np.empty(n_nodes, np.int32)
    parent = np.arange(-1, n_nodes - 1, dtype=np.int32)
    path = np.empty(longest, np.int64)  # nodes of the sequence at hand, by position
    nodes: list[LongArray] = [np.empty(0, np.int64)] * len(order)
    weights: list[FloatArray] = [np.empty(0, np.float32)] * len(order)
    last = np.empty(len(order), np.int64)
    for i, index in enumerate(order):
        sequence, shared, run = sequences[index], overlap[i], slice(start[i], start[i + 1])
        path[shared : lengths[i]] = np.arange(run.start, run.stop)
        ids[run] = sequence.ids[shared:]
        depth[run] = np.arange(shared, lengths[i])
        if run.start < run.stop:
            parent[run.start] = path[shared - 1] if shared else -1
        trained = np.flatnonzero(sequence.weights[1:]) + 1
        nodes[index], weights[index] = path[trained], sequence.weights[trained]
        last[index] = path[lengths[i] - 1]
    edges, weight, answers = _collect_edges(nodes, weights, last)
    encoder_ids = tuple(s.encoder_ids for s in sequences if s.encoder_ids is not None)
    return Forest(
        ids=ids,
        depth=depth,
        parent=parent,
        end=_subtree_ends(start, overlap, lengths),
        edges=edges,
        weight=weight,
        answers=answers,
        encoder_ids=encoder_ids or None,
    )


def distinct_tokens(sequences: Sequence[TokenSequence]) -> int:
    """Number of nodes the forest of these sequences has, without building it."""
    _, overlap = order_by_prefix(sequences)
    return int(sequence_lengths(sequences).sum() - overlap.sum())


def sequence_lengths(sequences: Sequence[TokenSequence]) -> LongArray:
    """Tokens of each sequence, int64 [S]."""
    return np.array([len(s.ids) for s in sequences], np.int64)


def order_by_prefix(sequences: Sequence[TokenSequence], *, share: bool = True) -> tuple[LongArray, LongArray]:
    """The sequences' indices in token order, and how many leading tokens each shares with the one before it.

    Both int64 [S]. Where nothing is shared the order is the one given.
    """
    for index, sequence in enumerate(sequences):
        if len(sequence.ids) == 0:
            raise InputError(
                "a token sequence has no tokens",
                code="empty-sequence",
                where=f"{sequence.source.file}, row {sequence.source.row}",
                found=f"sequence {index} of {len(sequences)} with 0 ids",
                do="drop the row",
            )
    overlap = np.zeros(len(sequences), np.int64)
    if not share or any(s.encoder_ids is not None for s in sequences):
        return np.arange(len(sequences)), overlap
    # Token ids are not negative, so their big-endian bytes sort as the ids do, and a prefix sorts first.
    keys = [s.ids.astype(">i4").tobytes() for s in sequences]
    order = sorted(range(len(keys)), key=keys.__getitem__)
    for i in range(1, len(order)):
        overlap[i] = _common_prefix(sequences[order[i - 1]].ids, sequences[order[i]].ids)
    return np.array(order, np.int64), overlap


def _common_prefix(left: IntArray, right: IntArray) -> int:
    """Number of leading tokens that agree."""
    n = min(len(left), len(right))
    differs = left[:n] != right[:n]
    first = int(differs.argmax()) if n else 0
    return first if n and differs[first] else n


def _subtree_ends(start: LongArray, overlap: LongArray, lengths: LongArray) -> IntArray:
    """One past the last descendant of each node, int32 [T].

    Going backwards, ``close[d]`` is the first later node that is not below an open node of depth d.
    """
    end = np.empty(start[-1], np.int32)
    close = np.full(int(lengths.max(initial=0)), start[-1], np.int32)
    for i in range(len(overlap) - 1, -1, -1):
        end[start[i] : start[i + 1]] = close[overlap[i] : lengths[i]]
        close[overlap[i] :] = start[i]
    return end


def _collect_edges(
    nodes: Sequence[LongArray], weights: Sequence[FloatArray], last: LongArray
) -> tuple[IntArray, FloatArray, Answers]:
    """Edges in node order, their weights summed over sequences, and each sequence's own entries."""
    start = np.zeros(len(nodes) + 1, np.int64)
    np.cumsum([len(n) for n in nodes], out=start[1:])
    entry_nodes = np.concatenate([np.empty(0, np.int64), *nodes])
    entry_weights = np.concatenate([np.empty(0, np.float32), *weights]).astype(np.float32, copy=False)
    edges, edge = np.unique(entry_nodes, return_inverse=True)
    weight = np.bincount(edge, weights=entry_weights, minlength=len(edges)).astype(np.float32)
    return edges.astype(np.int32), weight, Answers(start, edge.astype(np.int64), entry_weights, last)
