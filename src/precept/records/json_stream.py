"""JSON files read block by block.

Two layouts are: one JSON value a line, and one array. Whatever else a file may be (wrapped in an object, not quite
JSON) is left to ``parse_json``, which sees it whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import orjson

from precept.records.parse_json import parse_lines
from precept.records.problems import RowProblem
from precept.records.stream import NotStreamed, RecordStream

BLOCK = 1 << 20
LONGEST_RECORD = 64 << 20  # bytes; a file with a longer one is read whole
QUOTE, COMMA = 2, 3
KINDS = bytes({"{": 1, "[": 1, "}": 255, "]": 255, '"': QUOTE, ",": COMMA}.get(chr(byte), 0) for byte in range(256))
"""1 where a byte opens, -1 where it closes."""


class Block(NamedTuple):
    """Bytes ``start:end`` of a file, the number of lines before them, of records, and of records and refused lines."""

    start: int
    end: int
    line: int
    records: int
    numbers: int


class Stored(Protocol):
    """Bytes of a file."""

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``start:end``, fewer at the file's end."""


@dataclass(kw_only=True)
class JsonStream(RecordStream):
    """The records of a JSON file; a line that does not parse has a row number too. ``lines`` False: one array."""

    stored: Stored
    lines: bool
    blocks: list[Block]

    def read(self, place: int) -> list[tuple[int, Any]]:
        block = self.blocks[place]
        return _parse(self.stored.read(block.start, block.end), block, lines=self.lines)[0]


def open_json(name: str, stored: Stored, *, ending: str, sha256: str | None = None) -> JsonStream:
    """Index a file. ``sha256`` is told where it is that of other bytes than the stored ones. Raises NotStreamed for
    other layouts, FileProblem for bytes that are no text."""
    digest = hashlib.sha256()
    blocks: list[Block] = []
    refused: list[tuple[int, RowProblem]] = []
    opening = stored.read(0, BLOCK)
    lines = _layout(opening)
    start = 0 if lines else opening.index(b"[") + 1
    line = records = numbers = 0
    for data in _pieces(stored, start, lines=lines, digest=digest):
        block = Block(start, start + len(data), line, records, numbers)
        rows, bad = _parse(data, block, lines=lines)
        blocks.append(block)
        refused += bad
        start += len(data)
        line += data.count(b"\n") if lines else 0
        records += len(rows)
        numbers += len(rows) + len(bad)
    if not records:
        raise NotStreamed
    notes = []
    if ending == ".json" and lines:
        notes.append("JSON lines in a .json file")
    if ending == ".jsonl" and not lines:
        notes.append("JSON array in a .jsonl file")
    return JsonStream(
        name=name,
        sha256=sha256 or digest.hexdigest(),
        size=records,
        firsts=[block.records for block in blocks],
        refused=refused,
        notes=notes,
        stored=stored,
        lines=lines,
        blocks=blocks,
    )


def _layout(opening: bytes) -> bool:
    """True for one value a line, False for an array."""
    first, _, rest = opening.lstrip().partition(b"\n")
    try:
        value = orjson.loads(first)
    except orjson.JSONDecodeError:
        if opening.lstrip()[:1] == b"[" and opening[:1] not in b"\xef":
            return False
        raise NotStreamed from None
    if not rest.strip() or not isinstance(value, dict | list):
        raise NotStreamed  # one value in all
    return True


def _pieces(stored: Stored, start: int, *, lines: bool, digest: Any) -> Iterator[bytes]:
    """The bytes from ``start`` on in pieces that end where a record does; ``digest`` is told all of the file."""
    digest.update(stored.read(0, start))
    left, done, nesting = b"", start, Nesting()
    while data := stored.read(done, done + BLOCK):
        digest.update(data)
        done += len(data)
        cut = data.rfind(b"\n") + 1 if lines else nesting.end_of_elements(data)
        if cut:
            yield left + data[:cut]
            left = b""
        left += data[cut:]
        if len(left) > LONGEST_RECORD:
            raise NotStreamed
    if not lines and (not left.rstrip().endswith(b"]") or left.strip() == b"]"):
        raise NotStreamed  # cut short, or with a comma before the end
    if left.strip():
        yield left


class Nesting:
    """How deep an array is nested where the bytes seen so far end."""

    def __init__(self) -> None:
        self._depth, self._quoted, self._escaped = 0, False, False

    def end_of_elements(self, data: bytes) -> int:
        """One past the last comma between elements in the bytes that follow, 0 if there is none."""
        if self._escaped:
            data = b" " + data[1:]
        data = data.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
        self._escaped = data.endswith(b"\\")
        kinds = np.frombuffer(data.translate(KINDS), np.int8)
        places = np.flatnonzero(kinds)
        kinds = kinds[places]
        quoted = np.logical_xor.accumulate(np.concatenate([[self._quoted], kinds == QUOTE]))[1:]
        depth = self._depth + np.cumsum(np.where(quoted | (kinds > 1), 0, kinds))
        if len(places):
            self._depth, self._quoted = int(depth[-1]), bool(quoted[-1])
        commas = places[(kinds == COMMA) & ~quoted & (depth == 0)]
        return int(commas[-1]) + 1 if len(commas) else 0


def _array(data: bytes) -> list[Any] | None:
    """The elements of a piece of an array, which ends in a comma or with the array; None where it is no such piece.

    A piece that starts with an element and parses ends with one, since JSON is read in one way from left to right.
    """
    body = data.rstrip()
    if body.endswith((b",", b"]")):
        body = body[:-1]
    else:
        return None
    try:
        found = orjson.loads(b"[" + body + b"]")
    except orjson.JSONDecodeError:
        return None
    return list(found)


def _parse(data: bytes, block: Block, *, lines: bool) -> tuple[list[tuple[int, Any]], list[tuple[int, RowProblem]]]:
    """Row numbers and records of a block, and its lines that do not parse."""
    if not lines:
        elements = _array(data)
        if elements is None:
            raise NotStreamed
        return list(enumerate(elements, block.numbers + 1)), []
    rows: list[tuple[int, Any]] = []
    refused: list[tuple[int, RowProblem]] = []
    for number, record in parse_lines(data, line=block.line, offset=block.start, number=block.numbers):
        if isinstance(record, RowProblem):
            refused.append((number, record))
        else:
            rows.append((number, record))
    return rows, refused
