"""What the peers around Hugging Face's Trainer share: an epoch is a repetition, and the loss of a trainer's batches."""

from __future__ import annotations

import math
from typing import Any

import torch
from transformers import TrainerCallback

from bench.runners.protocol import IGNORED, Job, Stopwatch

SAME_FOR_ALL = {
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "optim": "adamw_torch_fused",
    "lr_scheduler_type": "constant",
    "max_grad_norm": 1.0,
    "weight_decay": 0.0,
}


class Repetitions(TrainerCallback):  # type: ignore[misc]  # transformers has no types here
    """Times each epoch: waits for permission at its start, tells the seconds at its end."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def on_epoch_begin(self, *given: Any, **named: Any) -> None:
        self.stopwatch.start()

    def on_epoch_end(self, args: Any, state: Any, *given: Any, **named: Any) -> None:
        self.stopwatch.stop(optimizer_steps=state.global_step)


def arguments(job: Job) -> dict[str, Any]:
    """Training arguments that every peer gets."""
    return {
        **SAME_FOR_ALL,
        "num_train_epochs": job.repetitions,
        "learning_rate": job.learning_rate,
        "use_cpu": job.device == "cpu",
    }


def accumulation(job: Job, *, rows: int, per_device: int, packs: int | None = None) -> int:
    """Micro-batches of an optimizer step: a repetition takes as many steps as 64 rows each give."""
    if packs is None:
        return math.ceil(min(rows, job.batch_size) / per_device)
    return math.ceil(math.ceil(packs / per_device) / job.steps(rows))


def trainer_loss(trainer: Any) -> float:
    """Mean over all trained tokens of the trainer's own loss over its own batches."""
    model = trainer.model.eval()
    batches = [trainer._prepare_inputs(batch) for batch in trainer.get_train_dataloader()]
    count = torch.stack([(batch["labels"][:, 1:] != IGNORED).sum() for batch in batches]).sum()
    with torch.no_grad():
        return sum(float(trainer.compute_loss(model, batch, num_items_in_batch=count)) for batch in batches)
