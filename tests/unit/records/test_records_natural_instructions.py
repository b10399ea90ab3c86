"""Natural Instructions v1: the encoder byte for byte with its quirks, evaluation places, splits and rows."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import orjson
import pytest

from precept.errors import InputError
from precept.records.instructions.natural_instructions import (
    NaturalInstructionsSettings,
    build,
    category_of,
    dataset_of,
)
from precept.records.problems import FileProblem
from precept.records.readers.natural_instructions import (
    FULL_INSTRUCTION,
    borrowed_places,
    encode_instruction,
    encode_question,
    evaluation_places,
    instance_pair,
    read_instruction,
)

DOCUMENT: dict[str, Any] = {
    "Title": "Naming the keeper",
    "Prompt": "Who keeps it? ",
    "Definition": "Read the line and name the keeper.",
    "Things to Avoid": "-",
    "Emphasis & Caution": "One word.",
    "Examples": {
        "Positive Examples": [
            {"input": "Ansel keeps the light.", "output": "Ansel", "reason": "It says so."},
            {"input": "The mill is Britt's.", "output": "Britt", "reason": "It is hers."},
        ],
        "Negative Examples": [
            {"input": "Olav keeps bees.", "output": "Bees", "reason": "Bees are kept.", "suggestion": "Say Olav."},
            {"input": "Nobody came.", "output": "Came", "reason": "No name.", "suggestion": " "},
        ],
    },
    "Instances": [{"input": f"K{n} keeps it.", "output": [f"K{n}"]} for n in range(8)],
}
INSTRUCTION = read_instruction(DOCUMENT)
POSITIVE = [
    "input: Ansel keeps the light.\noutput: Ansel",
    "input: The mill is Britt's.\noutput: Britt",
]


def test_the_full_instruction_has_its_fields_in_order_and_leaves_out_what_is_absent() -> None:
    assert encode_instruction(INSTRUCTION, FULL_INSTRUCTION, count=2) == (
        "Definition: Read the line and name the keeper.\n"
        "Prompt: Who keeps it?\n"
        "Emphasis & Caution: One word.\n"
        # the suggestion is glued to the reason; a blank one is none
        "Negative Example1- \ninput: Olav keeps bees.\noutput: Bees\nreason: Bees are kept.suggestion: Say Olav.\n"
        "Negative Example2- \ninput: Nobody came.\noutput: Came\nreason: No name.\n"
        f"Positive Example1- \n{POSITIVE[0]}\nreason: It says so.\n"
        f"Positive Example2- \n{POSITIVE[1]}\nreason: It is hers."
    )


@pytest.mark.parametrize(
    ("fields", "count", "text"),
    [
        (["Prompt"], 0, "Prompt: Who keeps it?"),
        (["Prompt", "Definition"], 0, "Prompt: Who keeps it?\nDefinition: Read the line and name the keeper."),
        (["Things to Avoid"], 0, ""),
        (["Positive Examples Full Only"], 1, POSITIVE[0]),
        (["Positive Examples Full Only"], 2, f"{POSITIVE[0]}\n{POSITIVE[1]}"),
        (["Prompt", "Positive Examples Full Only"], 1, f"Prompt: Who keeps it?\n{POSITIVE[0]}"),
        # explained examples begin a line even where nothing stands before them
        (["Positive Examples Full Explanations"], 1, f"\nPositive Example1- \n{POSITIVE[0]}\nreason: It says so."),
    ],
)
def test_fields_may_stand_in_any_order(fields: list[str], count: int, text: str) -> None:
    assert encode_instruction(INSTRUCTION, fields, count=count) == text


def test_a_prompt_ends_in_output_without_a_blank() -> None:
    assert encode_question("Prompt: Who?", "K1 keeps it.") == "Prompt: Who?\ninput: K1 keeps it.\noutput:"
    assert encode_question("", "x") == "\ninput: x\noutput:"


def test_more_examples_than_there_are_go_on_with_instances() -> None:
    assert borrowed_places(INSTRUCTION, 2) == []
    places = borrowed_places(INSTRUCTION, 4)
    assert places == [0, 1]
    borrowed = [instance_pair(DOCUMENT["Instances"], place) for place in places]
    fields = ["Positive Examples Full Explanations"]
    ends = (
        "\nPositive Example3- \ninput: K0 keeps it.\noutput: K0\nPositive Example4- \ninput: K1 keeps it.\noutput: K1"
    )
    assert encode_instruction(INSTRUCTION, fields, count=4, borrowed=borrowed).endswith(ends)  # without a reason
    only = encode_instruction(INSTRUCTION, ["Positive Examples Full Only"], count=3, borrowed=borrowed[:1])
    assert only.endswith(f"{POSITIVE[1]}\ninput: K0 keeps it.\noutput: K0")
    # without examples of its own the first text written is borrowed, and the released encoder breaks the line before it
    bare = read_instruction({**DOCUMENT, "Examples": {"Positive Examples": [], "Negative Examples": ["-"]}})
    first = encode_instruction(bare, ["Positive Examples Full Only"], count=2, borrowed=borrowed)
    assert first == "\ninput: K0 keeps it.\noutput: K0\ninput: K1 keeps it.\noutput: K1"


def test_the_sixty_first_borrowed_instance_is_number_eighty() -> None:
    # two positive examples: example 63 (from 1) is the 61st borrowed one
    assert borrowed_places(INSTRUCTION, 64)[58:] == [58, 59, 80, 61]


def test_an_instance_that_is_not_there_cannot_be_borrowed() -> None:
    with pytest.raises(FileProblem, match="no instance 9"):
        instance_pair(DOCUMENT["Instances"], 9)
    with pytest.raises(FileProblem, match="stands as an example"):
        instance_pair([{"input": "x", "output": []}], 0)


@pytest.mark.parametrize(
    ("listed", "first", "count"),
    [
        (500, [60, 64, 68, 72], 100),  # golden: stride (500 - 60) / 100 = 4
        (6500, [60, 124, 188, 252], 100),  # golden: stride 64
        (160, [60, 61, 62, 63], 99),  # golden: one too few, since the last instance never counts
        (100, [60, 61], 39),  # shorter than the published tasks: all that it has
        (60, [], 0),
    ],
)
def test_evaluation_places_are_in_equal_strides(listed: int, first: list[int], count: int) -> None:
    places = evaluation_places(listed)
    assert places[: len(first)] == first and len(places) == count


def test_evaluation_places_are_those_of_the_published_predictions(shared_data: Path) -> None:
    for path in sorted((shared_data / "golden" / "ni_v1_gpt3").glob("subtask*.jsonl")):
        rows = [orjson.loads(line) for line in path.read_bytes().splitlines()]
        places = [row["index"] for row in rows if row["encoding"] == "prompt_zero_shot"]
        stride = places[1] - places[0]
        # the files do not tell how many instances there are: from 100 strides behind 60 on
        assert places == evaluation_places(60 + 100 * stride + 2), path.name


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Examples": []}, "'Examples' holds a list, not positive and negative ones"),
        ({"Prompt": 3}, "'Prompt' holds a number, not text"),
        ({"Examples": {"Positive Examples": "x"}}, "'Positive Examples' holds a string, not a list of objects"),
        ({"Examples": {"Positive Examples": [{"input": "x"}]}}, "an example of 'Positive Examples': column 'output'"),
    ],
)
def test_a_task_that_is_not_one_is_refused(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(FileProblem) as caught:
        read_instruction({**DOCUMENT, **change})
    assert caught.value.reason.startswith(reason)


def test_a_task_may_have_no_negative_examples() -> None:
    examples = {"Positive Examples": [], "Negative Examples": ["-"]}
    assert encode_instruction(read_instruction({**DOCUMENT, "Examples": examples}), FULL_INSTRUCTION, count=2) == (
        "Definition: Read the line and name the keeper.\nPrompt: Who keeps it?\nEmphasis & Caution: One word."
    )


def test_instances_are_rows_under_the_full_instruction(read: Any) -> None:
    rows, report = read(DOCUMENT, name="subtask002_quoref_answer_generation.json")
    assert (report.format, len(rows)) == ("natural_instructions", 8)
    instruction = encode_instruction(INSTRUCTION, FULL_INSTRUCTION, count=2)
    assert rows[3].messages[0].content == f"{instruction}\ninput: K3 keeps it.\noutput:"
    assert (rows[3].messages[1].content, rows[3].references) == ("K3", ("K3",))
    assert rows[3].task == "subtask002_quoref_answer_generation"


def test_names_tell_dataset_and_category() -> None:
    assert dataset_of("subtask044_essential_terms_identifying_essential_words") == "essential_terms"
    assert dataset_of("task002_quoref_answer_generation") == "quoref"
    assert dataset_of("mine") == "mine"
    assert category_of("subtask005_mctaco_wrong_answer_generation_event_duration") == "incorrect answer generation"
    assert category_of("subtask002_quoref_answer_generation") == "answer generation"
    assert category_of("subtask034_winogrande_question_modification_object") == "minimal modification"
    assert category_of("subtask045_miscellaneous_sentence_paraphrasing") == ""


NAMES = (
    "subtask001_quoref_question_generation",
    "subtask002_quoref_answer_generation",
    "subtask041_qasc_answer_generation",
    "subtask045_miscellaneous_sentence_paraphrasing",
)


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name in NAMES:
        instances = [{"input": f"{name} {n}", "output": [f"a{n}"]} for n in range(70)]
        (folder / f"{name}.json").write_text(json.dumps({**DOCUMENT, "Instances": instances}))
    return str(folder)


def held_out(tasks: str, **keys: Any) -> tuple[set[str | None], set[str | None]]:
    """(tested, trained) tasks."""
    built = build([tasks], NaturalInstructionsSettings(**keys))
    assert not built.refused
    return {row.task for row in built.test}, {row.task for row in built.train}


def test_the_evaluation_tasks_of_the_paper_are_tested(tasks: str) -> None:
    assert held_out(tasks) == ({NAMES[1], NAMES[3]}, {NAMES[0], NAMES[2]})
    assert held_out(tasks, hold_out="none") == (set(), set(NAMES))


def test_a_dataset_a_task_or_a_category_is_left_out(tasks: str, tmp_path: Path) -> None:
    assert held_out(tasks, hold_out="dataset", held_out=("quoref",))[0] == set(NAMES[:2])
    assert held_out(tasks, hold_out="task", held_out=(NAMES[2],))[0] == {NAMES[2]}
    # nothing in its name tells the category of the last one: it is neither tested nor trained on
    by_name = held_out(tasks, hold_out="category", held_out=("answer generation",))
    assert by_name == ({NAMES[1], NAMES[2]}, {NAMES[0]})
    stated = tmp_path / "categories.yaml"
    stated.write_text(f"rewriting: [{NAMES[3]}]\n")
    by_file = held_out(tasks, hold_out="category", held_out=("rewriting",), categories=stated)
    assert by_file == ({NAMES[3]}, set(NAMES[:3]))


def test_tasks_drawn_at_random_depend_on_the_seed(tasks: str) -> None:
    drawn = [held_out(tasks, hold_out="random", num_test_tasks=1, seed=seed)[0] for seed in range(8)]
    assert all(len(names) == 1 for names in drawn) and len(set(map(frozenset, drawn))) > 1
    assert drawn[0] == held_out(tasks, hold_out="random", num_test_tasks=1, seed=0)[0]


def test_test_rows_are_asked_and_training_rows_are_answered(tasks: str) -> None:
    built = build([tasks], NaturalInstructionsSettings(fields=("Prompt",), max_num_instances_per_task=10))
    assert [row.source.row for row in built.test[:9]] == list(range(61, 70))  # places 60 to 68, rows count from 1
    assert [message.role for message in built.test[0].messages] == ["user"]
    assert built.test[0].messages[0].content == f"Prompt: Who keeps it?\ninput: {NAMES[1]} 60\noutput:"
    assert Counter(row.task for row in built.train) == {NAMES[0]: 10, NAMES[2]: 10}
    assert built.train[0].messages[1].content in built.train[0].references


def test_an_instance_that_stands_as_an_example_is_not_trained_on(tasks: str) -> None:
    built = build([tasks], NaturalInstructionsSettings(num_examples=5))
    assert min(row.source.row for row in built.train) == 4  # three are borrowed
    entry = built.report["tasks"][NAMES[0]]
    assert (entry["instances_shown_as_examples"], entry["rows"], entry["suggestions_glued"]) == (3, 67, 1)


@pytest.mark.parametrize(
    ("keys", "code"),
    [
        ({"hold_out": "dataset"}, "nothing-held-out"),
        ({"hold_out": "dataset", "held_out": ("quorf",)}, "nothing-held-out"),
        ({"hold_out": "random", "num_test_tasks": 4}, "too-few-tasks"),
        ({"hold_out": "category", "held_out": ("x",), "categories": Path("none.yaml")}, "bad-categories"),
    ],
)
def test_a_split_that_cannot_be_made_is_an_error(tasks: str, keys: dict[str, Any], code: str) -> None:
    with pytest.raises(InputError) as caught:
        build([tasks], NaturalInstructionsSettings(**keys))
    assert caught.value.code == code


def test_without_any_of_the_evaluation_tasks_another_split_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "subtask001_x.json").write_text(json.dumps(DOCUMENT))
    with pytest.raises(InputError, match="none of the 12 tasks"):
        build([str(tmp_path)], NaturalInstructionsSettings())


def test_a_task_too_short_to_be_tested_is_refused(tmp_path: Path) -> None:
    (tmp_path / "subtask002_x.json").write_text(json.dumps(DOCUMENT))
    built = build([str(tmp_path)], NaturalInstructionsSettings())
    assert [refusal.code for refusal in built.refused] == ["too-few-instances"]
    assert len(build([str(tmp_path)], NaturalInstructionsSettings(first_test_instance=2)).test) == 5  # 2 to 6


def test_files_of_the_second_collection_are_told_apart(tmp_path: Path) -> None:
    document = {"Definition": "d", "Positive Examples": [], "Instances": DOCUMENT["Instances"]}
    (tmp_path / "task001_x.json").write_text(json.dumps(document))
    (refusal,) = build([str(tmp_path)], NaturalInstructionsSettings(hold_out="none")).refused
    assert "made into rows by super_ni" in refusal.reason


@pytest.mark.parametrize("listed", [5, True, {"0": "-"}, "-none"])
def test_examples_that_are_no_list_are_refused(listed: Any) -> None:
    with pytest.raises(FileProblem, match=r"'Positive Examples' holds .*, not a list of objects"):
        read_instruction({**DOCUMENT, "Examples": {"Positive Examples": listed, "Negative Examples": ["-"]}})
