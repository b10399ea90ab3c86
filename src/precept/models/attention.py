"""Attention over a forest without its empty corners: in blocks on a processor, by ``precept.models.flex`` on a GPU.

Nodes lie in depth-first order, so a block of neighbouring queries sees nothing but the block itself and the
ancestors of its first node, which are a few runs of neighbours. Each block multiplies with those keys alone: for T
nodes of depth up to d the cost is T x (d + BLOCK) instead of T x T, and no mask of T x T is made.

Shapes: T nodes, M queries of a block, N keys that they see, G heads of keys and values, R query heads a head of keys,
D width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.utils.weak import WeakTensorKeyDictionary

from precept.models import flex
from precept.models.transfer import to_device
from precept.types import Forest

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask

BLOCK_ATTENTION = "forest_blocks"
BLOCK = 128


@dataclass(frozen=True)
class Block:
    """Queries ``start`` to ``stop`` and the ``runs`` (first node, one past the last) of keys that any of them sees.

    ``hidden`` [M, N - seen] is True where a query may not see a key; the first ``seen`` keys are seen by all.
    """

    start: int
    stop: int
    runs: tuple[tuple[int, int], ...]
    seen: int
    hidden: Tensor


@dataclass(frozen=True, eq=False)
class Layout:
    """Which keys a query sees in one kind of layer of a model on ``device``, in the form that is asked for."""

    forest: Forest
    window: int | None
    chunk: int | None
    device: torch.device

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """For a processor."""
        return _make_blocks(self.forest, window=self.window, chunk=self.chunk)

    @cached_property
    def block_mask(self) -> BlockMask:
        """For flex attention."""
        return flex.make_block_mask(self.forest, window=self.window, chunk=self.chunk, device=self.device)

    @cached_property
    def mask(self) -> Tensor:
        """Boolean [1, 1, T, T], for what neither can do."""
        return dense_mask(self.forest, window=self.window, chunk=self.chunk, device=self.device)


_layouts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""The layout that each token of a mask stands for: all layers, and the backward pass, meet the same one."""


def use_block_attention(model: Any) -> None:
    """Let a model with sdpa attention attend in blocks where it meets a forest's mask; else it works as before."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(BLOCK_ATTENTION, block_attention)
    AttentionMaskInterface.register(BLOCK_ATTENTION, sdpa_mask)
    model.set_attn_implementation(BLOCK_ATTENTION)


def visible(
    forest: Forest, queries: np.ndarray[Any, Any], keys: np.ndarray[Any, Any], *, window: int | None, chunk: int | None
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Whether each query may attend to each key, boolean [queries, keys].

    A key must be the query or an ancestor. Windows and chunks are counted in ``depth``, which is the position id.
    """
    query, key = queries[:, None], keys[None, :]
    seen: np.ndarray[Any, np.dtype[np.bool_]] = (key <= query) & (query < forest.end[keys][None, :])
    depth, deep = forest.depth[queries][:, None], forest.depth[keys][None, :]
    if window is not None:
        seen &= depth - deep < window
    if chunk is not None:
        seen &= depth // chunk == deep // chunk
    return seen


def dense_mask(forest: Forest, *, window: int | None, chunk: int | None, device: torch.device) -> Tensor:
    """The same for all queries and keys, made on the device: boolean [1, 1, T, T]."""
    node = torch.arange(forest.distinct_tokens, device=device)
    end, depth = to_device(forest.end, device), to_device(forest.depth, device)
    query, key = node[:, None], node[None, :]
    mask = (key <= query) & (query < end[None, :])
    if window is not None:
        mask &= depth[:, None] - depth[None, :] < window
    if chunk is not None:
        mask &= depth[:, None] // chunk == depth[None, :] // chunk
    return mask[None, None]


def stand_in(forest: Forest, *, window: int | None, chunk: int | None, device: torch.device) -> Tensor:
    """What is given to a model in place of a mask [1, 1, T, T]: one byte that stands for the forest's layout."""
    token = torch.zeros(1, dtype=torch.bool, device=device)
    length = forest.distinct_tokens
    _layouts[token] = Layout(forest, window, chunk, device)
    return token.expand(1, 1, length, length)


def _make_blocks(forest: Forest, *, window: int | None, chunk: int | None) -> tuple[Block, ...]:
    length = forest.distinct_tokens
    blocks = []
    for start in range(0, length, BLOCK):
        stop = min(start + BLOCK, length)
        # an ancestor of any node of the block that lies before the block is an ancestor of its first node
        keys = np.concatenate([np.flatnonzero(forest.end[:start] > start), np.arange(start, stop)])
        if window is not None or chunk is not None:
            keys = keys[visible(forest, np.arange(start, stop), keys, window=window, chunk=chunk).any(axis=0)]
        keys = _rounded(keys, length)
        seen = visible(forest, np.arange(start, stop), keys, window=window, chunk=chunk)
        cuts = np.flatnonzero(np.diff(keys) != 1) + 1
        runs = tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(keys, cuts))
        by_all = seen.all(axis=0)
        first = len(keys) if by_all.all() else int(by_all.argmin())
        blocks.append(Block(start, stop, runs, first, torch.from_numpy(~seen[:, first:])))
    return tuple(blocks)


def _rounded(keys: np.ndarray[Any, Any], length: int) -> np.ndarray[Any, Any]:
    """With so many of the last other nodes that their number is a round one, where there are as many nodes.

    A product of a size that was not met before takes three times as long: its kernel is made first.
    """
    missing = min(round_up(len(keys)), length) - len(keys)
    if not missing:
        return keys
    others = np.setdiff1d(np.arange(length), keys, assume_unique=True)
    return np.sort(np.concatenate([keys, others[len(others) - missing :]]))


def round_up(size: int) -> int:
    """The next of 16 sizes between two powers of two; multiples of 8 below 256."""
    step = 1 << max(3, size.bit_length() - 5)
    return -(-size // step) * step


def block_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Transformers' attention interface: query [B, heads, T, D] to output [B, T, heads, D]; B is 1 for a forest."""
    layout = None
    if attention_mask is not None:
        layout = _layouts.get(attention_mask if attention_mask._base is None else attention_mask._base)  # type: ignore[no-untyped-call]
    if layout is None:
        return _plain_attention(module, query, key, value, attention_mask, **options)
    on_flex = query.device.type in flex.DEVICES
    narrow = on_flex and min(query.shape[-1], value.shape[-1]) < flex.SMALLEST_HEAD
    if narrow or options.get("dropout") or any(options.get(name) is not None for name in ("position_bias", "softcap")):
        return _plain_attention(module, query, key, value, layout.mask, **options)
    scale = options.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    # under autocast rotated queries and keys may be float32 where values are not
    device = query.device.type
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else query.dtype
    query, key, value = query.to(dtype), key.to(dtype), value.to(dtype)
    if on_flex:
        return flex.attend(query, key, value, scale=float(scale), mask=layout.block_mask).transpose(1, 2), None
    output: Tensor = _BlockAttention.apply(query[0], key[0], value[0], float(scale), layout.blocks)  # type: ignore[no-untyped-call]
    return output[None], None


def _plain_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Transformers' own sdpa function, on a processor in float32: its 16-bit kernel is the slower one, three times in a
    step that generates one token and more in a backward pass."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if query.device.type != "cpu":
        return sdpa_attention_forward(module, query, key, value, mask, **options)[0], None
    dtype = query.dtype
    query, key, value = (states.float() if states.dtype.itemsize == 2 else states for states in (query, key, value))
    with torch.autocast(query.device.type, enabled=False):
        output: Tensor = sdpa_attention_forward(module, query, key, value, mask, **options)[0]
    return output.to(dtype), None


class _BlockAttention(torch.autograd.Function):
    """Query [G * R, T, D], key [G, T, D] and value [G, T, E] to output [T, G * R, E], block by block.

    The backward pass computes the probabilities again: they would take more memory than all else.
    """

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scale: float, blocks: tuple[Block, ...]) -> Tensor:
        query, key, value = (query * scale).contiguous(), key.contiguous(), value.contiguous()
        (heads, length, _), groups = query.shape, len(key)
        output = value.new_empty(length, heads, value.shape[-1])
        for block in blocks:
            seen = _probabilities(query, key, block) @ _select(value, block)
            _rows(output, block).copy_(seen.view(heads, block.stop - block.start, -1))
        ctx.save_for_backward(query, key, value, output)
        ctx.scale, ctx.blocks, ctx.groups = scale, blocks, groups
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, output = ctx.saved_tensors
        heads, length, width = query.shape
        # of the softmax: what each query's probabilities are moved by together
        common = (gradient * output).sum(-1, dtype=torch.float32).to(query.dtype)
        query_grad = query.new_empty(length, heads, width).transpose(0, 1)
        key_grad, value_grad = (torch.zeros(states.shape, dtype=torch.float32) for states in (key, value))
        for block in ctx.blocks:
            probabilities = _probabilities(query, key, block)
            above = _rows(gradient, block).reshape(ctx.groups, -1, gradient.shape[-1])
            _add(value_grad, block, probabilities.transpose(1, 2) @ above)
            scores = above @ _select(value, block).transpose(1, 2)
            scores.sub_(_rows(common[..., None], block).reshape(ctx.groups, -1, 1)).mul_(probabilities)
            rows = (scores @ _select(key, block)).view(heads, -1, width)
            query_grad[:, block.start : block.stop] = rows.mul_(ctx.scale)
            _add(key_grad, block, scores.transpose(1, 2) @ _queries(query, block, ctx.groups))
        return query_grad, key_grad.to(key.dtype), value_grad.to(value.dtype), None, None


def _probabilities(query: Tensor, key: Tensor, block: Block) -> Tensor:
    """Softmax [G, R * M, N] of the block's queries, which are scaled already, over the keys that they see."""
    groups = len(key)
    scores = _queries(query, block, groups) @ _select(key, block).transpose(1, 2)
    if block.hidden.numel():
        apart = scores.view(groups, -1, *block.hidden.shape[:1], scores.shape[-1])
        apart[..., block.seen :].masked_fill_(block.hidden, -torch.inf)
    return scores.softmax(-1)


def _queries(query: Tensor, block: Block, groups: int) -> Tensor:
    """[G * R, T, D] to the block's [G, R * M, D]."""
    return query[:, block.start : block.stop].reshape(groups, -1, query.shape[-1]).contiguous()


def _rows(states: Tensor, block: Block) -> Tensor:
    """[T, heads, E] to the block's [heads, M, E]."""
    return states[block.start : block.stop].transpose(0, 1)


def _select(states: Tensor, block: Block) -> Tensor:
    """[G, T, E] to the keys that the block sees, [G, N, E]."""
    return torch.cat([states[:, first:last] for first, last in block.runs], dim=1)


def _add(states: Tensor, block: Block, found: Tensor) -> None:
    """Add [G, N, E] of the block's keys to [G, T, E]."""
    place = 0
    for first, last in block.runs:
        states[:, first:last] += found[:, place : place + last - first]
        place += last - first
