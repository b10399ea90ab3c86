"""Trackers write into the run's folder and never to standard output, where the JSON document goes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from precept.run.tuning.progress import Trackio

# Stands for the package: like it, reads its folder when imported and prints wherever it is called.
TALKATIVE = """
import os
FOLDER = os.environ["TRACKIO_DIR"]
LOGGED = []
def init(project, name): print("initialized", project, name)
def log(values, step): LOGGED.append((step, values)); print("logged")
def finish(): print("finished")
"""


def test_trackio_writes_into_the_run_and_not_to_standard_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "trackio.py").write_text(TALKATIVE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "trackio", raising=False)
    monkeypatch.setenv("TRACKIO_DIR", "unset")
    monkeypatch.delenv("TRACKIO_DIR")
    tracker = Trackio(tmp_path / "run")
    tracker.log({"step": 1, "loss": 2.5, "notice": "text is no scalar"})
    tracker.close()
    module = sys.modules["trackio"]
    assert str(tmp_path / "run" / "trackio") == module.FOLDER
    assert module.LOGGED == [(1, {"loss": 2.5})]
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split() == ["initialized", "precept", "run", "logged", "finished"]
