"""Questions and answers in the formats of the field, and which belong together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.evaluate.judge import Question, Response, match, read_questions, read_responses
from precept.evaluate.judge.question import content_hash, questions_of, with_references


def rows(*records: Any) -> list[tuple[int, Any]]:
    return list(enumerate(records, 1))


def test_rows_of_mt_bench_are_read() -> None:
    asked = read_questions(
        rows({"question_id": 81, "category": "writing", "turns": ["a?", "b?"], "reference": ["x", None]}), file="q"
    )
    assert asked == [Question("81", ("a?", "b?"), "writing", ("x", ""))]
    assert asked[0].has_reference(1) and not asked[0].has_reference(2)
    said = read_responses(
        rows({"question_id": 81, "model_id": "m", "choices": [{"index": 0, "turns": ["one", ""]}]}), file="a"
    )
    assert said == [Response(1, "81", None, ("one", ""), "m")]


def test_rows_of_alpaca_eval_and_of_the_vicuna_questions_are_read() -> None:
    said = read_responses(rows({"instruction": "Do it.", "output": "Done.", "generator": "m"}), file="a")
    assert said == [Response(1, None, "Do it.", ("Done.",), "m")]
    assert read_responses(rows({"question_id": 1, "text": "Done."}), file="a") == [Response(1, "1", None, ("Done.",))]


def test_the_input_of_an_instruction_is_part_of_the_question() -> None:
    alpaca = {"instruction": "Add.", "input": "1 2", "output": "3"}
    user_oriented = {"id": "u_0", "instruction": "Add.", "instances": [{"input": "1 2", "output": "3"}]}
    assert read_questions(rows(alpaca), file="q")[0].turns == ("Add.\n\n1 2",)
    assert read_questions(rows(user_oriented), file="q") == [Question("u_0", ("Add.\n\n1 2",))]
    assert read_responses(rows(alpaca), file="a")[0].text == "Add.\n\n1 2"


def test_answers_find_their_questions_by_id_or_by_text() -> None:
    asked = read_questions(rows({"question_id": 1, "turns": ["a?"]}, {"question_id": 2, "turns": ["b?"]}), file="q")
    by_id = read_responses(rows({"question_id": "2", "output": "B"}, {"question_id": 1, "output": "A"}), file="a")
    by_text = read_responses(rows({"prompt": "b?", "output": "B"}, {"prompt": " a? ", "output": "A"}), file="a")
    for responses in (by_id, by_text):
        assert [response.turns for response in match(asked, responses, file="a")] == [("A",), ("B",)]


def test_answers_that_do_not_match_are_named() -> None:
    asked = read_questions(rows(*({"id": n, "turns": ["a?"]} for n in range(1, 13))), file="q")
    said = read_responses(
        rows(
            {"id": 1, "output": "x"},
            {"id": 1, "output": "y"},
            {"id": 99, "output": "z"},
            {"id": 2, "output": ["p", "q"]},
        ),
        file="a",
    )
    with pytest.raises(InputError) as error:
        match(asked, said, file="answers.jsonl")
    told = str(error.value)
    assert error.value.code == "answers-mismatch" and error.value.exit_code == 2 and "answers.jsonl" in told
    assert "no answer to: 3, 4, 5, 6, 7, 8, 9, 10 and 2 more" in told
    assert "answers to no question: 99" in told and "answered more than once: 1" in told
    assert "another number of turns than the question: 2" in told


def test_of_the_first_questions_alone_answers_are_needed() -> None:
    asked = read_questions(rows(*({"id": n, "turns": ["a?"]} for n in range(4))), file="q")
    said = read_responses(rows({"id": 1, "output": "y"}, {"id": 0, "output": "x"}), file="a")
    assert [response.turns for response in match(asked, said, file="a", first=2)] == [("x",), ("y",)]
    with pytest.raises(InputError, match="no answer to: 2"):
        match(asked, said, file="a", first=3)


def test_questions_of_the_same_text_need_ids() -> None:
    said = read_responses(rows(*({"prompt": "a?", "output": text} for text in "xy")), file="a")
    with pytest.raises(InputError, match="same text, so that they need ids: 1") as error:
        match(questions_of(said, file="a"), said, file="a")
    assert error.value.code == "answers-mismatch"
    named = read_responses(rows(*({"id": text, "prompt": "a?", "output": text} for text in "xy")), file="a")
    assert match(questions_of(named, file="a"), named, file="a") == named


def test_an_empty_answer_is_an_answer_and_a_missing_one_is_none() -> None:
    assert read_responses(rows({"id": 1, "output": ""}), file="a")[0].turns == ("",)
    with pytest.raises(InputError, match="rows hold no answer") as error:
        read_responses(rows({"id": 1, "output": None}, {"output": "x"}, ["x"]), file="a")
    told = str(error.value)
    assert "row 1: none of the fields" in told and "row 2: neither an id" in told and "row 3: not an object" in told
    assert error.value.code == "judge-rows"


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"id": 1}, "none of the fields"),
        ({"id": 1, "turns": [" "]}, "blank"),
        ({"id": 1, "turns": []}, "neither text nor a list"),
        ({"id": 1, "turns": ["a", 2]}, "neither text nor a list"),
        ({"id": True, "turns": ["a"]}, "neither a number nor text"),
        ({"id": 1, "turns": ["\ud800"]}, "lone surrogate"),
        ({"id": "\ud800", "turns": ["a"]}, "its id holds half a character"),
        ({"id": 1, "turns": ["a"], "category": "\udfff"}, "the category holds half a character"),
        ({"id": 1, "instruction": "a", "input": "\ud800"}, "the input holds half a character"),
    ],
)
def test_a_row_that_is_no_question_says_why(record: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match="row 1") as error:
        read_questions(rows(record), file="q")
    assert said in str(error.value)


def test_questions_with_the_same_id_and_files_without_rows_are_refused() -> None:
    with pytest.raises(InputError) as error:
        read_questions(rows({"id": 4, "turns": ["a"]}, {"id": "4", "turns": ["b"]}), file="q")
    assert error.value.code == "duplicate-questions" and "4" in str(error.value)
    with pytest.raises(InputError) as error:
        read_questions([], file="q")
    assert error.value.code == "judge-no-rows"


def test_answers_that_carry_their_questions_need_no_other_file() -> None:
    said = read_responses(rows({"instruction": "Do it.", "output": "Done."}), file="a")
    assert questions_of(said, file="a") == [Question("1", ("Do it.",), named=False)]
    with pytest.raises(InputError) as error:
        questions_of(read_responses(rows({"id": 1, "output": "x"}), file="a"), file="a")
    assert error.value.code == "answers-without-questions" and "--questions" in str(error.value)


def test_reference_answers_are_given_to_some_questions() -> None:
    asked = read_questions(rows({"id": 1, "turns": ["a?"]}, {"id": 2, "turns": ["b?"]}), file="q")
    given = read_responses(rows({"id": 2, "output": "B"}), file="r")
    assert [q.references for q in with_references(asked, given, file="r")] == [(), ("B",)]
    with pytest.raises(InputError) as error:
        with_references(asked[:1], given, file="r")
    assert error.value.code == "references-mismatch" and "2" in str(error.value)


def test_the_hash_of_an_answer_tells_where_its_turns_end() -> None:
    assert content_hash(("ab", "c")) != content_hash(("a", "bc")) and len(content_hash(("é",))) == 16


def test_the_real_files_match(shared_data: Path) -> None:
    def read(name: str) -> list[tuple[int, Any]]:
        path = shared_data / name
        if path.suffix == ".json":
            return rows(*json.loads(path.read_text()))
        return rows(*map(json.loads, path.read_text().splitlines()))

    asked = read_questions(read("fastchat/vicuna_bench/question.jsonl"), file="q")
    said = read_responses(read("vicuna80_eval/answer_vicuna-13b.jsonl"), file="a")
    assert len(match(asked, said, file="a")) == 80
    references = read_responses(read("fastchat/vicuna_bench/reference_answer/gpt-4.jsonl"), file="r")
    assert sum(bool(q.references) for q in with_references(asked, references, file="r")) == 10
    outputs = read_responses(read("alpaca_eval/alpaca-7b/model_outputs.json"), file="o")
    assert len(match(questions_of(outputs, file="o"), outputs, file="o")) == 805
    users = read_questions(read("self_instruct/user_oriented_instructions.jsonl"), file="u")
    assert len({q.turns for q in users}) == len(users)
