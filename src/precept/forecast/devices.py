"""Machines that are not this one: stated peak figures, and time from them alone."""

from __future__ import annotations

from dataclasses import dataclass

from precept.forecast.memory import MASTER, MOMENTS, Training, adapter_parameters
from precept.forecast.shape import ModelShape

EFFICIENCY = (0.25, 0.4, 0.55)  # low, assumed and high share of the peak that training of language models reaches
GIB = 2**30


@dataclass(frozen=True, slots=True)
class Device:
    """Peak figures of a maker's data sheet: dense bfloat16 in TFLOP/s, memory in GiB, bandwidth in GB/s."""

    name: str
    tflops: float
    memory_gib: float
    gigabytes_per_second: float

    @property
    def memory(self) -> int:
        """Bytes."""
        return round(self.memory_gib * GIB)


DEVICES = {
    device.name: device
    for device in (
        Device("a100", 312, 80, 2039),
        Device("a100-40", 312, 40, 1555),
        Device("h100", 989, 80, 3350),
        Device("h200", 989, 141, 4800),
        Device("b200", 2250, 180, 8000),
        Device("mi300x", 1307, 192, 5300),
        Device("l40s", 362, 48, 864),
        Device("l4", 121, 24, 300),
        Device("a10g", 70, 24, 600),
        Device("rtx3090", 71, 24, 936),
        Device("rtx4090", 165, 24, 1008),
    )
}


def operations(shape: ModelShape, training: Training, *, tokens: int, trained: int, context: float) -> float:
    """Floating-point operations of forward and backward passes over ``tokens`` nodes, ``trained`` of them predicted.

    Two a weight and token forward, as many for the gradient of inputs and, where all weights are trained, of weights;
    checkpointing computes forward twice. Attention adds 4 a hidden number and token of ``context``, the mean number of
    ancestors, in each layer.
    """
    passes = 3.0 if training.adapter == "none" else 2.0
    passes += 1.0 if training.checkpointing else 0.0
    attention = 4.0 * shape.layers * shape.hidden * context
    body = tokens * (2.0 * (shape.linear_parameters + adapter_parameters(shape, training)) + attention)
    return passes * (body + 2.0 * trained * shape.head)


def step_seconds(device: Device, count: int, *, work: float, updated: int) -> tuple[float, float, float]:
    """(low, assumed, high) seconds of an optimizer step of ``work`` operations that updates ``updated`` numbers.

    ``count`` devices divide the passes, which nothing has measured; each updates all numbers.
    """
    moved = updated * 2.0 * (2 * MASTER + MOMENTS)  # weights, gradients and moments, read and written
    update = moved / (device.gigabytes_per_second * 1e9)
    slow, assumed, fast = (work / (device.tflops * 1e12 * share) / count + update for share in EFFICIENCY)
    return fast, assumed, slow
