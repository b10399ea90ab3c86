"""What a run records beside its weights: the data manifest and the schedule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from precept.forest import Schedule
from precept.run.data.rows import RawData, file_entries
from precept.run.tuning.prepare import RenderedData
from precept.types import TokenSequence


def data_manifest(raw: RawData, data: RenderedData) -> dict[str, Any]:
    """Files with hashes and licences, rows in and out, and every row left out with its reason."""
    train_lost = [*data.train.refusals, *data.train.dropped]
    held_lost = [*data.held_out.refusals, *data.held_out.dropped] if data.held_out else []
    left_out = [*raw.refused, *train_lost, *held_lost]
    return {
        "hash": raw.hash,
        "files": file_entries(raw.files),
        "rows": {
            "read": len(raw.train) + len(raw.held_out),
            "trained": len(raw.train) - len(train_lost),
            "held_out": len(raw.held_out) - len(held_lost),
            "left_out": len(left_out),
        },
        "left_out": [{"file": r.file, "row": r.row, "reason": r.reason} for r in left_out],
        "max_length": data.max_length,
        "notices": data.train.notices,
    }


def schedule_lines(schedule: Schedule, sequences: Sequence[TokenSequence], raw: RawData, *, steps: int) -> bytes:
    """What each step saw, a line a step: ``FILE:ROW`` with FILE an index into data_manifest.json's files."""
    index = {file.path: number for number, file in enumerate(raw.files)}

    def name(place: int) -> str:
        source = sequences[place].source
        return f"{index.get(source.file, source.file)}:{source.row}"

    lines = [
        orjson.dumps({"step": step + 1, "epoch": schedule.epoch(step), "rows": [name(i) for i in schedule.rows(step)]})
        for step in range(steps)
    ]
    return b"".join(line + b"\n" for line in lines)
