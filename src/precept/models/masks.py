"""Attention masks of a forest, built from ``end`` and ``depth`` alone.

Query q may attend to key k exactly when ``k <= q < end[k]``: k is q or an ancestor of q. Layers with a window
or with chunks allow less, counted in ``depth``, which is the position id. Shapes: T nodes.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

from precept.errors import InputError
from precept.models.attention import BLOCK_ATTENTION, dense_mask, stand_in
from precept.types import Forest

MaskArgument: TypeAlias = Tensor | dict[str, Tensor]


def attention_masks(forest: Forest, config: Any, *, device: torch.device, dtype: torch.dtype) -> MaskArgument:
    """The ``attention_mask`` argument for a forest: one mask [1, 1, T, T], or one a kind of layer.

    Boolean for sdpa; for eager additive in ``dtype``, since eager attention adds what it is given and a
    boolean mask would be added as 0 and 1 without an error. Which kinds of layer there are is read as
    transformers reads it: ``layer_types``, else a window for all layers, else chunks for all layers, else
    none.
    """
    implementation = config._attn_implementation
    if implementation not in {"sdpa", "eager", BLOCK_ATTENTION}:
        raise InputError(
            "a forest needs an attention that takes a mask",
            code="attention-without-mask",
            found=f"attn_implementation={implementation!r}",
            do="load the model with attn_implementation 'sdpa' or 'eager'",
        )
    masks: dict[str, Tensor] = {}
    for kind, (window, chunk) in _layers(config).items():
        if implementation == BLOCK_ATTENTION:
            masks[kind] = stand_in(forest, window=window, chunk=chunk, device=device)
            continue
        mask = dense_mask(forest, window=window, chunk=chunk, device=device)
        masks[kind] = _additive(mask, dtype) if implementation == "eager" else mask
    return next(iter(masks.values())) if len(masks) == 1 else masks


def _layers(config: Any) -> dict[str, tuple[int | None, int | None]]:
    """Window and chunk of each kind of layer, None where it has none."""
    text = config.get_text_config()
    window = getattr(text, "sliding_window", None)
    chunk = getattr(text, "attention_chunk_size", None)
    kinds = set(getattr(text, "layer_types", None) or ())
    if not kinds:
        kinds = {"sliding_attention" if window else "chunked_attention" if chunk else "full_attention"}
    return {
        kind: (
            (window or None) if kind == "sliding_attention" else None,
            (chunk or None) if kind == "chunked_attention" else None,
        )
        for kind in sorted(kinds)
    }


def _additive(allowed: Tensor, dtype: torch.dtype) -> Tensor:
    zeros = torch.zeros(allowed.shape, dtype=dtype, device=allowed.device)
    return zeros.masked_fill_(~allowed, torch.finfo(dtype).min)
