"""Instructions that say less or say it wrong, and tasks that are tested from files of their own."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.records.instructions.super_ni import SuperNISettings, build
from precept.records.instructions.weak_instructions import output_space, with_delusive_examples
from precept.records.readers.tk_instruct import Example, TaskText
from precept.types import Conversation


@pytest.mark.parametrize(
    ("answers", "text"),
    [
        (["yes", "no", "no"], "The output is one of: no, yes."),
        ([str(n) for n in range(11)], "The output is a number."),
        (list("abcdefghijk"), "The output is a word."),
        ([f"{letter}, x" for letter in "abcdefghijk"], "The output is a list."),
        ([f"{letter} x" for letter in "abcdefghijk"], "The output is a text."),
    ],
)
def test_the_output_space_is_the_labels_or_the_kind_of_text(answers: list[str], text: str) -> None:
    assert output_space(answers) == text


def test_delusive_examples_have_another_answer_of_the_task_and_no_explanation() -> None:
    task = TaskText("t", "d", (Example("1", "odd", "since"), Example("2", "even", "since")))
    wrong, kept = with_delusive_examples(task, ["odd", "even"], random.Random(0))
    assert [(example.input, example.output) for example in wrong.positives] == [("1", "even"), ("2", "odd")]
    assert [example.explanation for example in wrong.positives] == [None, None]
    assert kept == 0
    same, kept = with_delusive_examples(task, ["odd"], random.Random(0))
    assert [example.output for example in same.positives] == ["odd", "odd"] and kept == 1


def write_task(folder: Path, name: str, **changes: Any) -> None:
    document = {
        "Categories": ["Counting"],
        "Source": ["one"],
        "Definition": [f"Say whether {name} holds."],
        "Positive Examples": [{"input": "p1", "output": "yes"}, {"input": "p2", "output": "no"}],
        "Instances": [{"id": f"{name}-{n}", "input": f"in {n}", "output": [["yes", "no"][n % 2]]} for n in range(40)],
    } | changes
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def folders(tmp_path: Path) -> tuple[str, Path]:
    write_task(tmp_path / "train", "a")
    write_task(tmp_path / "held", "b")
    return str(tmp_path / "train"), tmp_path / "held"


def rows(folders: tuple[str, Path], **keys: Any) -> tuple[list[Conversation], list[Conversation]]:
    built = build([folders[0]], SuperNISettings(test_data=folders[1], max_num_instances_per_eval_task=3, **keys))
    return [row for row in built.train if isinstance(row, Conversation)], list(built.test)


def prompt(row: Conversation) -> str:
    return row.messages[0].content or ""


def test_tasks_of_test_data_are_tested_although_they_share_a_source(folders: tuple[str, Path]) -> None:
    train, test = rows(folders)
    assert {row.task for row in train} == {"a"} and len(train) == 40
    assert [(row.task, row.source.id, len(row.messages)) for row in test] == [("b", f"b-{n}", 1) for n in range(3)]


def test_a_file_cannot_be_trained_on_and_tested(folders: tuple[str, Path]) -> None:
    with pytest.raises(InputError, match="both trained on and tested") as caught:
        rows((folders[0], Path(folders[0]) / "a.json"))
    assert caught.value.code == "task-trained-and-tested"


def test_weak_definitions_are_for_training_rows_alone(folders: tuple[str, Path]) -> None:
    train, test = rows(folders, definitions="output_space")
    assert all(prompt(row).startswith("Definition: The output is one of: no, yes.\n\n") for row in train)
    assert all(prompt(row).startswith("Definition: Say whether b holds.\n\n") for row in test)


def test_delusive_examples_are_for_training_rows_alone(folders: tuple[str, Path]) -> None:
    train, test = rows(folders, delusive_examples=True)
    assert all("Input: p1.\n Output: no.\n" in prompt(row) for row in train)
    assert all("Input: p1.\n Output: yes.\n" in prompt(row) for row in test)
    assert all(row.messages[1].content == row.references[0] for row in train)  # what is trained stays right


def test_shuffled_answers_keep_the_prompts_and_the_answers_in_all(folders: tuple[str, Path]) -> None:
    right, _ = rows(folders)
    shuffled, _ = rows(folders, shuffled_answers=True)
    assert [prompt(row) for row in shuffled] == [prompt(row) for row in right]
    same = sum(row.messages[1].content == row.references[0] for row in shuffled)
    assert 8 < same < 32  # of 40 by chance 20, four standard deviations are 12.6
    assert {row.messages[1].content for row in shuffled} == {"yes", "no"}
