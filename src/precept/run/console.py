"""Where commands speak: one JSON document or a table to standard output, everything else to standard error."""

from __future__ import annotations

import sys
from typing import Any

import orjson
from rich.console import Console

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
    """An error on a few lines: what, where, found, do."""
    STDERR.print(f"error: {error}", markup=False, style="red")
