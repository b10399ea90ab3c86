"""Losses, gradients and steps by transformers' own forward of one row at a time: what model proofs compare with.

Shapes: n tokens of a row, V vocabulary.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from precept.types import TokenSequence

Gradient = Mapping[str, Tensor]


@contextmanager
def own_attention(model: Any) -> Iterator[None]:
    """The plainest attention that transformers has, where the model lets it be chosen; its own is put back."""
    before = model.config._attn_implementation
    _set_attention(model, "eager")
    try:
        yield
    finally:
        _set_attention(model, before)


def _set_attention(model: Any, name: str) -> None:
    """Old classes keep theirs, and transformers says so each time."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        model.set_attn_implementation(name)
    finally:
        logging.disable(before)


def row_logps(model: Any, row: TokenSequence) -> Tensor:
    """Log-probability of each token but the first given those before it, float32 [n-1]."""
    device = model.get_input_embeddings().weight.device
    ids = torch.as_tensor(row.ids, dtype=torch.long, device=device)[None]
    if row.encoder_ids is None:
        logits = model(input_ids=ids, use_cache=False).logits
    else:
        encoder = torch.as_tensor(row.encoder_ids, dtype=torch.long, device=device)[None]
        logits = model(input_ids=encoder, decoder_input_ids=ids, use_cache=False).logits
    logps: Tensor = logits[0, :-1].float().log_softmax(-1)
    return logps.gather(1, ids[0, 1:, None])[:, 0]


def mean_gradient(model: Any, rows: Sequence[TokenSequence]) -> tuple[float, dict[str, Tensor]]:
    """Loss and gradient of the weighted mean over all tokens of the rows; the model is left without gradients."""
    model.zero_grad(set_to_none=True)
    count = float(sum(row.weights[1:].sum() for row in rows))
    total = 0.0
    for row in rows:
        logps = row_logps(model, row)
        loss = -(logps * logps.new_tensor(row.weights[1:])).sum() / count
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    return total, take_gradient(model)


def take_gradient(model: Any) -> dict[str, Tensor]:
    """The gradient of each trained parameter by name; clears them. A parameter without one took no part."""
    found = {
        name: parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and parameter.grad is not None
    }
    model.zero_grad(set_to_none=True)
    return found


def relative_error(found: Gradient, expected: Gradient) -> float:
    """Norm of the difference over the norm of what was expected, over all names of either side; NaN stays NaN."""
    zero = torch.zeros(())
    squares = sum(
        float((found.get(name, zero) - expected.get(name, zero)).double().square().sum())
        for name in {*found, *expected}
    )
    norm = sum(float(one.double().square().sum()) for one in expected.values())
    return (squares / norm) ** 0.5 if norm else float(squares > 0)


def adamw_steps(
    model: Any,
    batches: Sequence[Sequence[TokenSequence]],
    *,
    learning_rate: float,
    betas: tuple[float, float],
    eps: float,
) -> None:
    """One plain AdamW step a batch, without decay or clipping."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        parameters, lr=learning_rate, betas=betas, eps=eps, weight_decay=0.0, foreach=False, fused=False
    )
    for rows in batches:
        _, gradient = mean_gradient(model, rows)
        for name, parameter in model.named_parameters():
            if name in gradient:
                parameter.grad = gradient[name]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
