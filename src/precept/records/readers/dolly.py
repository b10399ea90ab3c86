"""Dolly rows: ``instruction``, ``context`` (may be empty), ``response``, ``category``.

The user's turn is the instruction, and where there is context a blank line and the context.
"""

from __future__ import annotations

from precept.records.readers.alpaca import join_input
from precept.records.readers.conversation import build, side_columns
from precept.records.readers.reader import Columns, Layout, Reader, Record, optional_text, text_of
from precept.types import Conversation, Message, Source


def _match(columns: Columns) -> Layout | None:
    if not columns.has("instruction", "response") or columns.one_of("context", "category") is None:
        return None
    mapping = {"user": "instruction + blank line + context", "assistant": "response", **side_columns(columns)}
    return Layout(mapping, used=frozenset({"instruction", "context"}))


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    question = join_input(text_of(record, "instruction"), optional_text(record, "context"))
    return build([Message("user", question), Message("assistant", text_of(record, "response"))], record, layout, source)


READER = Reader(name="dolly", columns="instruction, context, response", match=_match, read=_read)
