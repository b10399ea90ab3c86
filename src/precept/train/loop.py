"""The one training loop. It knows neither method nor model: forests come in, an objective gives (sum, count).

Of each optimizer step the sums of all forests are back-propagated as they are, and the gradient is divided once by
the step's whole count. Cutting a batch into other forests therefore never changes the objective.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from precept.errors import WorkError
from precept.ports import Monitor, Objective, Policy
from precept.train.checkpoint import Checkpoint, CheckpointStore, random_state, restore_random_state
from precept.train.optimizer import (
    learning_rate_at,
    make_optimizer,
    optimizer_tensors,
    restore_optimizer,
    scale_and_clip,
)
from precept.train.settings import LoopSettings, OptimizerSettings
from precept.types import Forest


@dataclass(slots=True)
class Counters:
    """How far a run has come; stored in every checkpoint, so that a resumed run counts on."""

    step: int = 0
    real_tokens: int = 0
    distinct_tokens: int = 0
    trained_tokens: int = 0
    loss_first: float | None = None
    loss_last: float | None = None
    eval_first: float | None = None
    eval_last: float | None = None
    eval_best: float | None = None
    best_step: int | None = None
    evaluations_since_best: int = 0
    stopped_early: bool = False


@dataclass(frozen=True)
class Work:
    """What one run trains: the collaborators are handed in.

    ``batch_at(step)`` gives the forests of a 0-based optimizer step. ``evaluate`` returns the evaluation loss, and
    ``sample`` records to log at an evaluation. ``stop_requested`` is asked between steps.
    """

    policy: Policy
    objective: Objective
    parameters: Mapping[str, Tensor]
    batch_at: Callable[[int], Sequence[Forest]]
    total_steps: int
    peak_learning_rate: float
    checkpoints: CheckpointStore
    monitor: Monitor
    start: Checkpoint | None = None
    evaluate: Callable[[], float] | None = None
    sample: Callable[[], list[dict[str, Any]]] | None = None
    stop_requested: Callable[[], bool] = field(default=lambda: False)


class Interrupted(WorkError):
    """The user stopped the run between two steps; a checkpoint was written."""


def fit(work: Work, *, optimizer_settings: OptimizerSettings, settings: LoopSettings) -> Counters:
    """Train from ``work.start``, or from the first step, to the end.

    Raises Interrupted when ``stop_requested`` says so, after saving, and WorkError when a loss is not finite.
    """
    optimizer = make_optimizer(work.parameters, optimizer_settings, learning_rate=work.peak_learning_rate)
    counters = _resume(work, optimizer)
    if counters.step == 0 and counters.eval_first is None:
        _look(work, counters, settings)
        if settings.early_stopping_patience is not None:
            _save(work, optimizer, counters)  # the start may turn out to be the best
    while counters.step < work.total_steps and not counters.stopped_early:
        record = _take_step(work, optimizer, counters, optimizer_settings)
        work.monitor.log(record)
        last = counters.step == work.total_steps
        looked = last or (settings.eval_steps is not None and counters.step % settings.eval_steps == 0)
        if looked:
            _look(work, counters, settings)
        stop = work.stop_requested() and not last
        best_now = settings.early_stopping_patience is not None and counters.best_step == counters.step
        if stop or last or best_now or counters.step % settings.save_steps == 0:
            _save(work, optimizer, counters)
        if stop:
            raise Interrupted(
                f"stopped at step {counters.step} of {work.total_steps}; a checkpoint is saved",
                code="interrupted",
                do="run the same command again to go on",
            )
    if settings.early_stopping_patience is not None and counters.best_step not in (None, counters.step):
        _restore_weights(work.parameters, work.checkpoints.load(int(counters.best_step or 0)).weights)
        counters.eval_last = counters.eval_best
    return counters


def _take_step(
    work: Work, optimizer: torch.optim.AdamW, counters: Counters, settings: OptimizerSettings
) -> dict[str, Any]:
    """One optimizer step over the forests of the batch; returns its record for the log."""
    began = time.perf_counter()
    step = counters.step
    learning_rate = learning_rate_at(step, peak=work.peak_learning_rate, total=work.total_steps, settings=settings)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    loss_sum, count, real, distinct, trained = 0.0, 0.0, 0, 0, 0
    for forest in work.batch_at(step):
        loss = work.objective(work.policy, forest)
        loss.sum.backward()  # type: ignore[no-untyped-call]
        loss_sum += float(loss.sum.detach())
        count += loss.count
        real += forest.real_tokens
        distinct += forest.distinct_tokens
        trained += len(forest.answers.edge)
    mean = loss_sum / count if count else math.nan
    norm = scale_and_clip(work.parameters, count=count, max_norm=settings.max_grad_norm) if count else math.nan
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise WorkError(
            f"the loss of step {step + 1} is {mean} and its gradient norm {norm}",
            code="non-finite-loss",
            found=f"learning rate {learning_rate:.3g}, {trained} trained tokens",
            do="lower learning_rate or look at the rows of this step; the last checkpoint is kept",
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    counters.step += 1
    counters.real_tokens += real
    counters.distinct_tokens += distinct
    counters.trained_tokens += trained
    counters.loss_first = mean if counters.loss_first is None else counters.loss_first
    counters.loss_last = mean
    return {
        "step": counters.step,
        "loss": mean,
        "learning_rate": learning_rate,
        "grad_norm": norm,
        "real_tokens": real,
        "distinct_tokens": distinct,
        "trained_tokens": trained,
        "seconds": time.perf_counter() - began,
    }


def _look(work: Work, counters: Counters, settings: LoopSettings) -> None:
    """Measure the evaluation loss, log sample answers, and decide whether to stop early."""
    if work.evaluate is None:
        return
    before = random_state()
    loss = work.evaluate()
    work.monitor.log({"step": counters.step, "eval_loss": loss})
    if work.sample is not None and settings.sample_answers:
        for answer in work.sample():
            work.monitor.log({"step": counters.step, "sample": answer})
    restore_random_state(before)
    counters.eval_first = loss if counters.eval_first is None else counters.eval_first
    counters.eval_last = loss
    if counters.eval_best is None or loss < counters.eval_best:
        counters.eval_best, counters.best_step, counters.evaluations_since_best = loss, counters.step, 0
        return
    counters.evaluations_since_best += 1
    patience = settings.early_stopping_patience
    counters.stopped_early = patience is not None and counters.evaluations_since_best >= patience


def _resume(work: Work, optimizer: torch.optim.AdamW) -> Counters:
    """Put back the checkpoint to start from; fresh counters when there is none."""
    if work.start is None:
        return Counters()
    _restore_weights(work.parameters, work.start.weights)
    restore_optimizer(optimizer, work.parameters, work.start.optimizer)
    restore_random_state(work.start.random)
    return Counters(**work.start.state)


def _restore_weights(parameters: Mapping[str, Tensor], weights: Mapping[str, Tensor]) -> None:
    if set(parameters) != set(weights):
        odd = sorted(set(parameters) ^ set(weights))[:3]
        raise WorkError(
            "the checkpoint holds other weights than this model trains",
            code="checkpoint-other-model",
            found=", ".join(odd),
            do="use --fresh to start anew",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(weights[name])


def _save(work: Work, optimizer: torch.optim.AdamW, counters: Counters) -> None:
    work.checkpoints.save(
        Checkpoint(
            counters.step,
            dict(work.parameters),
            optimizer_tensors(optimizer, work.parameters),
            random_state(),
            asdict(counters),
        ),
        protect=counters.best_step,
    )
