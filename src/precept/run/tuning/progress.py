"""Monitors of a training run: metrics.jsonl always, a progress bar, and a tracker when asked."""

from __future__ import annotations

import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import orjson
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from precept.errors import MissingExtra
from precept.ports import Monitor
from precept.run.console import STDERR, say
from precept.run.output import write_atomic

SECONDS_BETWEEN_LINES = 15.0
SAMPLE_WIDTH = 100


class MetricsFile:
    """``metrics.jsonl``: one object a line. A resumed run first drops the lines after its checkpoint."""

    def __init__(self, path: Path, *, keep_until: int | None) -> None:
        kept = b""
        if keep_until is not None and path.is_file():
            kept = b"".join(line + b"\n" for line in _complete_lines(path) if _step_of(line) <= keep_until)
        write_atomic(path, kept)
        self._file = path.open("ab", buffering=0)

    def log(self, record: dict[str, Any]) -> None:
        self._file.write(orjson.dumps(record) + b"\n")

    def close(self) -> None:
        self._file.close()


def _complete_lines(path: Path) -> list[bytes]:
    """Lines that end in a line feed; a killed process may leave a torn last one."""
    return [line for line in path.read_bytes().split(b"\n")[:-1] if line]


def _step_of(line: bytes) -> float:
    """The step of a record; infinite for a damaged line, which no resumed run keeps."""
    try:
        return float(orjson.loads(line)["step"])
    except (ValueError, TypeError, KeyError):
        return math.inf


class Bar:
    """Loss, real and distinct tokens per second, memory, time left; lines where there is no terminal."""

    def __init__(self, total: int, done: int) -> None:
        self._total = total
        self._bar = Progress(
            TextColumn("step"),
            MofNCompleteColumn(),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=STDERR,
            disable=not STDERR.is_terminal,
        )
        self._bar.start()
        self._task = self._bar.add_task("train", total=total, completed=done, figures="")
        self._began = time.perf_counter()
        self._said = self._began
        self._steps = self._real = self._distinct = 0

    def log(self, record: dict[str, Any]) -> None:
        if "notice" in record:
            say(str(record["notice"]))
        elif "eval_loss" in record:
            say(f"step {record['step']}: evaluation loss {record['eval_loss']:.4f}")
        elif "sample" in record:
            say(f"    {record['sample']['prompt_tail']!r} -> {record['sample']['answer'][:SAMPLE_WIDTH]!r}")
        elif "loss" in record:
            self._step(record)

    def _step(self, record: dict[str, Any]) -> None:
        now = time.perf_counter()
        self._steps += 1
        self._real += record["real_tokens"]
        self._distinct += record["distinct_tokens"]
        seconds = max(now - self._began, 1e-9)
        figures = (
            f"loss {record['loss']:.4f}  {self._real / seconds:,.0f} real tok/s"
            f"  {self._distinct / seconds:,.0f} distinct tok/s  {resident_bytes() / 2**30:.1f} GiB"
        )
        self._bar.update(self._task, completed=record["step"], figures=figures)
        if self._bar.disable and (now - self._said > SECONDS_BETWEEN_LINES or record["step"] == self._total):
            self._said = now
            left = seconds / self._steps * (self._total - record["step"])
            say(f"step {record['step']}/{self._total}  {figures}  {left:,.0f} s left")

    def close(self) -> None:
        self._bar.stop()


class Tensorboard:
    """Scalars for TensorBoard (extra ``track``)."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingExtra("tensorboard", "track", wanted_for="report_to=tensorboard") from error
        self._writer: Any = SummaryWriter(str(folder / "tensorboard"))

    def log(self, record: dict[str, Any]) -> None:
        for key, value in _scalars(record):
            self._writer.add_scalar(f"train/{key}", value, record["step"])

    def close(self) -> None:
        self._writer.close()


class Trackio:
    """Scalars for a local Trackio project (extra ``trackio``). What it prints goes to standard error."""

    def __init__(self, folder: Path) -> None:
        os.environ.setdefault("TRACKIO_DIR", str((folder / "trackio").resolve()))  # read when trackio is imported
        try:
            import trackio
        except ImportError as error:
            raise MissingExtra("trackio", "trackio", wanted_for="report_to=trackio") from error
        self._trackio: Any = trackio
        with redirect_stdout(sys.stderr):
            trackio.init(project="precept", name=folder.name)

    def log(self, record: dict[str, Any]) -> None:
        with redirect_stdout(sys.stderr):
            self._trackio.log(dict(_scalars(record)), step=record["step"])

    def close(self) -> None:
        with redirect_stdout(sys.stderr):
            self._trackio.finish()


class Several:
    """One monitor made of several."""

    def __init__(self, monitors: list[Monitor]) -> None:
        self._monitors = monitors

    def log(self, record: dict[str, Any]) -> None:
        for monitor in self._monitors:
            monitor.log(record)

    def close(self) -> None:
        for monitor in self._monitors:
            monitor.close()


def make_monitor(folder: Path, *, total: int, done: int | None, report_to: str) -> Several:
    """All monitors of a run. ``done`` is the step that a resumed run goes on from, None for a new one."""
    trackers: dict[str, Callable[[Path], Monitor]] = {"tensorboard": Tensorboard, "trackio": Trackio}
    extra: list[Monitor] = [trackers[report_to](folder)] if report_to in trackers else []
    return Several([MetricsFile(folder / "metrics.jsonl", keep_until=done), Bar(total, done or 0), *extra])


def resident_bytes() -> int:
    """Memory this process holds now, in bytes; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _scalars(record: dict[str, Any]) -> list[tuple[str, float]]:
    return [(k, float(v)) for k, v in record.items() if k != "step" and isinstance(v, int | float)]
