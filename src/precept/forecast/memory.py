"""Bytes by part: what weights, gradients, optimizer and head take follows from counts; activations are fitted.

T is the number of distinct tokens of a forest, U the number of its hidden states that meet the output head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from precept.forecast.shape import ModelShape

Part: TypeAlias = Literal["weights", "adapter", "gradients", "optimizer", "compute_copies", "activations", "head"]

MASTER = 4  # bytes of a trained number, and of its gradient: float32
MOMENTS = 8  # AdamW keeps two float32 numbers for each
PACKED = 0.5 + 1 / 64 + 4 / (64 * 256)  # NF4: half a byte, a byte a block of 64, a float32 for 256 of these
# What a layer keeps beside the inputs and outputs of its linear layers, in hidden sizes of float32: the two
# normalisations, which run in float32, and the residual stream.
KEPT_BESIDE_LINEARS = 6
MASKS = 3  # where attention is eager: the boolean mask [T, T] and the two comparisons it is made of
HEAD_COPIES = 2  # of the logits in flight: themselves and the probabilities, later these and their gradient
ATTENTION_COPIES = 4  # kept of each layer beside the linear layers: queries, keys, values and what attention gives


@dataclass(frozen=True, slots=True)
class Training:
    """How a model is trained, as far as memory goes.

    ``weight_bytes`` is what a number of the base takes in memory (of those not packed in 4 bits), ``compute_bytes``
    what one takes in the arithmetic. ``targets`` are the names of layers that get low-rank matrices, None for all.
    ``kept_logits`` and ``chunk_logits`` are the bounds of the output head. With ``accumulates`` a step has several
    forests, so that gradients are there while activations are.
    """

    adapter: Literal["none", "lora", "dora", "qlora"]
    rank: int
    targets: tuple[str, ...] | None
    weight_bytes: int
    compute_bytes: int
    checkpointing: bool
    eager: bool
    kept_logits: int
    chunk_logits: int
    accumulates: bool = True


@dataclass(frozen=True, slots=True)
class Activations:
    """Bytes kept for the backward pass: ``fixed + per_token * T + per_square * T * T``."""

    fixed: float
    per_token: float
    per_square: float

    def at(self, tokens: int) -> int:
        """Bytes of a forest of so many tokens."""
        return max(0, round(self.fixed + self.per_token * tokens + self.per_square * tokens**2))

    def scaled(self, factor: float) -> Activations:
        """All terms times ``factor``."""
        return Activations(self.fixed * factor, self.per_token * factor, self.per_square * factor)


def count_parts(
    shape: ModelShape, training: Training, activations: Activations, *, tokens: int, predicted: int
) -> dict[Part, int]:
    """Bytes of each part at the peak of a step whose largest forest has ``tokens`` nodes and ``predicted`` states."""
    added = adapter_parameters(shape, training)
    trained = added or shape.parameters
    packed = shape.linear_parameters if training.adapter == "qlora" else 0
    return {
        "weights": round((shape.parameters - packed) * training.weight_bytes + packed * PACKED),
        "adapter": added * MASTER,
        "gradients": trained * MASTER,
        "optimizer": trained * MOMENTS,
        "compute_copies": _copies(shape, training),
        "activations": activations.at(tokens),
        "head": _head_bytes(shape, training, predicted),
    }


def peak_bytes(parts: Mapping[Part, int], training: Training) -> int:
    """The most that is there at one time: without accumulation gradients replace activations as these are freed."""
    passing = parts["activations"] + parts["head"] + parts["compute_copies"]
    overlap = 0 if training.accumulates else min(parts["gradients"], passing)
    return sum(parts.values()) - overlap


def analytic_activations(shape: ModelShape, training: Training) -> Activations:
    """What the backward pass needs, by the inputs and outputs of all linear layers.

    An estimate before anything is measured. With checkpointing each layer keeps its input alone, and one layer at a
    time is computed again.
    """
    linear = training.compute_bytes * sum(layer.inputs + layer.outputs for layer in shape.linears)
    beside = MASTER * KEPT_BESIDE_LINEARS + training.compute_bytes * ATTENTION_COPIES
    whole = float(linear + beside * shape.hidden * shape.layers)
    if training.adapter != "none":
        whole += (MASTER + training.compute_bytes) * training.rank * len(shape.linears)
    if training.checkpointing:
        whole = whole / max(1, shape.layers) + MASTER * shape.hidden * shape.layers
    if not training.eager:
        return Activations(0.0, whole, 0.0)
    scores = shape.attention_heads * (MASTER + training.compute_bytes)
    return Activations(0.0, whole, MASKS + scores * (1 if training.checkpointing else shape.layers))


def fit_activations(points: Sequence[tuple[int, int]], *, analytic: Activations) -> Activations:
    """A straight line through measured (tokens, bytes), beside the analytic term in T * T.

    One point scales the analytic estimate. A fit that falls with T, which noise gives where activations are small
    beside the rest of the process, becomes the constant of its largest point.
    """
    (small, low), (large, high) = min(points), max(points)
    if small == large:
        return analytic.scaled(high / max(1, analytic.at(large)))
    square = analytic.per_square
    slope = ((high - square * large**2) - (low - square * small**2)) / (large - small)
    if slope < 0:
        return Activations(high, 0.0, 0.0)
    return Activations(high - square * large**2 - slope * large, slope, square)


def adapter_parameters(shape: ModelShape, training: Training) -> int:
    """Numbers in the low-rank matrices; DoRA adds a magnitude an output."""
    if training.adapter == "none":
        return 0
    dora = training.adapter == "dora"
    return sum(
        training.rank * (layer.inputs + layer.outputs) + dora * layer.outputs
        for layer in shape.linears
        if training.targets is None or any(f".{layer.name}".endswith(f".{name}") for name in training.targets)
    )


def _copies(shape: ModelShape, training: Training) -> int:
    """Autocast keeps 16-bit copies of float32 matrices until the backward pass has used them."""
    if training.compute_bytes >= training.weight_bytes or training.adapter == "qlora":
        return 0
    matrices = shape.linear_parameters / (max(1, shape.layers) if training.checkpointing else 1) + shape.head
    return round(matrices * training.compute_bytes)


def _head_bytes(shape: ModelShape, training: Training, predicted: int) -> int:
    """Logits of all states, or of one chunk beyond ``kept_logits``, in the precision of the arithmetic."""
    logits = predicted * shape.vocabulary
    held = logits if logits <= training.kept_logits else training.chunk_logits
    return HEAD_COPIES * training.compute_bytes * held
