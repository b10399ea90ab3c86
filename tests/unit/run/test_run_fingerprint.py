"""A model folder's hash: every byte of what makes the model counts, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from precept.run import fingerprint as module
from precept.run.fingerprint import TOKENIZER, fingerprint


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(bytes(range(256)) * 4)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "merges.txt").write_text("a b")
    (tmp_path / "spiece.model").write_bytes(b"model")
    (tmp_path / "environment.json").write_text("{}")
    return tmp_path


@pytest.mark.parametrize("place", [0, 99, 100, 512, 1023])
def test_each_byte_of_the_weights_counts(folder: Path, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PIECE", 100)
    monkeypatch.setattr(module, "BLOCK", 10)
    before = fingerprint(folder)
    weights = bytearray((folder / "model.safetensors").read_bytes())
    weights[place] ^= 1
    (folder / "model.safetensors").write_bytes(weights)
    assert fingerprint(folder) != before


@pytest.mark.parametrize("name", ["config.json", "merges.txt", "spiece.model", "vocab.txt", "tekken.json"])
def test_files_of_the_configuration_and_of_any_tokenizer_count(folder: Path, name: str) -> None:
    before = fingerprint(folder), fingerprint(folder, TOKENIZER)
    (folder / name).write_bytes(b"other")
    after = fingerprint(folder), fingerprint(folder, TOKENIZER)
    assert after[0] != before[0]
    assert (after[1] != before[1]) == (name != "config.json")


def test_what_runs_leave_beside_the_model_does_not_count(folder: Path) -> None:
    before = fingerprint(folder)
    for name in ("environment.json", "COMPLETED", "metrics.jsonl"):
        (folder / name).write_text("other")
    assert fingerprint(folder) == before


def test_a_file_is_told_from_the_same_bytes_in_two_files(folder: Path) -> None:
    before = fingerprint(folder)
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert fingerprint(folder) != before


def test_settled_files_are_read_once_and_again_when_they_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(module, "SETTLED_NS", -(10**18))
    hash_piece = module._hash_piece
    monkeypatch.setattr(module, "_hash_piece", lambda piece: read.append(piece[0].name) or hash_piece(piece))
    before = fingerprint(folder)
    assert len(read) == 4
    assert fingerprint(folder) == before
    assert len(read) == 4
    (folder / "model.safetensors").write_bytes(bytes(1025))
    assert fingerprint(folder) != before


def test_young_files_are_read_each_time(folder: Path) -> None:
    before = fingerprint(folder)
    times = (folder / "merges.txt").stat()
    (folder / "merges.txt").write_text("b a")
    os.utime(folder / "merges.txt", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(folder) != before
