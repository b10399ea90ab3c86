"""Natural Instructions v1 (2104.08773): task files, and the prompts of its released encoder, byte for byte.

A file holds ``Definition``, ``Prompt``, ``Things to Avoid``, ``Emphasis & Caution``, ``Examples`` with positive and
negative ones, and ``Instances``. Rows are the instances, under the full instruction with two examples of each kind.

Quirks of the encoder that are kept, since the published outputs were made with them:
a negative example's suggestion is glued to its reason without a line break; when more examples are asked for than the
task has, its first instances follow, and the sixty-first of them is instance 80; an instruction that begins with
explained or borrowed examples begins with an empty line, and so does the prompt of an instruction without any field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.records.readers.reader import Batch, Columns, Layout, Reader, Record, text_of
from precept.records.readers.super_ni import instances_of, references_of, task_batch
from precept.types import Conversation, Message, Source

Field = Literal[
    "Definition",
    "Prompt",
    "Things to Avoid",
    "Emphasis & Caution",
    "Negative Examples Full Explanations",
    "Positive Examples Full Explanations",
    "Positive Examples Full Only",
]
FULL_INSTRUCTION: tuple[Field, ...] = (
    "Definition",
    "Prompt",
    "Things to Avoid",
    "Emphasis & Caution",
    "Negative Examples Full Explanations",
    "Positive Examples Full Explanations",
)
NEGATIVE, EXPLAINED, ONLY = FULL_INSTRUCTION[4], FULL_INSTRUCTION[5], "Positive Examples Full Only"
ABSENT = "-"  # how a file says that it has no such field, or no negative examples
NO_SUGGESTION = " "
READER_EXAMPLES = 2  # the fewest in the published prompts


@dataclass(frozen=True)
class Shown:
    """An example. ``reason`` and ``suggestion`` are None where the file states none."""

    input: str
    output: str
    reason: str | None = None
    suggestion: str | None = None


@dataclass(frozen=True)
class Instruction:
    """What a task file says of its task. ``texts`` are the fields that it has, by name."""

    texts: dict[str, str]
    positives: tuple[Shown, ...]
    negatives: tuple[Shown, ...]


def read_instruction(document: Record) -> Instruction:
    """The instruction of a task file. Raises FileProblem where a field is not what it should be."""
    examples = document.get("Examples")
    if not isinstance(examples, dict):
        hint = "; a file of Super-NaturalInstructions is made into rows by super_ni" * ("Positive Examples" in document)
        raise FileProblem("bad-task", f"'Examples' holds {kind_of(examples)}, not positive and negative ones{hint}")
    texts: dict[str, str] = {}
    for name in FULL_INSTRUCTION[:4]:
        value = document.get(name)
        if value is not None and not isinstance(value, str):
            raise FileProblem("bad-task", f"'{name}' holds {kind_of(value)}, not text")
        if value is not None and value != ABSENT:
            texts[name] = value
    return Instruction(texts, _shown(examples, "Positive Examples"), _shown(examples, "Negative Examples"))


def borrowed_places(instruction: Instruction, count: int) -> list[int]:
    """Places of the instances that stand as examples when a task has fewer positive ones than are asked for."""
    return [80 if place == 60 else place for place in range(count - len(instruction.positives))]


def encode_instruction(
    instruction: Instruction, fields: Sequence[str], *, count: int = 0, borrowed: Sequence[tuple[str, str]] = ()
) -> str:
    """What stands before every instance: the fields in this order, with ``count`` examples of each kind asked for.

    ``borrowed`` are (input, output) of the instances at ``borrowed_places``.
    """
    text = ""
    for name in fields:
        for piece, begins_line in _pieces(instruction, name, count, borrowed):
            text += f"\n{piece}" if text or begins_line else piece
    return text


def encode_question(instruction: str, given: str) -> str:
    """The whole prompt of an instance. It ends in 'output:' without a blank."""
    return f"{instruction}\ninput: {given}\noutput:"


def evaluation_places(listed: int, count: int = 100, *, first: int = 60) -> list[int]:
    """Places of the instances that are evaluated: from ``first`` on in equal strides, ``count`` at most.

    The last instance is never among them, so a task of 160 has 99 for 100 (where the released code stops with an
    error). Tasks too short for a stride of one give all that they have.
    """
    stride = max(1, (listed - first) // count)
    return list(range(first, listed - 1, stride))[:count]


def _pieces(
    instruction: Instruction, name: str, count: int, borrowed: Sequence[tuple[str, str]]
) -> Iterator[tuple[str, bool]]:
    """The texts of one field, each of one or more lines, and whether they begin a line also where they are the first:
    explained and borrowed examples do."""
    if name == NEGATIVE:
        for place, example in enumerate(instruction.negatives[:count], 1):
            yield f"Negative Example{place}- \n{_pair(example)}{_reason(example)}{_suggestion(example)}", True
    elif name in (EXPLAINED, ONLY):
        own = instruction.positives[:count]
        for place, example in enumerate([*own, *(Shown(*pair) for pair in borrowed)], 1):
            if name == ONLY:
                yield _pair(example), place > len(own)
            else:
                yield f"Positive Example{place}- \n{_pair(example)}{_reason(example)}", True
    elif name in instruction.texts:
        yield f"{name}: {instruction.texts[name].strip()}", False


def _pair(example: Shown) -> str:
    return f"input: {example.input}\noutput: {example.output}"


def _reason(example: Shown) -> str:
    return "" if example.reason is None else f"\nreason: {example.reason}"


def _suggestion(example: Shown) -> str:
    return "" if example.suggestion in (None, NO_SUGGESTION) else f"suggestion: {example.suggestion}"


def _shown(examples: Record, key: str) -> tuple[Shown, ...]:
    listed = examples.get(key) or []
    if listed == ABSENT or (isinstance(listed, list) and listed and listed[0] == ABSENT):
        return ()
    if not isinstance(listed, list) or not all(isinstance(example, dict) for example in listed):
        raise FileProblem("bad-task", f"'{key}' holds {kind_of(listed)}, not a list of objects")
    return tuple(_example(example, key) for example in listed)


def _example(example: Record, key: str) -> Shown:
    try:
        given, output = text_of(example, "input"), text_of(example, "output")
    except RowProblem as problem:
        raise FileProblem("bad-task", f"an example of '{key}': {problem.reason}") from None
    reason, suggestion = example.get("reason"), example.get("suggestion")
    return Shown(
        given,
        output,
        reason if isinstance(reason, str) else None,
        suggestion if isinstance(suggestion, str) else None,
    )


def _match(columns: Columns) -> Layout | None:
    return Layout({}) if columns.has("Examples", "Instances") and not columns.has("Positive Examples") else None


def _expand(document: Record, stem: str) -> Batch:
    instances = instances_of(document)
    # no instance is borrowed here, since each of them is a row
    text = encode_instruction(read_instruction(document), FULL_INSTRUCTION, count=READER_EXAMPLES)
    return task_batch(document, stem, text, instances, user="full instruction + Instances.input")


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    task, instruction = layout.context
    given = text_of(record, "input")
    references = references_of(record)
    answer = references[int(source.hash, 16) % len(references)]
    return Conversation(
        messages=(Message("user", encode_question(instruction, given)), Message("assistant", answer)),
        source=source,
        references=references,
        task=task,
    )


READER = Reader(
    name="natural_instructions",
    columns="Examples, Instances [input, output]",
    match=_match,
    read=_read,
    expand=_expand,
)


def instance_pair(listed: Sequence[Any], place: int) -> tuple[str, str]:
    """(input, first output) of an instance that stands as an example. Raises FileProblem where there is none."""
    try:
        return text_of(listed[place], "input"), references_of(listed[place])[0]
    except (IndexError, AttributeError):
        raise FileProblem(
            "too-few-examples", f"more examples are asked for than the task has: no instance {place}"
        ) from None
    except RowProblem as problem:
        raise FileProblem("bad-task", f"instance {place}, which stands as an example: {problem.reason}") from None
