"""Files of literal rows for the readers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from precept.records import FileReport, load
from precept.types import Row

ReadRows = Callable[..., tuple[list[Row], FileReport]]


@pytest.fixture
def read(tmp_path: Path) -> ReadRows:
    """read(record, record, ..., name='rows.jsonl') writes the records as JSON lines and loads them."""

    def write_and_load(*records: Any, name: str = "rows.jsonl") -> tuple[list[Row], FileReport]:
        (tmp_path / name).write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
        loaded = load([name], base=tmp_path)
        return loaded.rows, loaded.files[0]

    return write_and_load


@pytest.fixture
def read_bytes(tmp_path: Path) -> ReadRows:
    """read_bytes(data, name) writes the bytes and loads the file."""

    def write_and_load(data: bytes, name: str) -> tuple[list[Row], FileReport]:
        (tmp_path / name).write_bytes(data)
        loaded = load([name], base=tmp_path)
        return loaded.rows, loaded.files[0]

    return write_and_load
