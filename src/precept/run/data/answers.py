"""The data step ``answers``: a model answers the prompts of rows, and its answers become the rows to train on.

So imitation data is made (Gudibande et al. 2023, 2305.15717; survey 2308.10792, section 8.8).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from precept.errors import InputError
from precept.evaluate.metrics import best_score, exact_match
from precept.records import load
from precept.records.instructions.built import Built, CountTokens, Seed
from precept.run.console import say
from precept.settings import Settings
from precept.types import Conversation, Generation, Message, Row


class AnswersSettings(Settings):
    """Who answers, and how much."""

    teacher: str
    """The folder of the model that answers, greedily."""
    chat_template: str | None = None
    """Its template, a .jinja file or a shipped one's name; by default its own."""
    rows: Annotated[int, Field(ge=1)] | None = None
    """Rows drawn; fewer are always among more. By default all, in their order."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 64
    """Longest answer in tokens. An answer that does not end there is left out."""
    seed: Seed = 0
    """Of the rows that are drawn."""


def build(paths: Sequence[str], settings: AnswersSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """The rows with the teacher's answers in place of their own; references stay those of the rows.

    Rows whose answer is empty, does not end or does not fit the teacher's context are left out and counted. Raises
    InputError where that leaves none, for fewer rows than wanted, and for rows that hold no conversation.
    """
    from precept.run.opened import open_model

    loaded = load(paths)
    rows = [_asked(row) for row in loaded.rows]
    if settings.rows is not None:
        if settings.rows > len(rows):
            raise InputError(
                "there are fewer rows than are to be answered",
                code="too-few-rows",
                found=f"{len(rows)} rows, {settings.rows} wanted",
                do="ask for fewer, or name more files",
            )
        random.Random(f"{settings.seed} rows").shuffle(rows)
        rows = rows[: settings.rows]
    model = open_model(settings.teacher, chat_template=settings.chat_template)
    say(f"{settings.teacher} answers {len(rows):,} rows")
    prompts = [model.renderer.prompt_ids(row.messages, row.tools) for row in rows]
    found = model.sampler().generate(prompts, max_new_tokens=settings.max_new_tokens)
    # templates put their own blank before an answer
    answered = [(row, one.text.strip()) for row, one in zip(rows, found, strict=True) if _usable(one)]
    report = _report(rows, found, answered)
    if rows and not answered:
        raise InputError(
            "the teacher answered no row to its end",
            code="no-answers",
            where=settings.teacher,
            found="of {rows} rows {not_ended} not ended, {empty} empty, {too_long} too long".format(**report),
            do="name a tuned model, or raise max_new_tokens",
        )
    train = [replace(row, messages=(*row.messages, Message("assistant", text))) for row, text in answered]
    return Built(train, report=report, refused=loaded.refusals)


def _asked(row: Row) -> Conversation:
    """A row without its last answer. Raises InputError for rows that hold none to answer."""
    if not isinstance(row, Conversation):
        raise InputError(
            "only conversations can be answered",
            code="rows-not-conversations",
            where=f"{row.source.file} row {row.source.row}",
            found=type(row).__name__.lower(),
            do="name files whose rows hold a prompt",
        )
    ends_in_answer = bool(row.messages) and row.messages[-1].role == "assistant"
    return replace(row, messages=row.messages[:-1]) if ends_in_answer else row


def _usable(found: Generation) -> bool:
    return found.finished and bool(found.text.strip())


def _report(
    rows: Sequence[Conversation], found: Sequence[Generation], answered: Sequence[tuple[Conversation, str]]
) -> dict[str, object]:
    """What became of the rows; ``right`` is the teacher's exact match over rows with references."""
    known = [(row, text) for row, text in answered if row.references]
    right = sum(best_score(exact_match, text, row.references) for row, text in known)
    return {
        "rows": len(rows),
        "answered": len(answered),
        "too_long": sum(one.refused is not None for one in found),
        "not_ended": sum(not one.finished and one.refused is None for one in found),
        "empty": sum(one.finished and not one.text.strip() for one in found),
        "right": right / len(known) if known else None,
    }
