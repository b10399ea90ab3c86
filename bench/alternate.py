"""Two programs side by side: both stay loaded, one computes at a time, and their turns alternate.

A side is a process that answers each line of its standard input with a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

DTYPES = ("float32", "bfloat16")

Answer = Callable[[list[Any], Mapping[str, Any]], dict[str, Any]]
"""What a side does with some of the rows, given the question: timed as a whole."""


class Side:
    """A process that works when it is asked. What else it says goes to a log."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log, self.name = log, " ".join(command)
        with log.open("w") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
            )

    def ask(self, **question: Any) -> dict[str, Any]:
        """The answer to one question; a process that ended is an error with the end of its log."""
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(question) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"{self.name} ended:\n{self.log.read_text()[-3000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def __enter__(self) -> Side:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        with suppress(BrokenPipeError):
            self.process.communicate()  # closes its pipes


def answer_questions(work: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """The other end: each answer holds what ``work`` gives, and the peak of this process's memory in MiB."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # libraries print
    for line in sys.stdin:
        answer = work(json.loads(line))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        answers.write(json.dumps(answer | {"peak_mib": peak}) + "\n")
        answers.flush()


def compare(ours: Side, theirs: Side, *, pairs: int, **question: Any) -> dict[str, Any]:
    """Seconds of both sides in turns after a warm-up of each, and their ratio pair by pair."""
    turns = [(ours.ask(**question), theirs.ask(**question)) for _ in range(pairs + 1)][1:]
    seconds = [(mine["seconds"], other["seconds"]) for mine, other in turns]
    ratios = [other / mine for mine, other in seconds]
    return {
        "ratio": {
            "median": statistics.median(ratios),
            "low": min(ratios),
            "high": max(ratios),
            "pairs": [round(ratio, 3) for ratio in ratios],
        },
        "ours": _summary([mine for mine, _ in seconds], turns[-1][0]),
        "theirs": _summary([other for _, other in seconds], turns[-1][1]),
    }


def _summary(seconds: Sequence[float], last: dict[str, Any]) -> dict[str, Any]:
    return {"seconds": statistics.median(seconds), "peak_mib": last["peak_mib"]}


def serve(load: Callable[[str], Answer], given: argparse.Namespace) -> None:
    """Be a side: ``load`` its model, then answer questions about each ``part``-th of the rows, with the seconds."""
    import torch

    torch.set_num_threads(given.threads)
    answer = load(given.model)
    rows = json.loads(Path(given.rows).read_text())

    def work(question: dict[str, Any]) -> dict[str, Any]:
        chosen = rows[:: question["part"]]
        start = time.perf_counter()
        answered = answer(chosen, question)
        return {"seconds": time.perf_counter() - start, **answered}

    answer_questions(work)


def side_words(module: str, side: str, model: Path, rows: Path, threads: int) -> list[str]:
    """The words behind an interpreter's name that make it a side."""
    words = ["-m", module, "--side", side, "--model", str(model), "--rows", str(rows)]
    return [*words, "--threads", str(threads)]


def parser(description: str | None, *, sides: Sequence[str]) -> argparse.ArgumentParser:
    """The words of a comparison over questions; those that make a process a side are hidden."""
    made = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--workload", nargs="+", choices=("mmlu", "bbh"), default=["mmlu", "bbh"])
    made.add_argument("--items", type=int, help="Items a task; by default those of bench/questions.py.")
    made.add_argument("--pairs", type=int, default=5)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--data", type=Path, default=Path("../shared/data"))
    made.add_argument("-o", "--output", type=Path, default=Path(".bench/scoring"))
    made.add_argument("--json", action="store_true")
    made.add_argument("--side", choices=sides, help=argparse.SUPPRESS)
    made.add_argument("--model", help=argparse.SUPPRESS)
    made.add_argument("--rows", help=argparse.SUPPRESS)
    return made


def fastest(
    open_peer: Callable[[str], Side], kept: Path, *, batches: Sequence[int], part: int, **question: Any
) -> tuple[str, int]:
    """The peer's fastest precision and batch size on a part of the rows, kept in a file for this machine."""
    known = json.loads(kept.read_text()) if kept.is_file() else {}
    key = f"{platform.node()} {platform.processor()}"
    if key not in known:
        seconds = {}
        for dtype in DTYPES:
            with open_peer(dtype) as peer:
                peer.ask(part=4 * part, batch_size=batches[0], **question)
                for size in batches:
                    seconds[dtype, size] = peer.ask(part=part, batch_size=size, **question)["seconds"]
                    print(f"{kept.stem}: {dtype}, batches of {size}: {seconds[dtype, size]:.2f} s", file=sys.stderr)
        known[key] = min(seconds, key=lambda choice: seconds[choice])
        kept.write_text(json.dumps(known))
    dtype, size = known[key]
    return str(dtype), int(size)


def make_environment(folder: Path, packages: Sequence[str]) -> Path:
    """The interpreter of a virtual environment with a peer's packages; made once."""
    python = folder / "bin" / "python"
    if not python.is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", "torch==2.13.0"]
        subprocess.run(install, check=True)
        subprocess.run([*install, *packages], check=True)
    return python
