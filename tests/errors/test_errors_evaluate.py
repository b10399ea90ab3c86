"""Each reason for which a task or a row to be asked is refused, by its smallest case."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.errors import InputError
from precept.evaluate import items_from_rows, load_task
from precept.types import Conversation, Message, Row, Source, Text

SOURCE = Source("rows.jsonl", 1, "0" * 16)
ASKED = Message("user", "a")
ANSWERED = Message("assistant", "b")

# code: the text of the task file, None where there is no file
TASKS: dict[str, str | None] = {
    "task-invalid": "family: none",
    "task-not-yaml": "- a",
    "task-unknown": None,
}

# code: the stock task that asks, and the row
ASKS: dict[str, tuple[str, Row]] = {
    "no-reference": ("references", Conversation((ASKED,), SOURCE)),
    "no-right-option": ("choice", Conversation((ASKED, ANSWERED), SOURCE, options=("c", "d"))),
    "rows-not-conversations": ("references", Text("a", SOURCE)),
}


@pytest.mark.parametrize("code", TASKS)
def test_the_task_is_refused_by_its_code(tmp_path: Path, code: str) -> None:
    path, text = tmp_path / "task.yaml", TASKS[code]
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as refused:
        load_task(path)
    assert refused.value.code == code and refused.value.do


@pytest.mark.parametrize("code", ASKS)
def test_the_row_is_refused_by_its_code(code: str) -> None:
    task, row = ASKS[code]
    with pytest.raises(InputError) as refused:
        items_from_rows([row], load_task(task))
    assert refused.value.code == code and refused.value.do
