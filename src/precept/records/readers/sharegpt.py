"""ShareGPT rows: ``conversations`` with ``from`` and ``value``.

Speakers are human/user, gpt/assistant/chatgpt/bing/bard, system, tool/observation and function_call, whose value is
JSON of one ``{name, arguments}`` or a list of them.
"""

from __future__ import annotations

from precept.records.readers.messages import match_turns, read_conversation
from precept.records.readers.reader import Reader

READER = Reader(
    name="sharegpt",
    columns="conversations [from, value]",
    match=lambda columns: match_turns(columns, key="from"),
    read=read_conversation,
)
