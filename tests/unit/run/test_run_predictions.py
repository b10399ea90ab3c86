"""Rows of predictions that a reading cannot score."""

from __future__ import annotations

from precept.evaluate.predictions import Prediction, plan_readings
from precept.run.eval.predictions import refuse_numberless


def test_a_row_whose_reference_is_no_number_is_refused_where_numbers_are_compared() -> None:
    rows = [Prediction(1, "gsm8k", None, "5", ("5",)), Prediction(2, "gsm8k", None, "5", ("five",))]
    (refused,) = refuse_numberless("answers.jsonl", rows, plan_readings(["exact_match"], "gsm8k"))
    assert (refused.row, refused.code) == (2, "reference-without-number")
