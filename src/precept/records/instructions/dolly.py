"""Dolly 2.0: databricks-dolly-15k as its release trained on it.

Layout, dropping rule and hold-out are those of databrickslabs/dolly, ``training/consts.py`` and ``trainer.py``. Rows
written here with the chat template ``dolly`` give the released prompt character for character, up to ``### End``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from pydantic import Field

from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, Seed, named_apart, naming_refused
from precept.records.instructions.raw_records import RawRecord, read_raw_records
from precept.records.instructions.tally import Tally
from precept.records.problems import RowProblem
from precept.records.readers.reader import optional_text, text_of
from precept.settings import Settings
from precept.types import Conversation, Message

CATEGORIES = (
    "brainstorming",
    "classification",
    "closed_qa",
    "creative_writing",
    "general_qa",
    "information_extraction",
    "open_qa",
    "summarization",
)
COLUMNS = frozenset({"instruction", "context", "response", "category"})
INTRO = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request."  # fixed
)
CITATION = re.compile(r"\[(?:\d+|citation needed|note \d+)\]")


class DollySettings(Settings):
    """How Dolly records become rows. The defaults are those of the release notebook."""

    categories: tuple[str, ...] = ()
    """Keep only these of the eight categories; by default all."""
    input_block: bool = True
    """Put the context under `Input:` as the release does; false joins it to the instruction by a blank line."""
    remove_citations: bool = False
    """Take Wikipedia's citation marks such as [12] out of contexts; the release leaves them in."""
    max_length: int | None = Field(default=None, ge=2)
    """Drop records whose prompt, answer and end marker have this many tokens or more: needs a tokenizer."""
    test_size: int = Field(default=200, ge=0)
    """Rows held out."""
    seed: Seed = 42
    """Draws the order of the rows and which of them are held out."""


def build(paths: Sequence[str], settings: DollySettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Dolly records -> training rows in the released order, and the held-out rows.

    The order and the hold-out are the release's two draws: ``datasets`` shuffles by
    ``default_rng(seed).permutation(n)`` and cuts the first ``test_size`` of a second, equal draw off as test rows.
    A row's ``task`` is its category. Raises InputError for an unknown category in the settings, a length limit
    without a tokenizer, and a hold-out that leaves nothing to train on.
    """
    limit = settings.max_length
    if limit is not None and count_tokens is None:
        raise needs_tokenizer("max_length")
    wanted = _wanted(settings.categories)
    records, refused = read_raw_records(paths)
    left_out, seen = Tally(), Tally()
    found: Counter[str] = Counter()
    rows: list[Conversation] = []
    for record in records:
        try:
            row = _read(record, settings)
        except RowProblem as problem:
            refused.append(record.refusal(problem))
            continue
        found[row.task or ""] += 1
        if row.task not in CATEGORIES:
            seen.add(f"category {row.task!r}, which is none of the eight", row.source)
        if extra := sorted(record.columns.keys() - COLUMNS):
            seen.add(f"columns that are not used: {', '.join(extra)}", row.source)
        if wanted and row.task not in wanted:
            left_out.add(f"category {row.task}", row.source)
        elif limit is not None and count_tokens is not None and count_tokens(prompt_text(row)) >= limit:
            left_out.add(f"{limit} tokens or more", row.source)
        else:
            rows.append(row)
    with naming_refused(refused):
        left_out.refuse_nothing_left(rows)
        train, test = _hold_out(rows, settings)
    report = {
        "records": len(records),
        "refused": len(refused),
        "categories": dict(sorted(found.items())),
        "left_out": left_out.document(),
        "noted": seen.document(),
        "kept": dict(sorted(Counter(row.task or "" for row in rows).items())),
        "train": len(train),
        "test": len(test),
    }
    return Built(train, named_apart(test), report, refused)


def prompt_text(row: Conversation) -> str:
    """The text that the release trains on: introduction, instruction (with its input block), response, end marker."""
    asked, answered = (message.content for message in row.messages)
    return f"{INTRO}\n\n### Instruction:\n{asked}\n\n### Response:\n{answered}\n\n### End"


def needs_tokenizer(key: str) -> InputError:
    """The error of a token budget without a tokenizer."""
    return InputError(
        f"'{key}' counts tokens, and no tokenizer was named",
        code="tokenizer-not-named",
        where=key,
        do="add tokenizer=MODEL, the folder of the model that the rows are for",
    )


def _wanted(categories: Sequence[str]) -> frozenset[str]:
    unknown = [name for name in categories if name not in CATEGORIES]
    if unknown:
        raise InputError(
            f"Dolly has no category '{unknown[0]}'",
            code="unknown-category",
            where="categories",
            found=", ".join(unknown),
            do=f"choose from {', '.join(CATEGORIES)}",
        )
    return frozenset(categories)


def _read(raw: RawRecord, settings: DollySettings) -> Conversation:
    """The row of a record. Raises RowProblem for an empty instruction or response, as the release does."""
    record = raw.columns
    instruction, context, response = (
        text_of(record, "instruction"),
        optional_text(record, "context"),
        text_of(record, "response"),
    )
    if not instruction.strip():
        raise RowProblem("empty-instruction", "column 'instruction' is empty")
    if not response.strip():
        raise RowProblem("empty-answer", "empty answer: column 'response' is empty")
    if settings.remove_citations:
        context = CITATION.sub("", context)
    if context.strip():
        instruction += ("\n\nInput:\n" if settings.input_block else "\n\n") + context
    messages = (Message("user", instruction), Message("assistant", response))
    return Conversation(messages, raw.source, task=text_of(record, "category"))


def _hold_out(rows: Sequence[Conversation], settings: DollySettings) -> tuple[list[Conversation], list[Conversation]]:
    """(train, test) by the draws of ``datasets``: ``shuffle(seed)``, then ``train_test_split(test_size, seed)``."""
    size = settings.test_size
    if rows and size >= len(rows):
        raise InputError(
            f"{size} rows to hold out, and there are only {len(rows)}",
            code="hold-out-too-large",
            where="test_size",
            do=f"set test_size below {len(rows)}",
        )
    shuffled = np.random.default_rng(settings.seed).permutation(len(rows))
    drawn = np.random.default_rng(settings.seed).permutation(len(rows)) if size else np.arange(len(rows))
    train, test = ([rows[shuffled[place]] for place in part] for part in (drawn[size:], drawn[:size]))
    return train, test
