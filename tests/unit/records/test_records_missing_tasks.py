"""A task that is missing because its file cannot be read: the error names the file and what is wrong with it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import WordCounter

from precept.errors import InputError
from precept.records.instructions import flan, flan_collection, natural_instructions, promptsource, super_ni

FIRST = {
    "Definition": "Say it.",
    "Prompt": "Say.",
    "Examples": {"Positive Examples": [{"input": "a", "output": "b", "reason": "c"}], "Negative Examples": ["-"]},
    "Instances": [{"input": f"x{n}", "output": ["y"]} for n in range(70)],
}
SECOND = {
    "Definition": ["Say it."],
    "Categories": ["Question Answering"],
    "Source": ["s"],
    "Input_language": ["English"],
    "Output_language": ["English"],
    "Positive Examples": [{"input": "a", "output": "b"}],
    "Instances": [{"input": f"x{n}", "output": ["y"]} for n in range(5)],
}
NLI = [{"premise": f"p{n}", "hypothesis": "h", "options": ["a", "b"], "answer": "a"} for n in range(20)]


def write(folder: Path, name: str, *rows: Any) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("subtask002_b.json", b'{"Examples": {}, "Instances": []}', "the task has no instances"),
        ("subtask002_b.json", b"", "empty: the file has 0 bytes"),
        ("subtask002_b.json", b"[1, ", "not JSON"),
        ("subtask002_b.json.gz", gzip.compress(b"{}")[:-4], "damaged gzip file"),
    ],
    ids=["no-instances", "empty", "no-json", "damaged-gzip"],
)
def test_a_broken_file_of_an_evaluation_task_is_named(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    good, bad = write(tmp_path, "subtask001_a.json", FIRST), tmp_path / name
    bad.write_bytes(content)
    with pytest.raises(InputError, match="none of the 12 tasks") as caught:
        natural_instructions.build([good, str(bad)], natural_instructions.NaturalInstructionsSettings())
    assert f"{bad}: {reason}" in (caught.value.found or "")
    assert (caught.value.do or "").startswith("mend what could not be read; if that is not it, set hold_out")


def test_without_any_task_the_refused_files_are_all_that_is_told(tmp_path: Path) -> None:
    bad = write(tmp_path, "subtask002_b.json", {**FIRST, "Instances": []})
    built = natural_instructions.build([bad], natural_instructions.NaturalInstructionsSettings())
    assert [refusal.code for refusal in built.refused] == ["empty-task"]
    held = super_ni.SuperNISettings(test_tasks=("subtask002_b",))
    assert [refusal.file for refusal in super_ni.build([bad], held).refused] == [bad]


def test_a_tested_task_of_super_ni_without_instances_is_named(tmp_path: Path) -> None:
    paths = [write(tmp_path, "task002_y.json", {**SECOND, "Instances": []}), write(tmp_path, "task003_z.json", SECOND)]
    with pytest.raises(InputError, match="no task here has the name") as caught:
        super_ni.build(paths, super_ni.SuperNISettings(test_tasks=("task002_y",)))
    assert f"{paths[0]}: the task has no instances" in (caught.value.found or "")


def test_templates_over_no_row_tell_of_the_file_and_over_some_name_it(tmp_path: Path) -> None:
    templates = tmp_path / "t.yaml"
    templates.write_text("templates: {a: !Template {id: a, name: A, jinja: '{{q}} ||| {{a}}'}}")
    settings = promptsource.PromptsourceSettings(templates=templates)
    empty = write(tmp_path, "empty.jsonl")
    assert [refusal.code for refusal in promptsource.build([empty], settings).refused] == ["empty-file"]
    with pytest.raises(InputError, match="which no row has") as caught:
        promptsource.build([empty, write(tmp_path, "other.jsonl", {"q": "?"})], settings)
    assert f"{empty}: empty: the file has 0 bytes" in (caught.value.found or "")


def test_a_planned_or_held_out_task_whose_file_is_empty_is_named(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("tasks:\n  rte: {kind: nli}\n  qqp: {kind: paraphrase}\n")
    paths = [write(tmp_path, "rte.jsonl", *NLI), write(tmp_path, "qqp.jsonl")]
    for settings in (flan.FlanSettings(tasks=plan), flan.FlanSettings(held_out="paraphrase")):
        with pytest.raises(InputError) as caught:
            flan.build(paths, settings)
        assert f"{paths[1]}: empty: the file has 0 bytes" in (caught.value.found or "")


def test_a_budget_that_no_exemplar_fits_is_told_as_such(tmp_path: Path) -> None:
    settings = flan_collection.FlanCollectionSettings(zero_shot_share=0, exemplar_tokens=3)
    with pytest.raises(InputError, match="no exemplar fits beside its query in 3 tokens") as caught:
        flan_collection.build([write(tmp_path, "rte.jsonl", *NLI)], settings, count_tokens=WordCounter())
    assert caught.value.code == "no-exemplar-fits"
