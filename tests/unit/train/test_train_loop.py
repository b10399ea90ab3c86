"""The loop on a table of bigrams: exact sums, exact resuming, early stopping, clear failures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.fakes import BigramPolicy, ListMonitor, sequence

from precept.errors import WorkError
from precept.forest import Schedule, build_forest, cut
from precept.objectives import sft
from precept.train.checkpoint import CheckpointStore
from precept.train.loop import Counters, Interrupted, Work, fit
from precept.train.optimizer import make_optimizer
from precept.train.settings import LoopSettings, OptimizerSettings, total_steps

ROWS = [sequence(1, 2, 3), sequence(1, 2, 4, 5), sequence(6, 7), sequence(1, 3), sequence(5, 5, 5, 5, 5, 2)]


def run(
    folder: Path,
    *,
    policy: BigramPolicy | None = None,
    max_tokens: int = 100,
    steps: int = 6,
    stop_after: int | None = None,
    evaluate: Any = None,
    **looks: int,
) -> tuple[BigramPolicy, ListMonitor, Counters]:
    policy = policy or BigramPolicy(8)
    monitor = ListMonitor()
    schedule = Schedule(len(ROWS), 3, seed=1, data_hash="d")
    store = CheckpointStore(folder)
    start, _ = store.load_latest()

    def batch_at(step: int) -> Sequence[Any]:
        rows = [ROWS[i] for i in schedule.rows(step)]
        return [build_forest([rows[i] for i in group]) for group in cut(rows, max_tokens=max_tokens)]

    taken: list[int] = []

    def stop() -> bool:
        taken.append(1)
        return stop_after is not None and len(taken) == stop_after

    work = Work(
        policy=policy,
        objective=sft,
        parameters=policy.parameters(),
        optimizer=make_optimizer(policy.parameters(), OptimizerSettings(), learning_rate=0.1),
        batch_at=batch_at,
        learning_rate_at=lambda step: 0.1,
        max_grad_norm=1.0,
        total_steps=steps,
        save_steps=200,
        checkpoints=store,
        monitor=monitor,
        start=start,
        evaluate=evaluate,
        stop_requested=stop,
        **looks,
    )
    return policy, monitor, fit(work)


def test_the_loss_is_a_sum_divided_once_by_the_global_count(tmp_path: Path) -> None:
    whole, whole_log, _ = run(tmp_path / "a")
    pieces, pieces_log, _ = run(tmp_path / "b", max_tokens=4)
    for (_, one), (_, other) in zip(whole_log.losses(), pieces_log.losses(), strict=True):
        assert one == pytest.approx(other, rel=1e-6)
    torch.testing.assert_close(whole.table, pieces.table, rtol=1e-5, atol=1e-6)


def test_the_first_loss_is_the_mean_over_all_trained_tokens(tmp_path: Path) -> None:
    policy = BigramPolicy(8)
    with torch.no_grad():
        policy.table.zero_()
    _, log, _ = run(tmp_path, policy=policy, steps=1)
    assert log.losses()[0][1] == pytest.approx(math.log(8), rel=1e-6)  # uniform over 8 tokens


def test_a_stopped_run_goes_on_bit_for_bit(tmp_path: Path) -> None:
    straight, straight_log, _ = run(tmp_path / "straight")
    with pytest.raises(Interrupted):
        run(tmp_path / "broken", stop_after=2)
    resumed, resumed_log, counters = run(tmp_path / "broken", policy=BigramPolicy(8, seed=9))
    assert torch.equal(straight.table, resumed.table)
    assert straight_log.losses()[2:] == resumed_log.losses()
    assert counters.step == 6


def test_evaluation_does_not_touch_the_training_random_state(tmp_path: Path) -> None:
    def noisy() -> float:
        torch.rand(3)
        return 1.0

    torch.manual_seed(0)
    run(tmp_path / "a", evaluate=noisy, eval_steps=1)
    after = torch.rand(1)
    torch.manual_seed(0)
    run(tmp_path / "b")
    assert torch.equal(after, torch.rand(1))


def test_early_stopping_keeps_the_best_weights(tmp_path: Path) -> None:
    losses = iter([3.0, 2.0, 2.5, 2.6])  # at the start, then after steps 1, 2 and 3
    seen: list[torch.Tensor] = []
    policy = BigramPolicy(8)

    def evaluate() -> float:
        seen.append(policy.table.detach().clone())
        return next(losses)

    _, _, counters = run(tmp_path, policy=policy, evaluate=evaluate, eval_steps=1, early_stopping_patience=2)
    assert (counters.step, counters.best_step, counters.eval_last) == (3, 1, 2.0)
    assert torch.equal(policy.table, seen[1])


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    policy = BigramPolicy(8)
    run(tmp_path, policy=policy, steps=2)
    with torch.no_grad():
        policy.table.fill_(math.nan)
    with pytest.raises(WorkError, match="the loss of step 1 is nan"):
        run(tmp_path / "other", policy=policy)
    assert CheckpointStore(tmp_path).steps() == [2]


def test_a_part_of_an_epoch_is_rounded_up() -> None:
    assert total_steps(LoopSettings(num_train_epochs=1.5), steps_per_epoch=3) == 5
    assert total_steps(LoopSettings(num_train_epochs=2), steps_per_epoch=3) == 6
    assert total_steps(LoopSettings(max_steps=100), steps_per_epoch=3) == 100
