"""The output head: from hidden states to the log-probabilities of given tokens, never with all logits at
once.

Shapes: U hidden states, E edges (several edges may be predicted from one state), H hidden size, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from precept.types import IntArray, LongArray

CHUNK_LOGITS = 2**22  # 16 MiB in float32: what the processor's allocator still reuses
KEPT_LOGITS = 2**27  # 512 MiB in float32
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
        if self.module is None:
            return states.float()
        logits: Tensor = self.module(states if self.scale == 1.0 else states * self.scale).float()
        return logits if self.softcap is None else torch.tanh(logits / self.softcap) * self.softcap


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
    """Log-probability of token ``ids[e]`` under the state ``row[e]``, float32 [E].

    Works through the states in chunks. Beyond KEPT_LOGITS the logits are computed again in the backward pass
    instead of being kept.
    """
    order = np.argsort(row, kind="stable")
    sorted_row, sorted_ids = row[order], ids[order]
    width = states.shape[-1] if head.module is None else _vocabulary(head.module)
    step = max(1, CHUNK_LOGITS // width)
    keep = len(states) * width <= KEPT_LOGITS
    pieces = []
    for start in range(0, max(1, len(states)), step):
        first, last = np.searchsorted(sorted_row, (start, start + step))
        rows = torch.as_tensor(sorted_row[first:last] - start, device=states.device)
        tokens = torch.as_tensor(sorted_ids[first:last], dtype=torch.long, device=states.device)
        chunk = states[start : start + step]
        if keep or not torch.is_grad_enabled():
            pieces.append(_token_logps(head, chunk, rows, tokens))
        else:
            pieces.append(checkpoint(_token_logps, head, chunk, rows, tokens, use_reentrant=False))
    return torch.cat(pieces)[torch.as_tensor(np.argsort(order), device=states.device)]


def _token_logps(head: Head, states: Tensor, rows: Tensor, tokens: Tensor) -> Tensor:
    return head.logits(states).log_softmax(-1)[rows, tokens]


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
