"""Where commands speak: one JSON document or a table to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import Progress

from precept.errors import PreceptError

STDERR = Console(stderr=True, soft_wrap=True, highlight=False)
STDOUT = Console(soft_wrap=True, highlight=False)


def say(line: str) -> None:
    """One line of notice to standard error."""
    STDERR.print(line, markup=False)


def print_json(document: Any) -> None:
    """The command's one JSON document."""
    sys.stdout.buffer.write(orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    sys.stdout.flush()


def print_error(error: PreceptError) -> None:
    """An error on a few lines: what, where, found, do, and the code under which docs/errors.md has it."""
    STDERR.print(f"error: {error}\n  code: {error.code}", markup=False, style="red")


@contextmanager
def progress_line(label: str, *, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar with the time left; the function that comes out is told (done, all)."""
    with Progress(console=STDERR, disable=not STDERR.is_terminal) as bar:
        task = bar.add_task(label, total=total)
        yield lambda done, all_: bar.update(task, completed=done, total=all_)
