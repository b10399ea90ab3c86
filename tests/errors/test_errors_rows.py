"""Each reason for which reading refuses a row or a file, by its smallest file."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.records import load

# code: the name of the file and its text
ROWS: dict[str, tuple[str, str]] = {
    "bad-compression": ("a.jsonl.gz", "x"),
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
    "no-answer": ("a.jsonl", '{"messages": [{"role": "user", "content": "a"}]}\n'),
    "no-prompt": ("a.jsonl", '{"chosen": "a", "rejected": "b"}\n'),
    "not-an-object": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\nnull\n',
    ),
    "not-messages": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"messages": 3}\n',
    ),
    "not-numbers": ("a.jsonl", '{"input_ids": [1, "a"], "labels": [1, 2]}\n'),
    "not-rows": ("a.json", "42"),
    "other-format": (
        "a.jsonl",
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}\n{"text": "a"}\n',
    ),
    "padded-row": ("a.jsonl", '{"input_ids": [1, 2], "labels": [1, 2], "attention_mask": [1, 0]}\n'),
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
    (tmp_path / name).write_text(text)
    assert code in {refusal.code for file in load([name], base=tmp_path).files for refusal in file.refused}
