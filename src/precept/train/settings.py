"""What a user may set about optimization and about the loop."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from precept.settings import Settings

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Shape = Literal["cosine", "linear", "constant"]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]

# By method and adapter: full tuning moves every weight and wants small steps, adapters start at zero.
DEFAULT_LEARNING_RATES = {
    ("sft", "none"): 2e-5,
    ("sft", "lora"): 2e-4,
    ("sft", "dora"): 2e-4,
    ("sft", "qlora"): 2e-4,
}


class OptimizerSettings(Settings):
    """AdamW and its schedule."""

    learning_rate: Positive | None = None
    """Peak learning rate. Default by method and adapter: 2e-5 for full weights, 2e-4 for adapters."""
    lr_scheduler_type: Shape = "cosine"
    """Shape after the warm-up; cosine and linear end at zero."""
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.03
    """Share of the steps over which the learning rate rises."""
    weight_decay: NotNegative = 0.0
    """Decoupled weight decay, on matrices only."""
    max_grad_norm: NotNegative = 1.0
    """The gradient's norm is clipped to this; 0 turns clipping off."""
    adam_beta1: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Decay of the first moment."""
    adam_beta2: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """Decay of the second moment."""
    adam_epsilon: Positive = 1e-8
    """Added to the denominator of the update."""


class LoopSettings(Settings):
    """How long to train, and how often to look and to save."""

    batch_size: Annotated[int, Field(ge=1)] = 64
    """Sequences an optimizer step, over all devices."""
    max_tokens_per_forest: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"
    """Distinct tokens computed at once; memory grows with it, the result does not change."""
    group_by_prefix: Annotated[int, Field(ge=2)] | None = None
    """Draw rows in groups of so many that share a prefix, which makes other batches than drawing them one by one, and
    cheaper ones. batch_size must be a multiple of it."""
    num_train_epochs: Positive = 3.0
    """Passes over the data."""
    max_steps: Annotated[int, Field(ge=1)] | None = None
    """Optimizer steps; overrides num_train_epochs and may exceed an epoch."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 42
    """Decides the order of rows, new weights and dropout."""
    eval_steps: Annotated[int, Field(ge=1)] | None = None
    """Evaluation loss every so many steps; by default at the start and the end."""
    save_steps: Annotated[int, Field(ge=1)] = 200
    """A checkpoint every so many steps."""
    save_total_limit: Annotated[int, Field(ge=1)] = 2
    """Checkpoints kept."""
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None
    """Stop after so many evaluations without a lower loss, and keep the best weights. Needs eval_steps."""
    sample_answers: Annotated[int, Field(ge=0)] = 2
    """Evaluation prompts answered and logged at each evaluation."""
    report_to: Literal["none", "tensorboard", "trackio"] = "none"
    """A tracker beside metrics.jsonl, through an extra."""

    @model_validator(mode="after")
    def _batches_hold_whole_groups(self) -> LoopSettings:
        if self.group_by_prefix is not None and self.batch_size % self.group_by_prefix:
            raise ValueError(
                f"batch_size {self.batch_size} must be a multiple of group_by_prefix {self.group_by_prefix}"
            )
        return self

    @model_validator(mode="after")
    def _early_stopping_needs_evaluations(self) -> LoopSettings:
        if self.early_stopping_patience is not None and self.eval_steps is None:
            raise ValueError("early_stopping_patience needs eval_steps: set how often the evaluation loss is measured")
        return self


def total_steps(settings: LoopSettings, steps_per_epoch: int) -> int:
    """Optimizer steps of the whole run; a part of an epoch is rounded up. Both keys may be set: max_steps overrides."""
    epochs, max_steps = settings.num_train_epochs, settings.max_steps
    return math.ceil(epochs * steps_per_epoch - 1e-9) if max_steps is None else max_steps
