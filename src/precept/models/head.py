"""The output head: from hidden states to the log-probabilities of given tokens, never with all logits at
once.

Shapes: U hidden states, E edges (several edges may be predicted from one state), H hidden size, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.utils.checkpoint import checkpoint

from precept.models.transfer import to_device
from precept.types import IntArray, LongArray

CHUNK_LOGITS = 2**25  # of one chunk: 64 MiB in bfloat16
KEPT_LOGITS = 2**27  # 256 MiB in bfloat16
CACHED_LOGITS = 2**20  # of one turn of elementwise work on a processor: 4 MiB in float32
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-5}  # any 16-bit type: ROUNDING
ROUNDING = 1e-2


@dataclass(frozen=True)
class Head:
    """``softcap * tanh(module(hidden * scale) / softcap)``, or, without a module, states that are logits already."""

    module: nn.Module | None
    scale: float = 1.0
    softcap: float | None = None

    def logits(self, states: Tensor) -> Tensor:
        """Logits float32 [U, V] of states [U, H]."""
        return self.raw_logits(states).float()

    def raw_logits(self, states: Tensor) -> Tensor:
        """Logits [U, V] of states [U, H] in the precision of the module's output; float32 behind a cap."""
        if self.module is None:
            return states
        logits: Tensor = self.module(states if self.scale == 1.0 else states * self.scale)
        return logits if self.softcap is None else torch.tanh(logits.float() / self.softcap) * self.softcap


def find_head(model: Any, states: Tensor, expected: Tensor) -> Head:
    """The head that turns hidden states of the model's body into the model's own logits for the same tokens.

    A model whose logits are made in a way not known here (a bias beside the output embedding, several heads)
    gets a head without a module: its own forward makes the logits then.
    """
    module = model.get_output_embeddings()
    if module is None:
        return Head(None)
    text = model.config.get_text_config()
    softcaps = {None, getattr(text, "final_logit_softcapping", None)}
    heads = [Head(module, scale, softcap) for scale, softcap in product(_scales(text), softcaps)]
    errors = [_relative_error(head.logits(states), expected) for head in heads]
    best = int(np.argmin(errors))
    return heads[best] if errors[best] < TOLERANCE.get(states.dtype, ROUNDING) else Head(None)


def edge_logps(head: Head, states: Tensor, row: LongArray, ids: IntArray) -> Tensor:
    """Log-probability of token ``ids[e]`` under the state ``row[e]``, float32 [E]. No edge may come twice.

    Beyond KEPT_LOGITS the states go through in chunks, whose logits are computed again in the backward pass instead of
    being kept.
    """
    order = np.argsort(row, kind="stable")
    sorted_row, sorted_ids = row[order], ids[order]
    width = states.shape[-1] if head.module is None else _vocabulary(head.module)
    whole = len(states) * width <= KEPT_LOGITS
    step = max(1, len(states) if whole else CHUNK_LOGITS // width)
    pieces = []
    for start in range(0, max(1, len(states)), step):
        first, last = np.searchsorted(sorted_row, (start, start + step))
        rows = to_device(sorted_row[first:last] - start, states.device)
        tokens = to_device(sorted_ids[first:last], states.device, dtype=torch.long)
        chunk = states[start : start + step]
        if whole or not torch.is_grad_enabled():
            pieces.append(_token_logps(head, chunk, rows, tokens))
        else:
            pieces.append(checkpoint(_token_logps, head, chunk, rows, tokens, use_reentrant=False))
    return torch.cat(pieces)[to_device(np.argsort(order), states.device)]


def _token_logps(head: Head, states: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    logps: Tensor = _TokenLogps.apply(head.raw_logits(states), rows, tokens)  # type: ignore[no-untyped-call]
    return logps


class _TokenLogps(torch.autograd.Function):
    """Log-softmax of logits [U, V] at [rows, tokens], computed in float32, without a float32 copy of all of it.

    The probabilities are kept in the logits' own precision, those of the tokens asked for in float32: their gradient
    1 - p would lose all its digits where p is near 1.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
        keep = ctx.needs_input_grad[0]
        kept = torch.empty_like(logits) if keep else None
        norms = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
        for part in _parts(logits):
            probabilities = logits[part].softmax(-1, dtype=torch.float32)
            norms[part] = logits[part].amax(-1).float() - probabilities.amax(-1).log()
            if kept is not None:
                kept[part] = probabilities
        logps = logits[rows, tokens].float() - norms[rows]
        ctx.save_for_backward(kept, logps, rows, tokens)
        return logps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        kept, logps, rows, tokens = ctx.saved_tensors
        total = torch.zeros(len(kept), dtype=torch.float32, device=kept.device).index_add_(0, rows, gradient)
        found = torch.empty_like(kept)
        for part in _parts(kept):
            torch.mul(kept[part], -total[part, None], out=found[part])
        found[rows, tokens] = (gradient - logps.exp() * total[rows]).to(found.dtype)
        return found, None, None


def _parts(logits: Tensor) -> Iterator[slice]:
    """Rows of at most CACHED_LOGITS logits at a time; on a GPU, which waits for each turn to be given, more."""
    turn = CACHED_LOGITS if logits.device.type == "cpu" else CHUNK_LOGITS
    step = max(1, turn // max(1, logits.shape[-1]))
    for start in range(0, len(logits), step):
        yield slice(start, start + step)


def _vocabulary(module: nn.Module) -> int:
    weight = module.weight
    assert isinstance(weight, Tensor)
    return int(weight.shape[0])


def _scales(config: Any) -> set[float]:
    """Factors between hidden state and logits that configurations name, and 1."""
    logit_scale = getattr(config, "logit_scale", None)
    logits_scaling = getattr(config, "logits_scaling", None)
    hidden_size = getattr(config, "hidden_size", None)
    return {
        1.0,
        *([float(logit_scale)] if logit_scale else []),
        *([1.0 / logits_scaling] if logits_scaling else []),
        *([hidden_size**-0.5] if hidden_size else []),  # tied T5
    }


def _relative_error(found: Tensor, expected: Tensor) -> float:
    if found.shape != expected.shape:
        return float("inf")
    return float((found - expected).norm() / expected.norm().clamp_min(1e-30))
