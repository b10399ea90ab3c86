"""Layouts, worked examples and stored prompts, worked out by hand."""

import pytest

from precept.evaluate import Shots, items_from_rows, load_task, read_example
from precept.evaluate.few_shot import Example, Layout, lay_out, read_prompt, state_answer, wrong_field
from precept.types import Conversation, Message, Source

PROMPT = """Do not train on this. canary 1234
-----
Say the colour.

Q: Sky?
Options:
(A) red
(B) blue
A: Let's think step by step.
Look up. It is not red. So the answer is (B).

Q: Blood?
A: Let's think step by step. It flows. So the answer is red.
"""
SPECIFIC = Layout(head="About {name}.\n\n", question="Q: {question}\nA:", answer=" {answer}")
LISTED = {"question": "{question}", "answer": "{answer}, {solution} or {stated}"}
BY_STEPS = Layout(
    head="{instruction}\n\n", question="Q: {question}\nA: Let's think step by step.", answer="\n{solution}"
)


def row(question, answer, number=1, **fields):
    turns = (Message("user", question), Message("assistant", answer))
    return Conversation(turns, Source("rows.jsonl", number, "0" * 16), **fields)


def test_the_canary_is_no_part_of_a_stored_prompt_and_the_short_answer_is_the_stated_one():
    stored = read_prompt(PROMPT)
    assert stored.instruction == "Say the colour."
    assert [example.question for example in stored.examples] == ["Sky?\nOptions:\n(A) red\n(B) blue", "Blood?"]
    assert [example.answer for example in stored.examples] == ["(B)", "red"]


def test_a_stored_prompt_laid_out_again_is_the_file_itself():
    stored = read_prompt(PROMPT)
    laid_out = lay_out(BY_STEPS, "Grass?", name="c", instruction=stored.instruction, examples=stored.examples)
    body = PROMPT.split("-----\n")[1].strip()
    assert laid_out == f"{body}\n\nQ: Grass?\nA: Let's think step by step."


def test_every_prompt_file_of_big_bench_hard_is_laid_out_as_it_stands(shared_data):
    layout = load_task("bbh_cot_few_shot").layout
    files = sorted((shared_data / "bbh" / "cot-prompts").glob("*.txt"))
    for file in files:
        stored = read_prompt(file.read_text())
        laid_out = lay_out(layout, "X", name="n", instruction=stored.instruction, examples=stored.examples)
        body = file.read_text().split("-----\n")[1].strip()
        assert laid_out == f"{body}\n\nQ: X\nA: Let's think step by step.", file.name
        assert len(stored.examples) == 3
    assert len(files) == 15


def test_answer_only_prompts_show_the_stated_answer_without_its_reasoning():
    stored = read_prompt(PROMPT)
    layout = load_task("bbh_few_shot").layout
    laid_out = lay_out(layout, "Grass?", name="c", instruction=stored.instruction, examples=stored.examples[1:])
    assert laid_out == "Say the colour.\n\nQ: Blood?\nA: red\n\nQ: Grass?\nA:"


def test_a_head_whose_field_is_empty_is_left_out():
    assert lay_out(BY_STEPS, "Why?", name="c", instruction="", examples=()).startswith("Q: Why?")


def test_braces_of_a_question_are_text():
    assert lay_out(SPECIFIC, "{name} {0}", name="a_b", instruction="", examples=()) == "About a b.\n\nQ: {name} {0}\nA:"


def test_mmlu_is_asked_as_its_authors_do():
    shown = [row("1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4", "B", references=("B",), options=tuple("ABCD"))]
    asked = row("2 + 2?\nA. 4\nB. 2\nC. 3\nD. 1", "A", 2, references=("A",), options=tuple("ABCD"))
    shots = Shots("abstract_algebra", "", tuple(map(read_example, shown)))
    (item,) = items_from_rows([asked], load_task("mmlu"), shots)
    assert item.text == (
        "The following are multiple choice questions (with answers) about abstract algebra.\n\n"
        "1 + 1?\nA. 1\nB. 2\nC. 3\nD. 4\nAnswer: B\n\n"
        "2 + 2?\nA. 4\nB. 2\nC. 3\nD. 1\nAnswer:"
    )
    assert item.endings == (" A", " B", " C", " D")
    assert item.messages == (Message("user", item.text),)


def test_solutions_of_gsm8k_close_as_the_examples_of_mgsm_do():
    solution = "He has 2 + 3 = <<2+3=5>>5 apples.\n#### 5"
    assert state_answer(solution) == "He has 2 + 3 = 5 apples.\nThe answer is 5."
    assert state_answer("Es sind 5. Die Antwort lautet 5.") == "Es sind 5. Die Antwort lautet 5."
    heading = "Two parts.\n#### The first\nIt is 5."
    assert state_answer(heading) == heading
    assert state_answer("1000 + 1\n#### 1,001") == "1000 + 1\nThe answer is 1,001."


def test_an_example_has_the_reference_as_its_answer_and_the_whole_text_as_its_solution():
    found = read_example(row("How many?", "2 + 3 = 5\n#### 5", references=("5",)))
    assert found == Example("How many?", "5", "2 + 3 = 5\n#### 5")


@pytest.mark.parametrize("text", ["", "no question here", "Say it.\n\nQ: Why?\nBecause."])
def test_a_text_without_questions_and_answers_is_no_prompt(text):
    with pytest.raises(ValueError, match=r"Q: |A:"):
        read_prompt(text)


def test_a_good_layout_has_no_wrong_field():
    assert wrong_field(SPECIFIC) is None and wrong_field(Layout()) is None
    assert wrong_field(Layout(answer=" {{{solution}}}")) is None  # braces of the text, written twice


@pytest.mark.parametrize(
    ("layout", "part"), [(Layout(question="Q {{question}}"), "question"), (Layout(answer=" {{answer}}"), "answer")]
)
def test_a_name_in_doubled_braces_is_text_and_no_field(layout, part):
    assert wrong_field(layout)[:2] == (part, f"the part must hold {LISTED[part]}")


def test_a_head_with_a_name_in_doubled_braces_is_shown():
    layout = Layout(head="{{instruction}}: {name}\n")
    assert lay_out(layout, "Why?", name="a_b", instruction="", examples=()) == "{instruction}: a b\nWhy?"
