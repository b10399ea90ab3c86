"""JSON files read block by block.

Two layouts are: one JSON value a line, and one array. Whatever else a file may be (wrapped in an object, not quite
JSON) is left to ``parse_json``, which sees it whole.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import orjson

from precept.records.parse_json import parse_odd_line
from precept.records.problems import FileProblem, RowProblem
from precept.records.stream import NotStreamed, RecordStream

BLOCK = 1 << 20
LONGEST_RECORD = 64 << 20  # bytes; a file with a longer one is read whole
BETWEEN = re.compile(rb"[}\]]\s*,\s*(?=[{\[])")


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
    left, done = b"", start
    while data := stored.read(done, done + BLOCK):
        digest.update(data)
        done += len(data)
        left += data
        if len(left) > LONGEST_RECORD:
            raise NotStreamed
        cut = left.rfind(b"\n") + 1 if lines else _last_cut(left)
        if cut:
            yield left[:cut]
            left = left[cut:]
    if not lines and (not left.rstrip().endswith(b"]") or left.strip() == b"]"):
        raise NotStreamed  # cut short, or with a comma before the end
    if left.strip():
        yield left


def _last_cut(data: bytes) -> int:
    """One past a comma at which the elements before are whole, 0 if there is none."""
    for found in reversed(list(BETWEEN.finditer(data, max(0, len(data) - (1 << 16))))):
        cut = found.start() + 1 + data[found.start() + 1 : found.end()].index(b",") + 1
        if _array(data[:cut]) is not None:
            return cut
    return 0


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
    number, done = block.numbers, block.start
    for index, line in enumerate(data.split(b"\n")):
        try:
            record = orjson.loads(line)
        except orjson.JSONDecodeError:
            if line.strip():
                number += 1
                try:
                    rows.append((number, parse_odd_line(line, line_number=block.line + index + 1, offset=done)))
                except FileProblem:
                    raise
                except RowProblem as problem:
                    refused.append((number, problem))
        else:
            number += 1
            rows.append((number, record))
        done += len(line) + 1
    return rows, refused
