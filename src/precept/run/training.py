"""One training run put together: batches from the schedule, the loop, and the folder it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from precept.decode import GreedySampler
from precept.forest import Schedule
from precept.models.load import LoadedModel
from precept.models.precision import NAMED
from precept.models.probe import Chosen
from precept.models.save import save_model, trainable_state
from precept.objectives import sft
from precept.ports import Objective
from precept.run.card import model_card
from precept.run.console import say
from precept.run.memory import told_by_part
from precept.run.output import Output, write_atomic
from precept.run.prepare import ForestMaker, RenderedData, sample_prompts
from precept.run.progress import make_monitor
from precept.run.provenance import data_manifest, schedule_lines
from precept.run.rows import RawData
from precept.run.settings import RunSettings
from precept.train.checkpoint import CheckpointStore
from precept.train.loop import Counters, Work, fit
from precept.train.settings import DEFAULT_LEARNING_RATES, total_steps

OBJECTIVES: Mapping[str, Objective] = {"sft": sft}
SAMPLE_TOKENS = 48


class Run:
    """A training step between loading and COMPLETED."""

    def __init__(
        self,
        out: Output,
        raw: RawData,
        data: RenderedData,
        loaded: LoadedModel,
        chosen: Chosen,
        settings: RunSettings,
        *,
        method: str,
        max_tokens: int,
        stop_requested: Callable[[], bool],
    ) -> None:
        self.out, self.raw, self.data, self.loaded, self.chosen = out, raw, data, loaded, chosen
        self.settings, self.method, self.stop_requested = settings, method, stop_requested
        sequences = data.train.sequences
        self.forests = ForestMaker(sequences, chosen, max_tokens=max_tokens)
        self.schedule = Schedule(len(sequences), settings.loop.batch_size, seed=settings.loop.seed, data_hash=raw.hash)
        self.total = total_steps(settings.loop, self.schedule.steps_per_epoch)
        default = DEFAULT_LEARNING_RATES[(method, settings.model.adapter)]
        self.learning_rate = settings.optimizer.learning_rate or default
        held_out = data.held_out.sequences if data.held_out else []
        self.held_out = ForestMaker(held_out, chosen, max_tokens=max_tokens)(range(len(held_out))) if held_out else []
        self.checkpoints = CheckpointStore(out.folder, keep=settings.loop.save_total_limit)

    def fit(self) -> Counters:
        """Train to the end, from the newest checkpoint that reads well."""
        self.out.write_json("data_manifest.json", data_manifest(self.raw, self.data))
        self.checkpoints.clear_partial()
        start, notices = self.checkpoints.load_latest()
        for notice in [*notices, *([f"going on from step {start.step}"] if start else [])]:
            say(notice)
        self._say_plan()
        loop = self.settings.loop
        monitor = make_monitor(
            self.out.folder, total=self.total, done=start.step if start else None, report_to=loop.report_to
        )
        work = Work(
            policy=self.chosen.policy,
            objective=OBJECTIVES[self.method],
            parameters=trainable_state(self.loaded.model),
            batch_at=lambda step: self.forests(self.schedule.rows(step)),
            total_steps=self.total,
            peak_learning_rate=self.learning_rate,
            checkpoints=self.checkpoints,
            monitor=monitor,
            start=start,
            evaluate=self.evaluation_loss if self.held_out else None,
            sample=self.sample_answers if self.held_out else None,
            stop_requested=self.stop_requested,
        )
        self.loaded.model.train()
        try:
            with told_by_part(self.settings, self.loaded, self.data.train.sequences, tokens=self.forests.max_tokens):
                return fit(work, optimizer_settings=self.settings.optimizer, settings=loop)
        finally:
            monitor.close()

    def evaluation_loss(self) -> float:
        """Sum over count of the held-out rows, in evaluation mode and without gradients."""
        total, count = 0.0, 0.0
        with _evaluating(self.loaded.model):
            for forest in self.held_out:
                loss = OBJECTIVES[self.method](self.chosen.policy, forest)
                total += float(loss.sum)
                count += loss.count
        return total / count

    def sample_answers(self) -> list[dict[str, Any]]:
        """What the model answers to a few held-out prompts now."""
        rows = sample_prompts(self.raw.held_out, count=self.settings.loop.sample_answers)
        prompts = [self.data.renderer.prompt_ids(row.messages[:-1], row.tools) for row in rows]
        sampler = GreedySampler(
            self.loaded.model,
            self.data.tokenizer,
            stop_ids=self.data.train.stop_ids,
            max_context=self.loaded.max_positions,
            compute_dtype=self.loaded.compute_dtype,
        )
        with _evaluating(self.loaded.model):
            answers = sampler.generate(prompts, max_new_tokens=SAMPLE_TOKENS)
        return [
            {"prompt_tail": (row.messages[-2].content or "")[-60:], "answer": answer.refused or answer.text}
            for row, answer in zip(rows, answers, strict=True)
        ]

    def save(self, counters: Counters, *, seconds: float) -> dict[str, Any]:
        """Write the model folder and its records; returns the result document."""
        saved = save_model(
            self.loaded,
            self.out.folder,
            save_dtype=self.settings.model.save_dtype,
            stop_ids=self.data.train.stop_ids,
            chat_template=self.data.chat_template,
            tokenizer=self.data.tokenizer,
        )
        eval_loss = None
        if self.held_out:
            rows = len(self.data.held_out.sequences) if self.data.held_out else 0
            eval_loss = {"first": counters.eval_first, "last": counters.eval_last, "rows": rows}
            if saved.dtype != "float32" and self.settings.model.adapter == "none":
                self._say_cast(saved.dtype, before=counters.eval_last)
        result = {
            "output": str(self.out.folder),
            "steps": counters.step,
            "loss_first": counters.loss_first,
            "loss_last": counters.loss_last,
            "eval_loss": eval_loss,
            "tokens": {
                "real": counters.real_tokens,
                "distinct": counters.distinct_tokens,
                "trained": counters.trained_tokens,
            },
            "seconds": seconds,
            "tokens_per_second": counters.real_tokens / seconds,
        }
        lines = schedule_lines(self.schedule, self.data.train.sequences, self.raw, steps=counters.step)
        write_atomic(self.out.folder / "schedule.jsonl", lines)
        write_atomic(self.out.folder / "README.md", model_card(self, result).encode())
        return result

    def clean(self) -> None:
        """Checkpoints served their purpose once COMPLETED is there."""
        self.checkpoints.remove_all()

    def _say_cast(self, dtype: str, *, before: float | None) -> None:
        """The saved weights are the masters rounded: tell what that does to the held-out loss."""
        with torch.no_grad():
            for parameter in self.loaded.model.parameters():
                parameter.copy_(parameter.to(NAMED[dtype]))
        after = self.evaluation_loss()
        say(
            f"saved as {dtype}: evaluation loss {after:.6f}, {after - (before or 0.0):+.2e} against the float32 masters"
        )

    def _say_plan(self) -> None:
        loop = self.settings.loop
        trained = sum(int(np.count_nonzero(s.weights)) for s in self.data.train.sequences)
        say(
            f"{len(self.data.train.sequences)} sequences, {trained:,} trained tokens, {self.total} steps of"
            f" {loop.batch_size} sequences, learning rate {self.learning_rate:g} ({self.settings.model.adapter}),"
            f" {self.forests.max_tokens} distinct tokens a forest, {self.chosen.mode}, {self.loaded.compute_dtype}"
        )


@contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
