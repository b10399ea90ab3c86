"""Tokens over planned steps, counted and sampled, and the histogram of lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from precept.forecast import count_tokens, describe_lengths
from precept.forecast.tokens import COUNTED, TokenCounts
from precept.types import LongArray

LENGTHS = np.array([10, 20, 30, 40])
TRAINED = np.array([1, 2, 3, 4])


def rows_of(step: int) -> LongArray:
    """Two rows a step, in turn."""
    return np.array([[0, 1], [2, 3]][step % 2])


def count(steps: int, *, shared: int = 5, cut_each: bool = False) -> TokenCounts:
    def cut(rows: LongArray) -> list[list[int]]:
        return [[int(row)] for row in rows] if cut_each else [rows.tolist()]

    def distinct(rows: Sequence[int]) -> int:
        return int(LENGTHS[list(rows)].sum()) - shared * (len(rows) - 1)

    return count_tokens(
        steps,
        rows_of,
        lengths=LENGTHS,
        trained=TRAINED,
        cut=cut,
        distinct=distinct,
        needs=lambda tokens, trained: tokens + 1000 * trained,
    )


def test_tokens_of_all_steps_are_summed() -> None:
    # steps 0, 1, 2: rows 0 1, 2 3, 0 1: 30 + 70 + 30 real, 5 shared in each
    found = count(3)
    assert (found.real, found.distinct, found.trained) == (130, 115, 3 + 7 + 3)
    assert (found.distinct_low, found.distinct_high, found.counted) == (115, 115, 3)
    assert found.saved_by_sharing == 1 - 115 / 130
    assert (found.forests, found.most_forests) == (3, 1)


def test_the_heaviest_forest_is_found_by_what_it_needs() -> None:
    # one row a forest: row 3, the second forest of step 1, has most trained tokens
    found = count(2, cut_each=True)
    assert found.heaviest == (1, 1)
    assert (found.forests, found.most_forests, found.distinct) == (4, 2, found.real)


def test_a_very_long_plan_is_sampled_and_its_interval_holds_the_truth() -> None:
    steps = 3 * COUNTED
    found = count(steps)
    assert found.counted == COUNTED
    assert found.real == steps // 2 * 100  # exact: the rows of every step are known
    truth = steps // 2 * 90
    assert found.distinct_low <= truth <= found.distinct_high
    assert found.distinct_low < found.distinct < found.distinct_high


def test_lengths_fall_into_bins_that_end_at_powers_of_two() -> None:
    found = describe_lengths(np.array([3, 16, 17, 100, 700]))
    assert found["histogram"] == [
        {"above": 0, "up_to": 16, "sequences": 2},
        {"above": 16, "up_to": 32, "sequences": 1},
        {"above": 64, "up_to": 128, "sequences": 1},
        {"above": 512, "up_to": 700, "sequences": 1},
    ]
    assert (found["shortest"], found["median"], found["longest"]) == (3, 17, 700)
