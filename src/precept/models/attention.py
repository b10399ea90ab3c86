"""Attention over a forest without its empty corners, on a processor.

Nodes lie in depth-first order, so a block of neighbouring queries sees nothing but the block itself and the
ancestors of its first node. Each block attends to those keys alone, through transformers' own sdpa function:
for T nodes of depth up to d the cost is T x (d + BLOCK) instead of T x T.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK_ATTENTION = "forest_blocks"
BLOCK = 64


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
    """Transformers' attention interface: query [1, heads, T, D] to output [1, T, heads, D]."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    length = query.shape[2]
    if attention_mask is None or length <= BLOCK or attention_mask.shape != (1, 1, length, key.shape[2]):
        output: Tensor = sdpa_attention_forward(module, query, key, value, attention_mask, **options)[0]
        return output, None
    blocks = []
    for start in range(0, length, BLOCK):
        rows = attention_mask[:, :, start : start + BLOCK]
        seen = rows.any(dim=2).flatten().nonzero()[:, 0]
        blocks.append(
            sdpa_attention_forward(
                module,
                query[:, :, start : start + BLOCK],
                key[:, :, seen],
                value[:, :, seen],
                rows[..., seen],
                **options,
            )[0]
        )
    return torch.cat(blocks, dim=1), None
