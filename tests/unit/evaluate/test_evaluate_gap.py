"""Two wordings of the same items, several runs, and data sets put by several templates."""

import pytest

from precept.evaluate import ItemResult
from precept.evaluate.best_template import best_template
from precept.evaluate.gap import compare_runs, score_gap, spread_over_runs


def results(*scores, task="t"):
    return [ItemResult(str(n), task, "?", ("x",), "", "", {"m": float(score)}) for n, score in enumerate(scores)]


def test_a_gap_is_paired_and_says_how_large_it_is():
    # Items 1 and 2 are lost: mean of (0, 1, 1, 0) = 1/2; of the 4 sign patterns of two ones 2 are as far: p = 1/2.
    found = score_gap(results(1, 1, 1, 0), results(1, 0, 0, 0))
    gap = found["gap"]["m"]
    assert (gap["value"], gap["n"], gap["p"]) == (0.5, 4, 0.5)
    # Of 16 pairs the original is ahead in 3 * 3, equal in 3 * 1 + 1 * 3: (9 + 6 / 2) / 16.
    assert gap["a12"] == 0.75
    assert (found["original"]["m"]["value"], found["variant"]["m"]["value"]) == (0.75, 0.25)


def test_runs_are_spread_and_compared_unpaired():
    ours, theirs = [results(1, 1), results(1, 0)], [results(0, 0), results(0, 1)]
    spread = spread_over_runs(ours)["m"]
    assert (spread["n"], spread["mean"], spread["median"], spread["iqr"]) == (2, 0.75, 0.75, 0.25)
    # Scores 1, 1/2 against 0, 1/2: ahead in 3 of 4 pairs, equal in one. Ranks 4, 2.5 against 1, 2.5: of the 6 choices
    # of two ranks the sums 6.5, 6.5, 3.5, 3.5 are 1.5 from the middle, 5 and 5 are not.
    assert compare_runs(ours, theirs)["m"] == {"p": pytest.approx(4 / 6), "a12": 0.875}


def test_the_template_that_is_best_on_one_half_is_scored_on_the_other():
    # First halves (items 0 and 2): a 1, b 1/2, so that a's items 1 and 3 count: 0 and 0. Second halves: a 0, b 1/2, so
    # that b's items 0 and 2 count: 1 and 0.
    found = best_template({"a": results(1, 0, 1, 0), "b": results(1, 1, 0, 0)})["m"]
    assert (found["value"], found["n"], found["chosen"]) == (0.25, 4, ["a", "b"])
    assert found["low"] <= 0.25 <= found["high"]


def test_a_choice_needs_two_templates_of_two_items():
    assert best_template({"a": results(1, 0)}) == {}
    assert best_template({"a": results(1, 0), "b": results(1)}) == {}
