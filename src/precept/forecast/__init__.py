"""What a training step will need before it runs: tokens, memory by part, seconds, and what to change.

Pure functions over counts of a model's parameters and of the planned forests. ``measure`` alone runs the model, and
``shape`` alone builds one, without its weights; both import torch when they are imported or called.
"""

from precept.forecast.budget import largest_fitting
from precept.forecast.changes import Change, propose_changes
from precept.forecast.devices import DEVICES, Device, step_seconds
from precept.forecast.memory import (
    Activations,
    Part,
    Training,
    analytic_activations,
    count_parts,
    fit_activations,
    peak_bytes,
)
from precept.forecast.shape import Linear, ModelShape, read_shape
from precept.forecast.tokens import TokenCounts, count_tokens, describe_lengths

__all__ = [
    "DEVICES",
    "Activations",
    "Change",
    "Device",
    "Linear",
    "ModelShape",
    "Part",
    "TokenCounts",
    "Training",
    "analytic_activations",
    "count_parts",
    "count_tokens",
    "describe_lengths",
    "fit_activations",
    "largest_fitting",
    "peak_bytes",
    "propose_changes",
    "read_shape",
    "step_seconds",
]
