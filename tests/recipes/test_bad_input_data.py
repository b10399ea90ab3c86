"""Every kind of bad data file, from the command line: what, where, found and do; no traceback, and nothing written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept


def rows(*records: Any) -> bytes:
    return "".join(json.dumps(record) + "\n" for record in records).encode()


def chat(*turns: tuple[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


GOOD = chat(("user", "Hi?"), ("assistant", "Yes."))
ALPACA = {"instruction": "Add.", "input": "1 2", "output": "3"}
NAMELESS_CALL = {"role": "assistant", "tool_calls": [{"type": "function", "function": {"arguments": "{"}}]}

# name of the case: file name, its bytes, and words that the message must hold
REFUSED: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "broken line": ("a.jsonl", rows(GOOD, GOOD) + b'{"messages": [\n', ("not JSON", "at line 3 column 15")),
    "cut array": ("a.json", json.dumps([GOOD]).encode()[:-9], ("not JSON", "line 1")),
    "latin-1": ("a.jsonl", rows(GOOD) + '{"text": "café"}\n'.encode("latin-1"), ("not UTF-8", "0xe9", "line 2")),
    "utf-16": ("a.jsonl", rows(GOOD).decode().encode("utf-16"), ("not UTF-8 (it looks like UTF-16)",)),
    "zero bytes only": ("a.jsonl", b"\0" * 100, ("not JSON",)),
    "blank lines only": ("a.jsonl", b"\n \n", ("empty: the file holds no rows",)),
    "empty array": ("a.json", b"[]", ("empty JSON array",)),
    "empty text": ("a.txt", b"  ", ("empty: the file holds no text",)),
    "one number": ("a.json", b"42", ("not rows", "42")),
    "nested too deep": ("a.jsonl", b"[" * 100_000, ("nested too deep",)),
    "wrong columns": ("a.jsonl", rows({"foo": 1, "bar": 2}), ("no known format", "columns found: bar, foo")),
    "missing column": ("a.jsonl", rows({"instruction": "x"}), ("'instruction' without a column that answers it",)),
    "a row without a column": ("a.jsonl", rows(ALPACA, {"instruction": "x"}), ("row 2", "columns found: instruction")),
    "two formats": ("a.jsonl", rows(GOOD, ALPACA), ("row 2", "not in the file's format, messages")),
    "unknown role": ("a.jsonl", rows(chat(("user", "a"), ("wizard", "b"))), ("message 2", "unknown role 'wizard'")),
    "no role": ("a.jsonl", rows({"messages": [{"content": "x"}]}), ("no messages with role and content",)),
    "no assistant turn": ("a.jsonl", rows(chat(("user", "a"))), ("no assistant turn", "row 1")),
    "no messages": ("a.jsonl", rows({"messages": []}), ("'messages' holds no messages",)),
    "empty answer": ("a.jsonl", rows(chat(("user", "a"), ("assistant", ""))), ("empty answer",)),
    "blank answer": ("a.jsonl", rows({**ALPACA, "output": "  "}), ("empty answer",)),
    "null column": ("a.jsonl", rows(GOOD, {"messages": None}), ("column 'messages' holds null", "row 2")),
    "null row": ("a.jsonl", rows(GOOD, None), ("row is null, not an object", "row 2")),
    "null content": ("a.jsonl", rows(chat(("user", None), ("assistant", "b"))), ("message 1", "content is null")),
    "list for a row": ("a.jsonl", rows(GOOD, [1]), ("row is a list",)),
    "number for content": ("a.jsonl", rows(chat(("user", 3), ("assistant", "b"))), ("holds a number, not text",)),
    "number for an answer": ("a.jsonl", rows({**ALPACA, "output": 3}), ("'output' holds a number, not text",)),
    "NaN for messages": ("a.jsonl", b'{"messages": NaN}\n', ("holds no messages", "nan")),
    "half a character": ("a.jsonl", rows(chat(("user", "\ud800"), ("assistant", "b"))), ("lone surrogate",)),
    "nameless tool call": ("a.jsonl", rows({"messages": [chat(("user", "a"))["messages"][0], NAMELESS_CALL]}), ()),
    "semicolons in a csv": ("a.csv", b"instruction;output\nx;y\n", ("separated by semicolons",)),
    "too many cells": ("a.csv", b"instruction,output\nx,y,z\n", ("3 cells under a header of 2 columns",)),
    "column twice": ("a.csv", b"instruction,instruction\nx,y\n", ("two columns", "'instruction'")),
    "byte order mark alone in a tsv": ("a.tsv", b"\xef\xbb\xbf", ("empty: the file holds no rows",)),
    "byte order mark alone in a csv": ("a.csv", b"\xef\xbb\xbf\n", ("empty: the file holds no rows",)),
    "open quote": ("a.csv", b'instruction,output\n"x,y\n', ("1 cells under a header of 2",)),
    "no gzip": ("a.jsonl.gz", b"not gzip", ("damaged gzip file",)),
    "cut gzip": ("a.jsonl.gz", gzip.compress(rows(GOOD) * 99)[:-20], ("damaged gzip file",)),
    "not parquet": ("a.parquet", b"PAR1 and no more", ("a.parquet",)),
    "unknown ending": ("a.xlsx", b"x", ("the ending '.xlsx' is none of",)),
    "no ending": ("a", b"x", ("the ending '' is none of",)),
    "text among token ids": ("a.jsonl", rows({"input_ids": [1, "a"], "labels": [1, 2]}), ("not a list of numbers",)),
    "too few labels": ("a.jsonl", rows({"input_ids": [1, 2, 3], "labels": [1]}), ("1 labels for 3 input_ids",)),
    "preference without rejected": ("a.jsonl", rows({"prompt": "a", "chosen": "b"}), ("columns found: chosen",)),
}


@pytest.mark.parametrize(("name", "content", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_rows_stop_a_conversion_with_2_and_leave_the_old_file(
    tmp_path: Path, name: str, content: bytes, says: tuple[str, ...]
) -> None:
    (tmp_path / name).write_bytes(content)
    old = tmp_path / "out.jsonl"
    old.write_text("older work")
    ended = precept("data", "convert", tmp_path / name, "--to", "text", "-o", old)
    assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err
    assert all(words in ended.err for words in (name, "error: ", "found:", "do: ", *says)), ended.err
    assert old.read_text() == "older work" and (tmp_path / name).read_bytes() == content


# These are used, and the note says what was seen.
USED: dict[str, tuple[str, bytes, tuple[str, ...]]] = {
    "extra column": ("a.jsonl", rows({**ALPACA, "mood": 1}), ("columns that are not used: mood",)),
    "duplicate ids": ("a.jsonl", rows({"id": "a", **GOOD}, {"id": "a", **GOOD}), ("1 ids occur more than once",)),
    "trailing comma": ("a.json", b"[" + rows(GOOD) + b",]", ("trailing comma", "line 2")),
    "array in a jsonl": ("a.jsonl", json.dumps([GOOD, GOOD], indent=1).encode(), ("JSON array in a .jsonl file",)),
    "lines in a json": ("a.json", rows(GOOD, GOOD), ("JSON lines in a .json file",)),
    "byte order mark": ("a.jsonl", b"\xef\xbb\xbf" + rows(GOOD), ("messages, 1 rows",)),
}


@pytest.mark.parametrize(("name", "content", "says"), USED.values(), ids=USED.keys())
def test_harmless_oddities_are_read_and_told(tmp_path: Path, name: str, content: bytes, says: tuple[str, ...]) -> None:
    (tmp_path / name).write_bytes(content)
    ended = precept("data", "stats", tmp_path / name)
    assert ended.code == 0 and all(words in ended.out for words in says), ended.out


def test_a_folder_without_files_and_a_limit_of_no_rows_are_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.jsonl").write_bytes(rows(GOOD))
    for path, says in ((tmp_path / "empty", "holds no files"), (f"{tmp_path}/a.jsonl#0", "at least 1")):
        ended = precept("data", "stats", path)
        assert ended.code == 2 and says in ended.err and "Traceback" not in ended.err


def test_a_row_of_50_megabytes_is_refused_by_its_length(tmp_path: Path) -> None:
    data = tmp_path / "long.jsonl"
    data.write_text(json.dumps({"text": "word " * 10_000_000}) + "\n")
    ended = precept("data", "convert", data, "--to", "text", "-o", tmp_path / "out.jsonl", "--json")
    assert ended.code == 0 and ended.json["rows"] == 1
    assert precept("data", "convert", data, "--to", "messages", "-o", tmp_path / "out.jsonl").code == 2


def test_two_hundred_thousand_tiny_rows_are_read_and_each_bad_one_counted(tmp_path: Path) -> None:
    data = tmp_path / "many.jsonl"
    data.write_text('{"text": "a"}\n' * 200_000 + '{"text": 1}\n' * 1000)
    ended = precept("data", "stats", data)
    assert ended.code == 0 and "201000 rows (200000 texts)" in ended.out
    assert "refused: row 200001: " in ended.out and "and 995 more refused rows" in ended.out
