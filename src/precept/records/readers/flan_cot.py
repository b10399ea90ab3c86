"""FLAN chain-of-thought rows: ``question`` (with its options), ``answer`` and ``rationale``.

The assistant's turn is the rationale, a line break and ``The answer is ANSWER``; the reference is the answer alone.
"""

from __future__ import annotations

from precept.records.readers.options import parse_options
from precept.records.readers.reader import Columns, Layout, Reader, Record, text_of
from precept.types import Conversation, Message, Source


def _match(columns: Columns) -> Layout | None:
    if not columns.has("question", "answer", "rationale"):
        return None
    mapping = {
        "user": "question",
        "assistant": "rationale + line break + 'The answer is ' + answer",
        "references": "answer",
    }
    return Layout(mapping, used=frozenset({"rationale"}))


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    question, answer = text_of(record, "question"), text_of(record, "answer")
    return Conversation(
        messages=(
            Message("user", question),
            Message("assistant", f"{text_of(record, 'rationale')}\nThe answer is {answer}"),
        ),
        source=source,
        references=(answer,),
        options=parse_options(question),
    )


READER = Reader(name="flan_cot", columns="question, answer, rationale", match=_match, read=_read)
