"""Planted leaks of training rows into evaluated items, and what is none."""

import pytest

from precept.evaluate.contamination import describe, find_contamination, score_apart, split_words
from precept.evaluate.items import Item
from precept.evaluate.run import ItemResult
from precept.types import Answer, Comparison, Conversation, Message, Source, Text, TokenSequence

TWENTY = [f"word{number}" for number in range(20)]


def item(question, *references, id="q", task="t"):
    return Item(id, task, (Message("system", "Be brief."), Message("user", question)), references)


def row(prompt, answer="well", number=1):
    return Conversation(
        (Message("user", prompt), Message("assistant", answer)), Source("train.jsonl", number, "0" * 16)
    )


def statuses(items, rows, **options):
    return [finding.status for finding in find_contamination(items, rows, **options)]


def test_words_are_compared_without_case_marks_and_width():
    assert split_words("Don't  STOP\u2014e-mail \uff11\uff12, Stra\u00dfe!") == [
        "don",
        "t",
        "stop",
        "e",
        "mail",
        "12",
        "strasse",
    ]
    assert split_words("\u6771\u4eac 2020") == ["\u6771", "\u4eac", "2020"]
    assert split_words("( ] }") == []


def test_a_verbatim_question_is_found_with_file_and_row():
    question = " ".join(TWENTY)
    items = [
        item(question, "yes", id="leaked"),
        item("something else is asked here and nobody saw it before today", "yes"),
    ]
    leaked, clean = find_contamination(items, [row("hello", number=1), row(f"{question.upper()}!", number=2)])
    assert (leaked.id, leaked.status, clean.status, clean.touches) == ("leaked", "touched", "clean", ())
    touch = leaked.touches[0]
    assert (touch.file, touch.row, touch.item_side, touch.row_side) == ("train.jsonl", 2, "question", "prompt")
    assert (touch.share, touch.match, leaked.rows) == (1.0, "normalized", 1)


@pytest.mark.parametrize(("words", "status"), [(10, "clean"), (11, "touched")])
def test_more_than_half_of_the_words_must_be_covered(words, status):
    rows = [row("so " + " ".join(TWENTY[:words]) + " then")]
    (finding,) = find_contamination([item(" ".join(TWENTY), "a")], rows)
    assert finding.status == status
    if status == "touched":
        assert (finding.touches[0].share, finding.match) == (11 / 20, "words")


def test_two_halves_in_two_rows_do_not_add_up():
    rows = [row(" ".join(TWENTY[:10]), number=1), row(" ".join(TWENTY[10:]), number=2)]
    assert statuses([item(" ".join(TWENTY), "a")], rows) == ["clean"]
    assert statuses([item(" ".join(TWENTY), "a")], rows, share=0.0) == ["touched"]


def test_a_word_changed_in_every_run_escapes():
    changed = [f"{word}x" if place % 7 == 6 else word for place, word in enumerate(TWENTY)]
    assert statuses([item(" ".join(TWENTY), "a")], [row(" ".join(changed))], share=0.0) == ["clean"]
    assert statuses([item(" ".join(TWENTY), "a")], [row(" ".join(changed))], n=5, share=0.0) == ["touched"]


def test_both_sides_of_the_row_are_searched_for_both_sides_of_the_item():
    question, answer = " ".join(TWENTY[:10]), " ".join(TWENTY[10:])
    (finding,) = find_contamination([item(question, "no", answer)], [row(answer, question)])
    found = {(touch.item_side, touch.row_side) for touch in finding.touches}
    assert found == {("question", "answer"), ("answer", "prompt")}
    assert finding.rows == 1


def test_a_short_answer_is_looked_for_nowhere_and_a_short_question_by_equality():
    items = [item("What now?", "yes", id="a"), item("And then?", "yes", id="b")]
    asked, other = find_contamination(
        items, [row("what, NOW", "yes", number=3), row("And then what?", "yes", number=4)]
    )
    assert (asked.status, asked.short, asked.touches[0].row) == ("touched", True, 3)
    assert (other.status, other.short) == ("clean", True)


def test_a_question_of_marks_alone_is_found_by_its_characters():
    items = [item("( [ {", ") ]", id="a"), item("( [", ") ]", id="b")]
    found, other = find_contamination(items, [row(" ( [ {\n"), row(") ]", number=2)])
    assert (found.status, found.match, found.short) == ("touched", "exact", True)
    assert (other.status, other.match, other.short) == ("clean", None, True)


def test_three_matches_are_told_apart_and_the_strongest_comes_first():
    text = " ".join(TWENTY)
    rows = [row(f"so {text}", number=1), row(f"{text}!", number=2), row(f" {text}", number=3)]
    (finding,) = find_contamination([item(text, "a")], rows)
    assert [(touch.row, touch.match) for touch in finding.touches] == [(3, "exact"), (2, "normalized"), (1, "words")]
    counts = describe([finding])
    assert (counts["exact"], counts["normalized"], counts["words"]) == (1, 0, 0)


def test_the_question_is_looked_for_without_the_worked_examples_around_it():
    around = "Q: what is one and one?\nA: two\n\nQ: What now?\nA:"
    laid_out = Item("q", "t", (Message("user", around),), ("yes",), text=around, question="What now?")
    assert statuses([laid_out], [row("what now")]) == ["touched"]
    assert statuses([laid_out], [row("What is one and one?")]) == ["clean"]


def test_a_row_counts_once_however_many_of_its_messages_touch():
    text = " ".join(TWENTY)
    (finding,) = find_contamination([item(text, "a")], [row(text, text, number=1), row(text, number=2)])
    assert finding.rows == 2


def test_the_frame_that_items_of_a_task_share_counts_neither_way():
    frame = " ".join(TWENTY)
    own = [f"the {colour} {thing} lay on a long wooden table" for colour, thing in (("red", "pen"), ("blue", "cup"))]
    own += ["we went over seven wide hills by night", "nobody had told her about any of this"]
    items = [item(f"{frame} {text}", "a", id=str(number)) for number, text in enumerate(own)]
    rows = [row(f"{frame} something else altogether"), row(own[2], number=2)]
    assert statuses(items, rows) == ["clean", "clean", "touched", "clean"]
    # Of three items the frame cannot be told from a leak.
    assert statuses(items[:3], rows) == ["touched"] * 3


def test_a_frame_is_in_more_than_half_of_the_items():
    frame = " ".join(TWENTY)
    own = [
        "the red pen lay on a table",
        "the blue cup is not here",
        "seven wide hills by night",
        "nobody told her this",
    ]
    rows = [row(f"{frame} something else altogether")]
    for framed, status in ((2, "touched"), (3, "clean")):
        texts = [f"{frame} {text}" if number < framed else text for number, text in enumerate(own)]
        items = [item(text, "a", id=str(number)) for number, text in enumerate(texts)]
        assert statuses(items, rows) == [status] * framed + ["clean"] * (4 - framed)


def test_every_kind_of_row_is_read_and_once():
    question, source = " ".join(TWENTY), Source("f", 1, "0" * 16)
    comparison = Comparison(
        (Message("user", "hi"),),
        (Answer((Message("assistant", question),)), Answer((Message("assistant", "x"),))),
        source,
    )
    assert statuses([item(question, "a")], iter([comparison])) == ["touched"]
    assert statuses([item(question, "a")], iter([Text(question, source)])) == ["touched"]
    system = Conversation((Message("system", question), Message("user", "hi")), source)
    assert statuses([item(question, "a")], iter([system])) == ["clean"]
    assert statuses([item(question, "a")], []) == ["clean"]
    assert find_contamination([], [row(question)]) == []


def test_ids_alone_hold_no_text():
    import numpy as np

    ids = TokenSequence(np.zeros(3, np.int32), np.ones(3, np.float32), Source("f", 1, "0" * 16))
    assert statuses([item(" ".join(TWENTY), "a")], [ids]) == ["clean"]


def test_the_rows_that_cover_most_are_named_and_all_are_counted():
    rows = [row(" ".join(TWENTY[: 11 + number]), number=number) for number in range(1, 9)]
    (finding,) = find_contamination([item(" ".join(TWENTY), "a")], rows)
    assert finding.rows == 8 and [touch.row for touch in finding.touches] == [8, 7, 6, 5, 4]


def test_scores_of_clean_and_touched_items_stand_apart():
    items = [item(" ".join(TWENTY), "a", id="0"), item("What is asked of nobody else in this room?", "a", id="1")]
    findings = find_contamination(items, [row(" ".join(TWENTY))])
    results = [ItemResult(str(n), "t", "", ("a",), "a", "a", {"exact_match": 1.0 - n}) for n in range(2)]
    apart = score_apart(results, findings)
    assert {name: scores["exact_match"]["value"] for name, scores in apart.items()} == {
        "all": 0.5,
        "clean": 0.0,
        "touched": 1.0,
    }
    assert apart["clean"]["exact_match"]["n"] == 1
    assert "touched" not in score_apart(results[1:], findings[1:])
    counts = {"items": 2, "touched": 1, "exact": 1, "normalized": 0, "words": 0, "short": 0}
    assert describe(findings) == {**counts, "tasks": {"t": {"items": 2, "touched": 1}}}
    # The other model has the second item right where ours has the first.
    others = [ItemResult(str(n), "t", "", ("a",), "a", "a", {"exact_match": float(n)}) for n in range(2)]
    apart = score_apart(results, findings, against=others)
    assert [apart[side]["exact_match"]["value"] for side in ("all", "clean", "touched")] == [0.0, -1.0, 1.0]


def test_real_questions_against_themselves_and_against_other_training_rows(shared_data):
    import json

    def read(name):
        return [json.loads(line) for line in (shared_data / "gsm8k" / name).read_text().splitlines()]

    questions = [
        item(entry["question"], entry["answer"], id=str(n)) for n, entry in enumerate(read("test.jsonl")[:200])
    ]
    train = [row(entry["question"], entry["answer"], n) for n, entry in enumerate(read("train.jsonl"), start=1)]
    leaked = [row("Solve: " + questions[n].messages[-1].content, "?", 10_000 + n) for n in (3, 50, 120)]
    found = find_contamination(questions, [*train, *leaked])
    assert [finding.id for finding in found if finding.status == "touched"] == ["3", "50", "120"]
    assert all(found[n].touches[0].row == 10_000 + n for n in (3, 50, 120))
