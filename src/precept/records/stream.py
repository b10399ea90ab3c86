"""Large files read block by block: an index of blocks stays in memory, records do not."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, overload

from precept.errors import InputError
from precept.records.parse_json import RawRows
from precept.records.problems import RowProblem


class NotStreamed(Exception):
    """The file is of no layout that can be read in blocks."""


@dataclass(kw_only=True)
class RecordStream(Sequence[Any]):
    """The records of a file, each with its row number (from 1). ``firsts`` are the first records of its blocks."""

    name: str
    sha256: str
    size: int
    firsts: Sequence[int]
    refused: list[tuple[int, RowProblem]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _at: int = -1
    _held: list[tuple[int, Any]] = field(default_factory=list)

    def read(self, place: int) -> list[tuple[int, Any]]:
        """Row numbers and records of a block. Raises InputError for a file that has changed."""
        raise NotImplementedError

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
        place = bisect_right(self.firsts, start) - 1
        while start < stop:
            if place != self._at:  # the block of the last call is kept
                self._held, self._at = self.read(place), place
            first, rows = self.firsts[place], self._held
            yield from rows[start - first : stop - first]
            start = max(start, first + len(rows))
            place += 1


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


class FileOnDisk:
    """A file that is opened anew for each look at it."""

    def __init__(self, name: str, path: Path) -> None:
        """``name`` is what errors call it."""
        self.name, self.path = name, path
        with path.open("rb") as file:
            self._state = _state(file)

    def open(self) -> BinaryIO:
        """The file. Raises InputError once it is another one."""
        file = self.path.open("rb")
        if _state(file) != self._state:
            file.close()
            raise InputError(
                "the file changed while it was read", code="unreadable-path", where=self.name, do="run again"
            )
        return file

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``start:end``, fewer at the file's end. Raises InputError as ``open`` does."""
        with self.open() as file:
            return os.pread(file.fileno(), end - start, start)


def _state(file: BinaryIO) -> tuple[int, ...]:
    found = os.fstat(file.fileno())
    return found.st_size, found.st_mtime_ns, found.st_ino
