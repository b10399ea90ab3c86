"""The reference pages say what the code says."""

from __future__ import annotations

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
    ],
)
def test_values_are_told_in_words(schema: dict, said: str) -> None:  # type: ignore[type-arg]
    assert values(schema) == said
