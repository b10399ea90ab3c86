"""JSON text -> records. Strict where rows would be guessed, and lenient for two published defects, which it names:
a JSON array in a file called .jsonl, and a comma before a closing bracket.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from precept.records.problems import FileProblem, RowProblem

TOO_MANY_DIGITS = "holds a whole number with too many digits to be read"
UTF8_BOM = b"\xef\xbb\xbf"
STRING_OR_TRAILING_COMMA = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|,(?=\s*[\]}])', re.DOTALL)


@dataclass
class RawRows:
    """Records as the file holds them, each with its row number (from 1), beside the rows that do not parse."""

    records: Sequence[Any] = field(default_factory=list)
    numbers: Sequence[int] = field(default_factory=list)
    refused: list[tuple[int, RowProblem]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def decode(data: bytes, *, first_line: int = 1, offset: int = 0) -> str:
    """Text of UTF-8 bytes. Raises FileProblem naming the byte offset in the file and the line."""
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = first_line + data.count(b"\n", 0, error.start)
        hint = " (it looks like UTF-16)" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise FileProblem(
            "bad-encoding",
            f"not UTF-8{hint}: byte 0x{data[error.start]:02x} at offset {offset + error.start}, line {line}",
        ) from None


def parse_json(data: bytes, *, ending: str, limit: int | None = None) -> RawRows:
    """Records of a ``.json`` or ``.jsonl`` file; either may hold an array, one object, or one object a line.

    ``limit`` stops reading lines early. Raises FileProblem when no record can be told from the next.
    """
    if not data.removeprefix(UTF8_BOM).strip():
        raise FileProblem("empty-file", "empty: the file holds no rows")
    body = data.removeprefix(UTF8_BOM)
    offset = len(data) - len(body)
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        if _holds_lines(body, ending):
            raw = _parse_lines(body, offset=offset, limit=limit)
            if ending == ".json":
                raw.notes.append("JSON lines in a .json file")
            return raw
        document, notes = _mend(data, ending)
    else:
        notes = []
        if ending == ".jsonl" and isinstance(document, list):
            notes.append("JSON array in a .jsonl file")
    return _records_of(document, notes)


def _holds_lines(body: bytes, ending: str) -> bool:
    """Whether a file that is not one JSON value holds one value a line."""
    first = body.lstrip().split(b"\n", 1)[0]
    try:
        orjson.loads(first)
    except orjson.JSONDecodeError:
        return ending == ".jsonl" and not body.lstrip().startswith(b"[")
    return True


def _parse_lines(body: bytes, *, offset: int, limit: int | None) -> RawRows:
    records: list[Any] = []
    numbers: list[int] = []
    raw = RawRows(records, numbers)
    for number, record in parse_lines(body, offset=offset):
        if isinstance(record, RowProblem):
            raw.refused.append((number, record))
            continue
        records.append(record)
        numbers.append(number)
        if limit is not None and number >= limit:
            break
    return raw


def parse_lines(
    data: bytes, *, line: int = 0, offset: int = 0, number: int = 0
) -> Iterator[tuple[int, Any | RowProblem]]:
    """Row number and value of each line that is not blank, or why it has none. Before the data stand ``line`` lines,
    ``offset`` bytes and ``number`` rows."""
    for text in data.split(b"\n"):
        line += 1
        if text.strip():
            number += 1
            yield number, _parse_line(text, line=line, offset=offset)
        offset += len(text) + 1


def _parse_line(text: bytes, *, line: int, offset: int) -> Any | RowProblem:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            return _parse_odd_line(text, line_number=line, offset=offset)
        except RowProblem as problem:
            return problem


def _parse_odd_line(line: bytes, *, line_number: int, offset: int) -> Any:
    """A line that the strict parser refuses: NaN and lone surrogates pass here (the latter are refused by name
    later), anything else raises RowProblem with line and column."""
    text = decode(line, first_line=line_number, offset=offset)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise RowProblem("bad-json", f"not JSON: {error.msg} at line {line_number} column {error.colno}") from None
    except RecursionError:
        raise RowProblem("bad-json", f"not JSON: nested too deep at line {line_number}") from None
    except ValueError:  # Python reads whole numbers of up to 4,300 digits
        raise RowProblem("bad-json", f"{TOO_MANY_DIGITS} at line {line_number}") from None


def _mend(data: bytes, ending: str) -> tuple[Any, list[str]]:
    """The one JSON value of a file that the strict parser refuses, and the defects it was read in spite of."""
    text = decode(data)
    defects = ["JSON array in a .jsonl file"] if ending == ".jsonl" else []
    commas = [m.start() for m in STRING_OR_TRAILING_COMMA.finditer(text) if m.group() == ","]
    if commas:
        closing = commas[0] + 1 + len(text[commas[0] + 1 :]) - len(text[commas[0] + 1 :].lstrip())
        line = text.count("\n", 0, closing) + 1
        more = f" and {len(commas) - 1} more" if len(commas) > 1 else ""
        defects.append(f"trailing comma before the '{text[closing]}' at line {line}{more}")
        text = STRING_OR_TRAILING_COMMA.sub(lambda m: " " if m.group() == "," else m.group(), text)
    try:
        return json.loads(text), defects or ["holds NaN or lone surrogates, which strict JSON has not"]
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno} column {error.colno}"
    except RecursionError:
        where = "nested too deep"
    except ValueError:
        raise FileProblem("bad-json", TOO_MANY_DIGITS) from None
    raise FileProblem("bad-json", "; ".join([f"not JSON: {where}", *defects]))


def _records_of(document: Any, notes: list[str]) -> RawRows:
    if isinstance(document, dict):
        wrapped = [
            key
            for key in ("data", "rows")
            if isinstance(document.get(key), list) and document[key] and isinstance(document[key][0], dict)
        ]
        if len(wrapped) == 1 and not any(isinstance(v, list | dict) for k, v in document.items() if k != wrapped[0]):
            notes.append(f"rows taken from the key '{wrapped[0]}' of the file's one object")
            document = document[wrapped[0]]
        else:
            document = [document]
    if not isinstance(document, list):
        raise FileProblem("not-rows", f"not rows: the file holds one JSON value ({document!r:.40})")
    if not document:
        raise FileProblem("empty-file", "empty: the file holds an empty JSON array")
    return RawRows(records=document, numbers=list(range(1, len(document) + 1)), notes=notes)
