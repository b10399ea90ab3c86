"""Rows that are read when they are asked for: what stays in memory of a large file is an index."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from precept.records.answers import Change
from precept.records.fingerprint import record_hash
from precept.records.formats import Part, as_object
from precept.records.problems import RowProblem
from precept.records.readers.reader import Reader
from precept.records.stream import RecordStream
from precept.types import LongArray, Row, Source

NO_PART = 255


class LazyRows(Sequence[Row]):
    """Rows by position. ``hashes`` [n] are the first 64 bits that ``Source.hash`` spells."""

    hashes: npt.NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.hashes)

    @overload
    def __getitem__(self, place: int) -> Row: ...

    @overload
    def __getitem__(self, place: slice) -> list[Row]: ...

    def __getitem__(self, place: int | slice) -> Row | list[Row]:
        if isinstance(place, slice):
            start, stop, step = place.indices(len(self))
            rows = list(self.between(start, stop)) if step > 0 else [self[i] for i in range(start, stop, step)]
            return rows[::step] if step > 1 else rows
        number = range(len(self))[place]
        return next(self.between(number, number + 1))

    def __iter__(self) -> Iterator[Row]:
        return self.between(0, len(self))

    def between(self, start: int, stop: int) -> Iterator[Row]:
        """The rows ``start:stop``."""
        raise NotImplementedError


@dataclass(frozen=True)
class RowReader:
    """Reads the records of a file as rows. ``part_of`` [records] names the layout of each, or NO_PART."""

    name: str
    reader: Reader
    parts: Sequence[Part]
    part_of: npt.NDArray[np.uint8]
    change: Change | None = None

    def __call__(self, place: int, number: int, record: Any) -> Row:
        """The row of a record. Raises RowProblem."""
        part = self.parts[self.part_of[place]]
        record = as_object(record)
        layout = part.layout
        source = Source(
            self.name,
            number,
            record_hash(record, salt=layout.salt),
            label(record, part.licence_column) or layout.licence,
            label(record, part.id_column),
        )
        row = self.reader.read(record, layout, source)
        return row if self.change is None else self.change(row)


class StreamedRows(LazyRows):
    """The rows of a streamed file; ``places`` [n] are their records."""

    def __init__(
        self, stream: RecordStream, read: RowReader, places: npt.NDArray[np.int32], hashes: npt.NDArray[np.uint64]
    ) -> None:
        self._stream, self._read, self._places, self.hashes = stream, read, places, hashes

    def between(self, start: int, stop: int) -> Iterator[Row]:
        if start >= stop:
            return
        places = self._places[start:stop]
        first, wanted = int(places[0]), np.zeros(int(places[-1]) - int(places[0]) + 1, bool)
        wanted[places - first] = True
        records = self._stream.between(first, first + len(wanted))
        for place, ((number, record), want) in enumerate(zip(records, wanted.tolist(), strict=True), first):
            if want:
                yield self._read(place, number, record)


class ChainedRows(LazyRows):
    """Rows of several files, one after the other."""

    def __init__(self, files: Sequence[Sequence[Row]]) -> None:
        self._files = [rows for rows in files if len(rows)]
        self._ends = np.cumsum([len(rows) for rows in self._files])
        self.hashes = np.concatenate([np.zeros(0, np.uint64), *map(row_hashes, self._files)])

    def between(self, start: int, stop: int) -> Iterator[Row]:
        begins = [0, *self._ends.tolist()]
        for rows, (begin, end) in zip(self._files, itertools.pairwise(begins), strict=True):
            if begin < stop and start < end:
                chosen = slice(max(start - begin, 0), min(stop, end) - begin)
                yield from (rows.between(chosen.start, chosen.stop) if isinstance(rows, LazyRows) else rows[chosen])


class PickedRows(LazyRows):
    """Some of the rows; ``places`` [n] ascend."""

    def __init__(self, rows: LazyRows, places: LongArray) -> None:
        self._rows, self._places = rows, places.astype(np.int32)
        self.hashes = rows.hashes[places]

    def between(self, start: int, stop: int) -> Iterator[Row]:
        places = self._places[start:stop]
        if not len(places):
            return iter(())
        first, wanted = int(places[0]), np.zeros(int(places[-1]) - int(places[0]) + 1, bool)
        wanted[places - first] = True
        return itertools.compress(self._rows.between(first, first + len(wanted)), wanted.tolist())


def row_hashes(rows: Sequence[Row]) -> npt.NDArray[np.uint64]:
    """The hashes of rows as numbers, uint64 [n]."""
    if isinstance(rows, LazyRows):
        return rows.hashes
    return np.array([int(row.source.hash, 16) for row in rows], np.uint64)


def label(record: Any, column: str | None) -> str | None:
    """The text of a column that names the row or its licence."""
    value = record.get(column) if column else None
    return None if value is None else str(value)


def read_places(stream: RecordStream, read: RowReader) -> Iterator[tuple[int, int, Row | RowProblem]]:
    """Record, row number and row, or why there is none, of each record that has a layout."""
    for place, (number, record) in enumerate(stream.between(0, len(stream))):
        if read.part_of[place] != NO_PART:
            try:
                yield place, number, read(place, number, record)
            except RowProblem as problem:
                yield place, number, problem
