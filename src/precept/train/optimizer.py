"""AdamW over named parameters, and the learning rate as a pure function of the step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from precept.train.settings import OptimizerSettings, Shape


def make_optimizer(
    parameters: Mapping[str, Tensor], settings: OptimizerSettings, *, learning_rate: float
) -> torch.optim.AdamW:
    """Fused AdamW; weight decay acts on matrices and spares vectors (norms, biases)."""
    matrices = [p for p in parameters.values() if p.ndim >= 2]
    vectors = [p for p in parameters.values() if p.ndim < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=learning_rate,
        betas=(settings.adam_beta1, settings.adam_beta2),
        eps=settings.adam_epsilon,
        fused=True,
    )


def learning_rate_at(step: int, *, peak: float, total: int, shape: Shape, warmup_ratio: float) -> float:
    """Learning rate of 0-based ``step``: a linear rise over the warm-up, then the shape down to 0 at ``total``."""
    warmup = math.ceil(warmup_ratio * total)
    if step < warmup:
        return peak * (step + 1) / warmup
    if shape == "constant":
        return peak
    progress = (step - warmup) / max(1, total - warmup)
    if shape == "linear":
        return peak * (1.0 - progress)
    return peak * 0.5 * (1.0 + math.cos(math.pi * progress))


def scale_and_clip(parameters: Mapping[str, Tensor], *, count: float, max_norm: float) -> float:
    """Turn gradients of a sum into gradients of the mean over ``count`` and clip their norm.

    Dividing here, once, by the whole step's count is what makes micro-batches and accumulation exact.
    Returns the norm before clipping.
    """
    gradients = [p.grad for p in parameters.values() if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients)) / count
    scale = 1.0 / count
    if max_norm > 0 and norm > max_norm:
        scale *= max_norm / norm
    for gradient in gradients:
        gradient.mul_(scale)
    return norm


def optimizer_tensors(optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The optimizer's state as named tensors: ``<parameter>.<moment>``."""
    return {
        f"{name}.{key}": value
        for name, parameter in parameters.items()
        for key, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer, parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]
) -> None:
    """Put back what ``optimizer_tensors`` gave. Parameters that were never stepped have no state."""
    for name, parameter in parameters.items():
        state = {
            key: tensors[f"{name}.{key}"] for key in ("step", "exp_avg", "exp_avg_sq") if f"{name}.{key}" in tensors
        }
        if state:
            device = parameter.device
            optimizer.state[parameter] = {
                # AdamW keeps its step counter on the parameter's device only when fused.
                key: value.clone().to(device)
                for key, value in state.items()
            }
