"""Data steps: what is told of rows and files that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
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
