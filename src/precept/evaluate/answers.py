"""Answers as the files that judges read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from precept.evaluate.items import Item
from precept.evaluate.run import ItemResult, replace_file

ENDINGS = {"fastchat": ".answers.jsonl", "alpaca_eval": ".answers.json"}
"""Of the file names of each format."""


def write_answers(
    items: Sequence[Item],
    results: Sequence[ItemResult],
    path: Path,
    *,
    format: Literal["fastchat", "alpaca_eval"],
    model: str,
) -> None:
    """``fastchat``: a line a question with ``question_id`` and ``choices[0].turns``, as MT-bench and its Vicuna set
    keep answers. ``alpaca_eval``: an array of ``instruction``, ``output`` and ``generator``.

    A file of that name is replaced whole or not at all.
    """
    pairs = list(zip(items, results, strict=True))
    if format == "fastchat":
        data = b"".join(orjson.dumps(_fastchat(item, result, model)) + b"\n" for item, result in pairs)
    else:
        records = [
            {"instruction": item.messages[-1].content, "output": result.output, "generator": model}
            for item, result in pairs
        ]
        data = orjson.dumps(records, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)
    replace_file(path, data)


def _fastchat(item: Item, result: ItemResult, model: str) -> dict[str, Any]:
    turns = list(result.turns) or [result.output]
    digest = hashlib.sha256("\n".join([model, item.id, *turns]).encode()).hexdigest()
    return {
        "question_id": int(item.id) if item.id.isdecimal() else item.id,
        "answer_id": digest[:22],
        "model_id": model,
        "choices": [{"index": 0, "turns": turns}],
    }
