"""Super-NaturalInstructions task files: one object with ``Definition``, ``Positive Examples`` and ``Instances``.

Rows are the instances. The user's turn is Tk-Instruct's default encoding; the trained answer is one of the
instance's references, chosen by the row's hash where the paper draws one at random; all of them are references.
"""

from __future__ import annotations

from typing import Any

from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.records.readers.reader import Batch, Columns, Layout, Reader, Record, no_text, text_of
from precept.records.readers.tk_instruct import encode_definition_and_examples, encode_instance
from precept.types import Conversation, Message, Source


def _match(columns: Columns) -> Layout | None:
    return Layout({}) if columns.has("Definition", "Instances") else None


def _expand(document: Record, stem: str) -> Batch:
    instances = document["Instances"]
    if not isinstance(instances, list):
        raise FileProblem("not-rows", f"'Instances' holds {kind_of(instances)}, not a list")
    prompt = encode_definition_and_examples(_definition(document["Definition"]), _examples(document))
    licences = document.get("Instance License")
    licences = [licences] if isinstance(licences, str) else licences or []
    return Batch(
        Layout(
            mapping={
                "user": "Definition + 2 Positive Examples + Instances.input",
                "assistant": "one of Instances.output",
                "references": "Instances.output",
                "task": "the file's name",
            },
            used=frozenset({"input", "output"}),
            context=(stem, prompt),
            salt=f"{stem}\n{prompt}",
            licence=", ".join(map(str, licences)) or None,
        ),
        instances,
    )


def _definition(value: Any) -> str:
    text = "\n".join(value) if isinstance(value, list) and all(isinstance(part, str) for part in value) else value
    if not isinstance(text, str) or not text.strip():
        raise FileProblem("bad-task", f"'Definition' holds {kind_of(value)} and no text")
    return text


def _examples(document: Record) -> list[tuple[str, str]]:
    examples = document.get("Positive Examples") or []
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise FileProblem("bad-task", f"'Positive Examples' holds {kind_of(examples)}, not a list of objects")
    return [(text_of(example, "input"), _example_output(example)) for example in examples[:2]]


def _example_output(example: Record) -> str:
    output = example.get("output")
    return (
        output[0] if isinstance(output, list) and output and isinstance(output[0], str) else text_of(example, "output")
    )


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    task, prompt = layout.context
    given = text_of(record, "input")
    outputs = record.get("output")
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(outputs, list) or not all(isinstance(output, str) for output in outputs):
        raise no_text(record, "output")
    references = tuple(output for output in outputs if output.strip())
    if not references:
        raise RowProblem("empty-answer", "empty answer: no output has text")
    answer = references[int(source.hash, 16) % len(references)]
    return Conversation(
        messages=(Message("user", prompt + encode_instance(given)), Message("assistant", answer)),
        source=source,
        references=references,
        task=task,
    )


READER = Reader(
    name="super_ni", columns="Definition, Instances [input, output]", match=_match, read=_read, expand=_expand
)
