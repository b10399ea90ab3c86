"""Attention over a forest without its empty corners, on a processor.

Nodes lie in depth-first order, so a block of neighbouring queries sees nothing but the block itself and the
ancestors of its first node. Each block attends to those keys alone, many blocks in one call of transformers' own
sdpa function: for T nodes of depth up to d the cost is T x (d + BLOCK) instead of T x T.

Shapes: T nodes, N blocks, K keys of a block, D width of a head.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

BLOCK_ATTENTION = "forest_blocks"
BLOCK = 64
ALIKE = 0.5  # blocks of one call see at least this share of the keys that its widest block sees


@dataclass(frozen=True)
class Blocks:
    """Blocks that attend in one call: ``keys`` [N, K] are node numbers, ``allowed`` is boolean [N, 1, BLOCK, K]."""

    members: Tensor
    keys: Tensor
    allowed: Tensor


_blocks_of: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
"""The blocks of each mask that is alive: all layers, and the backward pass, meet the same mask."""


def use_block_attention(model: Any) -> None:
    """Let a model with sdpa attention attend in blocks where it meets a forest's mask; else it works as before."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(BLOCK_ATTENTION, block_attention)
    AttentionMaskInterface.register(BLOCK_ATTENTION, sdpa_mask)
    model.set_attn_implementation(BLOCK_ATTENTION)


def block_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    """Transformers' attention interface: query [B, heads, T, D] to output [B, T, heads, D]; B is 1 for a forest.

    16-bit states are computed in float32: a processor's bfloat16 kernel is the slower one, three times in a step that
    generates one token and more in a backward pass.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    length, dtype = query.shape[2], query.dtype
    # each by its own type: under autocast rotated queries and keys may be float32 where values are not
    query, key, value = (states.float() if states.dtype.itemsize == 2 else states for states in (query, key, value))
    if attention_mask is None or length <= BLOCK or attention_mask.shape != (1, 1, length, key.shape[2]):
        with torch.autocast(query.device.type, enabled=False):
            output: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        return output.to(dtype), None
    if attention_mask not in _blocks_of:
        _blocks_of[attention_mask] = make_blocks(attention_mask[0, 0])
    whole = -(-length // BLOCK) * BLOCK
    queries = nn.functional.pad(query[0].transpose(0, 1), (0, 0, 0, 0, 0, whole - length))
    queries = queries.reshape(-1, BLOCK, *queries.shape[1:])
    keys, values = (node[0].transpose(0, 1) for node in (key, value))
    members, outputs = [], []
    with torch.autocast(query.device.type, enabled=False):
        for blocks in _blocks_of[attention_mask]:
            members.append(blocks.members)
            outputs.append(
                sdpa_attention_forward(
                    module,
                    queries.index_select(0, blocks.members).transpose(1, 2),
                    _gather(keys, blocks.keys),
                    _gather(values, blocks.keys),
                    blocks.allowed,
                    **options,
                )[0]
            )
    output = torch.cat(outputs).index_select(0, torch.cat(members).argsort())
    return output.flatten(0, 1)[None, :length].to(dtype), None


def make_blocks(allowed: Tensor) -> list[Blocks]:
    """The blocks of a boolean mask [T, T], those with like numbers of keys together.

    Queries beyond T, which fill the last block, see its first key, so that no row is empty.
    """
    length = len(allowed)
    count = -(-length // BLOCK)
    rows = nn.functional.pad(allowed, (0, 0, 0, count * BLOCK - length)).view(count, BLOCK, length)
    seen = [block.any(dim=0).nonzero()[:, 0] for block in rows]
    widths = np.array([len(nodes) for nodes in seen])
    order = np.argsort(-widths, kind="stable")
    found, start = [], 0
    while start < count:
        width = int(widths[order[start]])
        stop = start + int((widths[order[start:]] >= ALIKE * width).sum())
        members = order[start:stop].tolist()
        keys = nn.utils.rnn.pad_sequence([seen[i] for i in members], batch_first=True)
        real = (
            torch.arange(width, device=allowed.device)
            < torch.as_tensor(widths[members], device=allowed.device)[:, None]
        )
        chosen = torch.stack([rows[i][:, keys[k]] for k, i in enumerate(members)]) & real[:, None]
        chosen[:, :, 0] |= ~chosen.any(dim=2)
        found.append(Blocks(torch.as_tensor(members, device=allowed.device), keys, chosen[:, None]))
        start = stop
    return found


def _gather(nodes: Tensor, keys: Tensor) -> Tensor:
    """[T, heads, D] at [N, K] to [N, heads, K, D]; by whole rows, whose backward pass is a plain addition of rows."""
    return nodes.index_select(0, keys.flatten()).view(*keys.shape, *nodes.shape[1:]).transpose(1, 2)
