"""How a model is held while it generates: no dropout, no gradients, the compute dtype asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from precept.errors import InputError

if TYPE_CHECKING:
    import torch


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Every module in eval mode inside; those that were training are training again after."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def forward_only(model: Any, compute_dtype: torch.dtype | None) -> Iterator[None]:
    """No gradients, and autocast to ``compute_dtype`` where it is given and not the model's own."""
    import torch

    enabled = compute_dtype is not None and compute_dtype != model.dtype
    with torch.no_grad(), torch.autocast(model.device.type, dtype=compute_dtype, enabled=enabled):
        yield


def decoder_start_id(model: Any) -> int:
    """The token that the decoder of an encoder-decoder model starts from: the one its configurations name, else its
    padding token. Raises InputError where there is neither."""
    named = [getattr(config, "decoder_start_token_id", None) for config in (model.generation_config, model.config)]
    for token in (*named, model.config.pad_token_id):
        if token is not None:
            return int(token)
    raise InputError(
        "the model names no token for its decoder to start from",
        code="no-decoder-start",
        where="config.json",
        do="set 'decoder_start_token_id'",
    )
