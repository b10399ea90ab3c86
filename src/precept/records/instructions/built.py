"""What every maker of instruction rows returns. A maker is one file here: settings, and ``build``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Protocol

from pydantic import Field

from precept.errors import InputError
from precept.types import Comparison, Conversation, Refusal

MAX_ROWS = 100_000_000
Seed = Annotated[int, Field(ge=0, lt=2**63)]
RowCount = Annotated[int, Field(ge=1, le=MAX_ROWS)]
"""Rows that are drawn: more than any published mixture has, and few enough to be held."""


class CountTokens(Protocol):
    """The tokenizer that a token budget is for. Special tokens are not counted."""

    def __call__(self, text: str) -> int:
        """How many tokens a text has."""
        ...

    def cut(self, text: str, length: int) -> str:
        """The text of the first ``length`` tokens, decoded."""
        ...


@dataclass(frozen=True)
class Built:
    """Rows in order and what became of the sources.

    ``train`` rows are to be trained on, all of one kind; ``test`` rows come from tasks that are held out. ``report`` is
    a JSON document: counts by source, what was left out and why, and every quirk of a paper's code that was kept by
    request. ``refused`` are rows and files that could not be read: the caller stops at them or goes on without
    (``bad_rows``).
    """

    train: Sequence[Conversation | Comparison]
    test: Sequence[Conversation] = ()
    report: dict[str, Any] = field(default_factory=dict)
    refused: Sequence[Refusal] = ()


@contextmanager
def naming_refused(refused: Sequence[Refusal]) -> Iterator[None]:
    """What is missed inside may stand in what could not be read: an InputError from there names the refused files and
    rows too, the first five."""
    try:
        yield
    except InputError as error:
        if refused:
            shown = [f"{r.file}{f' row {r.row}' if r.row else ''}: {r.reason}" for r in refused[:5]]
            listed = [f"what could not be read: {len(refused)} files or rows, first:", *shown]
            error.found = "\n    ".join([*filter(None, [error.found]), *listed])
            error.do = "mend what could not be read" + (f"; if that is not it, {error.do}" if error.do else "")
        raise


def named_apart(rows: Sequence[Conversation]) -> list[Conversation]:
    """Test rows, which stand in one file later, with ids that tell them apart.

    Where rows of several tasks have the same id, as rows numbered in each file do, all ids begin with their task.
    Raises InputError where two rows of a task have the same id: evaluation could not tell them apart.
    """
    ids = [row.source.id for row in rows if row.source.id is not None]
    if len(set(ids)) == len(ids):
        return list(rows)
    first: dict[str, Conversation] = {}
    named = []
    for row in rows:
        source = row.source
        if source.id is not None:
            source = replace(source, id=f"{row.task}:{source.id}" if row.task else source.id)
            assert source.id is not None
            if (before := first.setdefault(source.id, row)) is not row:
                raise InputError(
                    "two rows to be tested have the same id",
                    code="duplicate-ids",
                    where=f"{source.file} row {source.row}",
                    found=f"'{row.source.id}', which {before.source.file} row {before.source.row} has too",
                    do="give each row an id of its own, or leave the column out",
                )
        named.append(replace(row, source=source))
    return named
