"""Reading another tool's file: what its numbers are, and what is no configuration."""

from __future__ import annotations

import pytest

from precept.errors import InputError
from precept.importers.source_file import leaves, read_source


def test_leaves_carry_the_place_in_a_list_and_empty_values_are_leaves() -> None:
    tree = read_source("a: 1\nb:\n- {c: 2}\n- x\nd: {}\ne:\n", where="f")
    assert [(".".join(path), value) for path, value in leaves(tree)] == [
        ("a", 1),
        ("b.0.c", 2),
        ("b.1", "x"),
        ("d", {}),
        ("e", None),
    ]


def test_numbers_in_scientific_notation_are_numbers() -> None:
    # YAML 1.1, which PyYAML follows, takes the first and the third for text.
    assert read_source("a: 1e-4\nb: 1.0e-4\nc: 2E5\nd: 1e\n", where="f") == {"a": 1e-4, "b": 1e-4, "c": 2e5, "d": "1e"}


def test_json_with_tabs_is_read() -> None:
    assert read_source('{\n\t"a": [1, null]\n}', where="f") == {"a": [1, None]}


def test_values_that_json_lacks_become_text() -> None:
    tree = read_source('day: 2026-01-02\n1: .inf\nhuge: 99999999999999999999\nhalf: "\\uD800"\n', where="f")
    assert tree == {"day": "2026-01-02", "1": "inf", "huge": "99999999999999999999", "half": "\\ud800"}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "config-shape"),
        ("# nothing\n", "config-shape"),
        ("- a\n- b\n", "config-shape"),
        ("just words\n", "config-shape"),
        ("a: [1\n", "config-yaml"),
        ("a: !!python/object:os.system x\n", "config-yaml"),
        ("a: 1\n---\nb: 2\n", "config-yaml"),
        ("a: 2026-13-45\n", "config-yaml"),
        ("a: \0\n", "config-yaml"),
        ("a: 1\na: 2\n", "key-twice"),
        ("a: 1\nb:\n- {c: 1, c: 2}\n", "key-twice"),
        ("1: a\n'1': b\n", "key-twice"),
        ("a: &x [*x]\n", "config-yaml"),
        ("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n", None),
        ("".join(f"a{n}: &a{n} [{','.join([f'*a{n - 1}' if n else '1'] * 10)}]\n" for n in range(9)), "config-yaml"),
        ("a: " + "[" * 60 + "]" * 60, "config-yaml"),
        ("a: " + "[" * 5000 + "]" * 5000, "config-yaml"),
        ("a: " + "9" * 5000, "config-yaml"),
    ],
)
def test_text_that_is_no_mapping_is_refused(text: str, code: str | None) -> None:
    if code is None:
        assert read_source(text, where="f")
        return
    with pytest.raises(InputError) as refused:
        read_source(text, where="f")
    assert refused.value.code == code
    assert "f" in str(refused.value.where)
