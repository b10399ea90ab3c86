"""Rows of predictions that a reading cannot score."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import write_rows

from precept.evaluate.predictions import Prediction, plan_readings
from precept.run.eval.predictions import read_predictions, refuse_numberless


def test_a_row_whose_reference_is_no_number_is_refused_where_numbers_are_compared() -> None:
    rows = [Prediction(1, "gsm8k", None, "5", ("5",)), Prediction(2, "gsm8k", None, "5", ("five",))]
    (refused,) = refuse_numberless("answers.jsonl", rows, plan_readings(["exact_match"], "gsm8k"))
    assert (refused.row, refused.code) == (2, "reference-without-number")


def test_an_id_that_is_the_name_of_a_row_without_one_is_refused(tmp_path: Path) -> None:
    right = {"prediction": "a", "target": "a"}
    for ids, place in ((["row 3", None, None], 3), ([None, "row 1", None], 2)):
        rows = [right if id_ is None else {**right, "id": id_} for id_ in ids]
        kept, (refused,) = read_predictions(str(write_rows(tmp_path / "answers.jsonl", rows)), task="t")
        assert (refused.row, refused.code, len(kept)) == (place, "duplicate-ids", 2)
