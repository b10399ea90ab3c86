"""How a suite's rows become tasks."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import write_rows

from precept.evaluate import suite
from precept.evaluate.suite import load_suite
from precept.run.eval.suite_tasks import suite_tasks
from precept.run.eval.tasks import Asked, Asking


def asked(folder: Path, group: str) -> list[Asked]:
    path = folder / "own.yaml"
    path.write_text(f"tasks: [{{task: references, data: '*/*.jsonl', each: true, group: '{group}'}}]\n")
    return suite_tasks(load_suite(str(path)), folder, Asking())


@pytest.mark.parametrize("group", ["{dataset}", "{folder}"])
def test_a_folder_is_looked_through_as_often_for_many_tasks_as_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    globbed, glob = [0], suite._glob

    def count(folder: Path, pattern: str):
        globbed[0] += folder == tmp_path
        return glob(folder, pattern)

    monkeypatch.setattr(suite, "_glob", count)
    looked = []
    for number in range(8):
        (tmp_path / f"set{number % 2}").mkdir(exist_ok=True)
        write_rows(tmp_path / f"set{number % 2}" / f"t{number}.jsonl", [{"prompt": "a", "references": ["b"]}] * 2)
        globbed[0] = 0
        found = asked(tmp_path, group)
        looked.append(globbed[0])
    assert set(looked) == {looked[0]}
    assert {entry.group for entry in found} == {"set0", "set1"}
    assert {tuple(Path(file).stem for file, _ in entry.files) for entry in found} == {(f"t{n}",) for n in range(8)}
