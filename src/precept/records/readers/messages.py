"""Chat rows with ``messages`` (role and content), the format of transformers, TRL and the OpenAI API.

``content`` is text, null beside tool calls or reasoning, or a list of parts. Rows may carry ``system``, ``tools``,
``images``, ``references`` or ``ground_truth``, ``options`` and ``task``. A row that ends with the user's turn and has
references (RLVR rows) is kept: evaluation can use it, training has nothing to train on there.
"""

from __future__ import annotations

from precept.records.readers.conversation import build, side_columns
from precept.records.readers.reader import Columns, Layout, Reader, Record
from precept.records.readers.turns import MESSAGE_KEYS, parsed, read_turns
from precept.types import Conversation, Source

COLUMN_NAMES = ("messages", "conversations", "conversation")


def match_turns(columns: Columns, *, key: str) -> Layout | None:
    """The layout when a message column's first message has ``key`` ('role' or 'from')."""
    for name in filter(columns.has, COLUMN_NAMES):
        turns = next((turns for value in columns.values(name) if (turns := parsed(value))), None)
        if isinstance(turns, list) and isinstance(turns[0], dict) and key in turns[0]:
            return Layout({"messages": name, **side_columns(columns)}, notes=_unread_keys(columns, name))
    return None


def read_conversation(record: Record, layout: Layout, source: Source) -> Conversation:
    """The conversation of a row's message column."""
    column = layout.mapping["messages"]
    return build(read_turns(record.get(column), column=column), record, layout, source)


def _unread_keys(columns: Columns, name: str) -> tuple[str, ...]:
    keys: set[str] = set()
    for turns in columns.values(name):
        if isinstance(turns, list):
            keys = keys.union(*[turn for turn in turns if isinstance(turn, dict)])
    unread = sorted(keys - MESSAGE_KEYS)
    return (f"keys of messages that are not used: {', '.join(unread)}",) if unread else ()


READER = Reader(
    name="messages",
    columns="messages [role, content]",
    match=lambda columns: match_turns(columns, key="role"),
    read=read_conversation,
)
