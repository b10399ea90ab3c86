"""Rows to items: what is asked, and what an answer is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

from precept.errors import InputError
from precept.evaluate.few_shot import Example, end_with, lay_out
from precept.evaluate.ifeval import bind
from precept.evaluate.task import Task
from precept.types import Conversation, Message, Row, Text


@dataclass(frozen=True, slots=True)
class Item:
    """One question. ``messages`` end before the answer; any of ``references`` is right. ``options`` are for choice
    tasks, whose references are among them; where likelihood is scored it is the one reference, none for a whole text.
    ``id`` is the row's own, else file and row.

    ``text`` is the question for a model without a chat template, up to where an option begins, and ``endings`` what
    each option adds to it. ``category`` is the task that the row itself names; ``checks`` are what a program verifies
    of the answer. ``question`` is what the row asks, where a layout put it among other text; else the messages are the
    row's own.
    """

    id: str
    task: str
    messages: tuple[Message, ...]
    references: tuple[str, ...]
    tools: tuple[dict[str, Any], ...] = ()
    options: tuple[str, ...] = ()
    text: str = ""
    endings: tuple[str, ...] = ()
    category: str | None = None
    checks: tuple[dict[str, Any], ...] = ()
    question: str = ""

    @property
    def asks(self) -> str:
        """What the row asks, without anything put around it: the last user message where it stands as it is."""
        asked = (message.content or "" for message in reversed(self.messages) if message.role == "user")
        return self.question or next(asked, "")


class Shots(NamedTuple):
    """What stands before every item of a task: see ``few_shot.Layout``."""

    name: str
    instruction: str = ""
    examples: tuple[Example, ...] = ()


def items_from_rows(rows: Sequence[Row], task: Task, shots: Shots | None = None) -> list[Item]:
    """One item a row, in order. The last assistant message is the answer and no part of the prompt.

    An item's task is the row's own where it names one, unless the task file named its data. Raises InputError
    naming the first row that cannot be asked, or that has the id of another row of its file.
    """
    texts_too = task.kind == "likelihood"
    known = [row if texts_too and isinstance(row, Text) else _conversation(row) for row in rows]
    _refuse_repeated_ids(known)
    shown = shots or Shots(task.name)
    return [_text_item(row, task) if isinstance(row, Text) else _item(row, task, shown) for row in known]


def read_example(row: Row) -> Example:
    """A row as a worked example. Raises InputError where it holds no question of one message and its answer."""
    found = _conversation(row)
    question, answer = _split(found)
    solution = answer or (found.references[0] if found.references else None)
    if solution is None:
        raise _no_reference(found)
    return Example(_only_text(found, question), found.references[0] if found.references else solution, solution)


def _text_item(row: Text, task: Task) -> Item:
    """A text that is scored as a whole: it has no reference."""
    return Item(_row_id(row), task.name, (Message("user", row.text),), (), text=row.text)


def _item(row: Conversation, task: Task, shots: Shots) -> Item:
    messages, answer = _split(row)
    if not any((message.content or "").strip() for message in messages):
        raise InputError(
            "the row asks nothing",
            code="empty-question",
            where=_place(row),
            found="no text before the answer",
            do="add the question, or leave the row out",
        )
    references = row.references or ((answer,) if answer else ())
    if task.kind in ("generate", "choice", "likelihood") and not references:
        raise _no_reference(row)
    if task.kind == "checks" and not row.checks:
        raise InputError(
            "nothing to check an answer by",
            code="no-checks",
            where=_place(row),
            do="use rows with 'instruction_id_list' and 'kwargs', as IFEval has them",
        )
    if task.kind == "checks":
        for check in row.checks:
            bind(check, where=_place(row))
    options = (row.options or tuple(task.options)) if task.kind == "choice" else row.options
    if task.kind == "choice":
        _check_options(row, options, references)
    elif task.kind == "likelihood":
        options = references[:1]
    question = ""
    if task.layout is None:
        text = "\n\n".join(message.content or "" for message in messages)
        text += "\n\n" if task.kind in ("choice", "likelihood") and not text[-1:].isspace() else ""
        endings = options
    else:
        question = _only_text(row, messages)
        text = lay_out(task.layout, question, name=shots.name, instruction=shots.instruction, examples=shots.examples)
        messages = (Message("user", text.strip()),)
        endings = tuple(end_with(task.layout, option, option) for option in options)
        if task.kind in ("choice", "likelihood"):
            text, endings = _move_lead(text, endings, task.layout.answer.partition("{")[0].rstrip(" "))
    return Item(
        id=_row_id(row),
        task=task.name if task.data or not row.task else row.task,
        messages=messages,
        references=references,
        tools=row.tools,
        options=options,
        text=text,
        endings=endings,
        category=row.task,
        checks=row.checks,
        question=question,
    )


def _move_lead(text: str, endings: tuple[str, ...], lead: str) -> tuple[str, tuple[str, ...]]:
    """Put what the layout writes before every answer behind the question: it is no part of an option. A blank stays,
    since tokenizers join it to the word that follows."""
    if endings and lead and all(ending.startswith(lead) for ending in endings):
        return text + lead, tuple(ending.removeprefix(lead) for ending in endings)
    return text, endings


def _conversation(row: Row) -> Conversation:
    if isinstance(row, Conversation):
        return row
    raise InputError(
        "evaluation needs conversations",
        code="rows-not-conversations",
        where=_place(row),
        found=type(row).__name__.lower(),
        do="use a file whose rows hold a prompt and its answer",
    )


def _split(row: Conversation) -> tuple[tuple[Message, ...], str | None]:
    """The messages before the answer, and the answer's text."""
    if row.messages and row.messages[-1].role == "assistant":
        return row.messages[:-1], row.messages[-1].content or None
    return row.messages, None


def _only_text(row: Conversation, messages: Sequence[Message]) -> str:
    """The text of the one message that a layout can hold."""
    if len(messages) == 1 and messages[0].role == "user" and messages[0].content and not row.tools:
        return messages[0].content
    raise InputError(
        "the task's layout takes one question, and this row holds more or less than that",
        code="not-one-question",
        where=_place(row),
        found=f"messages of {', '.join(message.role for message in messages) or 'nobody'}"
        + (" and tools" if row.tools else ""),
        do="use a task without a layout, which asks the messages as they stand",
    )


def _check_options(row: Conversation, options: Sequence[str], references: Sequence[str]) -> None:
    if not set(references) & set(options):
        raise InputError(
            "the right answer is not among the options",
            code="no-right-option",
            where=_place(row),
            found=f"references {list(references)}, options {list(options)}",
            do="add 'options' to the row or to the task file, written as the references are",
        )
    if set(options) <= set(references):
        raise InputError(
            "every option is right, so that nothing is asked",
            code="no-wrong-option",
            where=_place(row),
            found=f"options {list(options)}, references {list(references)}",
            do="add wrong options, or leave the row out",
        )
    for one, other in permutations(options, 2):
        if other.startswith(one):
            raise InputError(
                "an option is the beginning of another one, and so never less likely",
                code="option-is-prefix",
                where=_place(row),
                found=f"{one!r} and {other!r}",
                do="give the options letters, (A) and (B), and ask for the letter",
            )


def _row_id(row: Row) -> str:
    return row.source.id or f"{Path(row.source.file).name}:{row.source.row}"


def _refuse_repeated_ids(rows: Sequence[Row]) -> None:
    seen: dict[tuple[str, str], int] = {}
    for row in rows:
        if row.source.id is None:
            continue
        first = seen.setdefault((row.source.file, row.source.id), row.source.row)
        if first != row.source.row:
            raise InputError(
                "two rows have the same id",
                code="duplicate-ids",
                where=_place(row),
                found=f"'{row.source.id}', which row {first} has too",
                do="give each row an id of its own, or leave the column out",
            )


def _no_reference(row: Conversation) -> InputError:
    return InputError(
        "nothing to score an answer against",
        code="no-reference",
        where=_place(row),
        found="no references, and the last message is no assistant message with text",
        do="add 'references' to the row or leave it out",
    )


def _place(row: Row) -> str:
    return f"{row.source.file} row {row.source.row}"
