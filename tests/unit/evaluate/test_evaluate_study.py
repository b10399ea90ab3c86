"""Studies by hand: a grid of 2 sizes x with and without chains of thought x 2 seeds, four items each."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from precept.errors import InputError
from precept.evaluate.repeats import student_p
from precept.evaluate.run import ItemResult
from precept.evaluate.statistics import interval, interval_of_means, paired_difference
from precept.evaluate.study import (
    Layout,
    Scored,
    Stratum,
    difference,
    find_axes,
    find_contrast,
    find_mean,
    find_points,
    fitted_rise,
    make_axis,
    make_stratum,
    missing_places,
)

# (size, cot, seed) -> the scores of four items
GRID = {
    ("small", "with", "0"): [1, 0, 0, 0],
    ("small", "with", "1"): [1, 0, 0, 0],
    ("small", "without", "0"): [1, 1, 0, 0],
    ("small", "without", "1"): [1, 0, 0, 0],
    ("large", "with", "0"): [1, 1, 1, 0],
    ("large", "with", "1"): [1, 1, 0, 0],
    ("large", "without", "0"): [1, 0, 0, 0],
    ("large", "without", "1"): [1, 0, 0, 0],
}
AXES = find_axes([{"size": size, "cot": cot, "seed": int(seed)} for size, cot, seed in GRID])
LAYOUT = Layout(AXES, "cot", "size")


def scored(scores: list[float], *, ids: str = "abcd", folder: str = "f", task: str = "t", **at: str) -> Scored:
    keys = tuple((task, name, "1") for name in ids)
    return Scored(at, {"overall": Stratum(keys, np.array(scores, np.float64))}, folder)


CELLS = [scored(scores, size=size, cot=cot, seed=seed) for (size, cot, seed), scores in GRID.items()]


def result(name: str, score: float, *, task: str = "t", reference: str = "r", several: list[float] | None = None):
    own = {"instruction": several} if several else {}
    return ItemResult(name, task, "", (reference,), "", "", {"exact_match": score}, several=own)


def test_axes_keep_the_order_of_the_file_and_know_their_numbers():
    size, cot, seed = AXES
    assert size.values == ("small", "large") and size.numbers is None
    assert seed.values == ("0", "1") and seed.numbers == (0.0, 1.0)
    assert [axis.name for axis in LAYOUT.repeats] == ["seed"]
    assert make_axis("on", [True, False]) == make_axis("on", ["true", "false"])  # as YAML writes them; no numbers
    assert cot.find("first") == "with" and cot.find("last") == "without" and cot.find("third") is None
    assert make_axis("rows", [4, 16]).find(16) == "16"


@pytest.mark.parametrize(
    ("numbers", "log"),
    [
        ([4, 16, 64], True),
        ([1, 2, 4, 14], True),
        ([64, 16, 4], True),  # in whatever order
        ([1, 2, 3], False),  # steps of 1 and 1
        ([0, 0.1, 0.5, 0.9, 1], False),  # holds 0
        ([100, 120, 160], False),  # 120 is not half as much again as 100
        ([10, 100], False),  # two values look the same on any scale
    ],
)
def test_numbers_that_grow_by_factors_are_recognised(numbers, log):
    assert make_axis("x", numbers).grows_by_factors() is log


def test_places_without_an_evaluation_are_found():
    there = [{"size": "small", "cot": "with", "seed": seed} for seed in "01"]
    missing = missing_places(AXES, there)
    assert len(missing) == 6 and {"size": "small", "cot": "without", "seed": "0"} in missing


def test_the_interval_over_seeds_is_students():
    strata = [Stratum((("t", "1"),), np.array([score])) for score in (0.5, 0.52)]
    mean = find_mean([Scored({"seed": str(seed)}, {"": own}, "") for seed, own in enumerate(strata)], ["seed"])
    # Standard deviation 0.02 / sqrt(2), over sqrt(2) runs 0.01, times 12.7062.
    assert (mean.low, mean.high) == pytest.approx((0.51 - 0.127062, 0.51 + 0.127062), abs=1e-6)


def test_a_point_is_the_mean_over_seeds_with_both_intervals():
    points = find_points(LAYOUT, CELLS)
    assert [(p.line, p.x) for p in points] == list(product(("small", "large"), ("with", "without")))
    mean = points[2].mean  # large, with: 0.75 and 0.5
    assert mean.runs == (0.75, 0.5) and mean.value == 0.625 and mean.n == 4 and mean.over == "runs"
    assert (mean.low, mean.high) == (0, 1)  # 1.59 to either side, and no score lies beyond
    # Each item averaged over its seeds: 1, 1, 0.5, 0.
    assert mean.items == interval([1, 1, 0.5, 0])


def test_runs_that_agree_leave_the_interval_to_the_items():
    mean = find_points(LAYOUT, CELLS)[0].mean  # small, with: 0.25 twice
    assert mean.over == "items" and mean.runs == (0.25, 0.25)
    assert (mean.low, mean.high) == mean.items == interval([1, 0, 0, 0])


def test_sums_that_differ_in_their_last_bits_are_no_difference():
    # Each item is 0.2 on average, in floats 0.6000000000000001 / 3 and 0.6 / 3; so is each run.
    runs = [(0.1, 0.3), (0.2, 0.2), (0.3, 0.1)]
    mean = find_mean([scored(list(own), ids="ab", seed=str(n)) for n, own in enumerate(runs)], ["seed"])
    assert mean.items == interval([0.2, 0.2]) and mean.over == "items"
    # 0.1 + 0.2 + 0.3 in either direction.
    mean = find_mean([scored(own, ids="abc", seed=str(own[0])) for own in ([0.1, 0.2, 0.3], [0.3, 0.2, 0.1])], ["seed"])
    assert mean.over == "items"
    # 0.4 - 0.1 is 0.30000000000000004, 0.5 - 0.2 is 0.3: both runs agree.
    layout = Layout((make_axis("x", ["a", "b"]), make_axis("seed", [0, 1])), "x")
    both = (("a", "0", 0.1), ("b", "0", 0.4), ("a", "1", 0.2), ("b", "1", 0.5))
    cells = [scored([score] * 4, x=x, seed=seed) for x, seed, score in both]
    found = find_contrast(layout, cells, difference("x", "b", "a", {}))
    assert found.over == "items" and found.p == 1 / 8  # of 16 patterns of signs two are as far from zero


def test_runs_of_different_items_are_strata():
    mean = find_mean([scored([1, 1, 0, 0], seed="0"), scored([1, 0, 0, 0], ids="efgh", seed="1")], ["seed"])
    assert mean.n == 8 and mean.value == 0.375 and mean.items == interval_of_means([[1, 1, 0, 0], [1, 0, 0, 0]])


def test_a_difference_is_taken_seed_by_seed_on_the_same_items():
    found = find_contrast(LAYOUT, CELLS, difference("cot", "with", "without", {"size": "large"}))
    # Seed 0: 0.75 - 0.25; seed 1: 0.5 - 0.25. Mean 0.375, standard error 0.25 / sqrt(2) / sqrt(2) = 0.125.
    assert found.runs == pytest.approx((0.5, 0.25)) and found.value == pytest.approx(0.375)
    assert (found.low, found.high) == pytest.approx((0.375 - 12.7062 * 0.125, 0.375 + 12.7062 * 0.125), abs=1e-5)
    # t = 3 with one degree of freedom: p = 1 - 2 atan(3) / pi.
    assert found.p == pytest.approx(1 - 2 * math.atan(3) / math.pi)
    # Items averaged over the seeds: 0, (1 + 1) / 2, (1 + 0) / 2, 0.
    assert found.items == interval_of_means([[0, 1, 0.5, 0]], lowest=-1, highest=1) and found.n == 4


def test_conditions_left_open_are_averaged_within_a_run():
    found = find_contrast(LAYOUT, CELLS, difference("cot", "with", "without", {}))
    # Seed 0: small -0.25, large 0.5: 0.125. Seed 1: small 0, large 0.25: 0.125. The seeds agree: items decide.
    assert found.runs == pytest.approx((0.125, 0.125)) and found.over == "items"
    # By item over both sizes and seeds: a 0; b (-1 + 0 + 1 + 1) / 4; c (0 + 0 + 1 + 0) / 4; d 0.
    assert found.items == interval_of_means([[0, 0.25, 0.25, 0]], lowest=-1, highest=1)


def test_axes_off_the_page_other_than_seeds_are_conditions_and_no_runs():
    layout = Layout(AXES, "size")
    assert [axis.name for axis in layout.conditions] == ["cot"] and [axis.name for axis in layout.repeats] == ["seed"]
    large = find_points(layout, CELLS)[1].mean
    # Seed 0: (0.75 + 0.25) / 2; seed 1: (0.5 + 0.25) / 2.
    assert large.runs == (0.5, 0.375) and large.value == 0.4375
    one_seed = [cell for cell in CELLS if cell.at["seed"] == "0"]
    only = Layout(find_axes([cell.at for cell in one_seed]), "size")
    large = find_points(only, one_seed)[1].mean
    # With and without are 50 points apart, which says nothing of training anew.
    assert large.runs == (0.5,) and large.over == "items" and large.items == interval([1, 0.5, 0.5, 0])
    found = find_contrast(only, one_seed, difference("size", "large", "small", {}))
    assert found.runs == pytest.approx((0.125,)) and found.over == "items"


def test_other_axes_may_be_named_as_repetitions():
    layout = Layout(AXES, "size", repetitions=("cot", "seed"))
    assert find_points(layout, CELLS)[1].mean.runs == (0.75, 0.5, 0.25, 0.25)


def test_conditions_that_are_averaged_may_have_items_of_their_own():
    cells = [
        scored([1, 1, 0], ids="abc", cot="with", level="seen"),
        scored([1, 0, 0], ids="abc", cot="without", level="seen"),
    ]
    cells += [scored([1, 0], ids="xy", cot="with", level="new"), scored([0, 0], ids="xy", cot="without", level="new")]
    layout = Layout(find_axes([cell.at for cell in cells]), "cot", panels="level")
    found = find_contrast(layout, cells, difference("cot", "with", "without", {}))
    # Seen: 2/3 - 1/3; new: 1/2 - 0; their mean, whatever their numbers of items.
    assert found.value == pytest.approx((1 / 3 + 1 / 2) / 2) and found.n == 5
    assert found.items == interval_of_means([[0, 1, 0], [1, 0]], lowest=-1, highest=1)


def test_one_run_gives_what_eval_against_gives():
    layout = Layout(tuple(axis for axis in AXES if axis.name != "seed"), "cot", "size")
    cells = [cell for cell in CELLS if cell.at["seed"] == "0"]
    found = find_contrast(layout, cells, difference("cot", "with", "without", {"size": "large"}))
    against = paired_difference([1, 1, 1, 0], [1, 0, 0, 0])
    # Two items differ: of the four ways to sign them, two are as far from zero. p = 1/2.
    assert (found.value, found.low, found.high, found.p) == tuple(against[k] for k in ("value", "low", "high", "p"))
    assert found.p == 0.5


def test_a_trend_is_the_rise_of_the_line_of_least_squares():
    axis = make_axis("tasks", [4, 16, 64, 256])
    # Positions -1.5, -0.5, 0.5, 1.5, whose squares add up to 5; a slope times the 3 steps from first to last.
    contrast = fitted_rise(axis, {})
    assert list(contrast.weights.values()) == pytest.approx([-0.9, -0.3, 0.3, 0.9])
    assert contrast.reach == pytest.approx(1.2)
    layout = Layout((axis,), "tasks")
    cells = [scored([score] * 4, tasks=value) for value, score in zip(axis.values, (0, 0.2, 0.4, 0.6), strict=True)]
    assert find_contrast(layout, cells, contrast).value == pytest.approx(0.6)  # a straight line rises from end to end
    # Two values: the plain difference.
    assert fitted_rise(make_axis("rows", [1, 2]), {}).weights == {"1": -1.0, "2": 1.0}


def test_evaluations_of_other_items_are_not_compared():
    cells = [scored([1, 0, 0, 0], cot="with", folder="A"), scored([1, 0, 0, 0], ids="abce", cot="without", folder="B")]
    with pytest.raises(InputError) as raised:
        find_contrast(
            Layout(find_axes([cell.at for cell in cells]), "cot"), cells, difference("cot", "with", "without", {})
        )
    assert raised.value.code == "study-items-differ" and raised.value.where == "A and B"
    assert raised.value.found == "2 items that one alone has, such as 'd' of t in A"


def test_a_group_is_the_unweighted_mean_of_its_tasks():
    tasks = {"easy": [1.0, 1.0, 1.0, 0.0], "hard": [0.0, 1.0]}
    strata = {name: Stratum(tuple((name, str(n)) for n in range(len(v))), np.array(v)) for name, v in tasks.items()}
    assert Scored({}, strata, "f").value == (0.75 + 0.5) / 2
    mean = find_mean([Scored({}, strata, "f")], [])
    assert mean.items == interval_of_means(list(tasks.values())) != interval([1, 1, 1, 0, 0, 1])
    other = {name: Stratum(own.keys, np.zeros(len(own.keys))) for name, own in strata.items()}
    cells = [Scored({"cot": "with"}, strata, "A"), Scored({"cot": "without"}, other, "B")]
    found = find_contrast(
        Layout(find_axes([c.at for c in cells]), "cot"), cells, difference("cot", "with", "without", {})
    )
    assert found.value == 0.625 and found.n == 6
    # Items of 'easy' weigh 6 / (2 * 4) = 3/4, those of 'hard' 6 / (2 * 2) = 3/2: of the 16 ways to sign 3/4 three times
    # and 3/2 once only all plus and all minus are as far from zero.
    assert found.p == 2 / 16


def test_items_are_the_same_by_task_id_and_references():
    known: dict = {}
    one = make_stratum([result("1", 1.0), result("2", 0.0)], "exact_match", known)
    other = make_stratum([result("2", 1.0), result("1", 0.0)], "exact_match", known)
    assert one.keys is other.keys and one.values.tolist() == [1.0, 0.0] and other.values.tolist() == [0.0, 1.0]
    changed = make_stratum([result("1", 1.0), result("2", 0.0, reference="other")], "exact_match", known)
    assert changed.keys != one.keys
    # An id that comes twice, and an item that a metric scores twice, are told apart by their order.
    assert len(make_stratum([result("1", 1.0), result("1", 0.0)], "exact_match", known).keys) == 2
    assert make_stratum([result("1", 0.5, several=[1.0, 0.0])], "instruction", known).values.tolist() == [1.0, 0.0]
    assert make_stratum([result("1", 0.5)], "rouge_l", known).keys == ()


def test_students_p_by_hand():
    assert student_p(3, 1) == pytest.approx(1 - 2 * math.atan(3) / math.pi)
    # Table value: t = 4.30265 with two degrees of freedom leaves 5 %.
    assert student_p(4.30265, 2) == student_p(-4.30265, 2) == pytest.approx(0.05, abs=1e-6)


def test_all_values_of_an_axis_tell_how_far_training_anew_moves_a_score():
    """Two seeds x four values. Rows 0.50 0.60 0.75 0.75 and 0.50 0.50 0.50 0.75: the second lies below the first by 0,
    0.1, 0.25 and 0, on average 0.0875. Rests are half of what each differs from that: squares 2 x (0.0875^2 + 0.0125^2
    + 0.1625^2 + 0.0875^2) / 4 = 0.020938, three degrees of freedom."""
    scores = {"0": (10, 12, 15, 15), "1": (10, 10, 10, 15)}
    cells = [
        scored([1.0] * right + [0.0] * (20 - right), ids="abcdefghijklmnopqrst", instances=value, seed=seed)
        for seed, row in scores.items()
        for value, right in zip(("1", "4", "16", "64"), row, strict=True)
    ]
    layout = Layout(find_axes([cell.at for cell in cells]), "instances")
    found = find_contrast(layout, cells, difference("instances", "64", "1", {}))
    error = math.sqrt(0.0209375 / 3)  # of a difference of two means of two runs: times sqrt(2 / 2)
    assert found.runs == pytest.approx((0.25, 0.25)) and found.freedom == 3 and found.over == "runs"
    # Table value: t = 3.18245 with three degrees of freedom leaves 5 %.
    assert (found.low, found.high) == pytest.approx((0.25 - 3.18245 * error, 0.25 + 3.18245 * error), abs=1e-6)
    assert found.p == pytest.approx(student_p(0.25 / error, 3))
    trend = find_contrast(layout, cells, fitted_rise(layout.axis("instances"), {}))
    # Weights -0.9, -0.3, 0.3, 0.9: squares add up to 1.8, over two runs 0.9.
    assert trend.high - trend.value == pytest.approx(3.18245 * error * math.sqrt(0.9), abs=1e-6)


def test_the_interval_of_one_stratum_is_that_of_its_items():
    assert interval_of_means([[1, 0, 1, 1]]) == interval([1, 0, 1, 1])
    assert interval_of_means([[1, 1], [1]]) == interval([1, 1, 1])  # nothing differs within a stratum
