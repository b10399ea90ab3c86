"""Variants of items: what changes, what stays, and that the answer is right afterwards."""

import json
import re
from dataclasses import replace
from typing import get_args

import pytest

from precept.evaluate.items import Item
from precept.evaluate.obfuscate import (
    NAMES,
    VARIANTS,
    renumber,
    shuffle_options,
    swap_names,
    vary_items,
    vary_spacing,
)
from precept.evaluate.task import FAMILIES, Variant, load_task
from precept.types import Message


def item(question, *references, **more):
    messages = (Message("system", "Be brief."), Message("user", question))
    return Item("q", "t", messages, references, text=f"Example.\n\nQ: {question}\nA:", **more)


def question(found):
    return found.messages[-1].content


BLOOD = item("Which is red?\nOptions:\n(A) sky\n(B) blood\n(C) grass", "(B)")


@pytest.mark.parametrize("seed", range(6))
def test_options_move_and_the_letter_follows(seed):
    variant = shuffle_options(BLOOD, seed=seed)
    lines = question(variant).split("\n")
    assert lines[:2] == ["Which is red?", "Options:"] and lines != question(BLOOD).split("\n")
    assert sorted(line[4:] for line in lines[2:]) == ["blood", "grass", "sky"]
    assert [line[:3] for line in lines[2:]] == ["(A)", "(B)", "(C)"]
    assert f"{variant.references[0]} blood" in lines
    assert variant.text == f"Example.\n\nQ: {question(variant)}\nA:"
    assert variant.messages[0] == BLOOD.messages[0]


def test_an_answer_written_out_stays():
    variant = shuffle_options(item("Red?\nOPTIONS:\n- yes\n- no", "no"), seed=0)
    assert (question(variant), variant.references) == ("Red?\nOPTIONS:\n- no\n- yes", ("no",))


def test_only_the_last_list_is_the_questions():
    variant = shuffle_options(item("Q: x\nA. one\nB. two\nAnswer: A\n\nQ: y\nA. three\nB. four\nAnswer:", "B"), seed=0)
    assert question(variant) == "Q: x\nA. one\nB. two\nAnswer: A\n\nQ: y\nA. four\nB. three\nAnswer:"
    assert variant.references == ("A",)


@pytest.mark.parametrize(
    "left",
    [
        item("Red?\nA. sky\nB. blood\nC. none of the above", "B"),
        item("Red?\nA. sky\nB. blood\nC. A and B", "B"),
        item("Red?\nA. sky\nB. sky", "B"),
        item("These hold:\n- it rains\n- it is late\nWhat now?", "sleep"),
        item("Red?\nA. sky", "A"),
        item("Red?", "blood"),
        item("Red?\n- yes\n- no"),
        item("Next?\nA. B\nB. C", "B"),
    ],
)
def test_options_that_cannot_be_moved_safely_stay(left):
    assert shuffle_options(left, seed=0) is left


def test_letters_follow_in_every_real_question(shared_data):
    for name in ("date_understanding", "hyperbaton", "logical_deduction_five_objects"):
        for row in json.loads((shared_data / "bbh" / f"{name}.json").read_text())["examples"]:
            asked = item(row["input"], row["target"])
            variant = shuffle_options(asked, seed=1)
            before, after = (
                re.search(rf"^{re.escape(found.references[0])} (.*)$", question(found), re.MULTILINE)[1]
                for found in (asked, variant)
            )
            assert variant is not asked and before == after


@pytest.mark.parametrize("seed", range(5))
def test_a_sum_gets_other_numbers_and_its_answer(seed):
    variant = renumber(item("What is (12 + 3) * -4?", "-60"), seed=seed)
    found = re.fullmatch(r"What is \((\d\d) \+ (\d)\) \* -(\d)\?", question(variant))
    a, b, c = map(int, found.groups())
    assert variant.references == (str((a + b) * -c),) and a != 12 and b != 3 and c != 4


@pytest.mark.parametrize(
    "left",
    [
        item("What is 3 + 4?", "7", options=("6", "7")),  # the new answer would not be among the options
        item("What is 3 + 4?", "8"),  # the stated answer is wrong: whatever decides, it is not the sum
        item("Anna has 3 apples and eats 1.", "2"),
        item("In 1999, what was 3 + 4?", "7"),
        item("What is 2 ** 3?", "8"),
        item("What is 3 + 4?", "7", "seven"),
        item("What is 10 / 5?", "2"),
        item("Call 555-1234", "x"),
        item("3.5 + 1", "4.5"),
        item("What is x3 + 4?", "7"),
        item("What is 3 + 4y?", "7"),
        item("( " * 9999, "3"),
    ],
)
def test_numbers_that_cannot_be_changed_safely_stay(left):
    assert renumber(left, seed=0) is left


def test_real_sums_keep_right_answers(shared_data):
    expressions = ["((-1 + 2 + 9 * 5) - (-2 + -4 + -4 * -7)) =", "((7 * -5 * 8 * -5) * (3 - 4 + 8 - 3)) ="]
    for expression, value in zip(expressions, ("24", "5600"), strict=True):
        variant = renumber(item(expression, value), seed=4)
        assert eval(question(variant).removesuffix("=")) == int(variant.references[0]) != int(value)


def test_names_are_swapped_everywhere_within_their_group():
    asked = item("Anna gave Tom a pen. Anna's pen?", "Tom", options=("Anna", "Tom"), endings=(" Anna", " Tom"))
    variant = swap_names(asked, seed=0)
    she, he = variant.options
    assert question(variant) == f"{she} gave {he} a pen. {she}'s pen?"
    assert (variant.references, variant.endings) == ((he,), (f" {she}", f" {he}"))
    assert she in NAMES[2] and he in NAMES[3] and she != "Anna" and he != "Tom"


@pytest.mark.parametrize(
    "left",
    [
        item("How many letters has Anna?", "4"),
        item("Who wrote it, Emily Dickinson?", "yes"),
        item("It was King John of England.", "yes"),
        item("Annabel left.", "yes"),
        item("Who came?", "Anna"),
        item("Who wrote Emma's letters?", "Jane"),
    ],
)
def test_names_that_may_matter_stay(left):
    assert swap_names(left, seed=0) is left


def test_a_known_name_stays_beside_one_that_is_swapped():
    variant = swap_names(item("Lisa read Jane Eyre.", "Lisa"), seed=0)
    assert "Jane Eyre" in question(variant) and variant.references[0] != "Lisa"


@pytest.mark.parametrize("seed", range(8))
def test_spacing_changes_and_words_do_not(seed):
    asked = item("The sky is blue. It is noon. What now?", "work")
    variant = vary_spacing(asked, seed=seed)
    assert question(variant) != question(asked)
    assert question(variant).replace(" ?", "?").split() == question(asked).split()
    assert variant.references == asked.references


def test_a_text_that_is_laid_out_keeps_its_blanks():
    for text in ("if x:\n    return", "a\tb", "```\nx\n```", "a  b", ""):
        left = item(text, "x")
        assert vary_spacing(left, seed=0) is left


def test_a_name_that_only_an_answer_holds_stays():
    variant = swap_names(item("Anna has a father. Who?", "Tom"), seed=0)
    assert "Anna" not in question(variant) and variant.references == ("Tom",)


def test_only_the_question_among_worked_examples_changes():
    around = "Q: Anna has 2 + 3 pens?\nA: 5\n\nQ: What is 2 + 3?\nA:"
    asked = Item("q", "t", (Message("user", around),), ("5",), text=around, question="What is 2 + 3?")
    variant = renumber(asked, seed=1)
    assert variant.question != asked.question and variant.references != ("5",)
    assert variant.text == variant.messages[-1].content == around.replace("What is 2 + 3?", variant.question)


def test_a_question_that_stands_in_another_form_in_the_prompt_stays():
    asked = Item("q", "t", (Message("user", "2 plus 3?"),), ("5",), text="2 + 3?", question="2 + 3?")
    assert renumber(asked, seed=0) is asked


def test_items_that_change_are_named_by_place_and_draw_apart():
    sums = [replace(item("What is 12 + 30?", "42"), id=str(n)) for n in range(4)]
    found = vary_items([item("Why?", "x"), *sums], "renumber", seed=0)
    assert list(found) == [1, 2, 3, 4]
    assert len({question(variant) for variant in found.values()}) > 1
    assert found == vary_items([item("Why?", "x"), *sums], "renumber", seed=0)


def test_every_variant_can_be_allowed_and_is_by_some_task():
    assert set(VARIANTS) == set(get_args(Variant))
    assert set(VARIANTS) == {name for family in FAMILIES for name in load_task(family).variants}
    assert not [
        family for family in FAMILIES if load_task(family).kind in ("checks", "answers") and load_task(family).variants
    ]


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_repeat_by_seed(name):
    asked = item("Anna has a sum. What is 12 + 30?\nA. 42 pens\nB. 41 pens", "A")
    assert VARIANTS[name](asked, seed=7) == VARIANTS[name](asked, seed=7)
    nobody = Item("q", "t", (Message("assistant", "Anna?"),), ("x",))
    assert VARIANTS[name](nobody, seed=0) is nobody
