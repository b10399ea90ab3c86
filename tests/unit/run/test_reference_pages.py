"""The reference pages say what the code says."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.run.errors_page import PACKAGE, PAGE, Package, errors_page
from precept.run.reference import PAGES, commands_page, field_docstrings, settings_page, values
from precept.run.settings import CLASSES


@pytest.mark.parametrize(("name", "page"), [("settings", settings_page), ("commands", commands_page)])
def test_the_page_is_fresh(name: str, page) -> None:  # type: ignore[no-untyped-def]
    assert (PAGES / f"{name}.md").read_text() == page(), "stale: run python -m precept.run.reference"


def test_the_page_of_errors_is_fresh() -> None:
    assert PAGE.read_text() == errors_page(), "stale: run python -m precept.run.reference"


def test_every_error_says_what_to_do() -> None:
    # A refused row has no exit code; the page has one cure for all of them.
    assert not [fault for fault in Package(PACKAGE).faults() if fault.exit_code is not None and not fault.do]


@pytest.mark.parametrize("cls", CLASSES.values(), ids=CLASSES)
def test_every_setting_has_a_line_under_it(cls) -> None:  # type: ignore[no-untyped-def]
    assert set(field_docstrings(cls)) == set(cls.model_fields)


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"type": "integer", "minimum": 1}, "whole number at least 1"),
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "number at least 0 and below 1"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "text"),
        ({"anyOf": [{"const": "auto"}, {"type": "array", "items": {"type": "string"}}]}, "`auto` or list of text"),
        ({"enum": ["none", "lora"], "type": "string"}, "`none`, `lora`"),
        ({"type": "array", "items": {"$ref": "#/$defs/Claim"}}, "list of `claim`"),
    ],
)
def test_values_are_told_in_words(schema: dict, said: str) -> None:  # type: ignore[type-arg]
    assert values(schema) == said


def test_the_keys_of_a_study_and_of_its_claims_are_told() -> None:
    page = settings_page()
    assert "| `results` | text | required | The `eval` step" in page
    assert "| `claims` | list of `claim` | none | What papers found" in page
    study, claim = (page.partition(f"\n## {name}\n")[2].partition("\n#")[0] for name in ("study", "claim"))
    assert "| `claims` |" in study and "| `with` |" in claim and "with_" not in claim


def test_a_call_of_something_else_by_a_functions_name_adds_no_words_to_its_error(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "look.py").write_text(
        "class Fault(Exception):\n    exit_code = 2\n\n    def __init__(self, what, *, code, do): ...\n\n\n"
        "def where(asked):\n    raise Fault(f'no {asked}', code='none', do='look')\n"
    )
    (tmp_path / "run" / "other.py").write_text(
        "def one(step):\n    step.where('name')\n\n\ndef two(where):\n    where('scale')\n\n\n"
        "def three():\n    where('x')\n"
    )
    assert [fault.what for fault in Package(tmp_path).faults()] == ["no x"]
