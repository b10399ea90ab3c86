import pytest

from precept.errors import InputError
from precept.evaluate.items import Item, items_from_rows
from precept.evaluate.task import Task, load_task
from precept.types import Conversation, Message, Source, Text

USER, ANSWER = Message("user", "2 + 2?"), Message("assistant", "4")


def row(*messages, id=None, number=3, **fields):
    return Conversation(messages, Source("data/sums.json", number, "0" * 16, id=id), **fields)


def with_options(*options):
    stock = load_task("choice")
    return Task("mine", "choice", "choice", stock.metrics, options=list(options))


def test_the_last_assistant_message_is_the_reference_and_no_part_of_the_prompt():
    earlier = (Message("user", "1 + 1?"), Message("assistant", "2"))
    (item,) = items_from_rows([row(*earlier, USER, ANSWER)], load_task("references"))
    assert item == Item("sums.json:3", "references", (*earlier, USER), ("4",), text="1 + 1?\n\n2\n\n2 + 2?")


def test_references_of_the_row_win_over_its_last_message():
    rows = [row(USER, ANSWER, references=("4", "four"), task="sums", id="sum-1"), row(USER, references=("four",))]
    first, second = items_from_rows(rows, load_task("superni"))
    assert first == Item("sum-1", "sums", (USER,), ("4", "four"), text="2 + 2?", category="sums")
    assert second.references == ("four",)
    assert second.task == "superni"


def test_a_task_that_names_its_data_names_its_items_too():
    task = Task("mine", "bbh", "generate", load_task("bbh").metrics, data="sums.json")
    assert items_from_rows([row(USER, ANSWER, task="sums")], task)[0].task == "mine"


def test_a_layout_keeps_the_bare_question_beside_it():
    (item,) = items_from_rows([row(USER, ANSWER)], load_task("gsm8k"))
    assert (item.question, item.asks, item.text) == ("2 + 2?", "2 + 2?", "Question: 2 + 2?\nAnswer:")
    (plain,) = items_from_rows([row(USER, ANSWER)], load_task("references"))
    assert (plain.question, plain.asks) == ("", "2 + 2?")


def test_a_generated_answer_begins_right_behind_the_question_whether_the_row_has_options_or_not():
    for options in ((), ("4", "5")):
        for name in ("bbh_cot_few_shot", "mmlu_cot"):
            (item,) = items_from_rows([row(USER, ANSWER, options=options)], load_task(name))
            assert item.text == "Q: 2 + 2?\nA: Let's think step by step."
    (chosen,) = items_from_rows([row(USER, ANSWER, options=("4", "5"))], load_task("mmlu"))
    assert chosen.text.endswith("Answer:") and chosen.endings == (" 4", " 5")


def test_options_come_from_the_row_or_from_the_task():
    task = with_options("3", "4")
    own, given = items_from_rows([row(USER, ANSWER, options=("4", "5")), row(USER, ANSWER)], task)
    assert (own.options, given.options) == (("4", "5"), ("3", "4"))


@pytest.mark.parametrize(
    ("bad", "task", "code"),
    [
        (Text("plain", Source("data/sums.json", 3, "0" * 16)), load_task("references"), "rows-not-conversations"),
        (row(USER), load_task("references"), "no-reference"),
        (row(USER, Message("assistant", "")), load_task("references"), "no-reference"),
        (row(USER, ANSWER), load_task("choice"), "no-right-option"),
        (row(USER, ANSWER), with_options("3", "5"), "no-right-option"),
    ],
)
def test_a_row_that_cannot_be_asked_is_refused_by_name(bad, task, code):
    with pytest.raises(InputError, match=r"data/sums.json row 3") as caught:
        items_from_rows([bad], task)
    assert caught.value.code == code


OPTIONS = load_task("choice")


@pytest.mark.parametrize(
    ("rows", "task", "code"),
    [
        ([row(USER, ANSWER, references=("no",), options=("no", "not at all"))], OPTIONS, "option-is-prefix"),
        ([row(USER, ANSWER, references=("no",), options=("no", "yes", "no"))], OPTIONS, "option-is-prefix"),
        ([row(USER, ANSWER, references=("no",), options=("no",))], OPTIONS, "no-wrong-option"),
        ([row(USER, ANSWER, references=("no", "yes"), options=("yes", "no"))], OPTIONS, "no-wrong-option"),
        ([row(USER, ANSWER, id="a"), row(USER, ANSWER, id="a", number=4)], load_task("references"), "duplicate-ids"),
        ([row(USER, ANSWER, USER, ANSWER)], load_task("gsm8k"), "not-one-question"),
        ([row(Message("system", "Be brief."), USER, ANSWER)], load_task("gsm8k"), "not-one-question"),
        ([row(Message("user", " \n"), ANSWER)], load_task("references"), "empty-question"),
        ([row(ANSWER, references=("4",))], load_task("references"), "empty-question"),
        ([row(USER)], load_task("ifeval"), "no-checks"),
        ([row(USER, checks=({"id": "judge"},))], load_task("ifeval"), "unknown-check"),
        ([row(USER, checks=({"id": "punctuation:no_comma", "n": 1},))], load_task("ifeval"), "bad-check-argument"),
    ],
)
def test_rows_that_would_give_a_wrong_score_are_refused(rows, task, code):
    with pytest.raises(InputError, match=r"data/sums.json row \d") as caught:
        items_from_rows(rows, task)
    assert caught.value.code == code and caught.value.do


def test_options_of_a_task_whose_answers_are_generated_may_be_prefixes():
    assert items_from_rows([row(USER, ANSWER, references=("1",), options=("1", "10"))], load_task("references"))


def test_two_files_may_use_the_same_ids():
    other = Conversation((USER, ANSWER), Source("data/more.json", 1, "0" * 16, id="a"))
    assert len(items_from_rows([row(USER, ANSWER, id="a"), other], load_task("references"))) == 2


def test_questions_for_a_judge_need_no_reference_and_keep_all_their_turns():
    (item,) = items_from_rows([row(USER, Message("user", "Why?"), task="math")], load_task("mt_bench"))
    assert [message.content for message in item.messages] == ["2 + 2?", "Why?"]
    assert item.category == "math" and item.references == ()
