"""How a model is held while it generates: no dropout, no gradients, the compute dtype asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from precept.errors import InputError

if TYPE_CHECKING:
    import torch


@contextmanager
def evaluation_mode(model: Any) -> Iterator[None]:
    """Every module in eval mode inside; those that were training are training again after.

    No logits of routers are asked for meanwhile: the loss that transformers makes of them takes no forest's mask.
    """
    training = [module for module in model.modules() if module.training]
    text = model.config.get_text_config()
    routed = getattr(text, "output_router_logits", None)
    model.eval()
    if routed:
        text.output_router_logits = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
        if routed:
            text.output_router_logits = routed


@contextmanager
def forward_only(model: Any, compute_dtype: torch.dtype | None) -> Iterator[None]:
    """No gradients, and autocast to ``compute_dtype`` where it is given and not the model's own."""
    import torch

    enabled = compute_dtype is not None and compute_dtype != model.dtype
    with torch.no_grad(), torch.autocast(model.device.type, dtype=compute_dtype, enabled=enabled):
        yield


def named_start(config: Mapping[str, Any], generation_config: Mapping[str, Any]) -> int | None:
    """The token that the decoder of an encoder-decoder model starts from: the one its configurations name, that of
    generation first, else its padding token."""
    name = "decoder_start_token_id"
    for token in (generation_config.get(name), config.get(name), config.get("pad_token_id")):
        if token is not None:
            return int(token)
    return None


def decoder_start_id(model: Any) -> int:
    """``named_start`` of a model. Raises InputError where there is none."""
    token = named_start(model.config.to_dict(), model.generation_config.to_dict())
    if token is not None:
        return token
    raise InputError(
        "the model names no token for its decoder to start from",
        code="no-decoder-start",
        where="config.json",
        do="set 'decoder_start_token_id'",
    )
