"""The tools that Precept is compared with: how each is installed, its settings, and the grid of those tried.

Each has an environment of its own under ``.bench/venvs``, with the same torch as Precept.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.side import Runner
from bench.workloads import MAX_LENGTH

TORCH = "torch==2.13.0"
VENVS = Path(".bench/venvs")
PRECEPT = Runner("precept", Path(sys.executable), "bench.runners.precept")

Settings = Mapping[str, Any]
BATCHES = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Peer:
    """A tool. ``installs`` are arguments of pip, one call each, all with the torch pin before them.

    ``stock`` are the tool's defaults for the workload; ``grid`` names settings that may be faster. ``precision_keys``
    are the settings that do not matter in float32.
    """

    name: str
    module: str
    installs: tuple[tuple[str, ...], ...]
    stock: Settings
    grid: Mapping[str, Settings]
    precision_keys: tuple[str, ...]

    @property
    def runner(self) -> Runner:
        return Runner(self.name, VENVS / self.name / "bin" / "python", self.module)

    def install(self) -> None:
        """Make the environment once; an environment of other pins is another one."""
        folder = VENVS / self.name
        stamp, wanted = folder / "installed", repr((TORCH, self.installs))
        if stamp.is_file() and stamp.read_text() == wanted:
            return
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        for arguments in ((), *self.installs):
            pip = [str(self.runner.python), "-m", "pip", "install", "-q", "--disable-pip-version-check", TORCH]
            subprocess.run([*pip, *arguments], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)


def _trl_grid() -> dict[str, Settings]:
    base = {"max_length": MAX_LENGTH, "gradient_checkpointing": False, "loss_type": "nll"}
    precisions = {
        "bf16 autocast": {"bf16": True},
        "bf16 weights": {"bf16": False, "model_init_kwargs": {"dtype": "bfloat16"}},
        "float32": {"bf16": False},
    }
    layouts: dict[str, dict[str, Any]] = {
        "padded": {},
        "by length": {"train_sampling_strategy": "group_by_length"},
        "padding-free": {"padding_free": True, "max_length": None},
        "packed": {"packing": True},
    }
    return {
        f"{layout}, batch {batch}, {precision}": {
            **base,
            **layouts[layout],
            **precisions[precision],
            "per_device_train_batch_size": batch,
        }
        for precision in precisions
        for layout in layouts
        for batch in BATCHES
    }


TRL = Peer(
    name="trl",
    module="bench.runners.trl",
    installs=(("trl==1.16.0", "transformers==5.23.0", "accelerate==1.15.0", "peft==0.21.2", "datasets==5.2.0"),),
    stock={"max_length": MAX_LENGTH},
    grid=_trl_grid(),
    precision_keys=("bf16", "model_init_kwargs"),
)

PEERS = {peer.name: peer for peer in (TRL,)}
