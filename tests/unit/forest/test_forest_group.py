from __future__ import annotations

import numpy as np
import pytest

from precept.forest import Schedule, distinct_tokens, find_groups
from precept.types import Source, TokenSequence


def seq(ids: list[int]) -> TokenSequence:
    return TokenSequence(np.array(ids, np.int32), np.ones(len(ids), np.float32), Source("rows", 1, "0" * 16))


def tasks(*sizes: int) -> list[TokenSequence]:
    """So many rows of each task: token 1, nine tokens of the task, one of the row; row by row from every task."""
    rows = [(task, row) for task, size in enumerate(sizes) for row in range(size)]
    return [seq([1, *[2 + task] * 9, 100 + row]) for task, row in sorted(rows, key=lambda pair: pair[1])]


def kinds(sequences: list[TokenSequence], rows: np.ndarray) -> list[int]:
    return [int(sequences[row].ids[1]) - 2 for row in rows]


def test_rows_of_one_task_meet_in_a_group() -> None:
    sequences = tasks(8, 4, 12)
    schedule = Schedule(24, 8, seed=0, data_hash="ab", groups=find_groups(sequences, size=4))
    for step in range(12):
        drawn = kinds(sequences, schedule.rows(step))
        assert [len(set(drawn[i : i + 4])) for i in (0, 4)] == [1, 1]


def test_every_row_comes_once_an_epoch_also_when_tasks_do_not_fill_their_groups() -> None:
    sequences = tasks(5, 7, 3, 11)  # 26 rows: 6 groups of 4 and 2 rows
    schedule = Schedule(26, 8, seed=0, data_hash="ab", groups=find_groups(sequences, size=4))
    for epoch in range(5):
        steps = [schedule.rows(epoch * 4 + step).tolist() for step in range(4)]
        assert [len(rows) for rows in steps] == [8, 8, 8, 2]
        assert sorted(row for rows in steps for row in rows) == list(range(26))


def test_groups_are_made_of_other_rows_each_epoch() -> None:
    groups = find_groups(tasks(40, 40), size=4)
    schedule = Schedule(80, 80, seed=0, data_hash="ab", groups=groups)
    first, second = ({frozenset(rows) for rows in schedule.rows(epoch).reshape(-1, 4).tolist()} for epoch in (0, 1))
    assert len(first & second) <= 2  # of 20; 40 rows of a task make 91,390 groups of 4


def test_the_order_depends_on_nothing_but_seed_epoch_and_rows() -> None:
    sequences = tasks(9, 6)
    schedule = Schedule(15, 4, 3, "ab", find_groups(sequences, size=2))
    again = Schedule(15, 4, 3, "ab", find_groups(sequences, size=2))
    again.rows(100), again.rows(2)  # seeking about changes nothing
    assert again.rows(9).tolist() == schedule.rows(9).tolist()
    assert Schedule(15, 4, 4, "ab", find_groups(sequences, size=2)).rows(9).tolist() != schedule.rows(9).tolist()
    assert Schedule(15, 4, 3, "ac", find_groups(sequences, size=2)).rows(9).tolist() != schedule.rows(9).tolist()


def test_the_order_is_the_same_on_every_machine_and_release() -> None:
    schedule = Schedule(8, 8, 0, "", find_groups(tasks(4, 4), size=2))
    assert schedule.rows(0).tolist() == [5, 7, 2, 0, 1, 3, 6, 4]


def test_rows_of_one_template_and_nothing_else_in_common_are_one_run() -> None:
    # 20 template tokens, then two words of the language: rows that begin alike share 21, the others 20
    rows = [seq([7] * 20 + [first, second]) for first in (1, 2, 3) for second in (4, 5)]
    assert find_groups(rows, size=2).run.tolist() == [0] * 6


def test_short_prefixes_of_many_do_not_join_the_long_ones_of_few() -> None:
    # two tasks of 30 tokens with two rows each, and four rows that share a template of 3 with them and one another
    tasks_of_two = [seq([1, 1, 1] + [task] * 30 + [row]) for task in (2, 3) for row in (8, 9)]
    others = [seq([1, 1, 1, 50 + row, row]) for row in range(4)]
    groups = find_groups([*tasks_of_two, *others], size=2)
    assert groups.rows.tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    assert groups.run.tolist() == [0, 0, 1, 1, 2, 2, 2, 2]


def test_a_prefix_that_fewer_than_a_group_share_makes_no_run_of_its_own() -> None:
    # pairs share 12 tokens, all eight share 10: in groups of four nobody can share more than 10
    rows = [seq([1] * 10 + [pair, pair, row]) for pair in range(4) for row in (8, 9)]
    assert find_groups(rows, size=4).run.tolist() == [0] * 8
    assert find_groups(rows, size=2).run.tolist() == [0] * 8  # 10 of 12 is more than three quarters


def test_a_batch_of_groups_holds_fewer_distinct_tokens() -> None:
    sequences = tasks(*[8] * 16)
    alone = Schedule(128, 16, seed=0, data_hash="ab")
    grouped = Schedule(128, 16, seed=0, data_hash="ab", groups=find_groups(sequences, size=8))
    # 16 rows of two tasks: the first token, 9 of each task, 1 of each row = 35
    assert distinct_tokens([sequences[i] for i in grouped.rows(0)]) == 35
    assert distinct_tokens([sequences[i] for i in alone.rows(0)]) > 70


@pytest.mark.parametrize("n", [1, 2, 3])
def test_fewer_rows_than_a_group_are_one_step(n: int) -> None:
    schedule = Schedule(n, 4, seed=0, data_hash="ab", groups=find_groups(tasks(n), size=4))
    assert sorted(schedule.rows(0).tolist()) == list(range(n))


def test_a_step_of_broken_groups_is_refused() -> None:
    with pytest.raises(ValueError, match="no whole groups of 4"):
        Schedule(8, 6, seed=0, data_hash="ab", groups=find_groups(tasks(8), size=4))
