"""Checkpoints that appear whole or not at all.

A checkpoint is written into ``checkpoint-N.partial`` and renamed to ``checkpoint-N`` when every byte is on disk, so a
killed process leaves the last complete one usable. It holds float32 masters of what is trained, the optimizer's
moments, the random state and the loop's counters; no pickles.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from precept.errors import WorkError

NAME = re.compile(r"^checkpoint-(\d+)$")
WEIGHTS, OPTIMIZER, STATE = "trainable.safetensors", "optimizer.safetensors", "state.json"


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint holds. ``state`` is the loop's own dictionary."""

    step: int
    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    random: Tensor
    state: dict[str, Any]


@dataclass(frozen=True)
class CheckpointStore:
    """The checkpoints of one output folder. ``keep`` newest ones stay, and whichever the loop protects."""

    folder: Path
    keep: int = 2

    def steps(self) -> list[int]:
        """Steps of the complete checkpoints, ascending."""
        if not self.folder.is_dir():
            return []
        return sorted(int(m.group(1)) for p in self.folder.iterdir() if (m := NAME.match(p.name)))

    def save(self, checkpoint: Checkpoint, *, protect: int | None = None) -> Path:
        """Write a checkpoint, make it visible at once, then drop the oldest. Raises WorkError when the disk is full."""
        final = self.folder / f"checkpoint-{checkpoint.step}"
        partial = final.with_name(final.name + ".partial")
        shutil.rmtree(partial, ignore_errors=True)
        try:
            partial.mkdir(parents=True)
            save_file({k: v.detach().contiguous().cpu() for k, v in checkpoint.weights.items()}, partial / WEIGHTS)
            moments = {k: v.detach().contiguous().cpu() for k, v in checkpoint.optimizer.items()}
            save_file({**moments, "random": checkpoint.random.cpu()}, partial / OPTIMIZER)
            digests = {name: _sha256(partial / name) for name in (WEIGHTS, OPTIMIZER)}
            document = {"step": checkpoint.step, "sha256": digests, "state": checkpoint.state}
            (partial / STATE).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2))
            for name in (WEIGHTS, OPTIMIZER, STATE):
                _sync(partial / name)
            shutil.rmtree(final, ignore_errors=True)
            os.rename(partial, final)
            _sync(self.folder)
        except (OSError, SafetensorError) as error:
            shutil.rmtree(partial, ignore_errors=True)
            raise WorkError(
                f"the checkpoint of step {checkpoint.step} could not be written",
                code="checkpoint-not-written",
                where=str(partial),
                found=str(error),
                do="free disk space and run the same command again: it goes on from the last complete checkpoint",
            ) from error
        self._drop(checkpoint.step, protect)
        return final

    def load(self, step: int) -> Checkpoint:
        """Read a checkpoint. Raises WorkError when a file of it is damaged."""
        folder = self.folder / f"checkpoint-{step}"
        try:
            document = orjson.loads((folder / STATE).read_bytes())
            for name, digest in document["sha256"].items():
                if _sha256(folder / name) != digest:
                    raise ValueError(f"{name} does not match its checksum")
            weights = load_file(folder / WEIGHTS)
            optimizer = load_file(folder / OPTIMIZER)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            raise WorkError(
                "the checkpoint is damaged",
                code="checkpoint-damaged",
                where=str(folder),
                found=str(error),
                do="remove this folder: the same command then goes on from the checkpoint before it",
            ) from error
        random = optimizer.pop("random")
        return Checkpoint(int(document["step"]), weights, optimizer, random, document["state"])

    def load_latest(self) -> tuple[Checkpoint | None, list[str]]:
        """The newest checkpoint that reads well, and a line for each damaged one passed over."""
        notices: list[str] = []
        for step in reversed(self.steps()):
            try:
                return self.load(step), notices
            except WorkError as error:
                notices.append(f"{error.where} is damaged ({error.found}); going back to the checkpoint before it")
        return None, notices

    def clear_partial(self) -> None:
        """Remove what a killed process left half written."""
        if self.folder.is_dir():
            for path in self.folder.glob("checkpoint-*.partial"):
                shutil.rmtree(path, ignore_errors=True)

    def remove_all(self) -> None:
        """Remove every checkpoint, when the result is saved."""
        for step in self.steps():
            shutil.rmtree(self.folder / f"checkpoint-{step}", ignore_errors=True)
        self.clear_partial()

    def _drop(self, newest: int, protect: int | None) -> None:
        """Drop the oldest, and those beyond ``newest``: damaged ones that this run went back from."""
        steps = self.steps()
        kept = [step for step in steps if step <= newest][-self.keep :]
        for step in steps:
            if step not in kept and step != protect:
                shutil.rmtree(self.folder / f"checkpoint-{step}", ignore_errors=True)


def random_state() -> Tensor:
    """The state of torch's generators as bytes, the accelerator's behind the processor's."""
    parts = [torch.get_rng_state()]
    if torch.cuda.is_available():
        parts += torch.cuda.get_rng_state_all()
    return torch.cat(parts)


def restore_random_state(state: Tensor) -> None:
    """Put back what ``random_state`` gave, on the same kind of machine."""
    size = torch.get_rng_state().numel()
    torch.set_rng_state(state[:size].clone())
    rest = state[size:]
    if torch.cuda.is_available() and rest.numel():
        torch.cuda.set_rng_state_all(list(rest.clone().chunk(torch.cuda.device_count())))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
