"""Attention over a forest on a GPU: torch's flex attention with a block mask made from ``end`` and ``depth``.

A query q sees the key k exactly when ``k <= q < end[k]`` and ``depth[k] >= lowest[q]``, where ``lowest`` is what a
window or a chunk leaves and 0 without them. So a block of keys before a block of queries is skipped when none of its
trees reaches them, and is taken without a mask when all of its keys are ancestors of all of the queries. No mask of
T x T is made. The kernels are made for sizes that are known: see ``padded_size``.

Shapes: T nodes, a multiple of BLOCK; K blocks; G heads of keys and values, R query heads a head of keys, D width of
a head.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from precept.models.transfer import to_device
from precept.types import Forest

DEVICES = ("cuda",)
BACKEND: str | Callable[..., Any] = "inductor"  # of torch.compile
BLOCK = 128  # of queries and of keys: what flex attention's kernels are tuned for
SMALLEST_HEAD = 16  # narrower ones do not fill a tensor core's tile, and flex attention refuses them
KERNELS = 256  # sizes up to 65,536 x full and limited layers x training and scoring are 224; torch's own limit is 8

BoolMatrix: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]


def padded_size(size: int) -> int:
    """The next size that a forest is filled up to: multiples of BLOCK, from 2,048 on 8 between two powers of two."""
    step = max(BLOCK, 1 << (size.bit_length() - 1) >> 3)
    return -(-size // step) * step


def block_structure(forest: Forest, *, window: int | None, chunk: int | None) -> tuple[BoolMatrix, BoolMatrix]:
    """Which blocks of keys the queries of a block see in part, and which they see whole, boolean [K, K] each.

    With a window or chunks a block that is called seen in part may turn out to be hidden; nothing else is inexact.
    """
    blocks = forest.distinct_tokens // BLOCK
    end = forest.end.reshape(blocks, BLOCK)
    first = np.arange(0, blocks * BLOCK, BLOCK)[:, None]
    earlier = np.tri(blocks, k=-1, dtype=np.bool_)
    # a key before the block is an ancestor of one of its nodes only if it is one of its first node
    seen = earlier & (end.max(axis=1) > first)
    whole = earlier & (end.min(axis=1) >= first + BLOCK)
    limit = lowest_depth(forest, window=window, chunk=chunk)
    if limit is not None:
        depth, limit = forest.depth.reshape(blocks, BLOCK), limit.reshape(blocks, BLOCK)
        seen &= depth.max(axis=1) >= limit.min(axis=1)[:, None]
        whole &= depth.min(axis=1) >= limit.max(axis=1)[:, None]
    return (seen & ~whole) | np.eye(blocks, dtype=np.bool_), whole


def lowest_depth(
    forest: Forest, *, window: int | None, chunk: int | None
) -> np.ndarray[Any, np.dtype[np.int32]] | None:
    """The depth that an ancestor must at least have to be seen by each node [T]; None where all are seen."""
    limits = []
    if window is not None:
        limits.append(forest.depth - np.int32(window - 1))
    if chunk is not None:
        limits.append(forest.depth - forest.depth % np.int32(chunk))
    return np.maximum.reduce(limits) if limits else None


def make_block_mask(forest: Forest, *, window: int | None, chunk: int | None, device: torch.device) -> BlockMask:
    """What flex attention skips, masks and takes whole, for one kind of layer. The forest has a ``padded_size``."""
    limit = lowest_depth(forest, window=window, chunk=chunk)
    rule = (
        _sees_ancestors(to_device(forest.end, device))
        if limit is None
        else _sees_near_ancestors(*(to_device(array, device) for array in (forest.end, forest.depth, limit)))
    )
    part, whole = block_structure(forest, window=window, chunk=chunk)
    count, place, whole_count, whole_place = (
        to_device(array, device) for matrix in (part, whole) for array in _count_and_place(matrix)
    )
    return BlockMask.from_kv_blocks(count, place, whole_count, whole_place, BLOCK_SIZE=BLOCK, mask_mod=rule)


def _sees_ancestors(end: Tensor) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < end[key])

    return sees


def _sees_near_ancestors(
    end: Tensor, depth: Tensor, lowest: Tensor
) -> Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]:
    def sees(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        return (key <= query) & (query < end[key]) & (depth[key] >= lowest[query])

    return sees


def _count_and_place(seen: BoolMatrix) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Of each row [1, 1, K] how many are True, and [1, 1, K, K] where, those first."""
    count = seen.sum(axis=1, dtype=np.int32)
    place = np.argsort(~seen, axis=1, kind="stable").astype(np.int32)
    return count[None, None], place[None, None]


def attend(query: Tensor, key: Tensor, value: Tensor, *, scale: float, mask: BlockMask) -> Tensor:
    """Query [1, G * R, T, D], key [1, G, T, D] and value [1, G, T, E] of one precision to output [1, G * R, T, E]."""
    shared = query.shape[1] != key.shape[1]
    output: Tensor = _kernel(BACKEND)(query, key, value, block_mask=mask, scale=scale, enable_gqa=shared)
    return output


@cache
def _kernel(backend: str | Callable[..., Any]) -> Callable[..., Tensor]:
    """Compiled once a size and kind; another forest of a size takes the same kernel."""
    import torch._dynamo

    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, KERNELS)
    compiled: Callable[..., Tensor] = torch.compile(flex_attention, dynamic=False, fullgraph=True, backend=backend)
    return compiled
