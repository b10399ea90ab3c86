"""Data steps: what is told of rows and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.run.data.make import make_data
from precept.run.data.reframing import ReframingSettings
from precept.run.data.reframing import build as build_reframing

TASK = {
    "Definition": ["Say it."],
    "Positive Examples": [{"input": "a", "output": "b"}],
    "Instances": [{"input": f"x{n}", "output": ["y"]} for n in range(5)],
}


def write(folder: Path, name: str, *rows: Any) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_a_template_whose_task_cannot_be_read_names_the_file(tmp_path: Path) -> None:
    paths = [write(tmp_path, "task001_a.json", TASK), write(tmp_path, "task002_b.json")]
    settings = ReframingSettings(templates=tmp_path, first_test_instance=0, num_test_instances=2)
    with pytest.raises(InputError, match="no template there") as caught:
        build_reframing(paths, settings)
    assert f"{paths[1]}: empty: the file has 0 bytes" in (caught.value.found or "")
    assert [refusal.file for refusal in build_reframing(paths[1:], settings).refused] == paths[1:]


def test_every_row_and_file_that_is_dropped_stands_in_the_report(tmp_path: Path) -> None:
    rows = write(tmp_path, "rows.jsonl", *({"prompt": f"p{n}", "completion": "c" * (n == 0)} for n in range(13)))
    made = make_data("mixture", data=[rows], output=tmp_path / "out", pairs={"bad_rows": "drop"})
    told = json.loads(Path(made["report"]).read_text())["unusable"]
    assert (told["count"], told["by_code"]) == (12, {"empty-answer": 12})
    assert [entry["row"] for entry in told["entries"]] == list(range(2, 14))
    assert told["entries"][0] == {"file": rows, "row": 2, "code": "empty-answer", "reason": "empty answer"}
    broken = write(tmp_path, "task002_b.json")
    made = make_data(
        "super_ni",
        data=[write(tmp_path, "task001_a.json", TASK), broken],
        output=tmp_path / "other",
        pairs={"bad_rows": "drop"},
    )
    told = json.loads(Path(made["report"]).read_text())["unusable"]
    reason = "empty: the file has 0 bytes"
    assert told["entries"] == [{"file": broken, "row": None, "code": "empty-file", "reason": reason}]


@pytest.mark.parametrize(
    ("method", "pairs"),
    [
        ("mixture", {"epochs": 1e30}),
        ("mixture", {"total_rows": 10**12}),
        ("mixture", {"seed": 10**40}),
        ("mixture", {"cap": {"rows": 10**40}}),
        ("dolly", {"seed": -1, "test_size": 1}),
        ("flan", {"rows": 10**30}),
        ("flan", {"max_examples": 10**40}),
        ("flan_collection", {"rows": 10**12}),
        ("flan_collection", {"inversion_weight": float("inf")}),
        ("natural_instructions", {"num_examples": 10**9}),
    ],
)
def test_numbers_that_no_work_can_be_done_with_are_refused(tmp_path: Path, method: str, pairs: dict[str, Any]) -> None:
    rows = write(tmp_path, "rows.jsonl", *({"prompt": f"p{n}", "completion": "c"} for n in range(5)))
    with pytest.raises(InputError) as caught:
        make_data(method, data=[rows], output=tmp_path / "out", pairs=pairs)
    assert caught.value.code in ("bad-value", "mixture-too-long")
