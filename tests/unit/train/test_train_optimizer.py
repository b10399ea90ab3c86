"""The learning rate is a pure function of the step; the gradient is divided once."""

from __future__ import annotations

import pytest
import torch

from precept.train.optimizer import learning_rate_at, make_optimizer, scale_and_clip
from precept.train.settings import OptimizerSettings


def rates(kind: str, warmup: float, total: int = 10) -> list[float]:
    return [
        learning_rate_at(step, peak=1.0, total=total, shape=kind, warmup_ratio=warmup)  # type: ignore[arg-type]
        for step in range(total)
    ]


def test_the_warm_up_rises_to_the_peak() -> None:
    assert rates("constant", 0.4) == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1])


def test_linear_falls_towards_zero_after_the_warm_up() -> None:
    assert rates("linear", 0.2) == pytest.approx([0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125])


def test_cosine_is_half_way_down_in_the_middle() -> None:
    assert rates("cosine", 0.0)[5] == pytest.approx(0.5)


def test_the_gradient_of_a_sum_becomes_that_of_the_mean() -> None:
    p = torch.nn.Parameter(torch.zeros(2, 1))
    p.grad = torch.tensor([[3.0], [4.0]])
    norm = scale_and_clip({"p": p}, count=2.0, max_norm=0.0)
    assert norm == pytest.approx(2.5)  # sqrt(9 + 16) / 2
    torch.testing.assert_close(p.grad, torch.tensor([[1.5], [2.0]]))


def test_clipping_acts_on_the_mean() -> None:
    p = torch.nn.Parameter(torch.zeros(2, 1))
    p.grad = torch.tensor([[3.0], [4.0]])
    scale_and_clip({"p": p}, count=2.0, max_norm=1.0)
    torch.testing.assert_close(p.grad, torch.tensor([[0.6], [0.8]]))  # norm 2.5 clipped to 1


def test_weight_decay_spares_vectors() -> None:
    matrix, vector = torch.nn.Parameter(torch.ones(2, 2)), torch.nn.Parameter(torch.ones(2))
    matrix.grad, vector.grad = torch.zeros(2, 2), torch.zeros(2)
    settings = OptimizerSettings(weight_decay=0.5)
    make_optimizer({"m": matrix, "v": vector}, settings, learning_rate=0.1).step()
    assert float(matrix.detach()[0, 0]) == pytest.approx(0.95)  # 1 - 0.1 * 0.5
    assert float(vector.detach()[0]) == 1.0
