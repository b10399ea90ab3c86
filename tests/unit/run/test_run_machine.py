"""A run that goes on elsewhere than it began says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from precept.run.machine import describe_machine
from precept.run.output import Output
from precept.run.tuning.train import _compare_machine


def test_another_thread_count_is_named_with_both_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = describe_machine()
    out = Output(tmp_path, stored={})
    out.write_json("environment.json", {**now, "threads": 99})
    _compare_machine(out)
    assert f"this run began with threads 99, now {now['threads']}: going on" in capsys.readouterr().err
    _compare_machine(out)  # environment.json tells of this machine now
    assert capsys.readouterr().err == ""
