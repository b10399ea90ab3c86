"""Reframing: what each rule rewrites, when a rewrite is taken, and the prompts that come out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.fakes import ScriptedChat

from precept.errors import InputError
from precept.synth.decompose import SubTask, fault_of_steps
from precept.synth.reframe import RawTask, Rewrite, reframe
from precept.synth.reframed_prompt import (
    Template,
    encode,
    format_template,
    make_template,
    marker_of,
    new_tokens_of,
    parse_template,
    read_template,
)
from precept.synth.reframing_rules import count_breaking, itemize, mine_cues, restrain, specialize, state_positively
from precept.synth.sentences import find_negation, find_operation, split_sentences

DURATIONS = (
    "How long did the ferry stay in port?",
    "How long does the storm last?",
    "For how many hours did she read?",
    "How long was the walk?",
    "How many days did they travel?",
)


def teacher_of(*replies: str) -> ScriptedChat:
    """A teacher that gives these replies in order."""
    given = iter(replies)
    return ScriptedChat(lambda question: next(given))


def only(task: RawTask, technique: str, **options: object) -> tuple[str, str, Rewrite]:
    """The instruction and the suffix after one technique, and what is told of it."""
    made = reframe(task, (technique,), **options)  # type: ignore[arg-type]
    (rewrite,) = made.rewrites
    return made.instruction, made.suffix, rewrite


def test_sentences_end_where_they_end() -> None:
    text = (
        'Answer yes or no. Write a title, e.g. "The Light". Use at most 3.5 words!\n- Keep it short.\nMr. A reads it.'
    )
    assert split_sentences(text) == [
        "Answer yes or no.",
        'Write a title, e.g. "The Light".',
        "Use at most 3.5 words!",
        "Keep it short.",
        "Mr. A reads it.",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Don't guess.", "n't"),
        ("Avoid long answers.", "Avoid"),
        ("There is no need.", "no"),
        ('Answer "no" if it is wrong, or `not sure`.', None),
        ("Answer with yes or no.", None),
        ("Write yes/no.", None),
        ("Notice the knot.", None),
    ],
)
def test_what_is_only_mentioned_does_not_negate(text: str, found: str | None) -> None:
    assert find_negation(text) == found


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Do not ask unanswerable questions.", "Ask answerable questions."),
        ("Don’t write an incorrect answer.", "Write a correct answer."),
        ("You should not give vague answers.", "You should give specific answers."),
        ("Avoid ambiguous words.", "Prefer unambiguous words."),
        ("Never use more than five words.", "Use at most five words."),
        ("Do not write fewer than 2 sentences.", "Write at least 2 sentences."),
        ("Use no more than ten words.", "Use at most ten words."),
        ("Please do not forget to name the port.", "Remember to name the port."),
        ("The answer must not exceed 20 words.", "The answer must stay within 20 words."),
        ("Do not write anything other than the name.", "Write only the name."),
        ("Do not leave the last line empty.", "Fill in the last line."),
        ("Name the port.", "Name the port."),
        # Nothing tells what is wanted instead.
        ("Do not mention the ferry.", None),
        ("Do not give wrong answers and long ones.", None),
        ("If the port is not named, write 'none'.", None),
    ],
)
def test_prohibitions_become_what_to_do(said: str, meant: str | None) -> None:
    assert state_positively(said) == meant


def test_itemizing_gives_each_demand_a_bullet_without_negation() -> None:
    text = "Write a question about the passage. It should have at least 5 words. Don't ask unanswerable questions."
    task = RawTask("t", text, avoid="Vague questions.")
    instruction, _, rewrite = only(task, "itemizing")
    assert rewrite.fault is None
    assert instruction == (
        "- Write a question about the passage.\n- It should have at least 5 words.\n- Ask answerable questions.\n"
        "- Prefer specific questions."
    )


def test_a_rejected_rewrite_keeps_the_text_and_says_why() -> None:
    text = "Write a question. You should name the port. Do not mention the ferry."
    instruction, _, rewrite = only(RawTask("t", text, avoid="Long questions"), "itemizing")
    assert instruction == f"{text}\nAvoid this: Long questions"
    assert rewrite.fault == "'not' is left in: Do not mention the ferry."
    assert rewrite.after is not None
    assert itemize("Write a title.") is None


def test_specialization_leaves_out_what_is_true_of_any_task() -> None:
    text = (
        "In this task, you are given a letter. Please read the instructions carefully. Your task is to name the port "
        "that it came from. Answer the question below. Here are some examples:"
    )
    instruction, _, rewrite = only(RawTask("t", text), "specialization")
    assert (instruction, rewrite.fault) == ("You are given a letter. Name the port that it came from.", None)
    assert find_operation(text) == "name"
    assert specialize("Name the port that the letter came from.") is None


def test_patterns_replace_an_abstract_explanation_by_phrases_of_answers() -> None:
    text = (
        "Write a question about how long something takes. Event duration is defined as the understanding of how long "
        "events typically last, which most people know without being told since it is common sense."
    )
    assert mine_cues(DURATIONS) == ["how long"]  # of three outputs; "how" says nothing, the other openings are of one
    instruction, _, rewrite = only(RawTask("t", text, outputs=DURATIONS), "pattern")
    assert rewrite.fault is None
    assert instruction == 'Write a question about how long something takes. Use these and similar phrases: "how long".'
    assert mine_cues(["yes", "no", "yes"]) == []
    assert mine_cues(["a b c", "d e f", "g h i"]) == []


@pytest.mark.parametrize(
    ("outputs", "suffix"),
    [
        (("Yes.", "no", "Yes"), "Answer with yes or no."),
        (("POS", "NEG", "NEG", "POS"), "Answer with one of: NEG, POS."),
        (("tree", "sea", "port"), "Answer with one word."),
        (("two hours", "a day", "six"), "Answer with at most 2 words."),
        (("sea, port", "red tree, sun", "a, b"), "Answer with words separated by commas."),
        (("It came by sea to the port.", "yes", "It left."), None),
        (("yes", "no"), None),  # two examples may be alike by chance
    ],
)
def test_restraints_say_the_form_that_outputs_have(outputs: tuple[str, ...], suffix: str | None) -> None:
    assert restrain(outputs) == suffix
    assert only(RawTask("t", "Answer.", outputs=outputs), "restraining")[:2] == ("Answer.", suffix or "")


def test_a_teacher_rewrites_on_request_under_the_same_checks() -> None:
    text = "Write a title. You must not mention 3 names."
    task = RawTask("t", text, outputs=("The Light",))
    good = teacher_of("```\n- Write a title.\n- Mention at most 2 of the 3 names.\n```")
    instruction, _, rewrite = only(task, "itemizing", teacher=good, by_teacher=("itemizing",))
    assert (rewrite.by, rewrite.fault) == ("teacher", None)
    assert instruction == "- Write a title.\n- Mention at most 2 of the 3 names."
    assert text in good.asked[0]
    for reply, fault in (
        ("Write a title without names.", "not every line is a bullet"),
        ("- Write a title.", "1 bullets for 2 sentences that demand something"),
        ("- Write a title.\n- Never mention 3 names.", "'Never' is left in: Never mention 3 names."),
        ("- Write a title.\n- Mention two names.", "'3' is lost"),
        ("- Write a title.\n- Use 3 kinds of fish.", "a demand is lost: You must not mention 3 names."),
        ("", None),
    ):
        kept, _, told = only(task, "itemizing", teacher=teacher_of(reply), by_teacher=("itemizing",))
        assert (kept, told.fault) == (text, fault)
    long = RawTask("t", "Please write a title for the text that is given.")
    for technique, reply, fault in (
        ("specialization", "Write a title for the text that is given, please.", "10 words, and 10 before"),
        ("specialization", "Title for the text.", "the operation 'write' is lost"),
        ("restraining", "One word.\nTwo words.", "not one line"),
        ("restraining", "word " * 41, "41 words, more than 40"),
    ):
        assert only(long, technique, teacher=teacher_of(reply), by_teacher=(technique,))[2].fault == fault


@pytest.mark.parametrize("fenced", ["```Name it.```", "```\nName it.\n```", "```text\nName it.\n```", '"Name it."'])
def test_what_a_teacher_puts_around_its_reply_goes(fenced: str) -> None:
    task = RawTask("t", "Please name the port that is meant.")
    given = teacher_of(fenced)
    assert only(task, "specialization", teacher=given, by_teacher=("specialization",))[0] == "Name it."


def test_a_teachers_patterns_must_be_those_of_most_outputs() -> None:
    text = "Ask about the event. Its duration is common sense, which people have from what they have seen and done."
    task = RawTask("t", text, outputs=DURATIONS)
    for reply, fault in (
        ('Use "how long" and the like.', None),
        ('Use "who".', "its phrases are in 0 of 5 outputs"),
        (f"{text} {text}", "42 words, and 19 before"),
    ):
        instruction, _, rewrite = only(task, "pattern", teacher=teacher_of(reply), by_teacher=("pattern",))
        assert rewrite.fault == fault
        assert instruction == (text if fault else f"Ask about the event. {reply}")


def test_a_rewrite_that_repeats_an_example_is_not_taken() -> None:
    task = RawTask("t", "Name the port.", examples=(("The ferry left Arendal at nine in the morning", "Arendal"),))
    leaky = teacher_of("Name ports such as the ferry left Arendal at nine.")
    _, suffix, rewrite = only(task, "restraining", teacher=leaky, by_teacher=("restraining",))
    assert suffix == ""
    assert rewrite.fault == "it repeats an example: the ferry left arendal at"


STEPS = """Here is the list: [{"instruction": "Find the port.", "inputs": ["input"], "output": "port"},
{"instruction": "Ask about it.", "inputs": ["input", "port"], "output": "question"}]"""


def test_decomposition_needs_a_teacher_and_an_order_that_works() -> None:
    task = RawTask("t", "Ask about the port.")
    with pytest.raises(InputError) as caught:
        reframe(task, ("decomposition",))
    assert caught.value.code == "no-teacher"
    with pytest.raises(InputError) as caught:
        reframe(task, ("restraining",), teacher=teacher_of(), by_teacher=("itemizing",))
    assert caught.value.code == "technique-not-asked"
    made = reframe(task, ("decomposition",), teacher=teacher_of(STEPS))
    assert [step.output for step in made.steps] == ["port", "question"]
    assert made.instruction == (
        "Work through these steps and give the result of the last one.\n1. Find the port.\n2. Ask about it."
    )
    for reply, fault in (
        ("no list", "no JSON list of sub-tasks"),
        ("[1, 2]", "a sub-task is no object"),
        ("[" * 9000 + "]" * 9000, "no JSON list of sub-tasks"),
        (STEPS.replace('"input", "port"', '"harbour"'), "'harbour' is needed before it is produced"),
        (STEPS.replace('["input", "port"]', '["input"]'), "'port' is produced and never used"),
    ):
        made = reframe(task, ("decomposition",), teacher=teacher_of(reply))
        assert (made.instruction, made.steps, made.rewrites[0].fault) == ("Ask about the port.", (), fault)


def test_one_sub_task_is_no_decomposition() -> None:
    assert fault_of_steps([SubTask("Ask.", ("input",), "question")]) == "1 sub-tasks, and 2 to 4 are wanted"


def test_the_suffix_stands_behind_every_input_and_slots_of_inputs_stay() -> None:
    template = make_template("Name the {port}.", suffix="Answer with one word.")
    prompt = encode(template, [("from {1} to {0}", "Oslo"), ("b", "Bergen")], "an {0} input")
    assert prompt == (
        "Name the {port}.\n\nfrom {1} to {0}\nAnswer with one word.\nAnswer: Oslo\n\nb\nAnswer with one word.\n"
        "Answer: Bergen\n\nan {0} input\nAnswer with one word.\nAnswer:"
    )
    assert encode(template, [], "c").startswith("Name the {port}.\n\nc\n")
    assert parse_template(format_template(template), where="t") == template


def test_released_files_are_read_with_their_slips(tmp_path: Path) -> None:
    template = parse_template("Write a word.\\n\\n{0}\\n\\n{1}\\nAnswer:\n Give one word.\n", where="t")
    assert template == Template("Write a word.\n\n{0}\n\n{1}\nAnswer:", " Give one word.")
    prompt = encode(template, [("a", "b")], "c", marker="Essential Words:", released_line_end=True)
    assert prompt == "Write a word.\n\na Give one word.\nEssential Words: b\n\nc Give one word.\nAnswer:\n"
    for text in ("no slots", "{0}{0}{1}", "{0}", "{0}{1}\na\nb", "{0}{1}\n{0}"):
        with pytest.raises(InputError) as caught:
            parse_template(text, where="t")
        assert caught.value.code == "bad-reframed-template"
    (tmp_path / "t.txt").write_bytes(b"{0} {1} \xff")
    with pytest.raises(InputError) as caught:
        read_template(tmp_path / "t.txt")
    assert caught.value.code == "template-not-readable"


def test_released_constants_go_by_the_number_of_the_task() -> None:
    names = ["subtask005_x", "task044_y", "subtask034_z", "task1510_a", "own"]
    assert [new_tokens_of(name) for name in names] == [3, 10, 30, 30, 30]
    assert [marker_of(name) for name in names] == ["Answer:", "Essential Words:", "Question:", "Answer:", "Answer:"]


def test_a_template_file_may_begin_with_a_byte_order_mark_and_have_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "task1.txt"
    path.write_bytes(b"\xef\xbb\xbfDo {0}\\n{1}\\nAnswer:\r\n\r\nONE WORD\r\n")
    assert read_template(path) == Template("Do {0}\n{1}\nAnswer:", "ONE WORD")


@pytest.mark.parametrize(
    ("suffix", "items", "count"),
    [
        ("Answer with yes or no.", [("Yes.",), ("maybe",), ("perhaps", "no")], 1),  # one right reference is enough
        ("Answer with one of: gold, not known, red.", [("Red",), ("not known",), ("known",)], 1),
        ("Answer with words separated by commas.", [("a, b",), ("a",)], 1),
        ("Answer with one word.", [("one",), ("two words",)], 1),
        ("Answer with at most 3 words.", [("one two three",), ("one two three four",)], 1),
        ("Be kind.", [("anything",)], None),
        ("", [("anything",)], None),
    ],
)
def test_references_that_break_a_restraint_are_counted(suffix: str, items: list[Any], count: int | None) -> None:
    assert count_breaking(suffix, items) == count
