"""Alpaca rows: ``instruction``, ``input`` (may be empty) and ``output`` (GPTeacher calls it ``response``).

The user's turn is the instruction, and where there is input a blank line and the input. ``system`` becomes a system
message and ``history``, a list of [question, answer], the turns before. A rendered ``text`` column is not used.
"""

from __future__ import annotations

from precept.records.problems import RowProblem, kind_of
from precept.records.readers.conversation import build, side_columns
from precept.records.readers.reader import Columns, Layout, Reader, Record, optional_text, text_of
from precept.types import Conversation, Message, Source


def join_input(instruction: str, context: str) -> str:
    """The user's turn of an instruction with its input; a blank input counts as none."""
    return f"{instruction}\n\n{context}" if context and not context.isspace() else instruction


def _match(columns: Columns) -> Layout | None:
    answer = columns.one_of("output", "response")
    if answer is None or not columns.has("instruction"):
        return None
    has_input = columns.has("input")
    user = "instruction + blank line + input" if has_input else "instruction"
    mapping = {"user": user, "assistant": answer, **side_columns(columns)}
    if columns.has("history"):
        mapping["history"] = "history"
    notes = []
    if columns.has("text"):
        notes.append("column 'text' is not used: it repeats the row as rendered")
    if columns.has("generator"):
        notes.append(f"the answers were written by a model (column 'generator': {columns.first['generator']!r:.40})")
    return Layout(mapping, used=frozenset({"instruction", "input", "text", "generator"}), notes=tuple(notes))


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    question = join_input(text_of(record, "instruction"), optional_text(record, "input"))
    turns = [Message("user", question), Message("assistant", text_of(record, layout.mapping["assistant"]))]
    if "history" in layout.mapping:
        turns = _history(record.get("history")) + turns
    return build(turns, record, layout, source)


def _history(value: object) -> list[Message]:
    pairs = [] if value is None else value
    if not isinstance(pairs, list):
        raise RowProblem("bad-history", f"column 'history' holds {kind_of(value)}, not a list of [question, answer]")
    turns = []
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(text, str) for text in pair):
            raise RowProblem("bad-history", f"column 'history' holds {pair!r:.40} where [question, answer] belongs")
        turns += [Message("user", pair[0]), Message("assistant", pair[1])]
    return turns


READER = Reader(name="alpaca", columns="instruction [, input], output|response", match=_match, read=_read)
