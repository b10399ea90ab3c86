"""A machine that refuses, and runs whose files were damaged: the message tells what and where, and nothing is lost."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import chat_rows, precept, write_rows

ROOT = Path(__file__).parents[2]


def limited(limit: Callable[[], object], *words: str | Path) -> subprocess.CompletedProcess[str]:
    """``precept WORDS`` in a process of its own that ``limit`` was called in."""
    command = [sys.executable, "-m", "precept", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, preexec_fn=limit)


def file_size(most: int) -> Callable[[], object]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))


def test_a_full_disk_leaves_the_old_file_of_a_conversion(tmp_path: Path) -> None:
    data, old = write_rows(tmp_path / "rows.jsonl", chat_rows(400)), tmp_path / "out.jsonl"
    old.write_text("older work")
    ended = limited(file_size(4096), "data", "convert", data, "--to", "messages", "-o", old)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert all(words in ended.stderr for words in ("the disk is full", "out.jsonl", "free disk space")), ended.stderr
    assert old.read_text() == "older work" and len(list(tmp_path.iterdir())) == 2


def test_a_full_disk_while_training_is_told_and_the_same_command_goes_on(tmp_path: Path, base_folder: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", chat_rows(16))
    words = ("train", "sft", "-m", base_folder, "-d", data, "-o", tmp_path / "out", "max_steps=2", "batch_size=8")
    ended = limited(file_size(30_000), *words)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "checkpoint of step 2 could not be written" in ended.stderr and "free disk space" in ended.stderr
    assert not (tmp_path / "out" / "COMPLETED").exists()
    assert precept(*words).code == 0


def test_too_little_memory_is_told(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    with data.open("w") as file:
        for _ in range(300):
            file.write(json.dumps({"text": "word " * 200_000}) + "\n")
    most = 400 << 20
    ended = limited(lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most)), "data", "stats", data)
    assert ended.returncode == 1 and "Traceback" not in ended.stderr
    assert "memory of this machine does not suffice" in ended.stderr and "do: " in ended.stderr, ended.stderr


def test_ctrl_c_while_reading_ends_with_1_and_one_line(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"text": "a"}\n' * 400_000)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.2)  # reading takes a second
    try:
        ended = precept("data", "convert", data, "--to", "text", "-o", tmp_path / "never.jsonl")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert (ended.code, ended.out, ended.err) == (1, "", "stopped\n")
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


WITHOUT_RIGHTS = """
import os, sys
from tests.command_line import precept

data, output = sys.argv[1:]
words = ("data", "convert", data, "--to", "messages", "-o")
assert precept(*words, data + ".json").code == 0  # imports all that root alone may be able to read
if os.getuid() == 0:
    os.setuid(65534)
for command in ((*words, output), ("data", "stats", data + ".shut")):
    ended = precept(*command)
    print(ended.code, ended.out, ended.err)
"""


def test_files_without_permission_are_named(tmp_path: Path) -> None:
    for part in (tmp_path, *tmp_path.parents[:3]):
        part.chmod(0o755)
    data = write_rows(tmp_path / "rows.jsonl", chat_rows(2))
    shutil.copy(data, tmp_path / "rows.jsonl.shut")
    (tmp_path / "rows.jsonl.shut").chmod(0o000)
    (tmp_path / "shut").mkdir(mode=0o555)
    command = [sys.executable, "-c", WITHOUT_RIGHTS, str(data), str(tmp_path / "shut" / "out.jsonl")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 0 and "Traceback" not in done.stdout, done.stderr
    assert "out.jsonl: cannot be written: Permission denied" in done.stdout
    assert "cannot be opened: Permission denied" in done.stdout and "check its permissions" in done.stdout
    assert not list((tmp_path / "shut").iterdir())


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> tuple[Path, list[str | Path]]:
    """A run that stopped at a loss that is not finite, with a checkpoint, and its command."""
    folder = tmp_path_factory.mktemp("diverged")
    data = write_rows(folder / "rows.jsonl", chat_rows(16))
    words: list[str | Path] = ["train", "sft", "-m", base_folder, "-d", data, "-o", folder / "out"]
    words += ["max_steps=6", "batch_size=8", "save_steps=1", "max_grad_norm=0"]
    ended = precept(*words, "learning_rate=1e30")
    assert ended.code == 1 and "Traceback" not in ended.err
    assert all(said in ended.err for said in ("the loss of step", "lower learning_rate", "checkpoint is kept"))
    assert list((folder / "out").glob("checkpoint-*"))
    return folder / "out", words


@pytest.mark.parametrize("name", ["run.yaml", "COMPLETED"])
def test_a_damaged_record_of_a_run_is_named_and_kept(
    tmp_path: Path, diverged: tuple[Path, list[str | Path]], name: str
) -> None:
    output, words = tmp_path / "out", [*diverged[1], "learning_rate=1e30"]
    shutil.copytree(diverged[0], output)
    words[words.index(diverged[0])] = output
    (output / name).write_bytes(b"{\xff")
    ended = precept(*words)
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(said in ended.err for said in (name, "damaged", "--fresh")), ended.err
    assert list(output.glob("checkpoint-*")) and (output / name).read_bytes() == b"{\xff"


def test_a_damaged_checkpoint_metrics_and_environment_do_not_stop_a_run(
    tmp_path: Path, diverged: tuple[Path, list[str | Path]]
) -> None:
    output, words = tmp_path / "out", list(diverged[1])
    shutil.copytree(diverged[0], output)
    words[words.index(diverged[0])] = output
    for checkpoint in output.glob("checkpoint-*"):
        (checkpoint / "state.json").write_bytes(b"{")
    (output / "environment.json").write_bytes(b"[")
    (output / "metrics.jsonl").write_bytes(b'{"step": 1\n\xff\n')
    ended = precept(*words, "learning_rate=1e-3", "--allow-changed")
    assert ended.code == 0 and "is damaged" in ended.err and "Traceback" not in ended.err, ended.err
