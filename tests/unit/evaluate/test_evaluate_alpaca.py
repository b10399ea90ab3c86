"""AlpacaEval: win rates of published annotations, length control and its properties, and the question to the judge."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from tests.fakes import ScriptedChat

from precept.errors import WorkError
from precept.evaluate.alpaca_eval import (
    WeightedLetters,
    alpaca_requests,
    normalized_preference,
    parse_letter,
    preference_of_letter,
    preference_of_logps,
    preference_of_reply,
    shown_second,
    win_rate,
)
from precept.evaluate.judge import JudgeSettings, Question, Response, ask
from precept.evaluate.length_controlled import (
    GamedRows,
    LengthWeights,
    fit_logistic,
    fit_penalized,
    lc_from_weights,
    length_controlled,
)
from precept.types import Message

# golden_values.md 9: win rate, standard error, wins, w_len, w_m, LC
GOLDEN = {
    "alpaca-7b": (2.591450540223603, 0.4870855382635108, 17, -4.387274, -1.396667, 19.83455),
    "text_davinci_003": (1.9621476654161492, 0.43467475942576034, 14, -3.040501, -2.145971, 10.47083),
}


@pytest.mark.parametrize("model", GOLDEN)
def test_published_annotations_give_the_published_numbers(shared_data: Path, model: str) -> None:
    rate, error, wins, w_len, w_m, controlled = GOLDEN[model]
    lines = (shared_data / "golden" / "alpaca_eval" / f"{model}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    found = win_rate([row["preference"] for row in rows])
    assert 100 * found.value == pytest.approx(rate, abs=1e-9) and found.wins == wins and len(found.labels) == 805
    assert found.standard_error is not None and 100 * found.standard_error == pytest.approx(error, abs=1e-9)
    length = length_controlled(found.labels, [row["len_1"] for row in rows], [row["len_2"] for row in rows])
    assert 100 * length.value == pytest.approx(controlled, abs=1e-4) and length.method == "minimal"
    assert (length.weights.w_len, length.weights.w_m) == pytest.approx((w_len, w_m), abs=1e-5)
    assert length.mean_fitted == pytest.approx(found.value, abs=1e-12)  # the score equation of w_m
    assert length.low < length.value < length.high


def test_old_annotations_write_a_draw_as_0(shared_data: Path) -> None:
    path = shared_data / "alpaca_eval" / "alpaca-7b" / "annotations_alpaca_eval_gpt4.json"
    found = win_rate([row["preference"] for row in json.loads(path.read_text())])
    assert (found.wins, found.losses, found.draws) == (205, 584, 16)
    assert 100 * found.value == pytest.approx(26.459627329192543, abs=1e-9)  # the leaderboard's row 'Alpaca 7B'


def test_a_win_rate_worked_by_hand() -> None:
    found = win_rate([1, 2, 1.5, 0, 1.25, None, math.nan, 3.0])
    # labels 0, 1, .5, .5, .25: mean .45; deviations -.45 .55 .05 .05 -.2, squares sum .55, variance .1375
    assert found.labels == (0.0, 1.0, 0.5, 0.5, 0.25) and found.value == pytest.approx(0.45)
    assert found.standard_error == pytest.approx(math.sqrt(0.1375 / 5))
    assert (found.wins, found.losses, found.draws, found.invalid) == (1, 2, 2, 3)
    assert found.discrete == pytest.approx((1 + 2 / 2) / 5)


def test_one_row_has_no_standard_error() -> None:
    assert win_rate([2]).standard_error is None


def test_only_numbers_from_1_to_2_are_preferences() -> None:
    assert [normalized_preference(value) for value in (0, 1, 2, 2.001, 0.5, math.inf)] == [1.5, 1, 2, None, None, None]


RNG = np.random.default_rng(5)
LABELS = RNG.random(60).tolist()
LEN_1, LEN_2 = RNG.integers(100, 3000, 60).tolist(), RNG.integers(100, 3000, 60).tolist()
DIFFICULTY = RNG.normal(size=60).tolist()


def test_a_model_against_itself_has_a_half() -> None:
    found = length_controlled([0.5] * 8, [10, 20] * 4, [10, 20] * 4)
    assert found.value == found.low == found.high == 0.5
    assert lc_from_weights(LengthWeights(-1.7, 0.9, -0.5), DIFFICULTY, against=LengthWeights(-1.2, 0.9, -0.5)) == 0.5
    assert lc_from_weights(LengthWeights(), DIFFICULTY) == 0.5  # the baseline's saved weights are zeros


def test_two_models_share_what_there_is_to_win() -> None:
    m, k = LengthWeights(-1.693296, 0.943788, -0.528079), LengthWeights(-1.756300, 0.996188, -3.619425)
    there, back = lc_from_weights(m, DIFFICULTY, against=k), lc_from_weights(k, DIFFICULTY, against=m)
    assert there + back == pytest.approx(1) and there > 0.9


def test_saved_weights_worked_by_hand() -> None:
    # sigmoid(1) = 0.731059, sigmoid(-1) = 0.268941; with g 0 and 2: sigmoid(-1 + 0), sigmoid(-1 + 2)
    assert lc_from_weights(LengthWeights(w_x=1, w_m=-1), [0, 2]) == pytest.approx(0.5)
    assert lc_from_weights(LengthWeights(w_len=9, w_m=1), [0]) == pytest.approx(0.731059, abs=1e-6)


def test_without_length_differences_the_rate_is_the_raw_one() -> None:
    for len_1, len_2 in (([50] * 60, [50] * 60), ([80] * 60, [50] * 60)):
        found = length_controlled(LABELS, len_1, len_2)
        assert found.value == pytest.approx(float(np.mean(LABELS))) and found.std_difference == 0


def test_the_same_number_of_characters_on_both_sides_changes_nothing() -> None:
    found = length_controlled(LABELS, LEN_1, LEN_2)
    longer = length_controlled(LABELS, [n + 777 for n in LEN_1], [n + 777 for n in LEN_2])
    assert found == longer


def test_the_mean_fitted_probability_is_the_raw_rate_with_difficulties_too() -> None:
    found = length_controlled(LABELS, LEN_1, LEN_2, difficulty=DIFFICULTY)
    assert found.method == "noreg" and found.weights.w_x != 0
    assert found.mean_fitted == pytest.approx(float(np.mean(LABELS)), abs=1e-12)


def test_length_control_takes_out_a_judge_that_counts_characters() -> None:
    # The judge says sigmoid(tanh(d/std) * -2 + 0.4) exactly, and the candidate writes more: the rate is sigmoid(0.4).
    longer = [n + 2000 for n in LEN_2]
    difference = np.array(LEN_1) - np.array(longer)
    labels = 1 / (1 + np.exp(-(-2 * np.tanh(difference / difference.std(ddof=1)) + 0.4)))
    found = length_controlled(labels.tolist(), LEN_1, longer)
    assert found.weights.w_len == pytest.approx(-2) and found.weights.w_m == pytest.approx(0.4)
    assert found.value == pytest.approx(1 / (1 + math.exp(-0.4))) and labels.mean() > 0.8


def test_a_judge_that_is_never_in_doubt_has_no_finite_fit() -> None:
    for labels in ([0.0] * 20, [float(a < b) for a, b in zip(LEN_1[:20], LEN_2[:20], strict=True)]):
        with pytest.raises(WorkError) as error:
            length_controlled(labels, LEN_1[:20], LEN_2[:20])
        assert error.value.code == "length-control-unbounded"


def test_a_fit_whose_steps_must_be_halved_converges() -> None:
    # Newton's own steps overshoot further each time here; at the maximum the gradient is 0.
    x = np.stack([np.ones(4), np.array([1.9, 3.6, 1.5, -121.7])], axis=1)
    counts, labels = np.array([754.0, 35, 26, 30]), np.array([1.0, 0, 0, 1])
    found, converged = fit_logistic(x, labels, counts[None])
    assert converged.all()
    assert (counts * (labels - 1 / (1 + np.exp(-x @ found[0])))) @ x == pytest.approx([0, 0], abs=1e-6)


def features(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([np.tanh(rng.normal(size=count)), rng.normal(size=count), np.ones(count)], axis=1)


@pytest.mark.parametrize("inverse_penalty", [1e-2, 0.3, 10.0])
def test_the_penalised_fit_is_where_no_direction_lowers_the_cost(inverse_penalty: float) -> None:
    # At the minimum of |w| + C loss: C dloss/dw_j = -sign(w_j), or within -1..1 where w_j = 0.
    x, y, weights = features(60), np.array(LABELS), np.linspace(0.1, 2, 60)
    found = fit_penalized(x, y, weights, inverse_penalty=inverse_penalty)
    slope = inverse_penalty * (weights * (1 / (1 + np.exp(-x @ found)) - y)) @ x
    for weight, direction in zip(found, slope, strict=True):
        assert direction == pytest.approx(-np.sign(weight), abs=1e-5) if weight else abs(direction) <= 1 + 1e-9


def test_a_penalty_that_vanishes_leaves_the_likeliest_weights() -> None:
    x, y = features(60), np.array(LABELS)
    plain, converged = fit_logistic(x, y, np.ones((1, 60)))
    assert converged.all()
    assert fit_penalized(x, y, np.ones(60), inverse_penalty=1e8) == pytest.approx(plain[0], abs=1e-5)


def test_gamed_baselines_hold_the_length_weight_where_they_say() -> None:
    # The judge does not mind length in the gamed rows, so that the candidate's short answers are not excused by it.
    rng = np.random.default_rng(3)
    delta = rng.normal(size=400)
    gamed = GamedRows(delta, rng.normal(size=400), np.full(400, 0.5))
    labels = [0.05 if a > b else 0.3 for a, b in zip(LEN_1, LEN_2, strict=True)]
    free = length_controlled(labels, LEN_1, LEN_2, difficulty=DIFFICULTY)
    held = length_controlled(labels, LEN_1, LEN_2, difficulty=DIFFICULTY, gamed=gamed)
    assert held.method == "full" and abs(held.weights.w_len) < abs(free.weights.w_len)
    assert held.low <= held.value <= held.high


@pytest.mark.parametrize(
    ("reply", "letter"),
    [
        ("m", "m"),
        ("M", "M"),
        (' "M".', "M"),
        ("Model m", "m"),
        ("m or M", None),
        ("maybe", None),
        ("", None),
        ("Mm", None),
        ("_m_", "m"),
        ("I'm sorry, I cannot tell.", None),  # a refusal holds no verdict
        ("I'm sure it is 'M'", "M"),
    ],
)
def test_a_reply_names_one_letter(reply: str, letter: str | None) -> None:
    assert parse_letter(reply) == letter


def test_letters_mean_the_output_that_was_shown_there() -> None:
    assert preference_of_letter("m", swapped=False) == 1 and preference_of_letter("M", swapped=False) == 2
    assert preference_of_letter("m", swapped=True) == 2 and preference_of_letter("M", swapped=True) == 1
    assert preference_of_letter(None, swapped=True) is None


def test_the_weighted_preference_is_2_minus_the_share_of_the_first_letter() -> None:
    # p(m) = .6, p(M) = .2: 2 - .75
    logps = math.log(0.6), math.log(0.2)
    assert preference_of_logps(*logps, swapped=False) == pytest.approx(1.25)
    assert preference_of_logps(*logps, swapped=True) == pytest.approx(1.75)
    assert preference_of_logps(-1.0, None, swapped=False) == 1 and preference_of_logps(None, -9.0, swapped=False) == 2
    assert preference_of_logps(None, None, swapped=False) is None
    assert preference_of_logps(-5000.0, 0.0, swapped=False) == pytest.approx(2)


QUESTIONS = [Question(str(n), (f"Do {n}.",)) for n in range(40)]
OURS = [Response(n, str(n), None, ("ours",)) for n in range(40)]
THEIRS = [Response(n, str(n), None, ("baseline",)) for n in range(39)] + [Response(39, "39", None, ("ours",))]


def test_the_order_is_drawn_for_each_question_and_equal_outputs_are_not_asked() -> None:
    requests = alpaca_requests(QUESTIONS, OURS, THEIRS, seed=0)
    assert len(requests) == 39 and {request.order for request in requests} == {"ab", "ba"}
    assert requests == alpaca_requests(QUESTIONS, OURS, THEIRS, seed=0)
    orders = [[r.order for r in alpaca_requests(QUESTIONS, OURS, THEIRS, seed=seed)] for seed in (0, 1)]
    assert orders[0] != orders[1]
    drawn = [shown_second(0, f"question {n}") for n in range(2000)]
    assert 0.45 < sum(drawn) / 2000 < 0.55


def test_a_judge_that_prefers_ours_says_2_in_either_order() -> None:
    chat = ScriptedChat(lambda p: "m" if p.index("\nours\n") < p.index("\nbaseline\n") else "M")
    judgments = ask(chat, alpaca_requests(QUESTIONS, OURS, THEIRS, seed=0), JudgeSettings(), keep=lambda block: None)
    said = {preference_of_reply(j.reply, order=j.request.order, weighted=False) for j in judgments}
    assert said == {2.0}


class Sure:
    """Gives the first letter probability .9 and the second .1."""

    name = "sure"

    def letter_logps(self, conversations: list[list[Message]], letters: tuple[str, str]) -> list[tuple[float, ...]]:
        assert letters == ("m", "M")
        return [(math.log(0.9), math.log(0.1)) for _ in conversations]


def test_weighted_letters_pass_through_the_same_questions() -> None:
    judge = WeightedLetters(Sure())  # type: ignore[arg-type]
    judgments = ask(judge, alpaca_requests(QUESTIONS, OURS, THEIRS, seed=0), JudgeSettings(), keep=lambda block: None)
    for judgment in judgments:
        found = preference_of_reply(judgment.reply, order=judgment.request.order, weighted=True)
        assert found == pytest.approx(1.9 if judgment.request.order == "ab" else 1.1)
