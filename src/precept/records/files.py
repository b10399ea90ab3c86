"""Paths -> files in order -> raw records. Knows endings, compression and ``path#500``, and no row format."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from precept.errors import InputError, MissingExtra
from precept.records.parse_json import RawRows, decode, parse_json
from precept.records.parse_tables import parse_delimited, parse_parquet
from precept.records.problems import FileProblem

COMPRESSED = (".gz", ".zst")
PIECE = 1 << 20  # bytes read at once
SPLIT_NAMES = ("train", "test", "dev", "valid", "validation")
ENDINGS = (".json", ".jsonl", ".csv", ".tsv", ".parquet", ".txt")


@dataclass(frozen=True)
class DataFile:
    """A file to read. ``name`` is what the user sees; ``walked`` is True when it was found inside a folder."""

    name: str
    path: Path
    walked: bool = False

    @property
    def ending(self) -> str:
        """The ending that tells the format, in lower case, without .gz or .zst."""
        path = self.path.with_suffix("") if self.path.suffix.lower() in COMPRESSED else self.path
        return path.suffix.lower()

    @property
    def stem(self) -> str:
        """The task name of a task file: its name without endings, or its folder's where the file is train, test, ..."""
        path = self.path.with_suffix("") if self.path.suffix.lower() in COMPRESSED else self.path
        stem = path.stem if path.suffix.lower() in ENDINGS else path.name
        return self.path.absolute().parent.name or stem if stem in SPLIT_NAMES else stem


def split_limit(spec: str, *, base: Path | None) -> tuple[str, int | None]:
    """``path#500`` -> (path, 500), unless a file has that very name. Raises InputError for ``#0``."""
    found = re.fullmatch(r"(.+)#(\d+)", spec)
    if found is None or (not spec.startswith("hf:") and _resolve(spec, base).exists()):
        return spec, None
    if int(found[2]) == 0:
        raise InputError(
            "the number of first rows must be at least 1", code="bad-row-limit", where=spec, do="write path#500"
        )
    return found[1], int(found[2])


def find_files(path: str, *, base: Path | None) -> list[DataFile]:
    """The file itself, or all files of a folder in name order, hidden ones left out.

    Raises InputError when the path does not exist or the folder holds no file.
    """
    root = _resolve(path, base)
    if root.is_file():
        return [DataFile(path, root)]
    if not root.is_dir():
        raise InputError(
            "no such file or folder",
            code="missing-path",
            where=path,
            found=f"looked for {root.absolute()}",
            do="check the path; data sets of the hub are named hf:owner/name",
        )
    files = [DataFile(_shown(Path(path) / file.relative_to(root)), file, walked=True) for file in _walk(root)]
    if not files:
        raise InputError(
            "the folder holds no files", code="empty-folder", where=path, do="name the folder that holds the data files"
        )
    return files


def read_bytes(file: DataFile) -> bytes:
    """The file's bytes as they lie on disk. Raises InputError when it cannot be opened."""
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot be opened: {error.strerror}", code="unreadable-path", where=file.name, do="check its permissions"
        ) from None


def parse_file(file: DataFile, data: bytes, *, limit: int | None = None) -> RawRows:
    """Records of the bytes of a file, by its ending. Raises FileProblem when there are none."""
    if file.ending not in ENDINGS:
        code = "not-data" if file.walked else "unknown-ending"
        raise FileProblem(
            code, f"not a data file: the ending '{file.ending}' is none of {', '.join(ENDINGS)} [.gz|.zst]"
        )
    if not data:
        raise FileProblem("empty-file", "empty: the file has 0 bytes")
    data = _decompress(file, data)
    if file.ending in (".json", ".jsonl"):
        return parse_json(data, ending=file.ending, limit=limit)
    if file.ending in (".csv", ".tsv"):
        return parse_delimited(data, ending=file.ending)
    if file.ending == ".parquet":
        return parse_parquet(file.name, data)
    text = decode(data)
    if not text.strip():
        raise FileProblem("empty-file", "empty: the file holds no text")
    return RawRows(records=[{"text": text}], numbers=[1])


def _resolve(path: str, base: Path | None) -> Path:
    expanded = Path(path).expanduser()
    return expanded if base is None else base / expanded


def _shown(path: Path) -> str:
    """The path as text that any terminal and JSON can hold, also where its name is not UTF-8."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _walk(root: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(root), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.is_file():
            yield Path(entry.path)


def _decompress(file: DataFile, data: bytes) -> bytes:
    if file.path.suffix.lower() not in COMPRESSED:
        return data
    return b"".join(_unpacked(file, io.BytesIO(data)))


def _unpacked(file: DataFile, packed: BinaryIO) -> Iterator[bytes]:
    """The contents of a compressed file, piece by piece. Raises FileProblem where it is damaged."""
    if file.path.suffix.lower() == ".gz":
        try:
            with gzip.GzipFile(fileobj=packed) as stream:
                while data := stream.read(PIECE):
                    yield data
        except (OSError, EOFError, zlib.error) as error:
            raise FileProblem("bad-compression", f"damaged gzip file: {error}") from None
        return
    try:
        import zstandard
    except ImportError:
        raise MissingExtra("zstandard", "data", wanted_for=f"reading {file.name}") from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True, closefd=False) as stream:
            while data := stream.read(PIECE):
                yield data
    except zstandard.ZstdError as error:
        raise FileProblem("bad-compression", f"damaged zstd file: {error}") from None


class Unpacked:
    """The contents of compressed files, one behind the other in a temporary file that nothing else can see: however
    many there are, one file is open. ``size`` is their length."""

    def __init__(self) -> None:
        self.size = 0

    @cached_property
    def _contents(self) -> BinaryIO:
        return cast(BinaryIO, tempfile.TemporaryFile())  # open as long as this object

    def __del__(self) -> None:
        self.__dict__.pop("_contents", io.BytesIO()).close()

    def add(self, file: DataFile) -> UnpackedFile:
        """Unpack a file. Raises FileProblem for a damaged one, OSError where there is no room for it."""
        start = self.size
        with file.path.open("rb") as packed:
            for data in _unpacked(file, packed):
                self._contents.write(data)
                self.size += len(data)
            self._contents.flush()
            packed.seek(0)
            return UnpackedFile(self, start, self.size, sha256_of(packed))

    def cut(self, size: int) -> None:
        """Give back what was added after the first ``size`` bytes."""
        if self.size > size:
            self._contents.seek(size)
            self._contents.truncate()
            self.size = size

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``start:end``."""
        return os.pread(self._contents.fileno(), end - start, start)


class UnpackedFile(NamedTuple):
    """The bytes ``start:end`` of ``unpacked``. ``sha256`` is that of the compressed file."""

    unpacked: Unpacked
    start: int
    end: int
    sha256: str

    def read(self, start: int, end: int) -> bytes:
        """The bytes ``start:end``, fewer at the end."""
        first, last = self.start + start, min(self.start + end, self.end)
        return self.unpacked.read(first, last) if first < last else b""


def sha256_of(file: BinaryIO) -> str:
    """The hash of a file from where it stands to its end."""
    digest = hashlib.sha256()
    while data := file.read(PIECE):
        digest.update(data)
    return digest.hexdigest()
