"""Which token comes next: the likeliest, or one drawn with a random stream of each answer's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Pick: TypeAlias = "Callable[[Tensor, Sequence[int]], Tensor]"
"""Logits [B, V] and the number of the answer that each row belongs to -> the next token of each row [B]."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How ``num_return_sequences`` answers to each prompt are drawn.

    A token is drawn from the smallest set of tokens whose probability at ``temperature`` reaches ``top_p``. Answer s to
    prompt p has a random stream of its own, of ``seed``, p and s alone: whatever else is asked beside it, it is the
    same, but for the rounding of another batch.
    """

    num_return_sequences: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        assert self.num_return_sequences >= 1 and self.temperature > 0 and 0 <= self.top_p <= 1 and self.seed >= 0


def likeliest(logits_BV: Tensor, answers: Sequence[int]) -> Tensor:
    """Greedy decoding, a ``Pick``."""
    return logits_BV.argmax(-1)


def drawer(sampling: Sampling) -> Pick:
    """The ``Pick`` of one call; answer s to prompt p has the number ``p * num_return_sequences + s``."""

    @cache
    def stream(answer: int) -> np.random.Generator:
        return np.random.default_rng([sampling.seed, *divmod(answer, sampling.num_return_sequences)])

    def draw(logits_BV: Tensor, answers: Sequence[int]) -> Tensor:
        import torch

        uniform = torch.tensor([stream(answer).random() for answer in answers], device=logits_BV.device)
        return draw_tokens(logits_BV, uniform, temperature=sampling.temperature, top_p=sampling.top_p)

    return draw


def draw_tokens(logits_BV: Tensor, uniform_B: Tensor, *, temperature: float, top_p: float) -> Tensor:
    """The token of each row at which the cumulated probability of the likeliest tokens passes ``uniform_B`` of [0, 1)
    of what is drawn from."""
    probabilities_BV, order_BV = (logits_BV.float() / temperature).softmax(-1).sort(descending=True, stable=True)
    cumulated_BV = probabilities_BV.cumsum(-1)
    kept_B = (cumulated_BV - probabilities_BV < top_p).sum(-1).clamp_min(1)  # the likeliest stays even at top_p 0
    reached_B = cumulated_BV.gather(1, kept_B[:, None] - 1) * uniform_B[:, None]
    place_B = (cumulated_BV <= reached_B).sum(-1).minimum(kept_B - 1)
    return order_BV.gather(1, place_B[:, None])[:, 0]
