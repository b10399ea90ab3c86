"""Token sequences on disk: appended while rows are rendered, read by position, no more in memory than an index.

``sequences.bin`` holds a record a sequence: six int32 (ids, runs of weights, encoder ids or -1, row number, bytes of
the source's texts, 0), the ids, where each run of equal weights ends, the runs' weights, the encoder's ids, and the
source's texts as JSON. ``index.bin`` tells where each record starts. Records are read with ``pread`` and not mapped,
so that what was read does not stay resident.
"""

from __future__ import annotations

import itertools
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np
import numpy.typing as npt
import orjson

from precept.types import IntArray, LongArray, Source, TokenSequence

HEADER = 6
SIZES = struct.Struct(f"={HEADER}i")
READ_AHEAD = 1 << 20
INDEX = np.dtype(
    [("start", np.int64), ("length", np.int32), ("trained", np.int32), ("place", np.int32), ("conversation", np.bool_)]
)
"""21 bytes a sequence: the record's place, its ids, those of them that are trained, the row it came from, and whether
that is a conversation."""


class Packed(NamedTuple):
    """Records of some sequences one after the other, and their entries of the index, counted from 0."""

    data: bytes
    entries: npt.NDArray[Any]


def pack(sequences: Sequence[TokenSequence], places: IntArray, conversations: Sequence[bool]) -> Packed:
    """Records of sequences; ``places`` are their rows, ``conversations`` whether these are conversations."""
    entries = np.zeros(len(sequences), INDEX)
    records = [_record(sequence) for sequence in sequences]
    entries["start"] = np.cumsum([0, *map(len, records)])[:-1]
    entries["length"] = [len(sequence.ids) for sequence in sequences]
    entries["trained"] = [np.count_nonzero(sequence.weights) for sequence in sequences]
    entries["place"], entries["conversation"] = places, conversations
    return Packed(b"".join(records), entries)


def _record(sequence: TokenSequence) -> bytes:
    weights, encoder = sequence.weights, sequence.encoder_ids
    changes = (weights[1:] != weights[:-1]).nonzero()[0].tolist()
    ends = np.array([*(change + 1 for change in changes), len(weights)], np.int32)
    source = sequence.source
    texts = orjson.dumps([source.file, source.hash, source.licence, source.id])
    texts += b" " * (-len(texts) % 4)
    read = b"" if encoder is None else encoder.astype(np.int32, copy=False).tobytes()
    sizes = (len(sequence.ids), len(ends), -1 if encoder is None else len(encoder), source.row, len(texts), 0)
    ids, kept = sequence.ids.astype(np.int32, copy=False), weights[ends - 1].astype(np.float32, copy=False)
    return b"".join((SIZES.pack(*sizes), ids.tobytes(), ends.tobytes(), kept.tobytes(), read, texts))


def _unpacked(data: memoryview) -> TokenSequence:
    length, runs, encoder, row, texts, _ = np.frombuffer(data, np.int32, HEADER).tolist()
    done = 4 * HEADER
    ids = np.frombuffer(data, np.int32, length, done)
    ends = np.frombuffer(data, np.int32, runs, done := done + 4 * length)
    weights = np.frombuffer(data, np.float32, runs, done := done + 4 * runs)
    done += 4 * runs
    encoder_ids = None if encoder < 0 else np.frombuffer(data, np.int32, encoder, done)
    done += 4 * max(encoder, 0)
    file, digest, licence, name = orjson.loads(data[done : done + texts])
    spread = np.repeat(weights, np.diff(ends, prepend=0))
    return TokenSequence(ids, spread, Source(file, row, digest, licence, name), encoder_ids)


class SequenceWriter:
    """Appends records to ``sequences.bin`` and their entries to ``index.bin`` of a folder; nothing stays in memory.

    Files that were not closed when its block ends, because something was raised, are closed then.
    """

    def __init__(self, folder: Path) -> None:
        self._file = (folder / "sequences.bin").open("wb")
        self._index = (folder / "index.bin").open("wb")
        self._size = self._checksum = self._index_checksum = 0

    def append(self, packed: Packed) -> None:
        """Add records, in the order of the calls."""
        entries = packed.entries.copy()
        entries["start"] += self._size
        index = entries.tobytes()
        self._file.write(packed.data)
        self._index.write(index)
        self._size += len(packed.data)
        self._checksum = zlib.crc32(packed.data, self._checksum)
        self._index_checksum = zlib.crc32(index, self._index_checksum)

    def close(self) -> dict[str, int]:
        """Returns size and checksums, by which ``StoredSequences`` knows whole files."""
        self._file.close()
        self._index.close()
        return {"size": self._size, "crc32": self._checksum, "index_crc32": self._index_checksum}

    def __enter__(self) -> SequenceWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        for file in (self._file, self._index):
            with suppress(OSError):  # what is left in its buffer finds no room either
                file.close()


class DamagedStore(ValueError):
    """A stored file is not the one that was written."""


@dataclass(frozen=True, eq=False)
class StoredSequences(Sequence[TokenSequence]):
    """The sequences of a folder. ``lengths`` [S] are their numbers of ids, ``places`` [S] the rows they came from."""

    folder: Path
    entries: npt.NDArray[Any]
    file: int

    @classmethod
    def open(cls, folder: Path, expected: dict[str, int]) -> StoredSequences:
        """The sequences as written. Raises DamagedStore or OSError where they are not whole."""
        entries = np.fromfile(folder / "index.bin", INDEX)
        file = os.open(folder / "sequences.bin", os.O_RDONLY)
        index = zlib.crc32(entries.view(np.uint8).data)
        found = {"size": os.fstat(file).st_size, "crc32": _checksum(file), "index_crc32": index}
        if found != expected:
            os.close(file)
            raise DamagedStore(f"{found}, not {expected}")
        return cls(folder, entries, file)

    def __del__(self) -> None:
        os.close(self.file)

    @property
    def lengths(self) -> LongArray:
        """Tokens of each sequence, int64 [S]."""
        return self.entries["length"].astype(np.int64)

    @property
    def places(self) -> IntArray:
        """The row that each sequence came from, int32 [S]."""
        return self.entries["place"]

    def __len__(self) -> int:
        return len(self.entries)

    @overload
    def __getitem__(self, place: int) -> TokenSequence: ...

    @overload
    def __getitem__(self, place: slice) -> list[TokenSequence]: ...

    def __getitem__(self, place: int | slice) -> TokenSequence | list[TokenSequence]:
        if isinstance(place, slice):
            return [self[i] for i in range(*place.indices(len(self)))]
        number = range(len(self))[place]  # negative ones count from the end; IndexError beyond
        start, end = self._bounds(number, number + 1)
        return _unpacked(self._read(start, end))

    def __iter__(self) -> Iterator[TokenSequence]:
        starts = np.append(self.entries["start"], self._bounds(0, len(self))[1])
        cuts = np.searchsorted(starts, np.arange(0, starts[-1], READ_AHEAD)).tolist()
        for first, last in itertools.pairwise(dict.fromkeys([*cuts, len(self)])):
            begin, end = int(starts[first]), int(starts[last])
            data = self._read(begin, end)
            places = (starts[first : last + 1] - begin).tolist()
            for start, stop in itertools.pairwise(places):
                yield _unpacked(data[start:stop])

    def _read(self, start: int, end: int) -> memoryview:
        data = bytearray(end - start)  # torch wants arrays that it could write to
        os.preadv(self.file, [data], start)
        return memoryview(data)

    def _bounds(self, first: int, last: int) -> tuple[int, int]:
        begin = int(self.entries["start"][first]) if first < len(self) else 0
        end = int(self.entries["start"][last]) if last < len(self) else os.fstat(self.file).st_size
        return begin, end


def sequence_lengths(sequences: Sequence[TokenSequence]) -> LongArray:
    """Tokens of each sequence, int64 [S]; of stored ones without reading them."""
    if isinstance(sequences, StoredSequences):
        return sequences.lengths
    return np.array([len(sequence.ids) for sequence in sequences], np.int64)


def trained_tokens(sequences: Sequence[TokenSequence]) -> int:
    """Tokens of all sequences whose weight is not 0; of stored ones without reading them."""
    if isinstance(sequences, StoredSequences):
        return int(sequences.entries["trained"].sum(dtype=np.int64))
    return sum(int(np.count_nonzero(sequence.weights)) for sequence in sequences)


def _checksum(file: int) -> int:
    checksum = done = 0
    while data := os.pread(file, READ_AHEAD, done):
        checksum, done = zlib.crc32(data, checksum), done + len(data)
    return checksum
