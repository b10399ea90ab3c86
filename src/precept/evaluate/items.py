"""Rows to items: what is asked, and what an answer is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.evaluate.task import Task
from precept.types import Conversation, Message, Row


@dataclass(frozen=True, slots=True)
class Item:
    """One question. ``messages`` end before the answer; any of ``references`` is right. ``options`` are for choice
    tasks, whose references are among them. ``id`` is the row's own, else file and row."""

    id: str
    task: str
    messages: tuple[Message, ...]
    references: tuple[str, ...]
    tools: tuple[dict[str, Any], ...] = ()
    options: tuple[str, ...] = ()


def items_from_rows(rows: Sequence[Row], task: Task) -> list[Item]:
    """One item a row, in order. The last assistant message is the answer and no part of the prompt.

    An item's task is the row's own where it names one, unless the task file named its data. Raises InputError
    naming the first row that cannot be asked.
    """
    return [_item(row, task) for row in rows]


def _item(row: Row, task: Task) -> Item:
    place = f"{row.source.file} row {row.source.row}"
    if not isinstance(row, Conversation):
        raise InputError(
            "evaluation needs conversations",
            code="rows-not-conversations",
            where=place,
            found=type(row).__name__.lower(),
            do="use a file whose rows hold a prompt and its answer",
        )
    messages, references = row.messages, row.references
    if messages and messages[-1].role == "assistant":
        if not references and messages[-1].content:
            references = (messages[-1].content,)
        messages = messages[:-1]
    if not references:
        raise InputError(
            "nothing to score an answer against",
            code="no-reference",
            where=place,
            found="no references, and the last message is no assistant message with text",
            do="add 'references' to the row or leave it out",
        )
    options = row.options or tuple(task.options)
    if task.kind == "choice" and not (options and set(references) & set(options)):
        raise InputError(
            "the right answer is not among the options",
            code="no-right-option",
            where=place,
            found=f"references {list(references)}, options {list(options)}",
            do="add 'options' to the row or to the task file, written as the references are",
        )
    return Item(
        id=row.source.id or f"{Path(row.source.file).name}:{row.source.row}",
        task=task.name if task.data or not row.task else row.task,
        messages=messages,
        references=references,
        tools=row.tools,
        options=options,
    )
