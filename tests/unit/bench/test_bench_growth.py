from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from bench.growth import AXES, answer_rows, draw, store, table, task_rows

from precept.forest import distinct_tokens


def test_rows_of_a_task_share_its_prefix_and_train_their_end() -> None:
    rows = task_rows(16, prefix=100, tasks=8)
    # 8 prefixes of 100 tokens and 16 ends of 64; random tokens share next to nothing
    assert abs(distinct_tokens(rows) - (8 * 100 + 16 * 64)) < 8
    assert {(len(row.ids), int(row.weights.sum())) for row in rows} == {(164, 16)}
    assert all(row.weights[-16:].all() for row in rows)


def test_answers_to_a_prompt_share_it_and_train_all_their_tokens() -> None:
    rows = answer_rows(4, rows=8)
    assert abs(distinct_tokens(rows) - (2 * 256 + 8 * 64)) < 8
    assert np.array_equal(rows[0].ids[:256], rows[3].ids[:256])
    assert {int(row.weights.sum()) for row in rows} == {64}


def test_every_axis_has_its_points() -> None:
    assert list(AXES) == ["batch", "prefix", "answers", "rows", "size"]
    point = AXES["batch"].point(16)
    assert len(point.rows) == point.batch_size == 16


def measured(value: int, ours: float, theirs: float) -> dict[str, object]:
    sides = {side: {"seconds": [s], "peak_bytes": 2**30} for side, s in (("ours", ours), ("theirs", theirs))}
    return {"value": value, "real_tokens": 300, "computed_tokens": 100, **sides}


def test_points_are_kept_in_order_and_drawn(tmp_path: Path) -> None:
    path, about = tmp_path / "growth-batch.json", {"axis": "batch", "peer": "trl", "settings": "padded"}
    store(path, measured(64, 2, 10), about)
    store(path, measured(4, 1, 2), about)
    store(path, measured(64, 2, 8), about)  # measured again
    assert [point["value"] for point in json.loads(path.read_text())["points"]] == [4, 64]
    assert table(path).splitlines()[2:] == [
        "| 4 | 3.00 | 1.00 | 2.00 | 2.0 | 1,024 | 1,024 |",
        "| 64 | 3.00 | 2.00 | 8.00 | 4.0 | 1,024 | 1,024 |",
    ]
    assert "trl (padded), 64: 8<" in draw(path).read_text()
    store(path, measured(16, 1, 2), {**about, "settings": "packed"})  # other settings are another figure
    assert [point["value"] for point in json.loads(path.read_text())["points"]] == [16]
