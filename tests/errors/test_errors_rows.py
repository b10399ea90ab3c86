"""Each reason for which reading refuses a row or a file, by its smallest file."""

from __future__ import annotations

import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from precept.errors import PreceptError
from precept.records import load, split, write

# code: the name of the file and its text
ROWS: dict[str, tuple[str, str]] = {
    "bad-compression": ("a.jsonl.gz", "x"),
    "bad-encoding": ("a.jsonl", '{"text": "\udcff"}\n'),  # written as the byte 0xff
    "bad-history": (
        "a.jsonl",
        '{"instruction": "a", "output": "b", "history": []}\n{"instruction": "a", "output": "b", "history": 3}\n',
    ),
    "bad-images": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "images": ["x"]}\n',
    ),
    "bad-json": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{\n',
    ),
    "bad-labels": ("a.jsonl", '{"input_ids": [1, 2], "labels": [1]}\n'),
    "bad-score": (
        "a.jsonl",
        '{"prompt": "p", "chosen": "a", "rejected": "b", "score_chosen": "x", "score_rejected": 1}\n',
    ),
    "bad-table": ("a.csv", "instruction;output\nx;y\n"),
    "bad-task": ("task1.json", '{"Definition": 3, "Positive Examples": [], "Instances": []}'),
    "bad-token": ("a.jsonl", '{"input_ids": [-1, 2], "labels": [-100, 2]}\n'),
    "bad-tool-call": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [{"function": {}}]}]}\n',
    ),
    "bad-tools": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "tools": 3}\n',
    ),
    "bad-weight": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b", "weight": -1}]}\n',
    ),
    "empty-answer": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}]}\n',
    ),
    "empty-file": ("a.jsonl", ""),
    "empty-row": ("a.jsonl", '{"input_ids": [1, 2], "labels": [1, 2]}\n{"input_ids": [], "labels": []}\n'),
    "empty-text": ("a.jsonl", '{"text": ""}\n'),
    "lone-surrogate": ("a.jsonl", '{"text": "\\ud800"}\n'),
    "missing-column": (
        "task1.json",
        '{"Definition": "d", "Positive Examples": [], "Instances": [{"input": "a", "output": ["b"]}, {"input": "a"}]}',
    ),
    "no-answer": ("a.jsonl", '{"messages": [{"role": "user", "content": "a"}]}\n'),
    "no-label": (
        "a.jsonl",
        '{"prompt": "a", "completion": "b", "label": true}\n{"prompt": "a", "completion": "b", "label": "x"}\n',
    ),
    "no-messages": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"messages": []}\n',
    ),
    "no-preference": ("a.jsonl", '{"instruction": "a", "output_1": "b", "output_2": "c", "preference": "d"}\n'),
    "no-prompt": ("a.jsonl", '{"chosen": "a", "rejected": "b"}\n'),
    "not-an-object": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\nnull\n',
    ),
    "not-data": ("a.bin", "x"),
    "not-messages": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"messages": 3}\n',
    ),
    "not-numbers": ("a.jsonl", '{"input_ids": [1, "a"], "labels": [1, 2]}\n'),
    "not-rows": ("a.json", "42"),
    "not-text": ("a.jsonl", '{"instruction": "a", "output": "b"}\n{"instruction": "a", "output": 3}\n'),
    "other-format": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"text": "a"}\n',
    ),
    "padded-row": ("a.jsonl", '{"input_ids": [1, 2], "labels": [1, 2], "attention_mask": [1, 0]}\n'),
    "tie": ("a.jsonl", '{"instruction": "a", "output_1": "b", "output_2": "c", "preference": 1.5}\n'),
    "two-prompts": (
        "a.jsonl",
        '{"prompt": "x", "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]'
        ', "rejected": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "c"}]}\n',
    ),
    "two-system-texts": (
        "a.jsonl",
        '{"system": "x", "messages": [{"role": "system", "content": "y"}'
        ', {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n',
    ),
    "unknown-part": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": [{"type": "smell"}]}, {"role": "assistant", "content": "b"}]}\n',
    ),
    "unknown-role": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "wizard", "content": "b"}]}\n',
    ),
}


@pytest.mark.parametrize("code", ROWS)
def test_the_row_is_refused_by_its_code(tmp_path: Path, code: str) -> None:
    name, text = ROWS[code]
    (tmp_path / name).write_text(text, encoding="utf-8", errors="surrogateescape")
    assert code in {refusal.code for file in load(["."], base=tmp_path).files for refusal in file.refused}


def is_a_file(tmp_path: Path, name: str) -> Path:
    """A file of one row."""
    path = tmp_path / name
    path.write_text('{"text": "a"}\n')
    return path


def full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file may grow beyond four bytes, of which the kernel tells as of a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    rows = load([str(is_a_file(tmp_path, "a.jsonl"))]).rows
    resource.setrlimit(resource.RLIMIT_FSIZE, (4, hard))
    try:
        write(rows, tmp_path / "b.jsonl", "text")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]  # no part of a file is left


def unheld_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address answers; the data set is not there."""
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_ENDPOINT", is_a_file(tmp_path, "hub").as_uri())
    load(["hf:nobody/nothing"])


def absent_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    load([str(is_a_file(tmp_path, "a.jsonl.zst"))])


# code: what raises it
FILES: dict[str, Callable[[Path, pytest.MonkeyPatch], object]] = {
    "bad-fraction": lambda tmp_path, monkeypatch: split([], fraction=1, seed=0),
    "disk-full": full_disk,
    "hub-failed": unheld_data_set,
    "hub-offline": lambda tmp_path, monkeypatch: load(["hf:nobody/nothing"]),
    "missing-extra": absent_package,
    # A regular file whose first byte nobody may read, root neither.
    "unreadable-path": lambda tmp_path, monkeypatch: load(["/proc/self/mem"]),
}


@pytest.mark.parametrize("code", FILES)
def test_the_files_end_in_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    if code.startswith("hub-"):
        pytest.importorskip("datasets")
    with pytest.raises(PreceptError) as ended:
        FILES[code](tmp_path, monkeypatch)
    assert ended.value.code == code and ended.value.do
