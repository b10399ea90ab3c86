"""Intervals and paired tests against values worked out by hand."""

import math

import numpy as np
import pytest

from precept.evaluate.statistics import (
    grouped_difference,
    grouped_interval,
    holm,
    interval,
    items_needed,
    minimal_detectable_difference,
    paired_difference,
    verdict,
    wilson,
)


def test_interval_of_two_values_reaches_both():
    # A resample of {0, 1} has mean 0, 0.5 or 1 with chances 1/4, 1/2, 1/4: both tails hold more than 2.5 %.
    assert interval([0.0, 1.0]) == (0.0, 1.0)


def test_interval_is_that_of_the_binomial():
    # 50 of 100: the 2.5 % and 97.5 % points of Binomial(100, 1/2) are 40 and 60.
    low, high = interval([0.0, 1.0] * 50)
    assert (low, high) == (pytest.approx(0.40, abs=0.011), pytest.approx(0.60, abs=0.011))


def test_interval_of_equal_values_is_wilsons_and_never_empty():
    # z^2 = 3.8415; z^2 / (10 + z^2) = 0.27753.
    assert interval([0.0] * 10) == pytest.approx((0.0, 0.27753), abs=1e-5)
    assert interval([1.0] * 10) == pytest.approx((1 - 0.27753, 1.0), abs=1e-5)
    assert interval([0.5] * 10) == pytest.approx((0.5 - 0.13877, 0.5 + 0.13877), abs=1e-5)


def test_interval_does_not_depend_on_the_order_or_the_call():
    values = [0.1, 0.9, 0.4, 0.4, 0.7]
    assert interval(values) == interval(values[::-1]) == interval(values)
    assert interval(list(np.linspace(0, 1, 50)), seed=1) != interval(list(np.linspace(0, 1, 50)), seed=2)


def test_interval_covers_the_truth_in_about_95_of_100_draws():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        low, high = interval(rng.beta(0.5, 0.7, size=80))
        covered += low <= 0.5 / 1.2 <= high
    assert 0.92 <= covered / 300 <= 0.98


def test_difference_by_hand():
    # Differences 1, 1, 1, 0: of the 8 sign patterns only +++ and --- reach a sum of 3, so p = 2/8.
    result = paired_difference([1, 1, 1, 0], [0, 0, 0, 0])
    assert (result["value"], result["p"], result["n"]) == (0.75, 0.25, 4)
    assert 0 <= result["low"] < 0.75 < result["high"] <= 1


def test_exact_p_counts_ties_in_spite_of_rounding():
    # Differences 0.1, 0.2 and -0.3 sum to zero up to rounding: every pattern is as far from zero.
    assert paired_difference([0.1, 0.2, 0.0], [0.0, 0.0, 0.3])["p"] == 1.0


def test_equal_sums_count_as_equal_however_they_are_added():
    # An odd number of equal differences: no signs bring their sum nearer to zero than one of them.
    for more in (7, 11):  # all patterns of 13 differences, draws of 21
        a, b = [0.1] * more + [0.0] * (more - 1), [0.0] * more + [0.1] * (more - 1)
        assert paired_difference(a, b)["p"] == 1.0


def test_a_drawn_p_counts_the_data_and_is_never_zero():
    assert paired_difference([1.0] * 40, [0.0] * 40)["p"] == pytest.approx(1 / 10_001)


def test_no_difference_gives_p_one_and_an_interval_round_zero():
    # z^2 / (20 + z^2) = 0.16113: what up to that share of unseen items could do.
    result = paired_difference([1.0] * 20, [1.0] * 20)
    assert result == {
        "value": 0.0,
        "low": pytest.approx(-0.16113, abs=1e-5),
        "high": pytest.approx(0.16113, abs=1e-5),
        "p": 1.0,
        "n": 20,
    }


def test_drawn_p_agrees_with_the_sign_test():
    # 20 wins, 8 losses, 12 ties: the two-sided sign test has p = 2 * P(Binomial(28, 1/2) >= 20) = 0.0357.
    a = [1] * 20 + [0] * 8 + [1] * 12
    b = [0] * 20 + [1] * 8 + [1] * 12
    result = paired_difference(a, b)
    assert result["p"] == pytest.approx(0.0357, abs=0.006)
    assert result["value"] == pytest.approx(0.3)
    assert result["low"] > 0
    assert result == paired_difference(a, b)


def test_swapping_the_sides_turns_the_sign():
    a, b = [0.9, 0.2, 0.5], [0.1, 0.3, 0.5]
    there, back = paired_difference(a, b), paired_difference(b, a)
    assert there["value"] == -back["value"]
    assert there["p"] == back["p"]


def test_drawn_p_is_uniform_when_neither_side_is_better():
    rng = np.random.default_rng(0)
    p = [paired_difference(rng.random(30), rng.random(30))["p"] for _ in range(200)]
    assert np.mean(np.array(p) < 0.05) <= 0.08
    assert np.mean(p) == pytest.approx(0.5, abs=0.07)


def test_wilson_by_hand():
    # 5 of 10: the middle stays 1/2, the half width is z sqrt(1/40 + z^2/400) / (1 + z^2/10) = 0.36469 / 1.38415.
    assert wilson(5, 10) == pytest.approx((0.23659, 0.76341), abs=1e-5)
    assert wilson(0, 10) == pytest.approx((0.0, 0.27753), abs=1e-5) == interval([0.0] * 10)
    assert wilson(10, 10) == pytest.approx((1 - 0.27753, 1.0), abs=1e-5)


def test_a_verdict_needs_the_interval_and_the_test():
    assert verdict({"low": 0.01, "high": 0.2, "p": 0.01}) == "better"
    assert verdict({"low": -0.2, "high": -0.01, "p": 0.01}) == "worse"
    assert verdict({"low": 0.01, "high": 0.2, "p": 0.06}) == "undecided"
    assert verdict({"low": -0.01, "high": 0.2, "p": 0.04}) == "undecided"
    assert verdict(paired_difference([1.0] * 12, [0.0] * 12)) == "better"
    assert verdict(paired_difference([1.0, 0.0], [0.0, 1.0])) == "undecided"


def test_holm_by_hand():
    # Sorted 0.01, 0.03, 0.04: times 3, 2, 1 gives 0.03, 0.06, 0.04, and none falls below the one before.
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_how_many_items_a_difference_takes():
    # (1.95996 sqrt(0.2) + 0.84162 sqrt(0.2 - 0.01))^2 / 0.01 = 154.6.
    assert items_needed(0.1, discordance=0.2) == 155
    assert items_needed(-0.1, discordance=0.2) == 155


@pytest.mark.parametrize(("n", "discordance"), [(50, 0.3), (250, 0.2), (1000, 0.1), (6511, 0.4)])
def test_the_detectable_difference_is_the_one_that_takes_so_many_items(n, discordance):
    difference = minimal_detectable_difference(n, discordance=discordance)
    assert items_needed(difference * (1 + 1e-9), discordance=discordance) == n


def test_few_items_that_differ_can_show_nothing():
    assert minimal_detectable_difference(30, discordance=0.1) == math.inf
    assert minimal_detectable_difference(2, discordance=1.0) == math.inf


def test_the_detectable_difference_is_found_four_times_in_five():
    # 0.1 with discordance 0.2 over 155 items: a alone is right on 15 of 100 items, b alone on 5.
    rng = np.random.default_rng(0)
    differences = rng.choice([1.0, -1.0, 0.0], p=[0.15, 0.05, 0.8], size=(200, 155))
    # McNemar's test without correction: (a - b)^2 / (a + b) against 1.96^2.
    shown = differences.sum(axis=1) ** 2 / abs(differences).sum(axis=1) > 1.96**2
    assert 0.72 <= shown.mean() <= 0.88


def test_scores_of_one_item_are_drawn_together():
    # Two items of two equal scores each are two draws, and not four: as of {0, 1} both tails reach the ends.
    assert grouped_interval([[[0.0, 0.0], [1.0, 1.0]]]) == (0.0, 1.0)
    assert interval([0.0, 0.0, 1.0, 1.0] * 25) != grouped_interval([[[0.0, 0.0], [1.0, 1.0]] * 25])
    # 100 items of three equal scores: the interval is that of 100 single ones, 40 and 60 of 100.
    low, high = grouped_interval([[[0.0] * 3, [1.0] * 3] * 50])
    assert (low, high) == (pytest.approx(0.40, abs=0.011), pytest.approx(0.60, abs=0.011))


def test_single_scores_have_the_interval_and_the_test_of_items():
    values = [0.1, 0.9, 0.4, 0.4, 0.7]
    assert grouped_interval([[[value] for value in values]]) == interval(values)
    # Nothing differs: 5 prompts, and not their 10 instructions.
    assert grouped_interval([[[1.0, 1.0]] * 5]) == interval([1.0] * 5)


@pytest.mark.parametrize("n", [1, 4])
def test_groups_of_one_mean_tell_no_more_than_as_many_equal_scores(n):
    assert grouped_interval([[[1.0, 0.0]] * n]) == interval([0.5] * n)
    low, high = interval([0.5] * n)
    assert low < 0.5 < high and (low, high) == pytest.approx((0.5 - 0.5 * 3.8415 / (n + 3.8415), 1 - low), abs=1e-4)
    # The same means, summed in another order and over other numbers of scores.
    assert grouped_interval([[[0.1, 0.2, 0.3], [0.3, 0.2, 0.1], [0.2]]]) == pytest.approx(interval([0.2] * 3))
    found = grouped_difference([[1.0, 1.0]] * n, [[0.0, 1.0]] * n)
    assert found["value"] == 0.5 and found["low"] < 0.5 < found["high"]


def test_a_difference_of_grouped_scores_flips_whole_groups():
    # Two items, each two instructions better: of 4 sign patterns 2 are as far from zero.
    found = grouped_difference([[1.0, 1.0], [1.0, 1.0]], [[0.0, 0.0], [0.0, 0.0]])
    assert (found["value"], found["p"], found["n"]) == (1.0, 0.5, 4)
    # An item with three instructions weighs three times one with one: (3 - 1) / 4.
    uneven = grouped_difference([[1.0, 1.0, 1.0], [0.0]], [[0.0, 0.0, 0.0], [1.0]])
    assert (uneven["value"], uneven["low"], uneven["high"], uneven["p"]) == (0.5, -1.0, 1.0, 1.0)
