"""Rows of another system's answers: what is read, refused and scored."""

import pytest

from precept.errors import InputError
from precept.evaluate.predictions import (
    METRICS,
    PredictionProblem,
    Reading,
    pair_results,
    plan_readings,
    read_prediction,
    score_predictions,
    without_number,
)


def read(**record):
    return read_prediction(record, row=1, task="file")


def scores(record, metrics=("exact_match",), rule="none"):
    (result,) = score_predictions([read(**record)], plan_readings(metrics, rule), split=str.split)
    return result.scores


def test_a_row_is_read():
    entry = read(prediction=" a", target="b", id=7, task="t", index=3)
    assert (entry.id, entry.task, entry.prediction, entry.references) == ("7", "t", " a", ("b",))
    assert read(prediction="", references=["x", "y"]).references == ("x", "y")
    assert read(prediction="a", references="x").references == ("x",)
    assert read(prediction=18, target=[18, 20]).references == ("18", "20")
    assert read(prediction="a", target="", task=None, id=None).task == "file"
    assert read(prediction="a", target="", input="Q: ?").prompt == "Q: ?"
    assert read(prediction="a", target="", prompt=[{"role": "user"}]).prompt == ""


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (["a"], "prediction-not-object"),
        ({"references": ["a"]}, "no-prediction"),
        ({"prediction": None, "target": "a"}, "no-prediction"),
        ({"prediction": "a"}, "no-references"),
        ({"prediction": "a", "references": []}, "no-references"),
        ({"prediction": "a", "references": ["a"], "target": "a"}, "two-references"),
        ({"prediction": ["a", "b"], "references": ["a"]}, "prediction-not-text"),
        ({"prediction": {"text": "a"}, "target": "a"}, "prediction-not-text"),
        ({"prediction": 0.5, "target": "a"}, "prediction-not-text"),
        ({"prediction": "a", "target": True}, "prediction-not-text"),
        ({"prediction": "a", "references": ["a", None]}, "prediction-not-text"),
        ({"prediction": "\ud800", "target": "a"}, "prediction-not-text"),
        ({"prediction": "a", "target": "a", "task": ["t"]}, "prediction-not-text"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named_by_its_code(record, code):
    with pytest.raises(PredictionProblem) as caught:
        read_prediction(record, row=1, task="file")
    assert caught.value.code == code


def test_the_best_reference_counts():
    assert scores({"prediction": "Yes.", "references": ["no", "yes"]}) == {"exact_match": 1.0}


def test_exact_match_is_that_of_the_rule():
    assert plan_readings(["exact_match"], "bbh_direct") == {
        "exact_match": Reading("same_text", "bbh_direct"),
        "exact_match_lenient": Reading("same_start", "first_line_answer"),
    }
    # Brackets are all punctuation: normalised they would be equal.
    assert scores({"prediction": ") )", "target": ") ]"}, rule="bbh_direct")["exact_match"] == 0.0
    # Without its point 2.5 would be 25.
    gsm8k = scores({"prediction": "#### 2.5", "target": "... #### 25"}, rule="gsm8k")
    assert gsm8k == {"exact_match": 0.0, "exact_match_lenient": 0.0}
    assert scores({"prediction": "#### 1,000", "target": "1000"}, rule="gsm8k")["exact_match"] == 1.0
    assert scores({"prediction": "So it is 1,000.", "target": 1000}, rule="gsm8k") == {
        "exact_match": 0.0,
        "exact_match_lenient": 1.0,
    }


def test_metrics_keep_their_order_each_with_its_lenient_reading():
    readings = plan_readings(["rouge_l", "exact_match", "rouge_l"], "bbh_cot")
    assert list(readings) == ["rouge_l", "rouge_l_lenient", "exact_match", "exact_match_lenient"]
    assert readings["rouge_l_lenient"] == Reading("rouge_l", "stated_answer")


def test_labels_are_the_references_of_the_task():
    rows = [
        read(prediction="red, no: blue", target="blue"),
        read(prediction="blue? red", target="red"),
        read(prediction="blue? red", target="blue", task="other"),
    ]
    results = score_predictions(rows, plan_readings(["label_match"], "none"))
    assert [result.scores["label_match"] for result in results] == [1.0, 1.0, 1.0]


def test_items_without_an_id_are_called_by_their_row():
    (result,) = score_predictions(
        [read(prediction="A. b", target="A")], plan_readings(["exact_match"], "first_sentence")
    )
    assert (result.id, result.task, result.output, result.extracted) == ("row 1", "file", "A. b", "A")


def test_a_reference_that_is_no_number_is_found_where_numbers_are_compared():
    rows = [read(prediction="5", target="5"), read(prediction="5", target="five")]
    assert without_number(rows, plan_readings(["exact_match"], "gsm8k")) == [rows[1]]
    assert without_number(rows, plan_readings(["exact_match"], "none")) == []


@pytest.mark.parametrize(
    ("metric", "rule", "code", "hint"),
    [
        ("rouge", "none", "unknown-metric", "did you mean 'rouge_l'?"),
        ("exact_match", "gsm8", "unknown-extraction", "did you mean 'gsm8k'?"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(metric, rule, code, hint):
    with pytest.raises(InputError) as caught:
        plan_readings([metric], rule)
    assert caught.value.code == code and hint in str(caught.value)


def test_two_systems_are_paired_by_task_and_id():
    readings = plan_readings(["exact_match"], "none")
    ours = score_predictions([read(prediction="x", target="x", id=n) for n in "ab"], readings)
    theirs = score_predictions([read(prediction="y", target="x", id=n) for n in "ba"], readings)
    assert [result.id for result in pair_results(ours, theirs, where="other")] == ["a", "b"]
    with pytest.raises(InputError, match="same items") as caught:
        pair_results(ours, theirs[:1], where="other")
    assert caught.value.code == "predictions-not-paired" and "a of task file is in one file only" in str(caught.value)
    changed = score_predictions([read(prediction="y", target="z", id=n) for n in "ab"], readings)
    with pytest.raises(InputError, match="other references"):
        pair_results(ours, changed, where="other")


def test_every_metric_scores_a_right_answer_one():
    record = {"prediction": "18", "target": "18"}
    assert set(scores(record, METRICS).values()) == {1.0}
