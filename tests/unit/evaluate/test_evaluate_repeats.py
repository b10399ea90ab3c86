"""Several runs: spreads, rank sums and A12 against hand counts and the published figures on repeated runs."""

import numpy as np
import pytest

from precept.evaluate.repeats import a12, over_seeds, rank_sum, student_quantile

# Ten runs each of a published study (2312.08055): lines covered of 24 or 10, and failing tests, of the original bug and
# of its rewritten twin.
CHART_COVERED, CHART_COVERED_TWIN = [17, 17, 17, 16, 11, 11, 17, 0, 17, 17], [17, 16, 17, 0, 0, 17, 17, 17, 17, 17]
CHART_FAILING, CHART_FAILING_TWIN = [1, 1, 1, 1, 0, 1, 1, 5, 1, 2], [1, 1, 2, 4, 7, 1, 1, 1, 2, 1]
MATH_COVERED, MATH_COVERED_TWIN = [6, 9, 8, 0, 6, 9, 9, 6, 7, 8], [0] * 10


def test_spreads_are_those_of_the_published_runs():
    chart, maths = over_seeds([100 * x / 24 for x in CHART_COVERED]), over_seeds([10.0 * x for x in MATH_COVERED])
    assert (chart["mean"], chart["median"], chart["iqr"]) == pytest.approx((58.33, 70.83, 19.79), abs=0.005)
    assert (maths["mean"], maths["median"], maths["iqr"]) == pytest.approx((68.0, 75.0, 27.5))
    assert (chart["n"], chart["min"], maths["max"]) == (10, 0.0, 90.0)


def test_rank_sums_are_those_of_the_published_runs():
    assert rank_sum(CHART_COVERED, CHART_COVERED_TWIN, exact=False) == pytest.approx(0.7913, abs=5e-5)
    assert rank_sum(MATH_COVERED, MATH_COVERED_TWIN, exact=False) == pytest.approx(0.00067, abs=5e-6)


def test_effect_sizes_are_those_of_the_published_runs():
    assert a12(CHART_FAILING_TWIN, CHART_FAILING) == 0.63
    assert a12(MATH_COVERED, MATH_COVERED_TWIN) == 0.95


def test_a_rank_sum_by_hand():
    # Ranks 1, 2 against 3, 4. Of the 6 ways to choose two ranks, 1 + 2 and 3 + 4 are as far from 5: p = 2/6.
    assert rank_sum([1, 2], [3, 4]) == pytest.approx(2 / 6)
    # All four share the rank 2.5: every way is as far.
    assert rank_sum([1, 1], [1, 1]) == rank_sum([1, 1], [1, 1], exact=False) == 1.0
    # Ranks 1.5, 1.5, 3: of the three ways to choose one, only the 3 is 1 away from the mean of 2.
    assert rank_sum([5], [0, 0]) == pytest.approx(1 / 3)


def test_exact_and_approximate_rank_sums_agree_on_many_runs():
    rng = np.random.default_rng(0)
    a, b = rng.normal(0, 1, 30).tolist(), rng.normal(0.5, 1, 30).tolist()
    assert rank_sum(a, b) == pytest.approx(rank_sum(a, b, exact=False), abs=0.005)
    assert rank_sum(a, b) == pytest.approx(rank_sum(b, a), rel=1e-12)
    assert rank_sum(a * 2, b * 2) == rank_sum(a * 2, b * 2, exact=False)


def test_no_effect_is_a_half_and_ties_count_half():
    assert a12([1, 2, 3], [1, 2, 3]) == 0.5
    # 2 > 1, and 1 = 1 half: (1 + 0.5) / 2.
    assert a12([2, 1], [1]) == 0.75


@pytest.mark.parametrize(
    ("freedom", "point"), [(1, 12.7062), (2, 4.30265), (3, 3.18245), (5, 2.57058), (10, 2.22814), (100, 1.98397)]
)
def test_students_points_are_those_of_the_tables(freedom, point):
    assert student_quantile(freedom) == pytest.approx(point, abs=5e-5)


def test_the_interval_over_seeds_by_hand():
    # Mean 0.6, standard deviation 0.1: 4.30265 * 0.1 / sqrt(3) = 0.24841.
    spread = over_seeds([0.5, 0.6, 0.7])
    assert (spread["low"], spread["high"]) == pytest.approx((0.35159, 0.84841), abs=1e-5)
    assert spread["iqr"] == pytest.approx(0.1)
    assert over_seeds([0.5, 0.5])["low"] == over_seeds([0.5, 0.5])["high"] == 0.5


def test_effect_sizes_of_many_runs_take_no_square_of_them():
    many = list(range(200_000))
    assert a12(many, many) == 0.5
    assert a12([value + 1 for value in many], many) == pytest.approx(0.5, abs=1e-5)


def test_one_run_has_no_spread():
    with pytest.raises(AssertionError, match="one run"):
        over_seeds([0.5])
