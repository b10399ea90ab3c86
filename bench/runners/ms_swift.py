"""ms-swift's side: its ``SwiftSft`` pipeline on rows of token ids, an epoch a repetition.

Settings are the arguments of ``swift sft``. Only the reading and templating of rows is replaced; model, trainer,
collator and loss are made by the pipeline. Its packing refuses to run without flash attention.
"""

from __future__ import annotations

import tempfile
from typing import Any

from swift.arguments import SftArguments
from swift.pipelines.train.sft import SwiftSft

from bench.runners.hugging_face import Repetitions, accumulation, arguments, trainer_loss
from bench.runners.protocol import Job, Settings, Stopwatch, serve

STOCK_BATCH = 1


class Rows(list[Any]):
    """Rows as the pipeline's template encodes them."""

    def __init__(self, job: Job) -> None:
        super().__init__(
            {"input_ids": ids.tolist(), "labels": labels.tolist(), "length": len(ids)}
            for ids, labels in zip(*job.sequences(), strict=True)
        )


class Pipeline(SwiftSft):  # type: ignore[misc]
    """The pipeline, with rows that are there already; ``stopwatch`` None finds the step-0 loss in place of training."""

    def __init__(self, given: SftArguments, job: Job, stopwatch: Stopwatch | None) -> None:
        self._job, self._stopwatch = job, stopwatch
        super().__init__(given)

    def _prepare_dataset(self) -> tuple[Rows, None]:
        return Rows(self._job), None

    def train(self, trainer: Any) -> Any:
        if self._stopwatch is None:
            return trainer_loss(trainer)
        trainer.add_callback(Repetitions(self._stopwatch))
        return trainer.train()


def run(job: Job, settings: Settings, stopwatch: Stopwatch | None) -> Any:
    """The pipeline from its arguments."""
    per_device = settings.get("per_device_train_batch_size", STOCK_BATCH)
    with tempfile.TemporaryDirectory() as output:
        given = {
            **arguments(job),
            "model": job.model,
            "model_type": "llama",
            "template": "dummy",
            "tuner_type": "full",
            "dataset": ["none"],
            "max_length": 2048,
            "output_dir": output,
            "add_version": False,
            "per_device_train_batch_size": per_device,
            "gradient_accumulation_steps": accumulation(job, rows=len(job.sequences()[0]), per_device=per_device),
            **settings,
        }
        return Pipeline(SftArguments(**given), job, stopwatch).main()


def loss(job: Job, settings: Settings) -> float:
    """The trainer's own loss over its own batches in float32."""
    return float(run(job, {**settings, "torch_dtype": "float32", "bf16": False}, None))


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """An epoch a repetition."""
    run(job, settings, stopwatch)


if __name__ == "__main__":
    serve(loss, train)
