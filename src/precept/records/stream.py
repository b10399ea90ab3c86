"""Large JSON files read block by block: an index of blocks stays in memory, records do not.

Two layouts are streamed: one JSON value a line, and one array. Whatever else a file may be (compressed, wrapped in an
object, not quite JSON) is left to ``parse_json``, which sees it whole.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, overload

import orjson

from precept.errors import InputError
from precept.records.parse_json import RawRows, parse_odd_line
from precept.records.problems import FileProblem, RowProblem

BLOCK = 1 << 20
LONGEST_RECORD = 64 << 20  # bytes; a file with a longer one is read whole
BETWEEN = re.compile(rb"[}\]]\s*,\s*(?=[{\[])")


class NotStreamed(Exception):
    """The file is of no layout that can be read in blocks."""


class Block(NamedTuple):
    """Bytes ``start:end`` of a file, the number of lines before them, of records, and of records and refused lines."""

    start: int
    end: int
    line: int
    records: int
    numbers: int


@dataclass
class RecordStream(Sequence[Any]):
    """The records of a file, each with its row number (from 1); a line that does not parse has a number too."""

    name: str
    path: Path
    lines: bool
    sha256: str
    blocks: list[Block]
    size: int
    state: tuple[int, ...]
    refused: list[tuple[int, RowProblem]]
    notes: list[str] = field(default_factory=list)
    _at: int = -1
    _held: list[tuple[int, Any]] = field(default_factory=list)

    def raw(self) -> RawRows:
        """The stream as the records of a file; row numbers are looked up in it too."""
        return RawRows(self, RowNumbers(self), list(self.refused), list(self.notes))

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, place: int) -> Any: ...

    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [record for _, record in self.between(*place.indices(self.size)[:2])]
        number = range(self.size)[place]
        return next(self.between(number, number + 1))[1]

    def __iter__(self) -> Iterator[Any]:
        return (record for _, record in self.between(0, self.size))

    def between(self, start: int, stop: int) -> Iterator[tuple[int, Any]]:
        """Row number and record of the records ``start:stop``."""
        low, high = 0, len(self.blocks)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self.blocks[middle].records <= start else (low, middle)
        while start < stop:
            first = self.blocks[low].records
            rows = self._rows(low)
            yield from rows[start - first : stop - first]
            start = max(start, first + len(rows))
            low += 1

    def _rows(self, place: int) -> list[tuple[int, Any]]:
        """Row numbers and records of a block; that of the last call is kept."""
        if place != self._at:
            block = self.blocks[place]
            with self.path.open("rb") as file:
                if _state(file.fileno()) != self.state:
                    raise InputError(
                        "the file changed while it was read", code="unreadable-path", where=self.name, do="run again"
                    )
                data = os.pread(file.fileno(), block.end - block.start, block.start)
            rows, _ = _parse(data, block, lines=self.lines)
            self._held, self._at = rows, place
        return self._held


@dataclass(frozen=True)
class RowNumbers(Sequence[int]):
    """The row number of each record of a stream."""

    stream: RecordStream

    def __len__(self) -> int:
        return len(self.stream)

    @overload
    def __getitem__(self, place: int) -> int: ...

    @overload
    def __getitem__(self, place: slice) -> list[int]: ...

    def __getitem__(self, place: int | slice) -> int | list[int]:
        if isinstance(place, slice):
            return [number for number, _ in self.stream.between(*place.indices(len(self))[:2])]
        number = range(len(self))[place]
        return next(self.stream.between(number, number + 1))[0]

    def __iter__(self) -> Iterator[int]:
        if not self.stream.refused:
            return iter(range(1, len(self) + 1))
        return (number for number, _ in self.stream.between(0, len(self)))


def open_stream(name: str, path: Path, *, ending: str) -> RecordStream:
    """Index a file. Raises NotStreamed for other layouts, FileProblem for bytes that are no text."""
    digest = hashlib.sha256()
    blocks: list[Block] = []
    refused: list[tuple[int, RowProblem]] = []
    with path.open("rb") as file:
        state = _state(file.fileno())
        opening = file.read(BLOCK)
        lines = _layout(opening, size=state[0])
        start = line = records = numbers = 0
        if not lines:
            start = opening.index(b"[") + 1
        for data in _pieces(file, start, lines=lines, size=state[0], digest=digest):
            block = Block(start, start + len(data), line, records, numbers)
            rows, bad = _parse(data, block, lines=lines)
            blocks.append(block)
            refused += bad
            start += len(data)
            line += data.count(b"\n") if lines else 0
            records += len(rows)
            numbers += len(rows) + len(bad)
    notes = []
    if ending == ".json" and lines:
        notes.append("JSON lines in a .json file")
    if ending == ".jsonl" and not lines:
        notes.append("JSON array in a .jsonl file")
    if not records:
        raise NotStreamed
    return RecordStream(name, path, lines, digest.hexdigest(), blocks, records, state, refused, notes)


def _state(file: int) -> tuple[int, ...]:
    found = os.fstat(file)
    return found.st_size, found.st_mtime_ns, found.st_ino


def _layout(opening: bytes, *, size: int) -> bool:
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


def _pieces(file: Any, start: int, *, lines: bool, size: int, digest: Any) -> Iterator[bytes]:
    """The bytes from ``start`` on in pieces that end where a record does; ``digest`` is told all of the file."""
    file.seek(0)
    digest.update(file.read(start))
    left = b""
    while data := file.read(BLOCK):
        digest.update(data)
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
