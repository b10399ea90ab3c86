"""Preference rows in their published shapes all become a prompt with answers."""

from __future__ import annotations

from typing import Any

import pytest

from precept.types import Comparison, Message

USER = {"role": "user", "content": "Hi"}
GOOD = {"role": "assistant", "content": "Hello"}
BAD = {"role": "assistant", "content": "What?"}


def texts(row: Any) -> tuple[list[str | None], list[list[str | None]]]:
    """The prompt's texts and each answer's."""
    assert isinstance(row, Comparison)
    return [m.content for m in row.prompt], [[m.content for m in answer.messages] for answer in row.answers]


EXPECTED = (["Hi"], [["Hello"], ["What?"]])


@pytest.mark.parametrize(
    "record",
    [
        {"prompt": "Hi", "chosen": "Hello", "rejected": "What?"},
        {"prompt": "Hi", "chosen": "HiHello", "rejected": "HiWhat?"},
        {"question": "Hi", "chosen": "Hello", "rejected": "What?"},
        {"prompt": [USER], "chosen": [GOOD], "rejected": [BAD]},
        {"prompt": "Hi", "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"prompt": [USER], "chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"chosen": [USER, GOOD], "rejected": [USER, BAD]},
        {"messages": [USER], "chosen": GOOD, "rejected": BAD},
        {
            "conversations": [{"from": "human", "value": "Hi"}],
            "chosen": {"from": "gpt", "value": "Hello"},
            "rejected": {"from": "gpt", "value": "What?"},
        },
        {"chosen_messages": [USER, GOOD], "rejected_messages": [USER, BAD]},
        {"chosen": "\n\nHuman: Hi\n\nAssistant: Hello", "rejected": "\n\nHuman: Hi\n\nAssistant: What?"},
    ],
    ids=lambda record: "+".join(f"{key}:{type(value).__name__}" for key, value in record.items()),
)
def test_each_shape_gives_the_same_comparison(read: Any, record: dict[str, Any]) -> None:
    rows, report = read(record)
    assert texts(rows[0]) == EXPECTED
    assert [answer.rank for answer in rows[0].answers] == [1, 2]
    assert (report.format, report.comparisons) == ("preference", 1)


def test_taking_off_a_repeated_prompt_is_reported(read: Any) -> None:
    report = read({"prompt": "Hi", "chosen": "HiHello", "rejected": "HiWhat?"})[1]
    assert report.notes == ["'prompt' is repeated at the start of both answers of every row and taken off"]


def test_a_prompt_that_only_some_answers_start_with_is_not_taken_off(read: Any) -> None:
    rows, _ = read(
        {"prompt": "Hi", "chosen": "Hi you", "rejected": "Hi!"},
        {"prompt": "Hi", "chosen": "Hello", "rejected": "What?"},
    )
    assert texts(rows[0]) == (["Hi"], [["Hi you"], ["Hi!"]])


def test_the_prompt_inside_may_add_a_system_text(read: Any) -> None:
    system = {"role": "system", "content": "Be kind."}
    rows, _ = read({"prompt": "Hi", "chosen": [system, USER, GOOD], "rejected": [system, USER, BAD]})
    assert texts(rows[0])[0] == ["Be kind.", "Hi"]


def test_answers_that_begin_alike_keep_their_common_turns(read: Any) -> None:
    more = {"role": "user", "content": "Well?"}
    rows, _ = read({"chosen": [USER, GOOD, more, GOOD], "rejected": [USER, GOOD, more, BAD]})
    assert texts(rows[0]) == (["Hi", "Hello", "Well?"], [["Hello"], ["What?"]])


def test_an_answer_of_several_turns_keeps_all_of_them(read: Any) -> None:
    rows, _ = read({"chosen": [USER, GOOD, GOOD], "rejected": [USER, GOOD, BAD]})
    assert texts(rows[0]) == (["Hi"], [["Hello", "Hello"], ["Hello", "What?"]])


def test_loss_weights_and_content_parts_are_read(read: Any) -> None:
    def turns(answer: str) -> list[dict[str, Any]]:
        return [
            {"role": "user", "content": [{"type": "text", "value": "Hi"}], "loss_weight": 0.0},
            {"role": "assistant", "content": [{"type": "text", "value": answer}], "loss_weight": 1.0},
        ]

    rows, _ = read({"chosen_messages": turns("Hello"), "rejected_messages": turns("What?")})
    assert texts(rows[0]) == EXPECTED
    assert rows[0].answers[0].messages == (Message("assistant", "Hello", weight=1.0),)


def test_system_tools_and_scores_are_kept(read: Any) -> None:
    record = {
        "system": "s",
        "tools": [{"name": "f"}],
        "prompt": "Hi",
        "chosen": "Hello",
        "rejected": "What?",
        "score_chosen": 9,
        "score_rejected": 2.5,
    }
    (row,) = read(record)[0]
    assert [m.role for m in row.prompt] == ["system", "user"]
    assert row.tools == ({"name": "f"},)
    assert [answer.score for answer in row.answers] == [9.0, 2.5]


@pytest.mark.parametrize("label", [True, 1, "true"])
def test_labels_give_one_answer(read: Any, label: Any) -> None:
    rows, report = read({"prompt": "Hi", "completion": "Hello", "label": label})
    assert texts(rows[0]) == (["Hi"], [["Hello"]])
    assert rows[0].answers[0].label is True
    assert report.format == "labelled"


def test_labels_of_messages_judge_the_last_answer(read: Any) -> None:
    (row,) = read({"messages": [USER, GOOD, USER, BAD], "label": False})[0]
    assert texts(row) == (["Hi", "Hello", "Hi"], [["What?"]])
    assert row.answers[0].label is False


@pytest.mark.parametrize("label", [None, "yes", ""])
def test_one_bad_label_never_turns_unwanted_answers_into_answers_to_learn(read: Any, label: Any) -> None:
    pair = {"prompt": "Hi", "completion": "Hello"}
    rows, report = read({**pair, "label": False}, {**pair, "label": label}, {**pair, "label": True})
    assert [row.answers[0].label for row in rows] == [False, True]
    assert [refusal.row for refusal in report.refused] == [2]


def test_a_class_label_does_not_make_a_comparison(read: Any) -> None:
    assert read({"prompt": "Hi", "completion": "Hello", "label": "greeting"})[1].format == "prompt_completion"


def test_alpaca_eval_preferences_order_the_outputs(read: Any) -> None:
    record = {"instruction": "Hi", "output_1": "What?", "output_2": "Hello"}
    rows, report = read({**record, "preference": 2}, {**record, "preference": 1.2}, {**record, "preference": 1.5})
    assert texts(rows[0]) == EXPECTED
    assert texts(rows[1]) == (["Hi"], [["What?"], ["Hello"]])
    assert [(refusal.row, refusal.code) for refusal in report.refused] == [(3, "tie")]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        ({"prompt": "Hi", "chosen": " ", "rejected": "What?"}, "the preferred answer has no text"),
        ({"prompt": "Hi", "chosen": [USER], "rejected": [USER, BAD]}, "no assistant turn in 'chosen'"),
        ({"chosen": "Hello", "rejected": "What?"}, "no prompt column"),
        ({"chosen": [USER, GOOD], "rejected": [{**USER, "content": "Ho"}, BAD]}, "answer different prompts"),
        ({"prompt": "Ho", "chosen": [USER, GOOD], "rejected": [USER, BAD]}, "is not the prompt inside"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": 3}, "column 'rejected' holds a number"),
    ],
)
def test_comparisons_that_cannot_be_told_are_refused(read: Any, record: dict[str, Any], reason: str) -> None:
    rows, report = read(record)
    assert not rows
    assert reason in report.refused[0].reason


def test_equal_answers_are_noted(read: Any) -> None:
    assert read({"prompt": "Hi", "chosen": "a", "rejected": "a"})[1].notes == ["1 comparisons have two equal answers"]
