"""TRL's side: ``SFTTrainer.train()`` on token ids and labels, an epoch a repetition.

Settings are arguments of ``SFTConfig``. The trainer shuffles, batches, packs, accumulates, clips and steps; a callback
waits for permission at the start of an epoch and takes the time at its end.
"""

from __future__ import annotations

import math
import tempfile
from typing import Any

import torch
from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from bench.runners.protocol import Job, Settings, Stopwatch, serve

SAME_FOR_ALL = {
    "report_to": "none",
    "save_strategy": "no",
    "disable_tqdm": True,
    "optim": "adamw_torch_fused",
    "lr_scheduler_type": "constant",
    "max_grad_norm": 1.0,
    "weight_decay": 0.0,
    "dataset_num_proc": None,
}


class Repetitions(TrainerCallback):
    """Times each epoch."""

    def __init__(self, stopwatch: Stopwatch) -> None:
        self.stopwatch = stopwatch

    def on_epoch_begin(self, *given: Any, **named: Any) -> None:
        self.stopwatch.start()

    def on_epoch_end(self, args: Any, state: Any, *given: Any, **named: Any) -> None:
        self.stopwatch.stop(optimizer_steps=state.global_step)


def make_trainer(job: Job, settings: Settings, output: str, callbacks: list[TrainerCallback]) -> SFTTrainer:
    """A trainer whose epoch is the whole workload in as many optimizer steps as the other side takes."""
    ids, labels = job.sequences()
    rows = Dataset.from_dict({"input_ids": [row.tolist() for row in ids], "labels": [row.tolist() for row in labels]})
    config = {
        **SAME_FOR_ALL,
        "output_dir": output,
        "num_train_epochs": job.repetitions,
        "learning_rate": job.learning_rate,
        "use_cpu": job.device == "cpu",
        "per_device_train_batch_size": 8,
        **settings,
    }

    def build(accumulated: int) -> SFTTrainer:
        given = SFTConfig(**config, gradient_accumulation_steps=accumulated)
        return SFTTrainer(model=job.model, args=given, train_dataset=rows, callbacks=callbacks)

    per_step = math.ceil(job.batch_size / config["per_device_train_batch_size"])
    trainer = build(per_step)
    if config.get("packing"):  # how many packs there are is known only now
        packs = len(trainer.train_dataset)
        trainer = build(math.ceil(packs / config["per_device_train_batch_size"] / job.steps(len(ids))))
    return trainer


def loss(job: Job, settings: Settings) -> float:
    """The trainer's own loss over its own batches in float32."""
    exact = {**settings, "bf16": False}
    exact["model_init_kwargs"] = {**settings.get("model_init_kwargs", {}), "dtype": "float32"}
    with tempfile.TemporaryDirectory() as output:
        trainer = make_trainer(job, exact, output, [])
        model = trainer.model.eval()
        batches = [trainer._prepare_inputs(batch) for batch in trainer.get_train_dataloader()]
        count = torch.stack([(batch["labels"][:, 1:] != -100).sum() for batch in batches]).sum()
        with torch.no_grad():
            return sum(float(trainer.compute_loss(model, batch, num_items_in_batch=count)) for batch in batches)


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """An epoch a repetition."""
    with tempfile.TemporaryDirectory() as output:
        make_trainer(job, settings, output, [Repetitions(stopwatch)]).train()


if __name__ == "__main__":
    serve(loss, train)
