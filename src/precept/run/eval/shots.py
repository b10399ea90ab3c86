"""Worked examples of a task: from a stored prompt, from a file of rows, or from the task's own first rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from precept.errors import InputError
from precept.evaluate import Task, read_example
from precept.evaluate.few_shot import Example, StoredPrompt, read_prompt
from precept.types import Conversation, Row

ReadRows = Callable[[tuple[str, ...]], Sequence[Row]]
"""The rows of files."""


class Found(NamedTuple):
    """The instruction and the examples of a task."""

    instruction: str = ""
    examples: tuple[Example, ...] = ()


def find_shots(
    task: Task, rows: Sequence[Row], files: Sequence[str], *, of_task: str | None, read: ReadRows
) -> tuple[Found, Sequence[Row]]:
    """The task's examples, and the rows that are left to ask.

    ``files`` are where examples come from, rows or one .txt prompt; of rows that name a task those of ``of_task``
    count, where one is given. Without files the first rows are the examples. Raises InputError where there are too few.
    """
    instruction, rest = "", rows
    if files and files[0].endswith(".txt"):
        stored = _read_prompt(files[0])
        instruction, examples = stored.instruction, list(stored.examples)
    elif not task.shots:
        return Found(), rows
    elif files:
        found = [row for row in read(tuple(files)) if of_task is None or _names(row, of_task)]
        examples = [read_example(row) for row in found[: task.shots]]
    else:
        examples, rest = [read_example(row) for row in rows[: task.shots]], rows[task.shots :]
    if len(examples) < task.shots:
        raise InputError(
            "there are fewer worked examples than the task shows",
            code="too-few-examples",
            where=f"task {task.name}",
            found=f"{len(examples)} in {', '.join(files) or 'its own rows'}, {task.shots} wanted",
            do="ask for fewer with --shots",
        )
    return Found(instruction, tuple(examples[: task.shots])), rest


def _names(row: Row, name: str) -> bool:
    return not isinstance(row, Conversation) or row.task in (None, name)


def _read_prompt(path: str) -> StoredPrompt:
    try:
        return read_prompt(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise InputError(
            "not a prompt file: an instruction, then blocks of 'Q:' and 'A:'",
            code="prompt-unreadable",
            where=path,
            found=str(error),
            do="mend it, or name a file of rows",
        ) from None
