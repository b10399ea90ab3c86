"""Columns that any conversation format may have beside its own: system text, tools, images, references and checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from precept.records.problems import RowProblem, kind_of
from precept.records.readers.reader import Columns, Layout, Record, optional_text
from precept.records.readers.turns import attach_images, read_tools
from precept.types import Conversation, Message, Source

SYSTEM = ("system", "system_prompt")
REFERENCES = ("references", "ground_truth")
_SOLVED = re.compile(r"(?:\A|\n)####[ \t]*([-+\u2212]?[$€£]?[-+\u2212]?[\d,.]*\d%?)\s*\Z")
MORE = ("tools", "images", "options", "task", "checks")
SIDE = frozenset({"system", "references", *MORE})


def side_columns(columns: Columns) -> dict[str, str]:
    """Our field -> column for the side columns that are there and hold what their name says."""
    found = {"system": columns.one_of(*SYSTEM), "references": columns.one_of(*REFERENCES)}
    found |= {name: name for name in MORE if columns.has(name)}
    wanted: dict[str, tuple[type, ...]] = {"system": (str,), "options": (list,), "task": (str,), "checks": (list,)}
    return {
        ours: theirs
        for ours, theirs in found.items()
        if theirs is not None and isinstance(columns.first[theirs], wanted.get(ours, (object,)))
    }


def build(messages: Sequence[Message], record: Record, layout: Layout, source: Source) -> Conversation:
    """The conversation of these messages with the record's side columns."""
    mapping = layout.mapping
    turns = tuple(messages)
    if SIDE.isdisjoint(mapping):
        return Conversation(turns, source)
    if column := mapping.get("images"):
        turns = attach_images(turns, record.get(column), column=column)
    if column := mapping.get("system"):
        turns = _with_system(turns, optional_text(record, column), column)
    return Conversation(
        messages=turns,
        source=source,
        tools=read_tools(record.get(mapping["tools"]), column="tools") if "tools" in mapping else (),
        references=_texts(record, mapping.get("references")),
        options=_texts(record, mapping.get("options")),
        task=optional_text(record, "task") or None if "task" in mapping else None,
        checks=_checks(record.get("checks")) if "checks" in mapping else (),
    )


def _with_system(messages: tuple[Message, ...], system: str, column: str) -> tuple[Message, ...]:
    if not system.strip():
        return messages
    if messages and messages[0].role in ("system", "developer"):
        if messages[0].content == system:
            return messages
        raise RowProblem("two-system-texts", f"column '{column}' and the first message hold different system texts")
    return (Message("system", system), *messages)


def _texts(record: Record, column: str | None) -> tuple[str, ...]:
    """A text or a list of texts as a tuple; GSM8K's solutions stand for their number."""
    value: Any = record.get(column) if column else None
    if value is None:
        return ()
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(text, str) for text in values):
        raise RowProblem("not-text", f"column '{column}' holds {kind_of(value)}, not text or a list of texts")
    return tuple(map(after_mark, values))


def _checks(value: Any) -> tuple[dict[str, Any], ...]:
    """What a program can verify of an answer: objects with an ``id``. Evaluation knows which ids and arguments there
    are."""
    checks = [] if value is None else value
    if not isinstance(checks, list):
        raise RowProblem("bad-checks", f"column 'checks' holds {kind_of(value)}, not a list of objects with an 'id'")
    for check in checks:
        if not isinstance(check, dict) or not isinstance(check.get("id"), str):
            raise RowProblem("bad-checks", f"column 'checks' holds {check!r:.60}, not an object with an 'id'")
    return tuple(checks)


def split_solution(text: str) -> tuple[str, str] | None:
    """The steps and the number of a solution of GSM8K (Cobbe et al. 2021, 2110.14168), whose last line is ``#### 18``:
    the mark and a number. None for any other text: in Markdown the same mark begins a heading."""
    found = _SOLVED.search(text)
    return None if found is None else (text[: found.start()], found[1])


def after_mark(text: str) -> str:
    """The number of a solution of GSM8K; any other text as it is."""
    solved = split_solution(text)
    return text if solved is None else solved[1]
