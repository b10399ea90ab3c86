"""Parquet files read block by block, forwards: what is decoded of a row group is passed over once behind it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from precept.records.files import sha256_of
from precept.records.stream import FileOnDisk, NotStreamed, RecordStream

BLOCK = 2048  # records


class Part(NamedTuple):
    """A block of a row group: its place in the group, its records, and the number of those before it in the file."""

    group: int
    place: int
    size: int
    first: int


@dataclass(kw_only=True)
class ParquetStream(RecordStream):
    """The records of a parquet file."""

    file: FileOnDisk
    parts: Sequence[Part]
    _batches: Iterator[Any] = field(default_factory=lambda: iter(()))
    _next: tuple[int, int, int] = (0, -1, 0)
    """Process, row group and place in it of the block that comes next."""

    def read(self, place: int) -> list[tuple[int, Any]]:
        part = self.parts[place]
        process, group, passed = self._next
        if (process, group) != (os.getpid(), part.group) or part.place < passed:
            self._batches, passed = self._read_group(part.group), 0
        for _ in range(part.place - passed):
            next(self._batches)
        records = next(self._batches).to_pylist()
        if len(records) != part.size:
            raise NotStreamed  # cut otherwise than asked for; found when the file is first looked through
        self._next = os.getpid(), part.group, part.place + 1
        if place + 1 == len(self.parts) or self.parts[place + 1].group != part.group:
            self._batches, self._next = iter(()), (0, -1, 0)  # closes the file: there may be thousands
        return list(enumerate(records, part.first + 1))

    def _read_group(self, group: int) -> Iterator[Any]:
        """The blocks of a row group; one page of each column is in memory at a time."""
        import pyarrow
        import pyarrow.parquet

        try:
            with self.file.open() as file, pyarrow.parquet.ParquetFile(file, pre_buffer=False) as opened:
                # one thread: this may be a process that was forked
                yield from opened.iter_batches(BLOCK, row_groups=[group], use_threads=False)
        except pyarrow.ArrowException:
            raise NotStreamed from None  # a damaged page; found when the file is first looked through


def open_parquet(name: str, file: FileOnDisk) -> ParquetStream:
    """Index a file. Raises NotStreamed where it is no whole parquet file, has no rows, or pyarrow is absent: reading it
    whole tells which."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise NotStreamed from None
    parts: list[Part] = []
    size = 0
    try:
        with file.open() as opened, pyarrow.parquet.ParquetFile(opened) as table:
            for group in range(table.metadata.num_row_groups):
                rows = table.metadata.row_group(group).num_rows
                parts += [
                    Part(group, start // BLOCK, min(BLOCK, rows - start), size + start)
                    for start in range(0, rows, BLOCK)
                ]
                size += rows
    except pyarrow.ArrowException:
        raise NotStreamed from None
    if not size:
        raise NotStreamed
    with file.open() as opened:
        sha256 = sha256_of(opened)
    return ParquetStream(
        name=name, sha256=sha256, size=size, firsts=[part.first for part in parts], file=file, parts=parts
    )
