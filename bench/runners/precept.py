"""Precept's side: what ``precept train sft`` composes, over sequences that are already there.

Loading, the search for an exact policy, the budget of a forest, cutting and building forests, the objective, the
optimizer: the package's own, with its default settings. A repetition includes building the forests.
"""

from __future__ import annotations

from pathlib import Path

from bench.runners.protocol import Job, Settings, Stopwatch, serve
from bench.workloads import load_workload
from precept.forest import build_forest, distinct_tokens
from precept.models.load import LoadedModel, load_model
from precept.models.probe import choose_policy
from precept.models.save import trainable_state
from precept.objectives import sft
from precept.run.settings import RunSettings, parse_settings
from precept.run.tuning.memory import tokens_per_forest
from precept.run.tuning.prepare import ForestMaker
from precept.train.loop import accumulate
from precept.train.optimizer import make_optimizer, scale_and_clip


class Tuner:
    """A model, its policy and the forests of each optimizer step."""

    def __init__(self, job: Job, settings: Settings) -> None:
        self.run: RunSettings = parse_settings(settings)
        self.sequences = load_workload(Path(job.workload)).sequences[: job.rows]
        self.loaded: LoadedModel = load_model(Path(job.model), self.run.model, train=True, device=job.device)
        lengths = [len(sequence.ids) for sequence in self.sequences]
        chosen = choose_policy(
            self.loaded.model,
            sharing=self.run.model.sharing,
            build=build_forest,
            compute_dtype=self.loaded.compute_dtype,
            longest=max(lengths),
            tokens=(sum(lengths), distinct_tokens(self.sequences)),
        )
        self.policy = chosen.policy
        budget = tokens_per_forest(self.run, self.sequences, self.loaded)
        self.forests = ForestMaker(self.sequences, chosen, max_tokens=budget)
        count, size = len(self.sequences), job.batch_size
        self.batches = [range(count)[first : first + size] for first in range(0, count, size)]


def loss(job: Job, settings: Settings) -> float:
    """Mean loss of all rows in float32."""
    import torch

    tuner = Tuner(job, {**settings, "dtype": "float32"})
    with torch.no_grad():
        losses = [sft(tuner.policy, forest) for rows in tuner.batches for forest in tuner.forests(rows)]
    return sum(float(part.sum) for part in losses) / sum(part.count for part in losses)


def train(job: Job, settings: Settings, stopwatch: Stopwatch) -> None:
    """The loop's own step over each batch of rows."""
    tuner = Tuner(job, settings)
    parameters = trainable_state(tuner.loaded.model)
    optimizer = make_optimizer(parameters, tuner.run.optimizer, learning_rate=job.learning_rate)
    max_norm = tuner.run.optimizer.max_grad_norm
    tuner.loaded.model.train()
    for _ in range(job.repetitions):
        stopwatch.start()
        distinct = 0
        for rows in tuner.batches:
            totals = accumulate(tuner.policy, sft, tuner.forests(rows))
            scale_and_clip(parameters, count=totals.count, max_norm=max_norm)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            distinct += totals.distinct_tokens
        stopwatch.stop(computed_tokens=distinct, loss=totals.loss / totals.count)


if __name__ == "__main__":
    serve(loss, train)
