"""Files on disk -> rows, with a report for each file of what was found, refused and set right."""

from __future__ import annotations

import gc
import hashlib
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from precept.records.answers import Findings, check_answer, strip_shared
from precept.records.files import (
    COMPRESSED,
    DataFile,
    Unpacked,
    find_files,
    parse_file,
    read_bytes,
    split_limit,
)
from precept.records.fingerprint import record_hash
from precept.records.formats import Part, Plan, choose_reader
from precept.records.hub import read_hub
from precept.records.json_stream import open_json
from precept.records.lazy import NO_PART, ChainedRows, LazyRows, RowReader, StreamedRows, label, read_places
from precept.records.parquet_stream import open_parquet
from precept.records.parse_json import RawRows
from precept.records.problems import FileProblem, RowProblem
from precept.records.stream import FileOnDisk, NotStreamed, RecordStream
from precept.types import Comparison, Conversation, Refusal, Row, Source


@dataclass(frozen=True)
class FileReport:
    """What one file held. ``rows`` counts each row once: kept or refused; pre-tokenised rows are among ``texts``.

    ``mapping`` is our field -> their column; ``notes`` name what was removed, set right or looks wrong. A file refused
    whole has format None and one refusal with row None.
    """

    path: str
    format: str | None
    rows: int
    conversations: int
    comparisons: int
    texts: int
    refused: list[Refusal]
    mapping: dict[str, str]
    notes: list[str]
    sha256: str
    licence: str | None


@dataclass(frozen=True)
class Loaded:
    """The rows of all files in order, and a report for each file."""

    rows: Sequence[Row]
    files: list[FileReport]

    @property
    def refusals(self) -> list[Refusal]:
        """All refused rows and files, but for files met in a folder whose ending no data file has."""
        return [refusal for file in self.files for refusal in file.refused if refusal.code != "not-data"]


def load(paths: Sequence[str], *, base: Path | None = None, stream_from: int | None = None) -> Loaded:
    """Read files, folders (in name order), ``path#500`` (the first rows) and ``hf:owner/name[:split]``.

    With ``stream_from``, the rows of JSON and parquet files of so many bytes or more are read again whenever they are
    asked for.

    Relative paths start at ``base`` (default: the working directory). Rows that cannot be used are reported, never
    raised. Raises InputError for paths that are missing or cannot be opened, MissingExtra for an absent package.
    """
    rows: list[Sequence[Row]] = []
    reports: list[FileReport] = []
    unpacked = Unpacked()
    with collector_paused():
        for spec in paths:
            path, left = split_limit(spec, base=base)
            for kept, report in _files(path, left, base, stream_from if left is None else None, unpacked):
                rows.append(kept)
                reports.append(report)
    if any(isinstance(kept, LazyRows) for kept in rows):
        return Loaded(ChainedRows(rows), reports)
    return Loaded([row for kept in rows for row in kept], reports)


def describe(loaded: Loaded) -> dict[str, Any]:
    """The document that ``precept data stats --json`` prints."""
    return {
        "files": [
            {
                "path": file.path,
                "format": file.format,
                "rows": file.rows,
                "conversations": file.conversations,
                "comparisons": file.comparisons,
                "texts": file.texts,
                "refused": [{"row": refusal.row, "reason": refusal.reason} for refusal in file.refused],
            }
            for file in loaded.files
        ]
    }


@contextmanager
def collector_paused() -> Iterator[None]:
    """Rows hold no cycles, and the collector's walks over what grows cost a third of the reading time and, in
    one process, a sixth of rendering and proving."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _files(
    path: str, limit: int | None, base: Path | None, stream_from: int | None, unpacked: Unpacked
) -> Iterator[tuple[Sequence[Row], FileReport]]:
    """Rows and report of each file behind a path, up to ``limit`` rows in all."""
    if path.startswith("hf:"):
        raw = read_hub(path, limit=limit)
        digest = hashlib.sha256("".join(record_hash(record) for record in raw.records).encode()).hexdigest()
        yield _read_file(path, path.rsplit("/", 1)[-1], digest, raw, limit=limit)
        return
    for file in find_files(path, base=base):
        streamed = None if stream_from is None else _streamed(file, stream_from, unpacked)
        rows, report = streamed or _read_whole(file, limit=limit)
        yield rows, report
        if limit is not None:
            limit -= report.rows
            if limit <= 0:
                return


def _streamed(file: DataFile, stream_from: int, unpacked: Unpacked) -> tuple[Sequence[Row], FileReport] | None:
    """The rows of a large file that can be read in blocks, None for any other."""
    before = unpacked.size
    try:
        if file.path.stat().st_size < stream_from:
            return None
        return _read_stream(_open_stream(file, unpacked), file.stem)
    except (NotStreamed, FileProblem, OSError):
        unpacked.cut(before)
        return None  # reading the whole file tells what is wrong


def _open_stream(file: DataFile, unpacked: Unpacked) -> RecordStream:
    ending, path = file.path.suffix.lower(), file.path.absolute()
    if ending == ".parquet":
        return open_parquet(file.name, FileOnDisk(file.name, path))
    if file.ending not in (".json", ".jsonl"):
        raise NotStreamed
    if ending in COMPRESSED:
        contents = unpacked.add(file)
        return open_json(file.name, contents, ending=file.ending, sha256=contents.sha256)
    return open_json(file.name, FileOnDisk(file.name, path), ending=file.ending)


def _read_whole(file: DataFile, *, limit: int | None) -> tuple[list[Row], FileReport]:
    data = read_bytes(file)
    found: RawRows | FileProblem
    try:
        found = parse_file(file, data, limit=limit)
    except FileProblem as problem:
        found = problem
    return _read_file(file.name, file.stem, hashlib.sha256(data).hexdigest(), found, limit=limit)


def _read_file(
    name: str, stem: str, sha256: str, raw: RawRows | FileProblem, *, limit: int | None
) -> tuple[list[Row], FileReport]:
    try:
        if isinstance(raw, FileProblem):
            raise raw
        plan = choose_reader(raw, stem)
    except FileProblem as fault:
        refusal = Refusal(name, None, fault.reason, fault.code)
        return [], FileReport(name, None, 0, 0, 0, 0, [refusal], {}, [], sha256, None)
    kept, refused = _read_rows(plan, name, limit=limit)
    change, removed = strip_shared(kept, format_name=plan.reader.name)
    if change is not None:
        kept = [change(row) for row in kept]
    rows: list[Row] = []
    tally = FileTally(name)
    for row in kept:
        problem = tally.look(row)
        if problem is None:
            rows.append(row)
        else:
            refused.append(problem)
    return rows, tally.report(plan, refused, [*raw.notes, *plan.notes, *removed], sha256=sha256)


def _read_stream(stream: RecordStream, stem: str) -> tuple[LazyRows, FileReport]:
    """The rows of a streamed file. Raises NotStreamed where its format needs the whole, FileProblem as reading does."""
    plan = choose_reader(stream.raw(), stem)
    if plan.reader.expand is not None or len(plan.parts) >= NO_PART or any(map(_out_of_order, plan.parts)):
        raise NotStreamed
    part_of = np.full(len(stream), NO_PART, np.uint8)
    for number, part in enumerate(plan.parts):
        part_of[np.array(part.places, np.int32)] = number
    read = RowReader(stream.name, plan.reader, plan.parts, part_of)
    first = _settled(stream, read, plan)
    change, removed = strip_shared(first[0], format_name=plan.reader.name)
    rows, tally, refused = first if change is None else _settled(stream, replace(read, change=change), plan)
    return rows, tally.report(plan, refused, [*stream.notes, *plan.notes, *removed], sha256=stream.sha256)


def _out_of_order(part: Part) -> bool:
    places = np.array(part.places, np.int32)
    return bool((places[1:] < places[:-1]).any())


def _settled(stream: RecordStream, read: RowReader, plan: Plan) -> tuple[StreamedRows, FileTally, list[Refusal]]:
    """The usable rows of a stream, what was seen of them, and the refusals."""
    tally = FileTally(stream.name)
    refused = [Refusal(stream.name, number, problem.reason, problem.code) for number, problem in plan.refused]
    places, hashes = array("i"), array("Q")
    for place, number, row in read_places(stream, read):
        if isinstance(row, RowProblem):
            refused.append(Refusal(stream.name, number, row.reason, row.code))
        elif (refusal := tally.look(row)) is not None:
            refused.append(refusal)
        else:
            places.append(place)
            hashes.append(int(row.source.hash, 16))
    index = np.frombuffer(places, np.int32), np.frombuffer(hashes, np.uint64)  # no copies
    return StreamedRows(stream, read, *index), tally, refused


class FileTally:
    """What is told of the rows of a file, seen one after the other."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._kinds: Counter[type] = Counter()
        self._licences: set[str] = set()
        self._findings = Findings()

    def look(self, row: Row) -> Refusal | None:
        """Count a row, or say why it is refused."""
        try:
            check_answer(row)
        except RowProblem as problem:
            return Refusal(self._name, row.source.row, problem.reason, problem.code)
        self._kinds[type(row)] += 1
        if row.source.licence:
            self._licences.add(row.source.licence)
        self._findings.look(row)
        return None

    def report(self, plan: Plan, refused: list[Refusal], notes: list[str], *, sha256: str) -> FileReport:
        """The file's report; ``refused`` are sorted."""
        refused.sort(key=lambda refusal: refusal.row or 0)
        empty = sum(refusal.code == "empty-answer" for refusal in refused)
        rows = self._kinds.total()
        conversations, comparisons = self._kinds[Conversation], self._kinds[Comparison]
        return FileReport(
            path=self._name,
            format=plan.reader.name,
            rows=rows + len(refused),
            conversations=conversations,
            comparisons=comparisons,
            texts=rows - conversations - comparisons,
            refused=refused,
            mapping=plan.mapping,
            notes=[*notes, *self._findings.notes(empty=empty)],
            sha256=sha256,
            licence=", ".join(sorted(self._licences)[:5]) or None,
        )


def _read_rows(plan: Plan, name: str, *, limit: int | None) -> tuple[list[Row], list[Refusal]]:
    """The rows of a plan's first ``limit`` records and the refusals among them."""
    rows: list[Row] = []
    refused = [
        Refusal(name, number, problem.reason, problem.code)
        for number, problem in plan.refused
        if limit is None or number <= limit
    ]
    read = plan.reader.read
    for part in plan.parts:
        layout, salt = part.layout, part.layout.salt
        for number, record in zip(part.numbers, part.records, strict=True):
            if limit is not None and number > limit:
                break
            try:
                source = Source(
                    name,
                    number,
                    record_hash(record, salt=salt),
                    label(record, part.licence_column) or layout.licence,
                    label(record, part.id_column),
                )
                rows.append(read(record, layout, source))
            except RowProblem as problem:
                refused.append(Refusal(name, number, problem.reason, problem.code))
    if len(plan.parts) > 1:
        rows.sort(key=lambda row: row.source.row)
    return rows, refused
