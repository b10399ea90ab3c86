"""What to change where memory does not suffice, in order of what the change costs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from precept.forecast.memory import Activations, Training, analytic_activations, count_parts, peak_bytes
from precept.forecast.shape import ModelShape

LORA_RANK = 16  # what adapter=lora takes when nothing else is said


@dataclass(frozen=True, slots=True)
class Change:
    """A setting as it is written, and the bytes that it saves alone."""

    change: str
    saves_bytes: int
    cost: str


def propose_changes(
    shape: ModelShape,
    training: Training,
    activations: Activations,
    *,
    tokens: int,
    predicted: int,
    longest: int,
    base_bytes: int,
) -> list[Change]:
    """Settings that save memory, the cheapest first; those that save nothing are left out.

    Smaller forests cost a little time, checkpointing a third more, an adapter what full tuning learns beyond it, four
    bits the rounding of the base. ``base_bytes`` is what a number of the base takes in its file: a frozen base is held
    so. ``longest`` bounds the forest from below. Each saving is predicted for that change alone.
    """
    now = peak_bytes(count_parts(shape, training, activations, tokens=tokens, predicted=predicted), training)

    def saved(other: Training, size: int = tokens) -> int:
        scaled = _scaled(activations, shape, training, other, size)
        share = predicted * size // max(1, tokens)
        return now - peak_bytes(count_parts(shape, other, scaled, tokens=size, predicted=share), other)

    lean_base = replace(
        training,
        rank=training.rank or LORA_RANK,
        targets=None if training.adapter == "none" else training.targets,
        weight_bytes=max(base_bytes, training.compute_bytes),
    )
    found = []
    smaller = max(longest, tokens // 2)
    if smaller < tokens:
        found.append(Change(f"max_tokens_per_forest={smaller}", saved(training, smaller), "smaller passes, no other"))
    if not training.checkpointing:
        lean = replace(training, checkpointing=True)
        found.append(Change("gradient_checkpointing=true", saved(lean), "about a third more time"))
    if training.adapter == "none":
        frozen = replace(lean_base, adapter="lora")
        found.append(Change("adapter=lora", saved(frozen), "low-rank changes in place of all weights"))
    if training.adapter != "qlora":
        packed = replace(lean_base, adapter="qlora")
        found.append(Change("adapter=qlora", saved(packed), "a base rounded to 4 bits; extra 'quant'"))
    return [change for change in found if change.saves_bytes > 0]


def _scaled(activations: Activations, shape: ModelShape, now: Training, other: Training, tokens: int) -> Activations:
    """Activations under another setting: the measured ones, times what the analytic estimate changes by."""
    scale = analytic_activations(shape, other).at(tokens) / max(1, analytic_activations(shape, now).at(tokens))
    return activations.scaled(scale)
