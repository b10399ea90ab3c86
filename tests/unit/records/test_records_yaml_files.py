"""YAML files of users: whatever they hold, they are read or refused with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.errors import InputError
from precept.records.instructions.flan_templates import read_template_set
from precept.records.instructions.labelled_tasks import read_plan
from precept.records.instructions.natural_instructions import NaturalInstructionsSettings, build
from precept.records.instructions.promptsource import read_templates
from precept.records.instructions.yaml_files import parse_yaml, read_yaml
from precept.records.problems import FileProblem

BROKEN = {
    "a: [": "not YAML: while parsing",
    "a: \x00": "not YAML",
    "a: 2020-02-30": "a value is not of its type: day is out of range for month",
    "a: !!int zz": "a value is not of its type: invalid literal",
    "a: !!bool zz": "a value is not of its type",
    "a: !!int ''": "a value is not of its type",
    "a: !!timestamp zz": "a value is not of its type",
    "a: " + "9" * 5000: "a value is not of its type: Exceeds the limit",
    "[" * 3000: "not YAML: nested too deep",
    r'a: "\ud800"': r"a text holds half a character: '\ud800'",
    r'"\ud800": a': "a text holds half a character",
}


@pytest.mark.parametrize("text", BROKEN)
def test_what_yaml_cannot_hold_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(FileProblem) as caught:
        parse_yaml(text.encode())
    assert caught.value.code == "bad-yaml" and caught.value.reason.startswith(BROKEN[text])


def test_a_file_that_cannot_be_opened_is_refused_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(FileProblem, match="cannot be opened: No such file") as caught:
        read_yaml(tmp_path / "gone.yaml")
    assert caught.value.code == "unreadable"


def test_values_in_several_places_are_read_once() -> None:
    document = parse_yaml(b"a: &x [1]\nb: *x\nc: &y [*y]\nd: 2020-02-29")
    assert document["a"] is document["b"] and document["c"][0] is document["c"]


@pytest.mark.parametrize("text", ["a: 2020-02-30", r'a: "\ud800"', "[" * 3000])
def test_every_file_that_a_key_names_is_refused_as_input(tmp_path: Path, text: str) -> None:
    path = tmp_path / "named.yaml"
    path.write_text(text)
    for read in (read_plan, read_template_set, read_templates):
        with pytest.raises(InputError) as caught:
            read(path)
        assert caught.value.where == str(path)
    (tmp_path / "task001_a.json").write_text('{"Examples": {}, "Instances": [{"input": "a", "output": "b"}]}')
    settings = NaturalInstructionsSettings(hold_out="category", held_out=("x",), categories=path)
    with pytest.raises(InputError, match="file of categories"):
        build([str(tmp_path / "task001_a.json")], settings)
