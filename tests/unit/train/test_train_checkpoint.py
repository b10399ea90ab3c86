"""Checkpoints appear whole or not at all, and a damaged one is passed over by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from precept.errors import WorkError
from precept.train.checkpoint import Checkpoint, CheckpointStore, random_state, restore_random_state


def checkpoint(step: int) -> Checkpoint:
    weights = {"w": torch.full((2, 2), float(step))}
    return Checkpoint(step, weights, {"w.step": torch.tensor(1.0)}, random_state(), {"step": step})


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(3))
    loaded = store.load(3)
    assert loaded.step == 3 and loaded.state == {"step": 3}
    assert torch.equal(loaded.weights["w"], torch.full((2, 2), 3.0))
    assert torch.equal(loaded.optimizer["w.step"], torch.tensor(1.0))


def test_only_the_newest_and_the_protected_stay(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=2)
    for step in (1, 2, 3, 4):
        store.save(checkpoint(step), protect=1)
    assert store.steps() == [1, 3, 4]


def test_a_damaged_checkpoint_ahead_never_takes_the_place_of_a_good_one(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    store.save(checkpoint(20))
    (tmp_path / "checkpoint-20" / "state.json").write_text("")
    store.save(checkpoint(15))  # the run went back before step 20 and was stopped at 15
    assert store.steps() == [15]


def test_a_half_written_checkpoint_is_not_seen(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    (tmp_path / "checkpoint-2.partial").mkdir()
    assert store.steps() == [1]
    store.clear_partial()
    assert not (tmp_path / "checkpoint-2.partial").exists()


@pytest.mark.parametrize("name", ["trainable.safetensors", "optimizer.safetensors", "state.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_it_is_used(tmp_path: Path, name: str) -> None:
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    store.save(checkpoint(2))
    path = tmp_path / "checkpoint-2" / name
    path.write_bytes(path.read_bytes()[:-5])
    found, notices = store.load_latest()
    assert found is not None and found.step == 1
    assert len(notices) == 1 and "checkpoint-2" in notices[0]
    with pytest.raises(WorkError, match="damaged"):
        store.load(2)


def test_a_full_disk_leaves_the_last_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(checkpoint(1))
    (tmp_path / "checkpoint-2.partial").write_text("a file where the folder should be made")
    with pytest.raises(WorkError, match="could not be written"):
        store.save(checkpoint(2))
    assert store.steps() == [1]


def test_the_random_state_comes_back() -> None:
    state = random_state()
    first = torch.rand(4)
    restore_random_state(state)
    assert torch.equal(first, torch.rand(4))
