"""Pre-tokenised rows: labels and weights become one weight a token."""

from __future__ import annotations

from typing import Any

import pytest

from precept.types import TokenSequence


def test_labels_of_minus_100_are_context(read: Any) -> None:
    rows, report = read({"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "attention_mask": [1, 1, 1]})
    (row,) = rows
    assert isinstance(row, TokenSequence)
    assert (row.ids.tolist(), row.weights.tolist()) == ([5, 6, 7], [0.0, 1.0, 1.0])
    assert (str(row.ids.dtype), str(row.weights.dtype)) == ("int32", "float32")
    assert (report.format, report.texts, report.mapping) == ("tokenized", 1, {"ids": "input_ids", "weights": "labels"})


@pytest.mark.parametrize("column", ["weights", "completion_mask", "assistant_masks"])
def test_weights_are_taken_as_they_are(read: Any, column: str) -> None:
    (row,) = read({"input_ids": [5, 6], column: [0, 1]})[0]
    assert row.weights.tolist() == [0.0, 1.0]


def test_without_labels_every_token_is_trained(read: Any) -> None:
    rows, report = read({"input_ids": [5, 6]})
    assert rows[0].weights.tolist() == [1.0, 1.0]
    assert report.notes == ["no labels: every token is trained"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"labels": [-100, 6]}, "2 labels for 3 input_ids"),
        (
            {"labels": [6, 7, -100]},
            "label 6 at position 0 is neither -100 nor the token there (5) (the labels look shifted)",
        ),
        ({"labels": [-100, -100, -100]}, "no token is trained by column 'labels'"),
        ({"weights": [0, 1]}, "2 weights for 3 input_ids"),
        ({"weights": [0, 1, -1]}, "column 'weights' holds a number below 0 or not finite"),
        ({"labels": "x"}, "column 'labels' holds a string, not a list of numbers"),
        ({"attention_mask": [1, 1, 0]}, "attention_mask is not all ones: store rows without padding"),
        ({"input_ids": [5, -6, 7]}, "column 'input_ids' holds a number that is no token id"),
        ({"input_ids": [5, 2**70, 7]}, "not a list of numbers"),
        ({"input_ids": []}, "column 'input_ids' is empty"),
    ],
)
def test_rows_that_do_not_add_up_are_refused(read: Any, record: dict[str, Any], reason: str) -> None:
    good = {"input_ids": [5, 6, 7], **({"labels": [5, 6, 7]} if "weights" not in record else {"weights": [1, 1, 1]})}
    rows, report = read(good, {**good, **record})
    assert len(rows) == 1
    assert reason in report.refused[0].reason
