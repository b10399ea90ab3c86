from __future__ import annotations

import pytest

from precept.forest import Schedule


def test_an_epoch_draws_every_row_once_and_ends_with_what_is_left() -> None:
    schedule = Schedule(n_rows=10, batch_size=4, seed=0, data_hash="ab")
    assert schedule.steps_per_epoch == 3
    steps = [schedule.rows(step).tolist() for step in range(3)]
    assert [len(rows) for rows in steps] == [4, 4, 2]
    assert sorted(row for rows in steps for row in rows) == list(range(10))


def test_each_epoch_has_another_order() -> None:
    schedule = Schedule(n_rows=50, batch_size=50, seed=0, data_hash="ab")
    assert schedule.rows(0).tolist() != schedule.rows(1).tolist()
    assert [schedule.epoch(step) for step in (0, 1, 7)] == [0, 1, 7]


def test_the_order_depends_on_nothing_but_seed_epoch_and_data() -> None:
    rows = Schedule(20, 5, 3, "ab").rows(9).tolist()
    again = Schedule(20, 5, 3, "ab")
    again.rows(100), again.rows(2)  # seeking about changes nothing
    assert again.rows(9).tolist() == rows
    assert Schedule(20, 5, 4, "ab").rows(9).tolist() != rows
    assert Schedule(20, 5, 3, "ac").rows(9).tolist() != rows


def test_the_order_is_the_same_on_every_machine_and_release() -> None:
    assert Schedule(8, 8, 0, "").rows(0).tolist() == [3, 2, 1, 6, 0, 7, 4, 5]


def test_a_schedule_without_rows_is_refused() -> None:
    with pytest.raises(ValueError, match="rows"):
        Schedule(0, 4, 0, "ab")
