"""Claims of papers against a study's numbers: every verdict, the correction for many claims, and the sentences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from precept.evaluate.study import Layout, Scored, Stratum, find_axes
from precept.evaluate.study_claims import Claim, answer, correct, judge, say

CLAIM = {"says": "chains of thought help", "source": "Chung et al., section 4", "axis": "cot"}
PAIR = {**CLAIM, "of": "with", "with": "without", "expect": "higher"}
KEYS = tuple(("t", f"{n:03}") for n in range(100))


def cell(right: int, **at: Any) -> Scored:
    """An evaluation whose first ``right`` of 100 items are right."""
    scores = np.array([float(n < right) for n in range(100)])
    return Scored({name: str(value) for name, value in at.items()}, {"overall": Stratum(KEYS, scores)}, str(at))


# Seeds 0 to 2: with chains 50, 52, 54 right, without 40, 41, 42: differences of 10, 11 and 12 points.
SEEDS = [cell(50 + 2 * seed, cot="with", seed=seed) for seed in range(3)]
SEEDS += [cell(40 + seed, cot="without", seed=seed) for seed in range(3)]
LAYOUT = Layout(find_axes([cell.at for cell in SEEDS]), "cot")


def answered(claim: dict[str, Any], cells: list[Scored] = SEEDS, layout: Layout = LAYOUT):
    return answer(Claim(**claim), layout, cells, group="overall", metric="exact_match")


def told(claim: dict[str, Any], cells: list[Scored] = SEEDS, layout: Layout = LAYOUT, *, groups: int = 1) -> str:
    (found,) = correct([answered(claim, cells, layout)])
    return say(found, layout, groups=groups, compared=1)


@pytest.mark.parametrize(
    ("expected", "low", "high", "margin", "verdict"),
    [
        ("higher", 0.01, 0.05, 0.0, "agrees"),
        ("higher", -0.01, 0.05, 0.0, "undecided"),
        ("higher", -0.05, -0.01, 0.0, "disagrees"),
        ("higher", 0.01, 0.05, 0.02, "undecided"),  # not all of it beyond the margin
        ("higher", 0.03, 0.05, 0.02, "agrees"),
        ("higher", 0.0, 0.05, 0.0, "undecided"),  # zero is on neither side
        ("rises", 0.01, 0.05, 0.0, "agrees"),
        ("lower", -0.05, -0.01, 0.0, "agrees"),
        ("lower", 0.01, 0.05, 0.0, "disagrees"),
        ("lower", -0.05, -0.01, 0.02, "undecided"),
        ("falls", -0.05, 0.01, 0.0, "undecided"),
        ("same", -0.01, 0.01, 0.02, "agrees"),
        ("same", -0.01, 0.03, 0.02, "undecided"),
        ("same", 0.03, 0.05, 0.02, "disagrees"),
        ("flat", -0.05, -0.03, 0.02, "disagrees"),
        ("flat", 0.005, 0.015, 0.02, "agrees"),  # a difference, and too small to count
    ],
)
def test_every_verdict(expected, low, high, margin, verdict):
    assert judge(expected, low, high, margin) == verdict


def test_the_sentence_tells_seeds_items_difference_interval_and_verdict():
    # 11 points, standard deviation 1: 4.30265 / sqrt(3) = 2.484 to both sides.
    assert told(PAIR) == (
        "Here, with 3 seeds and 100 items, cot 'with' in place of 'without' raised exact_match by 11.0 points"
        " (95 % 8.5 to 13.5): agrees with Chung et al., section 4 (chains of thought help)."
    )


def test_a_finding_against_the_paper_is_told_in_the_direction_that_was_seen():
    assert told({**PAIR, "of": "without", "with": "with", "margin": 0.02}) == (
        "Here, with 3 seeds and 100 items, cot 'without' in place of 'with' lowered exact_match by 11.0 points"
        " (95 % 8.5 to 13.5), margin 2.0 points: disagrees with Chung et al., section 4 (chains of thought help)."
    )


def test_an_undecided_claim_tells_what_would_have_been_seen():
    # Differences of 2, -1 and 3 points: mean 1.33, standard deviation 2.082, 4.30265 * 2.082 / sqrt(3) = 5.171 to both
    # sides. A power of 0.8 takes another 1.06066 / 4.30265 of that: 5.171 * 1.24651 = 6.446.
    cells = [cell(right, cot="with", seed=n) for n, right in enumerate((42, 40, 45))]
    cells += [cell(right, cot="without", seed=n) for n, right in enumerate((40, 41, 42))]
    assert told(PAIR, cells).endswith(
        "raised exact_match by 1.3 points (95 % -3.8 to 6.5): undecided against Chung et al., section 4"
        " (chains of thought help); 6.4 points would have been seen with power 0.8."
    )


def test_an_undecided_claim_of_a_margin_tells_that_nothing_reaches_it():
    claim = {**PAIR, "margin": 0.2}
    assert told(claim).endswith("(chains of thought help); the difference is smaller than the margin either way.")


def test_over_items_the_detectable_difference_is_that_of_the_normal_distribution():
    cells = [cell(50, cot="with"), cell(40, cot="without")]
    found = answered(PAIR, cells, Layout(find_axes([cell.at for cell in cells]), "cot"))
    half = (found.estimate.high - found.estimate.low) / 2
    assert found.detectable == pytest.approx(half * (1 + 0.841621 / 1.959964), rel=1e-6)
    # Near the one known before a run: of 10 discordant items in 100 (1.96 + 0.84) * sqrt(0.1 / 100) = 0.0886.
    assert found.detectable == pytest.approx(0.0886, abs=0.012)


def test_a_trend_is_told_from_the_first_to_the_last_value():
    cells = [cell(right, tasks=tasks, size="large") for tasks, right in ((4, 20), (16, 40), (64, 60))]
    layout = Layout(find_axes([{"tasks": n, "size": "large"} for n in (4, 16, 64)]), "tasks", "size")
    claim = {"says": "more tasks help", "source": "Chung et al., section 3", "axis": "tasks", "trend": "rises"}
    sentence = told({**claim, "where": {"size": "large"}}, cells, layout)
    assert "one run each and 100 items, exact_match at size 'large' rose by 40.0 points" in sentence
    assert " from tasks '4' to '64' on the fitted line: agrees with Chung et al., section 3" in sentence


def test_groups_are_named_where_there_are_several_and_open_axes_always():
    cells = [cell(50, cot=cot, size=size, seed=seed) for cot in ("with", "without") for size in "sl" for seed in "01"]
    layout = Layout(find_axes([cell.at for cell in cells]), "cot", "size")
    sentence = told({**PAIR, "expect": "same", "margin": 0.05}, cells, layout, groups=2)
    assert "exact_match of overall, averaged over size, by 0.0 points" in sentence
    # No item differs in any seed: Wilson's interval for an event not seen in 100 items, 3.8415 / 103.8415 = 3.7 %.
    assert "(95 % -3.7 to 3.7), margin 5.0 points: agrees with" in sentence


def test_a_claim_about_values_that_a_run_has_not_is_left_untested():
    assert told({**PAIR, "of": "halfway"}).startswith("Not tested here, no value 'halfway' of cot: Chung et al.")
    assert answered({**PAIR, "with": "last", "of": "without"}).untested == "'without' of cot is both sides"
    assert answered({**PAIR, "where": {"seed": 7}}).untested == "no value 7 of seed"
    alone = Layout(find_axes([{"cot": "with", "seed": 0}]), "cot")
    assert answered({**CLAIM, "trend": "rises"}, SEEDS[:1], alone).untested == "one value of cot only"


def test_p_is_corrected_for_the_claims_that_expect_a_difference():
    same = {**PAIR, "expect": "same", "margin": 0.2}
    first, second, third = correct([answered(PAIR), answered({**PAIR, "where": {"seed": 0}}), answered(same)])
    # t = 11 / (1 / sqrt(3)) with two degrees of freedom is p = 0.0027; ten items of one sign are p = 2 / 2^10.
    assert first.estimate.p == pytest.approx(0.0027, abs=5e-5) and second.estimate.p == 2 / 1024
    assert (first.p_holm, second.p_holm) == pytest.approx((2 * 2 / 1024, 2 * 2 / 1024), abs=2e-3)
    assert second.p_holm == 4 / 1024 and third.p_holm is None


def test_a_verdict_that_the_correction_would_not_keep_says_so():
    (found,) = correct([answered(PAIR)])
    weak = type(found)(found.claim, "overall", "exact_match", "agrees", found.estimate, p_holm=0.12)
    assert say(weak, LAYOUT, groups=1, compared=4).endswith(
        "agrees with Chung et al., section 4 (chains of thought help); corrected for the 4 claims of this page"
        " p is 0.12."
    )


@pytest.mark.parametrize(
    ("claim", "told"),
    [
        ({**PAIR, "axes": 1}, "a claim has no key 'axes'; it has says, source, axis, of, with, expect"),
        ({"says": "x", "source": "y"}, "a claim needs 'axis'"),
        ({**CLAIM, "expect": "higher", "of": "with"}, "needs 'of', 'with' and 'expect', or 'trend'"),
        ({**PAIR, "trend": "rises"}, "a claim asks one thing"),
        ({**PAIR, "expect": "same"}, "needs a 'margin' above 0"),
        ({**PAIR, "where": {"cot": "with"}}, "holds the axis 'cot' that it compares"),
        ({**PAIR, "expect": "more"}, "'higher', 'lower' or 'same'"),
        ({**PAIR, "says": ""}, "at least 1 character"),
    ],
)
def test_claims_that_ask_nothing_or_two_things_are_refused(claim, told):
    with pytest.raises(ValidationError, match=told.replace("(", r"\(")):
        Claim(**claim)


def test_values_of_a_claim_keep_their_kind():
    claim = Claim(**{**PAIR, "of": True, "with": 4, "where": {"seed": 0.5}})
    assert claim.of is True and claim.with_ == 4 and isinstance(claim.with_, int) and claim.where == {"seed": 0.5}
