"""Files on disk -> rows, with a report for each file of what was found, refused and set right."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from precept.records.answers import check_answer, findings, strip_shared
from precept.records.files import find_files, parse_file, read_bytes, split_limit
from precept.records.fingerprint import record_hash
from precept.records.formats import Plan, choose_reader
from precept.records.hub import read_hub
from precept.records.parse_json import RawRows
from precept.records.problems import FileProblem, RowProblem
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

    rows: list[Row]
    files: list[FileReport]

    @property
    def refusals(self) -> list[Refusal]:
        """All refused rows and files, but for files met in a folder whose ending no data file has."""
        return [refusal for file in self.files for refusal in file.refused if refusal.code != "not-data"]


def load(paths: Sequence[str], *, base: Path | None = None) -> Loaded:
    """Read files, folders (in name order), ``path#500`` (the first rows) and ``hf:owner/name[:split]``.

    Relative paths start at ``base`` (default: the working directory). Rows that cannot be used are reported, never
    raised. Raises InputError for paths that are missing or cannot be opened, MissingExtra for an absent package.
    """
    rows: list[Row] = []
    reports: list[FileReport] = []
    with _collector_paused():
        for spec in paths:
            path, left = split_limit(spec, base=base)
            for name, stem, sha256, raw in _sources(path, left, base):
                kept, report = _read_file(name, stem, sha256, raw, limit=left)
                rows += kept
                reports.append(report)
                if left is not None:
                    left -= report.rows
                    if left <= 0:
                        break
    return Loaded(rows, reports)


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
def _collector_paused() -> Iterator[None]:
    """Rows hold no cycles, and the collector's walks over the growing lists cost a third of the reading time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sources(path: str, limit: int | None, base: Path | None) -> Iterator[tuple[str, str, str, RawRows | FileProblem]]:
    """(name, stem, sha256, records or why there are none) of each file behind a path."""
    if path.startswith("hf:"):
        raw = read_hub(path, limit=limit)
        digest = hashlib.sha256("".join(record_hash(record) for record in raw.records).encode()).hexdigest()
        yield path, path.rsplit("/", 1)[-1], digest, raw
        return
    for file in find_files(path, base=base):
        data = read_bytes(file)
        found: RawRows | FileProblem
        try:
            found = parse_file(file, data, limit=limit)
        except FileProblem as problem:
            found = problem
        yield file.name, file.stem, hashlib.sha256(data).hexdigest(), found


def _read_file(
    name: str, stem: str, sha256: str, raw: RawRows | FileProblem, *, limit: int | None
) -> tuple[list[Row], FileReport]:
    try:
        if isinstance(raw, FileProblem):
            raise raw
        plan = choose_reader(raw, stem)
    except FileProblem as problem:
        refusal = Refusal(name, None, problem.reason, problem.code)
        return [], FileReport(name, None, 0, 0, 0, 0, [refusal], {}, [], sha256, None)
    kept, refused = _read_rows(plan, name, limit=limit)
    kept, removed = strip_shared(kept, format_name=plan.reader.name)
    rows: list[Row] = []
    for row in kept:
        try:
            check_answer(row)
        except RowProblem as problem:
            refused.append(Refusal(name, row.source.row, problem.reason, problem.code))
        else:
            rows.append(row)
    refused.sort(key=lambda refusal: refusal.row or 0)
    empty = sum(refusal.code == "empty-answer" for refusal in refused)
    conversations = sum(isinstance(row, Conversation) for row in rows)
    comparisons = sum(isinstance(row, Comparison) for row in rows)
    licences = sorted({row.source.licence for row in rows if row.source.licence})
    report = FileReport(
        path=name,
        format=plan.reader.name,
        rows=len(rows) + len(refused),
        conversations=conversations,
        comparisons=comparisons,
        texts=len(rows) - conversations - comparisons,
        refused=refused,
        mapping=plan.mapping,
        notes=[*raw.notes, *plan.notes, *removed, *findings(rows, empty=empty)],
        sha256=sha256,
        licence=", ".join(licences[:5]) or None,
    )
    return rows, report


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
                    _label(record, part.licence_column) or layout.licence,
                    _label(record, part.id_column),
                )
                rows.append(read(record, layout, source))
            except RowProblem as problem:
                refused.append(Refusal(name, number, problem.reason, problem.code))
    if len(plan.parts) > 1:
        rows.sort(key=lambda row: row.source.row)
    return rows, refused


def _label(record: Any, column: str | None) -> str | None:
    value = record.get(column) if column else None
    return None if value is None else str(value)
