"""BIG-Bench Hard task files: one object with ``examples`` of ``input`` and ``target``; rows are the examples."""

from __future__ import annotations

from precept.records.readers.options import parse_options
from precept.records.readers.reader import Batch, Columns, Layout, Reader, Record, text_of
from precept.types import Conversation, Message, Source


def _match(columns: Columns) -> Layout | None:
    examples = columns.first.get("examples")
    if not isinstance(examples, list):
        return None
    fits = any(isinstance(example, dict) and {"input", "target"} <= example.keys() for example in examples)
    return Layout({}) if fits else None


def _expand(document: Record, stem: str) -> Batch:
    mapping = {"user": "examples.input", "assistant": "examples.target", "references": "examples.target"}
    notes = (f"the file asks not to be trained on: {document['canary']}",) if "canary" in document else ()
    return Batch(Layout(mapping, used=frozenset({"input", "target"}), notes=notes, context=stem), document["examples"])


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    question, target = text_of(record, "input"), text_of(record, "target")
    return Conversation(
        messages=(Message("user", question), Message("assistant", target)),
        source=source,
        references=(target,),
        options=parse_options(question),
        task=layout.context,
    )


READER = Reader(name="bbh", columns="examples [input, target]", match=_match, read=_read, expand=_expand)
