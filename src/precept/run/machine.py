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
        "processor": processor_name(),
        "threads": torch.get_num_threads(),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": {name: metadata.version(name) for name in NAMES},
    }


def processor_name() -> str:
    """The processor as the system names it."""
    return _cpuinfo().get("model name") or platform.processor() or platform.machine()


def processor_flags() -> frozenset[str]:
    """What the processor says it can do, in the words of Linux; empty where the system does not tell."""
    fields = _cpuinfo()
    return frozenset((fields.get("flags") or fields.get("Features") or "").split())


def installed_version(package: str) -> str | None:
    """A package's version, or None when it is not installed."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _cpuinfo() -> dict[str, str]:
    """The fields of the first processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return {}
    fields = (line.split(":", 1) for line in lines[:40] if ":" in line)
    return {name.strip(): value.strip() for name, value in fields}
