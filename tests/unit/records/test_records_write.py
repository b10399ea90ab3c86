"""Rows into formats and files, and back without loss."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from precept.errors import InputError
from precept.records import FORMATS, load, write
from precept.types import (
    Answer,
    Comparison,
    Conversation,
    Message,
    Row,
    Source,
    Text,
    TokenSequence,
    ToolCall,
)

SOURCE = Source("a.jsonl", 3, "0" * 16, licence="MIT", id="r3")
SHORT = Conversation((Message("user", "Hi"), Message("assistant", "Hello")), SOURCE)
SYSTEM = Conversation((Message("system", "s"), *SHORT.messages), SOURCE, references=("Hello", "Hey"), task="greet")
LONG = Conversation((*SHORT.messages, Message("user", "1?"), Message("assistant", "2")), SOURCE)
CALL = Conversation(
    (Message("user", "1?"), Message("assistant", None, tool_calls=(ToolCall("f", {"a": 1}),)), Message("tool", "2")),
    SOURCE,
    tools=({"name": "f"},),
)
FULL = Conversation(
    (
        Message("developer", "d"),
        Message("user", "<image>?", images=("a.png",), name="Ann"),
        Message("assistant", "b", reasoning_content="r", train=False),
        Message("assistant", None, tool_calls=(ToolCall("f", "raw", "c1"),), weight=0.5),
        Message("tool", "2", tool_call_id="c1"),
        Message("assistant", "c"),
    ),
    SOURCE,
    options=("b", "c"),
)
PAIR = Comparison(
    SHORT.messages[:1],
    (
        Answer((Message("assistant", "Hello"),), score=2.0, rank=1),
        Answer((Message("assistant", "No"),), score=1.0, rank=2),
    ),
    SOURCE,
    tools=({"name": "f"},),
)
LABEL = Comparison(SHORT.messages[:1], (Answer((Message("assistant", "Hello"),), label=False),), SOURCE)
TEXT = Text("Once.", SOURCE)


@pytest.mark.parametrize(
    ("format_name", "rows"),
    [
        ("messages", [SHORT, SYSTEM, LONG, CALL, FULL]),
        ("sharegpt", [SHORT, SYSTEM, LONG, CALL]),
        ("alpaca", [SHORT, SYSTEM, LONG]),
        ("prompt_completion", [SHORT, SYSTEM]),
        ("text", [TEXT]),
        ("preference", [PAIR]),
        ("preference", [LABEL]),
    ],
)
@pytest.mark.parametrize("ending", [".json", ".jsonl", ".jsonl.gz"])
def test_what_is_written_reads_back_equal(tmp_path: Path, format_name: str, rows: list[Row], ending: str) -> None:
    path = tmp_path / "out" / f"rows{ending}"
    # several rows with the same id would be noted, and a row alone keeps its own columns
    for row in rows:
        assert write([row], path, format_name)["rows"] == 1
        (back,) = load([str(path)]).rows
        assert (back.source.id, back.source.licence) == ("r3", "MIT")
        assert replace(back, source=SOURCE) == row  # type: ignore[type-var]
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_token_rows_read_back_equal(tmp_path: Path) -> None:
    for weights in ([0.0, 1.0], [0.0, 0.5]):
        row = TokenSequence(np.array([5, 6], np.int32), np.array(weights, np.float32), SOURCE)
        counts = write([row], tmp_path / "a.jsonl", "tokenized")
        (back,) = load([str(tmp_path / "a.jsonl")]).rows
        assert isinstance(back, TokenSequence)
        assert (back.ids.tolist(), back.weights.tolist()) == ([5, 6], weights)
        assert counts == {"rows": 1, "conversations": 0, "comparisons": 0, "texts": 1}


def test_records_look_like_the_format(tmp_path: Path) -> None:
    def record(row: Row, name: str) -> Any:
        write([replace(row, source=Source("a", 1, "0" * 16))], tmp_path / "a.jsonl", name)
        return json.loads((tmp_path / "a.jsonl").read_text())

    assert record(LONG, "alpaca") == {"instruction": "1?", "input": "", "output": "2", "history": [["Hi", "Hello"]]}
    assert record(SHORT, "prompt_completion") == {"prompt": "Hi", "completion": "Hello"}
    assert record(CALL, "sharegpt") == {
        "conversations": [
            {"from": "human", "value": "1?"},
            {"from": "function_call", "value": '{"name":"f","arguments":{"a":1}}'},
            {"from": "observation", "value": "2"},
        ],
        "tools": [{"name": "f"}],
    }


@pytest.mark.parametrize(
    ("row", "format_name", "lost"),
    [
        (LONG, "prompt_completion", "more than one turn"),
        (CALL, "alpaca", "tools"),
        (FULL, "sharegpt", "no role 'developer'"),
        (replace(SHORT, messages=(SHORT.messages[0], Message("assistant", "a", weight=0.5))), "alpaca", "weight"),
        (replace(SHORT, messages=(SHORT.messages[0], Message("assistant", "a", train=False))), "sharegpt", "train"),
        (replace(SHORT, messages=SHORT.messages[:1]), "alpaca", "user and assistant by turns"),
        (SHORT, "text", "a conversation is not plain text"),
        (TEXT, "messages", "a text is not a conversation"),
        (SHORT, "preference", "a conversation is not a comparison"),
        (PAIR, "messages", "a comparison is not a conversation"),
        (SHORT, "tokenized", "not pre-tokenised"),
        (replace(PAIR, answers=PAIR.answers * 2), "preference", "a comparison of 4 answers"),
        (replace(PAIR, answers=(PAIR.answers[0],) * 2), "preference", "without a better answer"),
    ],
)
def test_a_row_that_would_lose_something_is_an_error(row: Row, format_name: str, lost: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=lost) as stopped:
        write([row], tmp_path / "a.jsonl", format_name)
    assert stopped.value.code == "not-expressible" and "a.jsonl row 3" in str(stopped.value.found)


def test_nothing_is_written_when_a_row_cannot_be(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with pytest.raises(InputError, match="1 of 2 rows cannot be written as alpaca") as stopped:
        write([SHORT, CALL], path, "alpaca")
    assert "1 x tools" in str(stopped.value)
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize(
    ("name", "format_name", "code"), [("a.csv", "messages", "unknown-ending"), ("a.json", "xml", "unknown-format")]
)
def test_unknown_endings_and_formats_are_named(tmp_path: Path, name: str, format_name: str, code: str) -> None:
    with pytest.raises(InputError) as stopped:
        write([SHORT], tmp_path / name, format_name)
    assert stopped.value.code == code
    assert format_name == "messages" or all(known in str(stopped.value) for known in FORMATS)


def test_an_unwritable_place_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as stopped:
        write([SHORT], tmp_path / "file" / "a.json", "messages")
    assert stopped.value.code == "unwritable-path"


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    written: list[Any] = []
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write([SHORT], tmp_path / name, "messages")
        written.append((tmp_path / name).read_bytes())
    assert written[0] == written[1]
