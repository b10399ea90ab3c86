"""Files -> raw records with their source, for makers that need the fields of a row and not a conversation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from precept.records.files import DataFile, find_files, parse_file, read_bytes, split_limit
from precept.records.fingerprint import record_hash
from precept.records.formats import ID_COLUMNS, LICENCE_COLUMNS
from precept.records.hub import read_hub
from precept.records.parse_json import RawRows
from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.types import Refusal, Source

INSTANCES = "Instances"
TASK_FILES = {INSTANCES: ("Definition", "Positive Examples"), "examples": ()}
"""Documents that hold their rows under a key -> the keys that go along with every row."""


@dataclass(frozen=True)
class RawRecord:
    """The columns of one row and where it stands. ``stem`` is its file's name without endings."""

    columns: Mapping[str, Any]
    source: Source
    stem: str

    def refusal(self, problem: RowProblem) -> Refusal:
        """Why this row cannot be used."""
        return Refusal(self.source.file, self.source.row, problem.reason, problem.code)


def read_raw_records(paths: Sequence[str]) -> tuple[list[RawRecord], list[Refusal]]:
    """The records of files, folders, ``path#500`` and ``hf:owner/name[:split]`` in order, and what cannot be read.

    The rows of a Super-NaturalInstructions or BIG-Bench Hard task file are its instances; each has the definition and
    the positive examples as further columns. Raises InputError for paths that are missing.
    """
    records: list[RawRecord] = []
    refused: list[Refusal] = []
    for spec in paths:
        path, left = split_limit(spec, base=None)
        for row in _rows_of(path, left):
            if isinstance(row, Refusal):
                refused.append(row)
            else:
                records.append(row)
            if left is not None:
                left -= 1
                if left == 0:
                    break
    return records, refused


def _rows_of(path: str, limit: int | None) -> Iterator[RawRecord | Refusal]:
    if path.startswith("hf:"):
        yield from _rows(path, path.rsplit("/", 1)[-1], read_hub(path, limit=limit))
        return
    for file in find_files(path, base=None):
        found = _parsed(file, limit)
        if isinstance(found, Refusal):
            yield found
        elif found is not None:
            yield from _rows(file.name, file.stem, found)


def _parsed(file: DataFile, limit: int | None) -> RawRows | Refusal | None:
    """A file's records; None for a file of a folder that no data file is."""
    try:
        return parse_file(file, read_bytes(file), limit=limit)
    except FileProblem as problem:
        return None if problem.code == "not-data" else Refusal(file.name, None, problem.reason, problem.code)


def _rows(name: str, stem: str, raw: RawRows) -> Iterator[RawRecord | Refusal]:
    """The records and refused rows of a file by their numbers; instances are counted through the file."""
    rows: list[tuple[int, Any]] = list(raw.refused)
    for number, record in zip(raw.numbers, raw.records, strict=True):
        held = _instances(record)
        if held == []:
            rows.append((number, FileProblem("empty-task", "the task has no instances")))
        else:
            rows += [(number, record)] if held is None else enumerate(held, len(rows) + 1)
    for number, record in sorted(rows, key=lambda row: row[0]):
        try:
            if isinstance(record, RowProblem):
                raise record
            if not isinstance(record, dict):
                raise RowProblem("not-an-object", f"row is {kind_of(record)}, not an object with columns")
            digest = record_hash(record, salt=stem)
        except RowProblem as problem:
            row = None if isinstance(problem, FileProblem) else number
            yield Refusal(name, row, problem.reason, problem.code)
            continue
        source = Source(name, number, digest, _label(record, LICENCE_COLUMNS), _label(record, ID_COLUMNS))
        yield RawRecord(record, source, stem)


def _instances(document: Any) -> list[Any] | None:
    """The rows that a task document holds, each with what the document says of all of them; None of any other row.

    ``examples`` may be a column of any row, so all of them must be rows with an input there.
    """
    for key, along in TASK_FILES.items():
        held = document.get(key) if isinstance(document, dict) else None
        if not isinstance(held, list):
            continue
        if key == INSTANCES and not held:
            return []
        inputs = [isinstance(row, dict) and "input" in row for row in held]
        if any(inputs) if key == INSTANCES else inputs and all(inputs):
            shared = {name: document[name] for name in along if name in document}
            if licence := document.get("Instance License"):
                shared["license"] = ", ".join(map(str, licence)) if isinstance(licence, list) else licence
            return [{**shared, **row} if isinstance(row, dict) else row for row in held]
    return None


def _label(record: Mapping[str, Any], names: Sequence[str]) -> str | None:
    value = next((record[name] for name in names if record.get(name) is not None), None)
    return str(value) if isinstance(value, str | int) else None


def as_text(value: Any) -> str | None:
    """A field as text: texts as they are, numbers and true/false as JSON writes them; None of anything else, NaN (as
    tables write nothing) included."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, bool | int | float) and math.isfinite(value) else None
