"""Hashes of rows as they were read, and what is decided by them: the data hash and the held-out split."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import Any

import orjson

from precept.errors import InputError
from precept.records.problems import RowProblem
from precept.types import Comparison, Message, Row, Text, TokenSequence


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys. Raises RowProblem for text that UTF-8 cannot hold (lone surrogates)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=_plain)
    except TypeError:
        return _encode(json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain))


def _encode(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise RowProblem("lone-surrogate", "holds a lone surrogate, which is half a character") from None


def record_hash(record: Any, *, salt: str = "") -> str:
    """16 hex digits of the sha256 over the record's canonical JSON and the salt. Raises RowProblem as that does."""
    digest = hashlib.sha256(canonical_json(record))
    if salt:
        digest.update(_encode(salt))
    return digest.hexdigest()[:16]


def data_hash(rows: Sequence[Row]) -> str:
    """sha256 over the rows' hashes in order: equal exactly when the same rows come in the same order."""
    return hashlib.sha256("\n".join(row.source.hash for row in rows).encode("ascii")).hexdigest()


def split(rows: Sequence[Row], *, fraction: float, seed: int) -> tuple[list[Row], list[Row]]:
    """(train, held-out) with about ``fraction`` of the rows held out, both in the order of ``rows``.

    A row's place in the draw depends only on its hash and the seed, so adding rows moves few others; rows that are
    alike (``normal_text``) stay on one side. The held-out size is round(fraction * n) wherever such groups allow it.
    Raises InputError unless 0 <= fraction < 1.
    """
    if not 0 <= fraction < 1:
        raise InputError(
            "the held-out fraction must be at least 0 and below 1",
            code="bad-fraction",
            found=f"{fraction}",
            do="0.1 holds out one row in ten",
        )
    first: dict[str | bytes, str] = {}  # of rows that are alike the smallest hash stands for all
    texts = [normal_text(row) for row in rows]
    for text, row in zip(texts, rows, strict=True):
        first[text] = min(first.get(text, row.source.hash), row.source.hash)
    groups = [first[text] for text in texts]
    sizes = Counter(groups)
    wanted = round(fraction * len(rows))
    drawn = sorted(sizes, key=lambda key: hashlib.sha256(f"{seed}:{key}".encode("ascii")).digest())
    held_out: set[str] = set()
    count = 0
    for key in drawn:
        if count == wanted:
            break
        if count + sizes[key] <= wanted:
            held_out.add(key)
            count += sizes[key]
    short = wanted - count
    over = (
        min((key for key in drawn if key not in held_out), key=lambda key: sizes[key], default=None) if short else None
    )
    if over is not None and sizes[over] - short < short:
        held_out.add(over)
    train = [row for row, group in zip(rows, groups, strict=True) if group not in held_out]
    return train, [row for row, group in zip(rows, groups, strict=True) if group in held_out]


def normal_text(row: Row) -> str | bytes:
    """What a row says, whatever its case, blanks and compatibility forms; of token ids their bytes."""
    if isinstance(row, TokenSequence):
        return row.ids.tobytes()
    if isinstance(row, Text):
        parts = [row.text]
    elif isinstance(row, Comparison):
        parts = [_said(message) for message in (*row.prompt, *(m for answer in row.answers for m in answer.messages))]
    else:
        parts = [_said(message) for message in row.messages]
    text = "\n".join(parts)
    return " ".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).casefold().split())


def _said(message: Message) -> str:
    calls = (f"{call.name} {call.arguments}" for call in message.tool_calls)
    return "\n".join([f"{message.role}:", message.content or "", message.reasoning_content or "", *calls])


def _plain(value: object) -> str:
    """Values that parquet and hub data sets may hold beside JSON's own."""
    return value.hex() if isinstance(value, bytes) else str(value)
