"""What a side of a comparison and the process that compares say to each other, a JSON document a line.

A runner is started with a job file. For each trial (one set of settings) it repeats the workload's optimizer steps:
before each repetition it says ``ready`` and waits for ``go`` (or ``next``: leave this trial), after it it says how long
it took. Both sides stay alive while only the one that was told to go computes.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

IGNORED = -100
"""The label of a position without a loss."""

Settings = dict[str, Any]


class NextTrial(Exception):
    """The comparing process has seen enough of this trial."""


@dataclass(frozen=True)
class Job:
    """Paths and counts that both sides get. ``mode`` is loss or train; ``batch_size`` rows make an optimizer step."""

    mode: str
    model: str
    workload: str
    device: str
    batch_size: int
    learning_rate: float
    repetitions: int
    trials: tuple[Settings, ...]
    rows: int | None = None

    def sequences(self) -> tuple[list[npt.NDArray[np.int32]], list[npt.NDArray[np.int64]]]:
        """Ids and labels of each row; the label of a context token is -100."""
        with np.load(self.workload) as arrays:
            ids, trained, start = arrays["ids"], arrays["trained"], arrays["start"]
        bounds = list(itertools.pairwise(start))[: self.rows]
        labels = np.where(trained, ids, IGNORED).astype(np.int64)
        return [ids[a:b] for a, b in bounds], [labels[a:b] for a, b in bounds]

    def steps(self, rows: int) -> int:
        """Optimizer steps of a repetition."""
        return -(-rows // self.batch_size)


class Stopwatch:
    """Times repetitions, each only after the other process said go."""

    def __init__(self, tell: Callable[[dict[str, Any]], None], synchronize: Callable[[], None]) -> None:
        self._tell, self._synchronize, self._began = tell, synchronize, 0.0

    def start(self) -> None:
        """Wait for permission; raises NextTrial when there is none."""
        self._tell({"event": "ready"})
        word = sys.stdin.readline().strip()
        if word != "go":
            raise NextTrial
        self._began = time.perf_counter()

    def stop(self, **figures: Any) -> None:
        """Tell the seconds since the last start; ``figures`` is what else the side wants to have recorded."""
        self._synchronize()
        self._tell({"event": "repetition", "seconds": time.perf_counter() - self._began, **figures})


def serve(loss: Callable[[Job, Settings], float], train: Callable[[Job, Settings, Stopwatch], None]) -> None:
    """Run the job named on the command line.

    ``loss`` gives the mean loss over all trained tokens of the workload in float32, before any step. ``train`` repeats
    the workload's optimizer steps ``job.repetitions`` times, each between ``start`` and ``stop``.
    """
    tell = _private_output()
    given = json.loads(Path(sys.argv[1]).read_text())
    job = Job(**{**given, "trials": tuple(given["trials"])})
    stopwatch = Stopwatch(tell, _synchronizer(job.device))
    for settings in job.trials:
        try:
            if job.mode == "loss":
                tell({"event": "loss", "loss": loss(job, settings)})
            else:
                train(job, settings, stopwatch)
                tell({"event": "done"})
        except NextTrial:
            tell({"event": "done"})
        except Exception as error:  # noqa: BLE001 - what a peer raises under odd settings is a finding of the grid
            traceback.print_exc()
            tell({"event": "failed", "why": f"{type(error).__name__}: {error}"[:300]})
    tell({"event": "bye", "peak_bytes": _peak_bytes(job.device)})


def _private_output() -> Callable[[dict[str, Any]], None]:
    """Keep standard output for the protocol; what libraries print there goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def tell(document: dict[str, Any]) -> None:
        channel.write(json.dumps(document) + "\n")

    return tell


def _synchronizer(device: str) -> Callable[[], None]:
    if device == "cpu":
        return lambda: None
    import torch

    return torch.cuda.synchronize


def _peak_bytes(device: str) -> int:
    """Most resident memory of the process, or most memory held on the device."""
    if device == "cpu":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    import torch

    return int(torch.cuda.max_memory_reserved())
