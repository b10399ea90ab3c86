"""One step of many rows that go on from the paths of a forest, each shared key read once for all of its rows.

The keys of a row lie in three parts: the trunk that it has in common with its neighbours, the rest of its prompt, which
several samples of one prompt have in common, and its own new tokens. Attention over each part is one matrix product for
all rows that share it; the results are joined by their logarithms of sums, as in Hydragen (2402.05099, section 3.1).

Shapes: B rows, G prompts, R rows of the prompt that has most, P keys, H heads of keys, Q queries a head of keys, D
width of a head.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface
from transformers.cache_utils import Cache, DynamicLayer

from precept.decode.paths import Trunk, find_trunks
from precept.types import LongArray

PART_ATTENTION = "forest_parts"
FIRST_ROOM = 32  # new tokens
LOWEST = float(torch.finfo(torch.float32).min)  # not -inf: a part may hold no key for a row

_parts: ContextVar[Parts] = ContextVar("parts")


@contextmanager
def attending(model: Any, parts: Parts) -> Iterator[None]:
    """The model's attention sees the parts beside the keys of its cache; it has its own attention back after."""
    AttentionInterface.register(PART_ATTENTION, attend)
    own = model.config._attn_implementation
    model.set_attn_implementation(PART_ATTENTION)
    token = _parts.set(parts)
    try:
        yield
    finally:
        _parts.reset(token)
        model.set_attn_implementation(own)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Transformers' attention interface for one new token a row: query [B, H x Q, 1, D] to output [B, 1, H x Q, D].

    ``key`` and ``value`` [B, H, n, D] are those of the row's new tokens. Computes in float32.
    """
    assert query.shape[2] == 1, "rows go on by one token at a time"
    with torch.autocast(query.device.type, enabled=False):
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        queries = query[:, :, 0].float().reshape(len(query), key.shape[1], -1, query.shape[-1]) * scale
        own = _attend_to(queries, key.float(), value.float())
        output = _join([*_parts.get().attend(module.layer_idx, queries), own])
    return output.flatten(1, 2)[:, None].to(query.dtype), None


class Parts:
    """The shared keys of all rows, a pair [1, H, T, D] of keys and values a layer being those of the forest's nodes.

    ``paths`` [B, K] are the rows' paths, padded on the right, in depth-first order.
    """

    def __init__(self, layers: Sequence[tuple[Tensor, Tensor]], paths: LongArray) -> None:
        starts = np.flatnonzero(np.concatenate(([True], (paths[1:] != paths[:-1]).any(axis=1))))
        stops = np.append(starts[1:], len(paths))
        prompts = paths[starts]
        self.prompt = np.repeat(np.arange(len(prompts)), stops - starts)  # of each row
        trunks = find_trunks(prompts)
        self.trunks = [Trunk(int(starts[t.start]), int(stops[t.stop - 1]), t.length) for t in trunks]
        self.trunk_states = [
            [[_nodes(states, prompts[trunk.start, : trunk.length]) for states in pair] for pair in layers]
            for trunk in trunks
        ]
        rests = [prompts[row, t.length :] for t in trunks for row in range(t.start, t.stop)]
        lengths = np.array([int((rest >= 0).sum()) for rest in rests])
        present = np.arange(lengths.max()) < lengths[:, None]
        index = np.zeros(present.shape, np.int64)
        index[present] = np.concatenate([rest[rest >= 0] for rest in rests])
        self.rest_states = [[_rest_states(states, index) for states in pair] for pair in layers]
        self.absent = torch.as_tensor(~present, device=layers[0][0].device)[:, None, None]
        self._arrange()

    def attend(self, layer: int, queries: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Outputs [B, H, Q, D] and logarithms of sums [B, H, Q] of trunks and rests."""
        if any(trunk.length for trunk in self.trunks):
            yield self._attend_to_trunks(layer, queries)
        if self.absent.shape[-1]:
            yield self._attend_to_rests(layer, queries)

    def keep(self, rows: Sequence[int]) -> None:
        """Leave only the rows at the given places, which ascend."""
        bounds = np.searchsorted(rows, [0, *(trunk.stop for trunk in self.trunks)]).tolist()
        moved = [
            (Trunk(start, stop, trunk.length), states)
            for trunk, states, start, stop in zip(self.trunks, self.trunk_states, bounds, bounds[1:], strict=False)
            if stop > start
        ]
        self.trunks, self.trunk_states = [trunk for trunk, _ in moved], [states for _, states in moved]
        self.prompt = self.prompt[np.asarray(rows)]
        used = np.unique(self.prompt)
        if len(used) <= len(self.absent) // 2:  # copying the rests costs as much as some steps
            kept = torch.as_tensor(used, device=self.absent.device)
            self.prompt = np.searchsorted(used, self.prompt)
            self.absent = self.absent[kept]
            self.rest_states = [[states[kept] for states in pair] for pair in self.rest_states]
        self._arrange()

    def _arrange(self) -> None:
        """Where the rows of each prompt stand: ``places`` [B] into the grid of G x R, ``rows`` [G x R] out of it."""
        counts = np.bincount(self.prompt, minlength=len(self.absent))
        widest = int(counts.max())
        first = np.cumsum(counts) - counts
        places = self.prompt * widest + np.arange(len(self.prompt)) - first[self.prompt]
        rows = np.zeros(len(counts) * widest, np.int64)
        rows[places] = np.arange(len(places))
        self.is_even = len(rows) == len(places)
        self.places, self.rows = (torch.as_tensor(index, device=self.absent.device) for index in (places, rows))

    def _attend_to_trunks(self, layer: int, queries: Tensor) -> tuple[Tensor, Tensor]:
        if len(self.trunks) == 1:
            return self._attend_to_trunk(0, layer, queries)
        pieces = [self._attend_to_trunk(i, layer, queries[t.start : t.stop]) for i, t in enumerate(self.trunks)]
        return torch.cat([output for output, _ in pieces]), torch.cat([logsum for _, logsum in pieces])

    def _attend_to_trunk(self, index: int, layer: int, queries: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.trunk_states[index][layer]
        if not self.trunks[index].length:
            nothing = queries.new_zeros((*queries.shape[:-1], values.shape[-1]))
            return nothing, queries.new_full(queries.shape[:-1], LOWEST)
        output, logsum = _attend_to(queries.transpose(0, 1).flatten(1, 2), keys, values)
        return _apart(output, 1, queries.shape[2]).transpose(0, 1), _apart(logsum, 1, queries.shape[2]).transpose(0, 1)

    def _attend_to_rests(self, layer: int, queries: Tensor) -> tuple[Tensor, Tensor]:
        keys, values = self.rest_states[layer]
        rows = queries if self.is_even else queries[self.rows]  # [G x R, H, Q, D]
        grid = rows.reshape(len(keys), -1, *rows.shape[1:]).transpose(1, 2)
        output, logsum = _attend_to(grid.flatten(2, 3), keys, values, absent=self.absent)
        output, logsum = (_apart(found, 2, rows.shape[2]).transpose(1, 2).flatten(0, 1) for found in (output, logsum))
        return (output, logsum) if self.is_even else (output[self.places], logsum[self.places])


class NewTokens(Cache):  # type: ignore[misc]
    """The keys and values of each row's new tokens, in float32."""

    def __init__(self, layers: int) -> None:
        super().__init__(layers=[_NewTokensLayer() for _ in range(layers)])


class _NewTokensLayer(DynamicLayer):  # type: ignore[misc]
    """``keys`` and ``values`` are views of memory that doubles when it is full."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[Tensor] = []
        self.held = 0

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        if not self.memory:
            rooms = [(*states.shape[:2], FIRST_ROOM, states.shape[3]) for states in (key_states, value_states)]
            self.memory = [torch.empty(room, device=key_states.device) for room in rooms]
        elif self.held == self.memory[0].shape[2]:
            self.memory = [torch.cat([memory, torch.empty_like(memory)], dim=2) for memory in self.memory]
        for memory, states in zip(self.memory, (key_states, value_states), strict=True):
            memory[:, :, self.held] = states[:, :, 0]
        self.held += 1
        self.keys, self.values = (memory[:, :, : self.held] for memory in self.memory)
        self.is_initialized = True
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        self.memory = [memory[indices] for memory in self.memory]


def _attend_to(queries: Tensor, keys: Tensor, values: Tensor, *, absent: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Outputs [..., n, D] and logarithms of sums [..., n] of queries [..., n, D] over keys [..., P, D]."""
    scores = queries @ keys.transpose(-1, -2)
    if absent is not None:
        scores.masked_fill_(absent, LOWEST)
    highest = scores.amax(-1, keepdim=True)
    weights = scores.sub_(highest).exp_()
    total = weights.sum(-1, keepdim=True)
    return (weights @ values).div_(total), (highest + total.log())[..., 0]


def _join(parts: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """Attention over all keys from attention over each part of them."""
    shares = torch.stack([logsum for _, logsum in parts]).softmax(0)[..., None]
    joined = parts[0][0] * shares[0]
    for (output, _), share in zip(parts[1:], shares[1:], strict=True):
        joined = joined.addcmul_(output, share)
    return joined


def _apart(states: Tensor, dim: int, size: int) -> Tensor:
    """Rows and queries that were counted as one dimension, as two, the second of the given size."""
    return states.reshape(*states.shape[:dim], -1, size, *states.shape[dim + 1 :])


def _nodes(states: Tensor, nodes: LongArray) -> Tensor:
    """Keys or values [1, H, T, D] at nodes, float32 [H, n, D]."""
    return states[0].index_select(1, torch.as_tensor(nodes, device=states.device)).float()


def _rest_states(states: Tensor, index: LongArray) -> Tensor:
    """Keys or values [1, H, T, D] at the nodes of each prompt [G, P], float32 [G, H, P, D]."""
    heads, width = states.shape[1], states.shape[3]
    return _nodes(states, index.ravel()).view(heads, *index.shape, width).transpose(0, 1).contiguous()
