"""Plain text rows: ``text``, every token of which is trained. A .txt file is one row."""

from __future__ import annotations

from precept.records.problems import RowProblem
from precept.records.readers.reader import Columns, Layout, Reader, Record, text_of
from precept.types import Source, Text


def _match(columns: Columns) -> Layout | None:
    return Layout({"text": "text"}) if isinstance(columns.first.get("text"), str) else None


def _read(record: Record, layout: Layout, source: Source) -> Text:
    text = text_of(record, "text")
    if not text.strip():
        raise RowProblem("empty-text", "empty text")
    return Text(text, source)


READER = Reader(name="text", columns="text", match=_match, read=_read)
