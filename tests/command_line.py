"""The command line called in this process, as a shell would call it, and the small files that it is called on."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document and nothing else."""
        return json.loads(self.out)


def precept(*words: str | Path) -> Ended:
    """``precept WORDS`` without starting a process."""
    from precept.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=e) for e in ("strict", "backslashreplace"))
    before, sys.argv = sys.argv, ["precept", *map(str, words)]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                main()
                code = 0
            except SystemExit as leaving:
                code = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    finally:
        sys.argv = before
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode())  # type: ignore[attr-defined]
    return Ended(code, *texts)


def chat_rows(count: int) -> list[dict[str, Any]]:
    """Rows in the ``messages`` format: a number is asked for by name; system texts and answers repeat."""
    rows = []
    for i in range(count):
        system = [{"role": "system", "content": "Answer with one word."}] if i % 3 else []
        question, answer = f"What is {NUMBERS[i % 10]} and {NUMBERS[i // 10 % 10]}?", NUMBERS[(i % 10 + i // 10) % 10]
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        rows.append({"messages": [*system, *turns]})
    return rows


def write_rows(path: Path, rows: Sequence[Any]) -> Path:
    """A jsonl file of the rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read_losses(output: Path) -> list[tuple[int, float]]:
    """(step, loss) of every optimizer step in ``metrics.jsonl``, in the file's order."""
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    return [(record["step"], record["loss"]) for record in records if "loss" in record]
