"""TRL's side: ``SFTTrainer.train()`` on token ids and labels, an epoch a repetition.

Settings are arguments of ``SFTConfig``. The trainer shuffles, batches, packs, accumulates, clips and steps; a callback
waits for permission at the start of an epoch and takes the time at its end.
"""

from __future__ import annotations

import tempfile

from datasets import Dataset
from transformers import TrainerCallback
from trl import SFTConfig, SFTTrainer

from bench.runners.hugging_face import Repetitions, accumulation, arguments, trainer_loss
from bench.runners.protocol import Job, Settings, Stopwatch, serve

STOCK_BATCH = 8


def make_trainer(job: Job, settings: Settings, output: str, callbacks: list[TrainerCallback]) -> SFTTrainer:
    """A trainer whose epoch is the whole workload."""
    ids, labels = job.sequences()
    rows = Dataset.from_dict({"input_ids": [row.tolist() for row in ids], "labels": [row.tolist() for row in labels]})
    config = {**arguments(job), "per_device_train_batch_size": STOCK_BATCH, **settings, "output_dir": output}
    per_device = config["per_device_train_batch_size"]

    def build(accumulated: int) -> SFTTrainer:
        given = SFTConfig(**config, gradient_accumulation_steps=accumulated)
        return SFTTrainer(model=job.model, args=given, train_dataset=rows, callbacks=callbacks)

    trainer = build(accumulation(job, rows=len(ids), per_device=per_device))
    if not config.get("packing"):
        return trainer
    packs = len(trainer.train_dataset)  # known only now
    return build(accumulation(job, rows=len(ids), per_device=per_device, packs=packs))


def loss(job: Job, settings: Settings) -> float:
    """The trainer's own loss over its own batches in float32."""
    exact = {**settings, "bf16": False}
    exact["model_init_kwargs"] = {**settings.get("model_init_kwargs", {}), "dtype": "float32"}
    with tempfile.TemporaryDirectory() as output:
        return trainer_loss(make_trainer(job, exact, output, []))


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """An epoch a repetition."""
    with tempfile.TemporaryDirectory() as output:
        make_trainer(job, settings, output, [Repetitions(stopwatch)]).train()


if __name__ == "__main__":
    serve(loss, train)
