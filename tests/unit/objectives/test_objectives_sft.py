from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from precept.forest import build_forest
from precept.objectives import sft
from precept.types import Forest, Source, TokenSequence


class TablePolicy:
    """A policy that knows the log-probability of each edge."""

    def __init__(self, logps: list[float]) -> None:
        self.logps = torch.tensor(logps, requires_grad=True)

    def edge_logps(self, forest: Forest) -> Tensor:
        return self.logps

    def answer_logps(self, forest: Forest, *, weighted: bool = False) -> Tensor:
        raise NotImplementedError

    def last_hidden(self, forest: Forest) -> Tensor:
        raise NotImplementedError


def seq(ids: list[int], weights: list[float]) -> TokenSequence:
    return TokenSequence(np.array(ids, np.int32), np.array(weights, np.float32), Source("rows", 1, "0" * 16))


def test_the_loss_is_the_weighted_sum_and_its_gradient_the_weights() -> None:
    forest = build_forest([seq([1, 2, 3], [0, 0.5, 1]), seq([1, 2, 4], [0, 2, 0])])
    # edges: token 2 with weight 0.5 + 2, token 3 with weight 1
    policy = TablePolicy([math.log(0.5), math.log(0.25)])
    loss = sft(policy, forest)
    # 2.5 log 2 + 1 log 4 = 4.5 log 2
    assert loss.sum.item() == pytest.approx(4.5 * math.log(2))
    assert loss.count == 3.5
    loss.sum.backward()
    assert policy.logps.grad is not None
    assert policy.logps.grad.tolist() == [-2.5, -1.0]


def test_a_forest_without_trained_tokens_counts_nothing() -> None:
    loss = sft(TablePolicy([]), build_forest([seq([1, 2], [0, 0])]))
    assert (loss.sum.item(), loss.count) == (0.0, 0.0)
