"""Self-Instruct task rows: ``instruction`` with ``instances`` of ``input`` and ``output``. Rows are the instances."""

from __future__ import annotations

from precept.records.problems import FileProblem, kind_of
from precept.records.readers.alpaca import join_input
from precept.records.readers.reader import Batch, Columns, Layout, Reader, Record, optional_text, text_of
from precept.types import Conversation, Message, Source


def _match(columns: Columns) -> Layout | None:
    instances = columns.first.get("instances")
    fits = isinstance(instances, list) and instances and isinstance(instances[0], dict) and "output" in instances[0]
    return Layout({}) if fits and columns.has("instruction") else None


def _expand(document: Record, stem: str) -> Batch:
    instances = document.get("instances")
    if not isinstance(instances, list):
        raise FileProblem("not-rows", f"'instances' holds {kind_of(instances)}, not a list")
    instruction = text_of(document, "instruction")
    layout = Layout(
        mapping={
            "user": "instruction + blank line + instances.input",
            "assistant": "instances.output",
            "references": "instances.output",
        },
        used=frozenset({"input", "output"}),
        context=(instruction, optional_text(document, "name") or None),
        salt=instruction,
    )
    return Batch(layout, instances)


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    instruction, task = layout.context
    output = text_of(record, "output")
    question = join_input(instruction, optional_text(record, "input"))
    return Conversation(
        messages=(Message("user", question), Message("assistant", output)),
        source=source,
        references=(output,),
        task=task,
    )


READER = Reader(
    name="self_instruct", columns="instruction, instances [input, output]", match=_match, read=_read, expand=_expand
)
