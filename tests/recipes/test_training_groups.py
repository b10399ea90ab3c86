"""``group_by_prefix`` from the command line: other batches of the same rows, planned as they are trained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command_line import precept, write_rows

TASKS = ("Say whether the ferry sails.", "Name the port that the letter came from.", "Count the bells that were rung.")
SETTINGS = ("batch_size=8", "max_steps=6", "learning_rate=1e-2", "dtype=float32", "max_tokens_per_forest=512")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen rows of each of three tasks: row 1, 4, 7... is of the first one."""
    asked = [(task, number) for number in range(16) for task in TASKS]
    messages = [
        [
            {"role": "user", "content": f"{task} {task} Number {number}."},
            {"role": "assistant", "content": f"It is {number}."},
        ]
        for task, number in asked
    ]
    return write_rows(tmp_path_factory.mktemp("grouped") / "rows.jsonl", [{"messages": m} for m in messages])


def drawn(folder: Path) -> list[list[int]]:
    """The row numbers of each step, from 0."""
    lines = (folder / "schedule.jsonl").read_text().splitlines()
    return [[int(row.rpartition(":")[2]) - 1 for row in json.loads(line)["rows"]] for line in lines]


def test_groups_hold_one_task_and_an_epoch_every_row(base_folder: Path, rows: Path, tmp_path: Path) -> None:
    command = ("train", "sft", "-m", base_folder, "-d", rows, "--json", *SETTINGS)
    alone = precept(*command, "-o", tmp_path / "alone")
    grouped = precept(*command, "-o", tmp_path / "grouped", "group_by_prefix=4")
    assert (alone.code, grouped.code) == (0, 0), grouped.err
    steps = drawn(tmp_path / "grouped")  # 6 steps of 8 rows are one epoch of 48
    assert sorted(row for step in steps for row in step) == list(range(48))
    assert all(len({row % 3 for row in step[i : i + 4]}) == 1 for step in steps for i in (0, 4))
    assert grouped.json["tokens"]["real"] == alone.json["tokens"]["real"]
    assert grouped.json["tokens"]["distinct"] < alone.json["tokens"]["distinct"]
    assert "8 sequences, drawn in groups of 4 by prefix," in (tmp_path / "grouped" / "README.md").read_text()
    assert "group_by_prefix: 4" in (tmp_path / "grouped" / "run.yaml").read_text()
    plan = precept("plan", "-m", base_folder, "-d", rows, *SETTINGS, "group_by_prefix=4", "--json")
    assert plan.json["steps"][0]["tokens"]["distinct"] == grouped.json["tokens"]["distinct"]
