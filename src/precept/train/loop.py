"""The one training loop. It knows neither method nor model: forests come in, an objective gives (sum, count).

Of each optimizer step the sums of all forests are back-propagated as they are, and the gradient is divided once by
the step's whole count. Cutting a batch into other forests therefore never changes the objective.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor

from precept.errors import WorkError
from precept.ports import Monitor, Objective, Policy
from precept.train.checkpoint import Checkpoint, CheckpointStore, random_state, restore_random_state
from precept.train.optimizer import (
    optimizer_tensors,
    restore_optimizer,
    scale_and_clip,
)
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
    """What one run trains, and how: collaborators and plain values, so that all settings are read before it begins.

    ``batch_at(step)`` and ``learning_rate_at(step)`` give the forests and the rate of a 0-based optimizer step.
    ``evaluate`` returns the evaluation loss, and ``sample`` records to log at an evaluation; both happen at the start
    and the end, and every ``eval_steps``. ``early_stopping_patience`` counts evaluations without a lower loss.
    ``stop_requested`` is asked between steps.
    """

    policy: Policy
    objective: Objective
    parameters: Mapping[str, Tensor]
    optimizer: torch.optim.AdamW
    batch_at: Callable[[int], Sequence[Forest]]
    learning_rate_at: Callable[[int], float]
    max_grad_norm: float
    total_steps: int
    save_steps: int
    checkpoints: CheckpointStore
    monitor: Monitor
    eval_steps: int | None = None
    early_stopping_patience: int | None = None
    start: Checkpoint | None = None
    evaluate: Callable[[], float] | None = None
    sample: Callable[[], list[dict[str, Any]]] | None = None
    stop_requested: Callable[[], bool] = field(default=lambda: False)


class Interrupted(WorkError):
    """The user stopped the run between two steps; a checkpoint was written."""


def fit(work: Work) -> Counters:
    """Train from ``work.start``, or from the first step, to the end.

    Raises Interrupted when ``stop_requested`` says so, after saving, and WorkError when a loss is not finite.
    """
    counters = _resume(work)
    if counters.step == 0 and counters.eval_first is None:
        _look(work, counters)
        if work.early_stopping_patience is not None:
            _save(work, counters)  # the start may turn out to be the best
    while counters.step < work.total_steps and not counters.stopped_early:
        record = _take_step(work, counters)
        work.monitor.log(record)
        last = counters.step == work.total_steps
        looked = last or (work.eval_steps is not None and counters.step % work.eval_steps == 0)
        if looked:
            _look(work, counters)
        stop = work.stop_requested() and not last
        best_now = work.early_stopping_patience is not None and counters.best_step == counters.step
        if stop or last or best_now or counters.step % work.save_steps == 0:
            _save(work, counters)
        if stop:
            raise Interrupted(
                f"stopped at step {counters.step} of {work.total_steps}; a checkpoint is saved",
                code="interrupted",
                do="run the same command again to go on",
            )
    if work.early_stopping_patience is not None and counters.best_step not in (None, counters.step):
        _restore_weights(work.parameters, work.checkpoints.load(int(counters.best_step or 0)).weights)
        counters.eval_last = counters.eval_best
    return counters


@dataclass(slots=True)
class Totals:
    """Of the forests of one optimizer step: the sum of the losses, the weight it is the sum over, and tokens."""

    loss: float = 0.0
    count: float = 0.0
    real_tokens: int = 0
    distinct_tokens: int = 0
    trained_tokens: int = 0


def accumulate(policy: Policy, objective: Objective, forests: Iterable[Forest]) -> Totals:
    """Back-propagate the sum of each forest, as it is, into the gradients that are there."""
    totals = Totals()
    sums = []
    for forest in forests:
        loss = objective(policy, forest)
        loss.sum.backward()  # type: ignore[no-untyped-call]
        sums.append(loss.sum.detach())
        totals.count += loss.count
        totals.real_tokens += forest.real_tokens
        totals.distinct_tokens += forest.distinct_tokens
        totals.trained_tokens += len(forest.answers.edge)
    # read once, at the end: each reading waits until a GPU has done all that it was given
    for value in torch.stack(sums).tolist() if sums else []:
        totals.loss += value
    return totals


def _take_step(work: Work, counters: Counters) -> dict[str, Any]:
    """One optimizer step over the forests of the batch; returns its record for the log."""
    began = time.perf_counter()
    step = counters.step
    learning_rate = work.learning_rate_at(step)
    for group in work.optimizer.param_groups:
        group["lr"] = learning_rate
    totals = accumulate(work.policy, work.objective, work.batch_at(step))
    count, trained = totals.count, totals.trained_tokens
    mean = totals.loss / count if count else math.nan
    norm = scale_and_clip(work.parameters, count=count, max_norm=work.max_grad_norm) if count else math.nan
    if not (math.isfinite(mean) and math.isfinite(norm)):
        raise WorkError(
            f"the loss of step {step + 1} is {mean} and its gradient norm {norm}",
            code="non-finite-loss",
            found=f"learning rate {learning_rate:.3g}, {trained} trained tokens",
            do="lower learning_rate or look at the rows of this step; the last checkpoint is kept",
        )
    work.optimizer.step()
    work.optimizer.zero_grad(set_to_none=True)
    counters.step += 1
    counters.real_tokens += totals.real_tokens
    counters.distinct_tokens += totals.distinct_tokens
    counters.trained_tokens += trained
    counters.loss_first = mean if counters.loss_first is None else counters.loss_first
    counters.loss_last = mean
    return {
        "step": counters.step,
        "loss": mean,
        "learning_rate": learning_rate,
        "grad_norm": norm,
        "real_tokens": totals.real_tokens,
        "distinct_tokens": totals.distinct_tokens,
        "trained_tokens": trained,
        "seconds": time.perf_counter() - began,
    }


def _look(work: Work, counters: Counters) -> None:
    """Measure the evaluation loss, log sample answers, and decide whether to stop early."""
    if work.evaluate is None:
        return
    before = random_state()
    loss = work.evaluate()
    work.monitor.log({"step": counters.step, "eval_loss": loss})
    if work.sample is not None:
        for answer in work.sample():
            work.monitor.log({"step": counters.step, "sample": answer})
    restore_random_state(before)
    counters.eval_first = loss if counters.eval_first is None else counters.eval_first
    counters.eval_last = loss
    if counters.eval_best is None or loss < counters.eval_best:
        counters.eval_best, counters.best_step, counters.evaluations_since_best = loss, counters.step, 0
        return
    counters.evaluations_since_best += 1
    patience = work.early_stopping_patience
    counters.stopped_early = patience is not None and counters.evaluations_since_best >= patience


def _resume(work: Work) -> Counters:
    """Put back the checkpoint to start from; fresh counters when there is none."""
    if work.start is None:
        return Counters()
    _restore_weights(work.parameters, work.start.weights)
    restore_optimizer(work.optimizer, work.parameters, work.start.optimizer)
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


def _save(work: Work, counters: Counters) -> None:
    work.checkpoints.save(
        Checkpoint(
            counters.step,
            dict(work.parameters),
            optimizer_tensors(work.optimizer, work.parameters),
            random_state(),
            asdict(counters),
        ),
        protect=counters.best_step,
    )
