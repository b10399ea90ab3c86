"""Rows -> the common formats, and files of them. A row that a format would lose something of is an error."""

from __future__ import annotations

import errno
import gzip
import io
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from precept.errors import InputError, MissingExtra, PreceptError, WorkError
from precept.types import Answer, Comparison, Conversation, Message, Row, Text, TokenSequence, ToolCall

IGNORED = -100
SHAREGPT = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation"}
ENDINGS = (".json", ".jsonl")


class _Loss(Exception):
    """What of a row a format cannot hold."""


def write(rows: Sequence[Row], path: Path, format: str) -> dict[str, int]:
    """Write rows to a .json or .jsonl file, also with .gz or .zst behind, replacing it in one step.

    References, options, task, checks, id and licence go along as columns of these names, which the readers know.
    Returns ``{rows, conversations, comparisons, texts}``. Raises InputError, before anything is written, when rows
    cannot be expressed (counts by reason, the first five rows), the ending is unknown or the path cannot be written.
    """
    compressed = path.suffix in (".gz", ".zst")
    ending = path.with_suffix("").suffix if compressed else path.suffix
    if ending not in ENDINGS:
        raise InputError(
            f"cannot tell what to write from the ending '{ending}'",
            code="unknown-ending",
            where=str(path),
            do="name the file .json or .jsonl, with .gz or .zst behind if you like",
        )
    records = _all_records(rows, format)
    if ending == ".json":
        data = orjson.dumps(records, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    else:
        data = b"".join(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE) for record in records)
    _replace(path, _compress(data, path))
    conversations = sum(isinstance(row, Conversation) for row in rows)
    comparisons = sum(isinstance(row, Comparison) for row in rows)
    return {
        "rows": len(rows),
        "conversations": conversations,
        "comparisons": comparisons,
        "texts": len(rows) - conversations - comparisons,
    }


def _maker(name: str) -> Callable[[Row], dict[str, Any]]:
    if name not in FORMATS:
        raise InputError(f"unknown format '{name}'", code="unknown-format", do=f"choose one of {', '.join(FORMATS)}")
    return FORMATS[name]


def _all_records(rows: Iterable[Row], name: str) -> list[dict[str, Any]]:
    make = _maker(name)
    records = []
    lost: list[tuple[Row, str]] = []
    for row in rows:
        try:
            records.append(make(row) | _source_columns(row))
        except _Loss as loss:
            lost.append((row, str(loss)))
    if lost:
        counts = [f"{count} x {reason}" for reason, count in Counter(reason for _, reason in lost).most_common(8)]
        first = [f"{row.source.file} row {row.source.row}: {reason}" for row, reason in lost[:5]]
        raise InputError(
            f"{len(lost)} of {len(lost) + len(records)} rows cannot be written as {name} without loss",
            code="not-expressible",
            found="\n    ".join(["", *counts, "first:", *first]),
            do="choose another format; messages holds every conversation",
        )
    return records


def _source_columns(row: Row) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if isinstance(row, Conversation):
        found = {"references": list(row.references), "options": list(row.options), "task": row.task}
        found |= {"checks": list(row.checks)}
    found |= {"id": row.source.id, "license": row.source.licence}
    return {name: value for name, value in found.items() if value}


def _conversation(row: Row) -> Conversation:
    if not isinstance(row, Conversation):
        raise _Loss(f"a {_kind(row)} is not a conversation")
    return row


def _kind(row: Row) -> str:
    return {Comparison: "comparison", Text: "text", TokenSequence: "token sequence"}.get(type(row), "conversation")


def _as_messages(row: Row) -> dict[str, Any]:
    row = _conversation(row)
    record: dict[str, Any] = {"messages": [_message(message) for message in row.messages]}
    return record | _tools(row) | _images(row.messages)


def _message(message: Message) -> dict[str, Any]:
    record: dict[str, Any] = {"role": message.role, "content": message.content}
    optional = {
        "reasoning_content": message.reasoning_content,
        "tool_calls": [_tool_call(call) for call in message.tool_calls] or None,
        "name": message.name,
        "tool_call_id": message.tool_call_id,
        "train": message.train,
        "weight": message.weight,
    }
    return record | {name: value for name, value in optional.items() if value is not None}


def _tool_call(call: ToolCall) -> dict[str, Any]:
    record: dict[str, Any] = {"type": "function", "function": {"name": call.name, "arguments": call.arguments}}
    return record if call.id is None else {"id": call.id, **record}


def _tools(row: Conversation | Comparison) -> dict[str, Any]:
    return {"tools": list(row.tools)} if row.tools else {}


def _images(messages: Iterable[Message]) -> dict[str, Any]:
    images = [image for message in messages for image in message.images]
    return {"images": images} if images else {}


def _as_sharegpt(row: Row) -> dict[str, Any]:
    row = _conversation(row)
    turns = [_sharegpt_turn(message) for message in row.messages]
    return {"conversations": turns} | _tools(row) | _images(row.messages)


def _sharegpt_turn(message: Message) -> dict[str, Any]:
    _refuse_extras(message, calls=True)
    if message.role not in SHAREGPT:
        raise _Loss(f"ShareGPT has no role '{message.role}'")
    if not message.tool_calls:
        return {"from": SHAREGPT[message.role], "value": message.content}
    if message.content or any(call.id is not None for call in message.tool_calls):
        raise _Loss("tool calls beside text or with ids")
    calls = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    value = orjson.dumps(calls[0] if len(calls) == 1 else calls).decode()
    return {"from": "function_call", "value": value}


def _refuse_extras(message: Message, *, calls: bool = False) -> None:
    """Raise _Loss for what only ``messages`` can hold."""
    extras = {
        "reasoning": message.reasoning_content,
        "a name": message.name,
        "a tool call id": message.tool_call_id,
        "train": message.train,
        "weight": message.weight,
        "tool calls": None if calls else message.tool_calls or None,
    }
    for name, value in extras.items():
        if value is not None:
            raise _Loss(f"a message with {name}")


def _plain_turns(row: Row) -> tuple[str | None, list[str]]:
    """System text or None, then the texts of strictly alternating user and assistant turns."""
    row = _conversation(row)
    if row.tools:
        raise _Loss("tools")
    messages = list(row.messages)
    system = messages.pop(0).content if messages and messages[0].role == "system" else None
    if system is not None and not system.strip():
        raise _Loss("a blank system text")
    if not messages or [m.role for m in messages] != ["user", "assistant"] * (len(messages) // 2):
        raise _Loss("turns that are not user and assistant by turns")
    for message in row.messages:
        _refuse_extras(message)
    return system, [message.content or "" for message in messages]


def _as_alpaca(row: Row) -> dict[str, Any]:
    system, texts = _plain_turns(row)
    record: dict[str, Any] = {"instruction": texts[-2], "input": "", "output": texts[-1]}
    record |= {"system": system} if system else {}
    if len(texts) > 2:
        record["history"] = [texts[i : i + 2] for i in range(0, len(texts) - 2, 2)]
    return record | _images(_conversation(row).messages)


def _as_prompt_completion(row: Row) -> dict[str, Any]:
    system, texts = _plain_turns(row)
    if len(texts) > 2:
        raise _Loss("more than one turn")
    record = {"prompt": texts[0], "completion": texts[1]} | ({"system": system} if system else {})
    return record | _images(_conversation(row).messages)


def _as_text(row: Row) -> dict[str, Any]:
    if not isinstance(row, Text):
        raise _Loss(f"a {_kind(row)} is not plain text")
    return {"text": row.text}


def _as_preference(row: Row) -> dict[str, Any]:
    if not isinstance(row, Comparison):
        raise _Loss(f"a {_kind(row)} is not a comparison")
    if any(message.images for message in row.prompt):
        raise _Loss("images")
    prompt = {"prompt": [_message(message) for message in row.prompt]} | _tools(row)
    answers = [[_message(message) for message in answer.messages] for answer in row.answers]
    if len(row.answers) == 1 and row.answers[0].label is not None:
        return prompt | {"completion": answers[0], "label": row.answers[0].label}
    if len(row.answers) != 2 or any(answer.label is not None for answer in row.answers):
        raise _Loss(f"a comparison of {len(row.answers)} answers")
    better, worse = _order(row.answers)
    record = prompt | {"chosen": answers[better], "rejected": answers[worse]}
    scores = {"score_chosen": row.answers[better].score, "score_rejected": row.answers[worse].score}
    return record | {name: score for name, score in scores.items() if score is not None}


def _order(answers: Sequence[Answer]) -> tuple[int, int]:
    """Places of the better and the worse of two answers, by rank and else by score."""
    values = [float(a.rank) if a.rank is not None else None if a.score is None else -a.score for a in answers]
    if None in values or values[0] == values[1]:
        raise _Loss("a comparison without a better answer")
    return (0, 1) if values[0] < values[1] else (1, 0)  # type: ignore[operator]


def _as_tokenized(row: Row) -> dict[str, Any]:
    if not isinstance(row, TokenSequence):
        raise _Loss(f"a {_kind(row)} is not pre-tokenised")
    if row.encoder_ids is not None:
        raise _Loss("encoder tokens")
    record = {"input_ids": row.ids.tolist()}
    if np.isin(row.weights, (0, 1)).all():
        return record | {"labels": np.where(row.weights > 0, row.ids, IGNORED).tolist()}
    return record | {"weights": row.weights.tolist()}


FORMATS: dict[str, Callable[[Row], dict[str, Any]]] = {
    "messages": _as_messages,
    "sharegpt": _as_sharegpt,
    "alpaca": _as_alpaca,
    "prompt_completion": _as_prompt_completion,
    "text": _as_text,
    "preference": _as_preference,
    "tokenized": _as_tokenized,
}
"""Format name -> how a row is written in it."""


def _compress(data: bytes, path: Path) -> bytes:
    if path.suffix == ".gz":
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as stream:  # no clock in the bytes
            stream.write(data)
        return out.getvalue()
    if path.suffix == ".zst":
        try:
            import zstandard
        except ImportError:
            raise MissingExtra("zstandard", "data", wanted_for=f"writing {path}") from None
        return bytes(zstandard.ZstdCompressor().compress(data))
    return data


def _replace(path: Path, data: bytes) -> None:
    """Write to a neighbour and rename, so that a killed process leaves the old file."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from None
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise _unwritable(path, error) from None


def _unwritable(path: Path, error: OSError) -> PreceptError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return WorkError(
            f"the disk is full: {error.strerror}",
            code="disk-full",
            where=str(path),
            do="free disk space; an older file of this name is as it was",
        )
    return InputError(
        f"cannot be written: {error.strerror}",
        code="unwritable-path",
        where=str(path),
        do="check its permissions, or name another path",
    )
