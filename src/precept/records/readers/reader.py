"""What a source format has to say: which columns it recognises, and how one of its records becomes a row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from precept.records.problems import RowProblem, kind_of
from precept.types import Row, Source

Record = Mapping[str, Any]


class Columns:
    """The columns that some records of a file share. A column that is null in all of them does not count."""

    def __init__(self, records: Sequence[Record]) -> None:
        self._records = records
        names: dict[str, None] = {}
        for record in records:
            names.update(dict.fromkeys(record))
        first = {name: self._first(name) for name in names}
        self.first = {name: value for name, value in first.items() if value is not None}

    def _first(self, name: str) -> Any:
        return next((value for record in self._records if (value := record.get(name)) is not None), None)

    def has(self, *names: str) -> bool:
        """Whether all these columns are there."""
        return all(name in self.first for name in names)

    def one_of(self, *names: str) -> str | None:
        """The first of these columns that is there."""
        return next((name for name in names if name in self.first), None)

    def values(self, name: str) -> Iterator[Any]:
        """The column's values over all records, None where a record lacks it."""
        return (record.get(name) for record in self._records)


@dataclass(frozen=True)
class Layout:
    """How the records of a file are read. ``mapping`` is our field -> their column, printed for the user; ``used``
    are further columns that were read; ``context`` is whatever the reader itself needs (a task's definition)."""

    mapping: dict[str, str]
    used: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()
    context: Any = None
    salt: str = ""
    """Hashed beside each record, where the record alone does not fix the row."""
    licence: str | None = None
    """Licence of every row, where the file states it once."""


@dataclass(frozen=True)
class Batch:
    """Records that one document of a file expands to."""

    layout: Layout
    records: Sequence[Any]


@dataclass(frozen=True)
class Reader:
    """A source format. ``match`` gives None where the columns are not this format's; ``read`` raises RowProblem;
    ``expand`` is for documents that hold many rows (a task file with its instances)."""

    name: str
    columns: str
    match: Callable[[Columns], Layout | None]
    read: Callable[[Record, Layout, Source], Row]
    expand: Callable[[Record, str], Batch] | None = field(default=None)


def text_of(record: Record, column: str) -> str:
    """The text in a column. Raises RowProblem when it is missing, null or no text."""
    value = record.get(column)
    if isinstance(value, str):
        return value
    raise no_text(record, column)


def optional_text(record: Record, column: str) -> str:
    """The text in a column, '' where it is missing or null. Raises RowProblem when it is no text."""
    value = record.get(column)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    raise no_text(record, column)


def no_text(record: Record, column: str) -> RowProblem:
    """The problem of a column that should hold text and does not."""
    if column not in record:
        return RowProblem("missing-column", f"column '{column}' is missing; columns found: {', '.join(record)[:200]}")
    return RowProblem("not-text", f"column '{column}' holds {kind_of(record[column])}, not text")
