"""One training run put together: batches from the schedule, the loop, and the folder it leaves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch

from precept.models.load import LoadedModel
from precept.models.precision import NAMED
from precept.models.probe import Chosen
from precept.models.save import save_model, trainable_state
from precept.objectives import sft
from precept.ports import Objective
from precept.render.store import trained_tokens
from precept.run.console import say
from precept.run.data.rows import RawData
from precept.run.output import Output, write_atomic
from precept.run.settings import RunSettings
from precept.run.tuning.card import model_card
from precept.run.tuning.held_out import HeldOut
from precept.run.tuning.memory import told_by_part
from precept.run.tuning.prepare import ForestMaker, RenderedData
from precept.run.tuning.progress import make_monitor
from precept.run.tuning.provenance import data_manifest, schedule_lines
from precept.run.tuning.row_order import make_schedule
from precept.train.checkpoint import CheckpointStore
from precept.train.loop import Counters, Work, fit
from precept.train.optimizer import learning_rate_at, make_optimizer
from precept.train.settings import DEFAULT_LEARNING_RATES, total_steps

OBJECTIVES: Mapping[str, Objective] = {"sft": sft}


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
        loop, sequences = settings.loop, data.train.sequences
        self.forests = ForestMaker(sequences, chosen, max_tokens=max_tokens)
        self.schedule = make_schedule(sequences, loop, data_hash=raw.hash)
        self.total = total_steps(loop, self.schedule.steps_per_epoch)
        default = DEFAULT_LEARNING_RATES[(method, settings.model.adapter)]
        self.learning_rate = settings.optimizer.learning_rate or default
        self.held_out = self._held_out(max_tokens)
        self.checkpoints = CheckpointStore(out.folder, keep=loop.save_total_limit)
        self.save_dtype, self.report_to = settings.model.save_dtype, loop.report_to
        self.work = self._work()

    def _held_out(self, max_tokens: int) -> HeldOut | None:
        if self.data.held_out is None or not self.data.held_out.sequences:
            return None
        return HeldOut(
            self.data.held_out.sequences,
            self.raw,
            self.data,
            self.loaded,
            self.chosen,
            objective=OBJECTIVES[self.method],
            max_tokens=max_tokens,
            sample_answers=self.settings.loop.sample_answers,
        )

    def _work(self) -> Callable[..., Work]:
        """All that the loop gets but monitor and checkpoint: each setting is read here, and where it has effect."""
        loop, optimizer, held_out = self.settings.loop, self.settings.optimizer, self.held_out
        parameters = trainable_state(self.loaded.model)
        work = partial(
            Work,
            policy=self.chosen.policy,
            objective=OBJECTIVES[self.method],
            parameters=parameters,
            optimizer=make_optimizer(parameters, optimizer, learning_rate=self.learning_rate),
            batch_at=lambda step: self.forests(self.schedule.rows(step)),
            learning_rate_at=partial(
                learning_rate_at,
                peak=self.learning_rate,
                total=self.total,
                shape=optimizer.lr_scheduler_type,
                warmup_ratio=optimizer.warmup_ratio,
            ),
            max_grad_norm=optimizer.max_grad_norm,
            total_steps=self.total,
            save_steps=loop.save_steps,
            checkpoints=self.checkpoints,
            stop_requested=self.stop_requested,
        )
        if held_out is None:
            return work
        return partial(
            work,
            eval_steps=loop.eval_steps,
            early_stopping_patience=loop.early_stopping_patience,
            evaluate=held_out.loss,
            sample=held_out.answers if held_out.samples else None,
        )

    def fit(self) -> Counters:
        """Train to the end, from the newest checkpoint that reads well."""
        self.out.write_json("data_manifest.json", data_manifest(self.raw, self.data))
        self.checkpoints.clear_partial()
        start, notices = self.checkpoints.load_latest()
        for notice in [*notices, *([f"going on from step {start.step}"] if start else [])]:
            say(notice)
        self._say_plan()
        monitor = make_monitor(
            self.out.folder, total=self.total, done=start.step if start else None, report_to=self.report_to
        )
        self.loaded.model.train()
        try:
            with told_by_part(
                self.loaded.path,
                self.settings,
                self.data.train.sequences,
                loaded=self.loaded,
                tokens=self.forests.max_tokens,
            ):
                return fit(self.work(monitor=monitor, start=start))
        finally:
            monitor.close()

    def save(self, counters: Counters, *, seconds: float) -> dict[str, Any]:
        """Write the model folder and its records; returns the result document."""
        saved = save_model(
            self.loaded,
            self.out.folder,
            save_dtype=self.save_dtype,
            stop_ids=self.data.train.stop_ids,
            chat_template=self.data.chat_template,
            tokenizer=self.data.tokenizer,
        )
        eval_loss = None
        if self.held_out:
            eval_loss = {"first": counters.eval_first, "last": counters.eval_last, "rows": self.held_out.rows}
            if saved.dtype != "float32" and self.settings.model.adapter == "none":
                self._say_cast(saved.dtype, self.held_out, before=counters.eval_last)
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

    def _say_cast(self, dtype: str, held_out: HeldOut, *, before: float | None) -> None:
        """The saved weights are the masters rounded: tell what that does to the held-out loss."""
        with torch.no_grad():
            for parameter in self.loaded.model.parameters():
                parameter.copy_(parameter.to(NAMED[dtype]))
        after = held_out.loss()
        say(
            f"saved as {dtype}: evaluation loss {after:.6f}, {after - (before or 0.0):+.2e} against the float32 masters"
        )

    def _say_plan(self) -> None:
        loop = self.settings.loop
        trained = trained_tokens(self.data.train.sequences)
        groups = f" in groups of {loop.group_by_prefix}" if loop.group_by_prefix else ""
        say(
            f"{len(self.data.train.sequences)} sequences, {trained:,} trained tokens, {self.total} steps of"
            f" {loop.batch_size} sequences{groups}, learning rate {self.learning_rate:g}"
            f" ({self.settings.model.adapter}), {self.forests.max_tokens} distinct tokens a forest,"
            f" {self.chosen.mode}, {self.loaded.compute_dtype}"
        )
