"""Super-NaturalInstructions task files: one object with ``Definition``, ``Positive Examples`` and ``Instances``.

Rows are the instances. The user's turn is Tk-Instruct's default encoding; the trained answer is one of the
instance's references, chosen by the row's hash where the paper draws one at random; all of them are references.
"""

from __future__ import annotations

from typing import Any

from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.records.readers.reader import Batch, Columns, Layout, Reader, Record, no_text, text_of
from precept.records.readers.tk_instruct import Encoding, Example, TaskText, encode_instance, encode_task
from precept.types import Conversation, Message, Source

NONE = ["-"]  # how files of the first collection say that there are no negative examples


def task_text(document: Record, name: str, *, positives: int, negatives: int) -> TaskText:
    """What a task file says of its task, with so many of its examples at most.

    Raises FileProblem where the definition or one of these examples is no such thing.
    """
    return TaskText(
        name,
        _definition(document.get("Definition")),
        _examples(document, "Positive Examples", positives),
        _examples(document, "Negative Examples", negatives),
    )


def task_licence(document: Record) -> str | None:
    """The licence that a task file states for its instances. Raises FileProblem as ``texts_of`` does."""
    return ", ".join(texts_of(document, "Instance License")) or None


def texts_of(document: Record, key: str) -> tuple[str, ...]:
    """A field that is a list of texts, or in older files one text; nothing where it is absent. Raises FileProblem where
    it is anything else."""
    value = document.get(key)
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        held = f"{kind_of(value)} of other things than text" if isinstance(value, list) else kind_of(value)
        raise FileProblem("bad-task", f"'{key}' holds {held}, not text or a list of texts")
    return tuple(texts)


def instances_of(document: Record) -> list[Any]:
    """The instances of a task file. Raises FileProblem where they are no list."""
    instances = document.get("Instances")
    if not isinstance(instances, list):
        raise FileProblem("not-rows", f"'Instances' holds {kind_of(instances)}, not a list")
    return instances


def references_of(record: Record) -> tuple[str, ...]:
    """The outputs of an instance that have text. Raises RowProblem where there is none."""
    outputs = record.get("output")
    outputs = [outputs] if isinstance(outputs, str) else outputs
    if not isinstance(outputs, list) or not all(isinstance(output, str) for output in outputs):
        raise no_text(record, "output")
    references = tuple(output for output in outputs if output.strip())
    if not references:
        raise RowProblem("empty-answer", "empty answer: no output has text")
    return references


def _match(columns: Columns) -> Layout | None:
    return Layout({}) if columns.has("Definition", "Instances") else None


def _expand(document: Record, stem: str) -> Batch:
    instances = instances_of(document)
    encoding = Encoding()
    prompt = encode_task(task_text(document, stem, positives=encoding.positives, negatives=0), encoding)
    return task_batch(document, stem, prompt, instances, user="Definition + 2 Positive Examples + Instances.input")


def task_batch(document: Record, stem: str, prompt: str, instances: list[Any], *, user: str) -> Batch:
    """The instances of a task file, each to be asked behind ``prompt``; ``user`` tells what that holds."""
    return Batch(
        Layout(
            mapping={
                "user": user,
                "assistant": "one of Instances.output",
                "references": "Instances.output",
                "task": "the file's name",
            },
            used=frozenset({"input", "output"}),
            context=(stem, prompt),
            salt=f"{stem}\n{prompt}",
            licence=task_licence(document),
        ),
        instances,
    )


def _definition(value: Any) -> str:
    text = "\n".join(value) if isinstance(value, list) and all(isinstance(part, str) for part in value) else value
    if not isinstance(text, str) or not text.strip():
        raise FileProblem("bad-task", f"'Definition' holds {kind_of(value)} and no text")
    return text


def _examples(document: Record, key: str, wanted: int) -> tuple[Example, ...]:
    if key not in document and "Examples" in document:
        raise FileProblem("bad-task", "a task of Natural Instructions v1: natural_instructions makes rows of it")
    examples = document.get(key) or []
    if wanted == 0 or examples == NONE:
        return ()
    if not isinstance(examples, list) or not all(isinstance(example, dict) for example in examples):
        raise FileProblem("bad-task", f"'{key}' holds {kind_of(examples)}, not a list of objects")
    return tuple(_example(example, key) for example in examples[:wanted])


def _example(example: Record, key: str) -> Example:
    output = example.get("output")
    if isinstance(output, list) and output:
        output = output[0]
    explanation = example.get("explanation")
    try:
        given = text_of(example, "input")
        output = output if isinstance(output, str) else text_of(example, "output")
    except RowProblem as problem:
        raise FileProblem("bad-task", f"an example of '{key}': {problem.reason}") from None
    return Example(given, output, explanation if isinstance(explanation, str) else None)


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    task, prompt = layout.context
    given = text_of(record, "input")
    references = references_of(record)
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
