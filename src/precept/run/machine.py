"""What a run's results depend on beside its settings: processor, threads, device and versions."""

from __future__ import annotations

import importlib.metadata as metadata
import platform
from pathlib import Path
from typing import Any

NAMES = ("torch", "transformers", "tokenizers", "peft", "safetensors", "numpy", "precept")


def describe_machine() -> dict[str, Any]:
    """What bit-identity depends on: processor, torch, threads; and the versions of the rest."""
    import torch

    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: metadata.version(name) for name in NAMES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    fields = dict(line.split(":", 1) for line in lines[:40] if ":" in line)
    flags = {k.strip(): v.strip() for k, v in fields.items()}
    return flags.get("model name", platform.machine())
