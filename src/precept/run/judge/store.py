"""Judgments on disk, a JSON line each: what was asked in full, of whom, and what the reply says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.evaluate.judge.ask import Judgment, Request
from precept.run.output import write_atomic

NAME = "judgments.jsonl"


class JudgmentFile:
    """``judgments.jsonl`` of an output folder. ``about`` goes into every line: the judge and its settings."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.path = folder / NAME
        self._about = dict(about)

    def read(self) -> list[Judgment]:
        """What an earlier run left; a line that a kill cut short is removed."""
        if not self.path.is_file():
            return []
        data = self.path.read_bytes()
        whole, _, torn = data.rpartition(b"\n")
        if torn:
            write_atomic(self.path, whole + b"\n" if whole else b"")
        return list(_judgments(whole.split(b"\n"), self.path))

    def append(self, judgments: Sequence[Judgment], verdict: Callable[[Judgment], Any]) -> None:
        """Put a block on disk, each with its verdict (null where the reply holds none)."""
        lines = b"".join(orjson.dumps(self._line(judgment, verdict(judgment))) + b"\n" for judgment in judgments)
        with self.path.open("ab") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())

    def _line(self, judgment: Judgment, verdict: Any) -> dict[str, Any]:
        request = judgment.request
        return {
            "question": request.question,
            "turn": request.turn,
            "order": request.order,
            "answers": request.answers,
            "prompt": request.prompt,
            "reply": judgment.reply,
            "verdict": verdict,
            **self._about,
        }


def _judgments(lines: Sequence[bytes], path: Path) -> Iterator[Judgment]:
    for line in filter(None, lines):
        try:
            row = orjson.loads(line)
            texts = {name: row[name] for name in ("question", "order", "prompt", "reply")}
            if not all(isinstance(text, str) for text in texts.values()):
                raise TypeError
            request = Request(texts["question"], row["turn"], texts["order"], tuple(row["answers"]), texts["prompt"])
            yield Judgment(request, texts["reply"])
        except (orjson.JSONDecodeError, KeyError, TypeError):
            raise InputError(
                "a stored judgment is damaged",
                code="judgment-damaged",
                where=str(path),
                found=line[:100].decode("utf-8", "replace"),
                do="remove this line, or use --fresh to ask everything again",
            ) from None
