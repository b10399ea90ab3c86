"""The weights that training changes, as a flat dictionary for checkpoints, and their counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from precept.errors import WorkError
from precept.models.quantize import scalar_count


class ParameterCounts(NamedTuple):
    """Numbers of scalars; tied weights count once, and a 4-bit weight counts as the numbers it stands for."""

    trainable: int
    total: int


def trainable_state(model: Any) -> dict[str, Tensor]:
    """Every weight that requires a gradient, by name: the live tensors, tied ones once."""
    return {name: tensor.data for name, tensor in model.named_parameters() if tensor.requires_grad}


def load_trainable_state(model: Any, state: dict[str, Tensor]) -> None:
    """Copy ``state`` into the weights that require a gradient; names, shapes and dtypes must all agree."""
    own = trainable_state(model)
    differing = sorted(own.keys() ^ state.keys()) or sorted(
        name
        for name, tensor in own.items()
        if (tensor.shape, tensor.dtype) != (state[name].shape, state[name].dtype)
    )
    if differing:
        raise WorkError(
            "the checkpoint's weights are not those of this model",
            code="checkpoint-mismatch",
            found=", ".join(differing[:5]),
            do="go on with the settings that the checkpoint was written with, or start again with --fresh",
        )
    with torch.no_grad():
        for name, tensor in own.items():
            tensor.copy_(state[name])


def count_parameters(model: Any) -> ParameterCounts:
    """Trainable and all parameters of a model, adapters included."""
    counts = [(scalar_count(parameter), parameter.requires_grad) for parameter in model.parameters()]
    return ParameterCounts(
        trainable=sum(count for count, trained in counts if trained), total=sum(count for count, _ in counts)
    )
