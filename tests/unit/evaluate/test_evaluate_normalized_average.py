"""The normalised average against the published tables of Chung et al."""

import pytest

from precept.evaluate.normalized_average import (
    GUESSING,
    normalize,
    normalize_tasks,
    normalized_average,
    normalized_score,
)


def test_the_papers_footnote():
    # Guessing scores 50: 55 is a tenth of the way to 100, 45 a tenth below guessing.
    assert normalize(0.55, 0.5) == pytest.approx(0.10)
    assert normalize(0.45, 0.5) == pytest.approx(-0.10)
    assert (normalize(0.25, 0.25), normalize(1.0, 0.25)) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("columns", "ours", "published"),
    [
        ((71.3, 62.9, 49.1, 63.7, 52.9, 45.9), 48.95, 49.1),  # PaLM 540B
        ((55.1, 48.6, 45.3, 41.4, 19.0, 4.9), 23.84, 23.7),  # Flan-T5 XXL
        ((49.3, 41.3, 36.4, 31.1, 47.5, 8.2), 21.92, 21.9),  # Flan-PaLM 8B
    ],
)
def test_averages_of_the_published_rows(columns, ours, published):
    scores = {name: value / 100 for name, value in zip(GUESSING, columns, strict=True)}
    assert 100 * normalized_average(scores) == pytest.approx(ours, abs=0.005)
    assert 100 * normalized_average(scores) == pytest.approx(published, abs=0.2)


def test_tasks_are_normalised_before_they_are_averaged():
    # Two tasks, guessing 1/2 and 0: (0.75 - 0.5) / 0.5 and 0.25, mean 0.375.
    assert normalize_tasks({"a": 0.75, "b": 0.25}, {"a": 0.5, "b": 0.0, "c": 0.0}) == pytest.approx(0.375)


def test_a_mean_over_fewer_columns_is_refused():
    with pytest.raises(AssertionError, match="mgsm_cot"):
        normalized_average({"mmlu_direct": 0.5})


def test_the_mean_of_tasks_has_an_interval_over_their_items():
    # Task a: half right, guessing 0.25: (0.5 - 0.25) / 0.75 = 1/3. Task b: none right, guessing 0.5: -1.
    found = normalized_score({"a": [1.0, 0.0] * 50, "b": [0.0] * 10}, {"a": 0.25, "b": 0.5})
    assert found["value"] == pytest.approx((1 / 3 - 1) / 2) and found["n"] == 110
    # Of 100 items the share right moves by about 1.96 * 0.05; (share - 0.25) / 0.75 / 2 by two thirds of that.
    assert (found["high"] - found["low"]) / 2 == pytest.approx(1.96 * 0.05 / 0.75 / 2, rel=0.1)
    assert found["low"] < found["value"] < found["high"]


def test_where_no_tasks_items_differ_others_could_be_anything():
    # Wilson: of an event not seen in 2 items the share is at most 3.8415 / 5.8415; none right is (0 - 0.25) / 0.75.
    found = normalized_score({"a": [1.0, 1.0]}, {"a": 0.25})
    assert (found["value"], found["high"]) == (1.0, 1.0)
    assert found["low"] == pytest.approx(1 - (1 + 1 / 3) * 3.8415 / 5.8415, abs=1e-4)
