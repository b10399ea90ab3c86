"""How far an evaluation is, over all of its tasks: a bar with the time left, or lines where there is no terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from precept.run.console import STDERR, say

SECONDS_BETWEEN_LINES = 15.0


class EvalProgress:
    """Items done by one model; those that an earlier run left count as done and not for the speed."""

    def __init__(self, bar: Progress, label: str, *, total: int, done: int) -> None:
        self._bar, self._label, self._total, self._before, self._done = bar, label, total, done, done
        self._line = bar.add_task(label, total=total, completed=done)
        self._began = self._said = time.perf_counter()

    def block(self, name: str, size: int) -> None:
        """A block of a task has begun."""
        self._bar.update(self._line, description=f"{self._label}: {name}")
        self._name, self._size, self._inside = name, size, 0

    def inside(self, done: int, total: int) -> None:
        """Of the block's ``total`` answers so many are there."""
        self._inside = self._size * done // max(total, 1)
        self._tell()

    def finish_block(self) -> None:
        """The block is on disk."""
        self._done += self._size
        self._inside = 0
        self._tell()

    def _tell(self) -> None:
        done = self._done + self._inside
        self._bar.update(self._line, completed=done)
        now = time.perf_counter()
        if not self._bar.disable or now - self._said < SECONDS_BETWEEN_LINES or done == self._before:
            return
        self._said = now
        left = (now - self._began) / (done - self._before) * (self._total - done)
        say(f"{self._label}: {self._name}: {done} of {self._total} items, {_duration(left)} left")


@contextmanager
def eval_progress(label: str, *, total: int, done: int) -> Iterator[EvalProgress]:
    """The progress of one model's answers."""
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=STDERR, disable=not STDERR.is_terminal) as bar:
        yield EvalProgress(bar, label, total=total, done=done)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
