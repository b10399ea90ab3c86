"""What each rule takes from an output, and numbers against the labels of GSM8K's published solutions."""

import json
from decimal import Decimal

import pytest

from precept.evaluate.extract import EXACT, LENIENT, RULES
from precept.evaluate.gsm8k import read_number, same_number
from precept.evaluate.metrics import SCORES


def test_first_line_is_the_first_that_is_not_blank():
    assert RULES["first_line"]("\n \n yes, it is \nbecause") == "yes, it is"
    assert RULES["first_line"]("") == ""


def test_bbh_direct_reads_up_to_the_first_line_feed_and_drops_one_period():
    assert RULES["bbh_direct"](" (A).\n\nQ: next") == "(A)"
    assert RULES["bbh_direct"]("True..") == "True."
    assert RULES["bbh_direct"]("\nTrue") == ""


def test_bbh_cot_reads_after_the_last_phrase_of_the_first_paragraph():
    output = "The answer is hidden. So the answer is no, so the answer is (B).\n\nQ: the answer is (C)."
    assert RULES["bbh_cot"](output) == "(B)"
    assert RULES["bbh_cot"](" (B).\nQ") == "(B).\nQ"


def test_first_line_answer_takes_the_phrase_in_any_case_and_nothing_after_the_line():
    assert RULES["first_line_answer"]("\nSo The Answer Is: (B) red.\n\nQ: next\nThe answer is C") == "(B) red."
    assert RULES["first_line_answer"]("(B)\nthe answer is (C)") == "(B)"


def test_stated_answer_reads_the_first_paragraph_that_states_one():
    output = "Let us think.\n\nThe answer is red? No: the answer is\n(B) blue\nas asked.\n\nQ: the answer is (C)"
    assert RULES["stated_answer"](output) == "(B) blue"
    assert RULES["stated_answer"]("\n(B)\nthat is all") == "(B)"


def test_none_keeps_the_output_as_it_is():
    assert RULES["none"](" a \n") == " a \n"


@pytest.mark.parametrize(
    ("output", "strict", "last"),
    [
        ("So 9 * 2 = <<9*2=18>>18.\n#### 18", "18", "18"),
        ("#### 1,234.50 dollars\n\nQ: 5?\n#### 7", "1234.50", "7"),
        ("#### -$5", "-5", "-5"),
        ("####$-5", "-5", "-5"),
        ("She has 16-3 eggs\nA: 13", "13", "13"),
        ("A: 3 + 4 = 7 is wrong\nA: 8.", "8", "8"),
        ("The answer is 18 apples", "", "18"),
        ("#### eighteen", "", ""),
        ("16-3", "", "3"),
        ("from -3 to \u22125", "", "-5"),
        ("f(x)-2", "", "2"),
        ("half is .5", "", ".5"),
        ("1, 2, 3", "", "3"),
        ("1,2345", "", "2345"),
        ("10.", "", "10"),
        ("", "", ""),
    ],
)
def test_numbers_of_a_solution(output, strict, last):
    assert (RULES["gsm8k"](output), RULES["last_number"](output)) == (strict, last)


@pytest.mark.parametrize(
    ("output", "number"),
    [
        ("Zuerst 5.\nDie Antwort lautet 11.", "11"),
        ("La respuesta es: $1,000", "1000"),
        ("答案是 11。", "11"),
        ("Jibu ni 11. Jibu ni 12.", "12"),  # a step may be stated, too: the last one counts
        ("the ANSWER is 3", "3"),
        ("Ответ — 29.", "29"),
        ("11", ""),
    ],
)
def test_mgsm_takes_the_number_after_the_phrase_of_its_language(output, number):
    assert RULES["mgsm"](output) == number


def test_numbers_are_the_same_by_value_and_never_by_digits_alone():
    assert same_number("$18.00", "18") == same_number("1,000", "1000.") == same_number("-5", "#### -5") == 1.0
    assert same_number("2.5", "25") == same_number("-5", "5") == same_number("", "5") == same_number("x", "x") == 0.0
    assert read_number("It is 5.\nA: 2,125") == Decimal(2125)
    assert read_number("18 apples") is None


def test_every_lenient_rule_and_every_exact_match_exists():
    assert {*LENIENT, *LENIENT.values(), *EXACT} <= RULES.keys() and set(EXACT.values()) <= SCORES.keys()
    assert all(rule in EXACT for rule in (*LENIENT, *LENIENT.values()))


def test_outputs_of_untuned_models_are_cut():
    assert RULES["first_sentence"](" Yes. No.") == "Yes"
    assert RULES["before_next_question"]("- 1) Yes \nQ: what Data: x") == "Yes"


def test_gsm8k_agrees_with_the_labels_of_all_published_model_solutions(shared_data):
    lines = (shared_data / "gsm8k" / "example_model_solutions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    judged = [(row, row[name]) for row in rows for name in row if name not in ("question", "ground_truth")]
    assert (len(rows), len(judged)) == (300, 1200)
    for row, judgement in judged:
        right = same_number(RULES["gsm8k"](judgement["solution"]), row["ground_truth"])
        assert right == judgement["is_correct"], judgement["solution"]
        assert same_number(RULES["last_number"](judgement["solution"]), row["ground_truth"]) >= right


def test_gsm8k_reads_every_published_answer(shared_data):
    for line in (shared_data / "gsm8k" / "test.jsonl").read_text().splitlines():
        answer = json.loads(line)["answer"]
        assert RULES["gsm8k"](answer) == answer.rpartition("#### ")[2].replace(",", "")
