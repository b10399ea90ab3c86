"""Hashes of rows: as they were read, and by what they say."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from typing import Any

import orjson

from precept.records.problems import RowProblem
from precept.types import Comparison, Message, Row, Text, TokenSequence


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys. Raises RowProblem for text that UTF-8 cannot hold (lone surrogates), and for values nested
    too deep."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS, default=_plain)
    except TypeError:
        pass  # what orjson refuses: lone surrogates, whole numbers above 64 bits, more than 254 levels
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)
    except RecursionError:
        raise RowProblem("nested-too-deep", "holds a value that is nested too deep") from None
    return _encode(text)


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


def text_digest(row: Row) -> bytes:
    """16 bytes that are those of another row exactly when both say the same (``normal_text``)."""
    text = normal_text(row)
    return hashlib.blake2b(text if isinstance(text, bytes) else text.encode(), digest_size=16).digest()


def _said(message: Message) -> str:
    calls = (f"{call.name} {call.arguments}" for call in message.tool_calls)
    return "\n".join([f"{message.role}:", message.content or "", message.reasoning_content or "", *calls])


def _plain(value: object) -> str:
    """Values that parquet and hub data sets may hold beside JSON's own."""
    return value.hex() if isinstance(value, bytes) else str(value)
