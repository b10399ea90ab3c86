"""A side of a comparison as the comparing process sees it: a runner's process and what it says."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.workloads import BATCH, HOME

LEARNING_RATE = 2e-5
TAIL = 30
"""Lines of a runner's log that are shown when it fails."""


class SideFailed(Exception):
    """The side raised under its settings; the message says why."""


@dataclass(frozen=True)
class Runner:
    """How a side is started."""

    name: str
    python: Path
    module: str


@dataclass(frozen=True)
class Work:
    """What both sides do: the workload's file, the model's folder, the device, threads, rows used (None: all), and rows
    of an optimizer step."""

    workload: Path
    model: Path
    device: str
    threads: int
    rows: int | None = None
    batch_size: int = BATCH


def environment(work: Work) -> dict[str, str]:
    """No network, no telemetry, the same number of threads for everyone."""
    threads = {name: str(work.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if work.device == "cpu" else {}
    fixed = {
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "DO_NOT_TRACK": "1",
        "WANDB_MODE": "disabled",
        "PYTHONUNBUFFERED": "1",
    }
    return {**os.environ, **threads, **hidden, **fixed}


class Side:
    """One running side. Trials come in the order given; each begins with its first ``repetition``."""

    def __init__(self, runner: Runner, process: subprocess.Popen[str], log: Path) -> None:
        self.runner, self._process, self._log = runner, process, log

    def event(self) -> dict[str, Any]:
        """What the runner says next. Raises SideFailed when a trial raised."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-TAIL:])
            raise SystemExit(f"{self.runner.name}: the process ended; {self._log} closes with\n{tail}")
        document: dict[str, Any] = json.loads(line)
        if document["event"] == "failed":
            raise SideFailed(document["why"])
        return document

    def repetition(self) -> dict[str, Any]:
        """Let it compute one repetition; ``seconds`` and what else the runner tells."""
        self._expect("ready")
        self._answer("go")
        return self._expect("repetition")

    def leave(self) -> None:
        """End the trial though repetitions are left."""
        self._expect("ready")
        self._answer("next")

    def end_trial(self) -> None:
        """After the trial's last repetition, or after ``leave``."""
        self._expect("done")

    def loss(self) -> float:
        """The step-0 loss of the next trial, for a job of mode loss."""
        return float(self._expect("loss")["loss"])

    def peak_bytes(self) -> int:
        """After the last trial."""
        return int(self._expect("bye")["peak_bytes"])

    def _expect(self, kind: str) -> dict[str, Any]:
        event = self.event()
        assert event["event"] == kind, f"{self.runner.name} said {event['event']} in place of {kind}"
        return event

    def _answer(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()


@contextmanager
def running(
    runner: Runner, work: Work, trials: Sequence[Mapping[str, Any]], *, mode: str = "train", repetitions: int = 1
) -> Iterator[Side]:
    """A runner's process on a job; it is ended on the way out."""
    log = HOME / "logs" / f"{runner.name}-{work.workload.stem}-{work.model.name}-{mode}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    job = {
        "mode": mode,
        "model": str(work.model.absolute()),
        "workload": str(work.workload.absolute()),
        "device": work.device,
        "batch_size": work.batch_size,
        "learning_rate": LEARNING_RATE,
        "repetitions": repetitions,
        "trials": list(trials),
        "rows": work.rows,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file, log.open("w") as errors:
        json.dump(job, file)
        file.flush()
        process = subprocess.Popen(
            [str(runner.python.absolute()), "-m", runner.module, file.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment(work),
            text=True,
        )
        try:
            yield Side(runner, process, log)
        finally:
            process.kill()
            process.wait()


def step_zero_loss(runner: Runner, work: Work, settings: Mapping[str, Any]) -> float:
    """Mean loss of the workload before any step, in float32, by the side's own batches and loss."""
    with running(runner, work, [settings], mode="loss") as side:
        return side.loss()
