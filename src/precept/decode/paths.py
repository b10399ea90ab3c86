"""The nodes that rows go on from: each row's path through a forest, and the trunks that neighbouring rows share.

Shapes: B rows, K nodes of the longest path.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from precept.types import Forest, LongArray


class Trunk(NamedTuple):
    """The first ``length`` nodes of the paths of rows ``start`` to ``stop``."""

    start: int
    stop: int
    length: int


def paths_to(forest: Forest, nodes: LongArray) -> LongArray:
    """The nodes from the root to each of the nodes [B], root first and padded with -1 on the right, [B, K]."""
    depth = forest.depth[nodes]
    paths = np.full((len(nodes), int(depth.max(initial=-1)) + 1), -1, np.int64)
    for column in reversed(range(paths.shape[1])):
        below = depth >= column
        paths[below, column] = nodes[below]
        nodes = np.where(below, forest.parent[nodes], nodes)
    return paths


def find_trunks(paths: LongArray) -> list[Trunk]:
    """Runs of neighbouring rows and the nodes that each run has in common, such that the fewest keys are left over.

    A run of n rows with a trunk of t nodes saves n - 1 times t keys. Rows are [B, K] in depth-first order.
    """
    count = len(paths)
    alike = (paths[1:] == paths[:-1]) & (paths[1:] >= 0)
    overlap = np.logical_and.accumulate(alike, axis=1).sum(axis=1)
    common = np.zeros(count, np.int64)  # nodes that the rows from each start to the row at hand share
    best = np.zeros(count + 1, np.int64)  # keys saved over the first rows
    came_from = np.zeros(count + 1, np.int64)
    shared = np.zeros(count + 1, np.int64)
    for stop in range(1, count + 1):
        if stop > 1:
            common[: stop - 1] = np.minimum(common[: stop - 1], overlap[stop - 2])
        common[stop - 1] = int((paths[stop - 1] >= 0).sum())
        saved = best[:stop] + (stop - 1 - np.arange(stop)) * common[:stop]
        start = int(saved.argmax())
        came_from[stop], best[stop], shared[stop] = start, saved[start], common[start] if stop - start > 1 else 0
    trunks, stop = [], count
    while stop:
        trunks.append(Trunk(int(came_from[stop]), stop, int(shared[stop])))
        stop = int(came_from[stop])
    return trunks[::-1]
