"""Super-NaturalInstructions: the encoding byte for byte, and instances as rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from precept.records import load
from precept.records.readers.tk_instruct import encode_definition_and_examples, encode_instance
from precept.types import Conversation

TASK = {
    "Definition": ["Say if A is bigger"],
    "Positive Examples": [
        {"input": "A: 3 B: 2", "output": "yes", "explanation": "x"},
        {"input": "A: 1 B: 2?", "output": "no", "explanation": "x"},
        {"input": "A: 5 B: 5", "output": "no", "explanation": "never shown: the encoding takes two"},
    ],
    "Instances": [{"id": "i1", "input": "A: 9 B: 4", "output": ["yes", "Yes."]}],
    "Instance License": ["MIT"],
}
# the golden string of the method's fact sheet, computed with the published collator
GOLDEN = (
    "Definition: Say if A is bigger.\n\n Positive Example 1 -\nInput: A: 3 B: 2.\n Output: yes.\n\n"
    " Positive Example 2 -\nInput: A: 1 B: 2?\n Output: no.\n\n"
    "Now complete the following example -\nInput: A: 9 B: 4.\nOutput: "
)


def test_the_encoding_is_that_of_tk_instruct() -> None:
    prompt = encode_definition_and_examples(" Say if A is bigger ", [("A: 3 B: 2", "yes "), ("A: 1 B: 2?", "no")])
    assert prompt + encode_instance("A: 9 B: 4\n") == GOLDEN


def test_instances_are_rows_with_all_references(read: Any) -> None:
    rows, report = read(TASK, name="task1_bigger.json")
    (row,) = rows
    assert row.messages[0].content == GOLDEN
    assert row.references == ("yes", "Yes.")
    # the answer is reference hash mod 2
    assert row.messages[1].content == ("yes", "Yes.")[int(row.source.hash, 16) % 2]
    assert (row.task, row.source.id, row.source.licence) == ("task1_bigger", "i1", "MIT")
    assert report.mapping["user"] == "Definition + 2 Positive Examples + Instances.input"


def test_older_files_with_plain_texts_are_read(read: Any) -> None:
    task = {"Definition": "Judge.\n", "Positive Examples": [], "Instances": [{"input": "good film", "output": "Good"}]}
    (row,) = read(task, name="task2.json")[0]
    expected = "Definition: Judge.\n\nNow complete the following example -\nInput: good film.\nOutput: "
    assert row.messages[0].content == expected
    assert row.references == ("Good",)


def test_bad_instances_are_refused_rows(read: Any) -> None:
    instances = [
        {"output": ["a"]},
        {"input": "x", "output": []},
        {"input": "x", "output": [" "]},
        "x",
        {"input": "x", "output": ["y"]},
    ]
    rows, report = read({**TASK, "Instances": instances}, name="task3.json")
    assert [row.source.row for row in rows] == [5]
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [
        (1, "column 'input' is missing; columns found: output"),
        (2, "empty answer: no output has text"),
        (3, "empty answer: no output has text"),
        (4, "row is a string, not an object"),
    ]
    assert report.rows == 5


def test_the_same_instance_of_two_tasks_has_two_hashes(read: Any) -> None:
    first, second = (read(TASK, name=name)[0][0].source.hash for name in ("task4.json", "task5.json"))
    assert first != second


def test_a_folder_of_tasks_is_read_in_name_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / "tasks" / name).mkdir(parents=True)
        (tmp_path / "tasks" / name / "train.json").write_text(json.dumps(TASK))
    loaded = load(["tasks"], base=tmp_path)
    assert [file.path for file in loaded.files] == ["tasks/a/train.json", "tasks/b/train.json"]
    # a file called train.json is named by its folder
    assert [row.task for row in loaded.rows if isinstance(row, Conversation)] == ["a", "b"]


def test_a_task_without_a_definition_is_refused_whole(read: Any) -> None:
    report = read({**TASK, "Definition": [1]}, name="task6.json")[1]
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [
        (None, "'Definition' holds a list and no text")
    ]
