"""``precept doctor``: what this machine offers, what is installed, and what is known not to work together."""

from __future__ import annotations

import importlib.metadata as metadata
import os
import platform
import shutil
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from rich.table import Table

from precept.run.combinations import Surroundings, find_problems, meets
from precept.run.console import STDOUT
from precept.run.machine import installed_version, processor_flags, processor_name

HUB = "https://huggingface.co"
PATIENCE = 1.5  # seconds until the hub counts as out of reach
OFFLINE_SWITCHES = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
MATRIX_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "sve", "bf16")
GIB = 2**30


def doctor() -> dict[str, Any]:
    """``{processor, memory, devices, versions, extras, disk, offline, problems}``; sizes in bytes.

    The only call to the network is one to the hub, of at most two seconds, and none where a switch forbids it.
    """
    torch_error: str | None = None
    devices: list[dict[str, Any]] = []
    cuda = None
    free = None
    try:
        import torch

        from precept.forecast.measure import free_memory
    except (ImportError, OSError, RuntimeError) as error:
        torch_error = " ".join(str(error).split())
    else:
        cuda, free, devices = torch.version.cuda, free_memory(), _devices()
    flags = processor_flags()
    around = Surroundings(
        version=installed_version,
        requires=_requires,
        system=platform.system(),
        environment=os.environ,
        torch_error=torch_error,
        cuda=cuda,
        cuda_devices=sum(device["type"] == "cuda" for device in devices),
        has_nvidia_device=Path("/dev/nvidia0").exists(),
    )
    disk = shutil.disk_usage(Path.cwd())
    return {
        "processor": {
            "name": processor_name(),
            "cores": os.cpu_count(),
            "avx512": "avx512f" in flags,
            "amx": "amx_tile" in flags,
            "bf16": bool(flags & {"avx512_bf16", "amx_bf16", "bf16"}),
            "flags": [flag for flag in MATRIX_FLAGS if flag in flags],
        },
        "memory": {"total": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), "free": free},
        "devices": devices,
        "versions": _versions(),
        "extras": read_extras(),
        "disk": {"path": str(Path.cwd()), "total": disk.total, "free": disk.free},
        "offline": is_offline(os.environ),
        "problems": [problem._asdict() for problem in find_problems(around)],
    }


def _devices() -> list[dict[str, Any]]:
    """What can compute: the CUDA devices with their memory, else the processor; and whether bfloat16 works there."""
    import torch

    from precept.models.precision import computes_in_bfloat16

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not count:
        return [{"type": "cpu", "name": processor_name(), "bf16": computes_in_bfloat16(torch.device("cpu"))}]
    devices = []
    for index in range(count):
        free, total = torch.cuda.mem_get_info(index)
        bf16 = computes_in_bfloat16(torch.device("cuda", index))
        name = torch.cuda.get_device_name(index)
        devices.append({"type": "cuda", "name": name, "memory": total, "free": free, "bf16": bf16})
    return devices


def _requires(package: str) -> list[str]:
    try:
        return metadata.requires(package) or []
    except metadata.PackageNotFoundError:
        return []


def _versions() -> dict[str, str | None]:
    """Python, Precept, and every package that Precept needs; None for one that is missing."""
    needed = [Requirement(text) for text in _requires("precept")]
    names = [r.name for r in needed if r.marker is None or r.marker.evaluate({"extra": ""})]
    return {"python": platform.python_version()} | {name: installed_version(name) for name in ("precept", *names)}


def read_extras() -> dict[str, dict[str, Any]]:
    """By extra of the installed package: whether it is present, what is missing or too old, and what installs it."""
    extras = {}
    for extra in metadata.metadata("precept").get_all("Provides-Extra") or []:
        missing = [r.name for r in _packages(extra) if not meets(r, installed_version(r.name))]
        extras[extra] = {"present": not missing, "missing": missing, "install": f"pip install 'precept[{extra}]'"}
    return extras


def _packages(extra: str) -> list[Requirement]:
    """The requirements of an extra, with those of the extras that it names."""
    packages: list[Requirement] = []
    for requirement in map(Requirement, _requires("precept")):
        marker = requirement.marker
        if marker is None or marker.evaluate({"extra": ""}) or not marker.evaluate({"extra": extra}):
            continue
        inner = [one for other in sorted(requirement.extras) for one in _packages(other)]
        packages += inner if requirement.name == "precept" else [requirement]
    return packages


def is_offline(environment: Mapping[str, str]) -> bool:
    """True where a switch says so, or the hub does not answer in time."""
    if any(environment.get(name, "").upper() in {"1", "ON", "YES", "TRUE"} for name in OFFLINE_SWITCHES):
        return True
    return not answers(environment.get("HF_ENDPOINT") or HUB)


def answers(address: str, *, patience: float = PATIENCE) -> bool:
    """Whether anybody answers there within ``patience`` seconds: looking up a name knows no limit of its own."""
    heard: list[bool] = []

    def ask() -> None:
        try:
            request = urllib.request.Request(address, method="HEAD")
            urllib.request.urlopen(request, timeout=patience).close()
        except urllib.error.HTTPError:
            heard.append(True)  # a refusal is an answer
        except (OSError, ValueError):
            return
        else:
            heard.append(True)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(patience)
    return bool(heard)


def print_doctor(found: Mapping[str, Any]) -> None:
    """The document as a person reads it, problems last."""
    processor, memory, disk = found["processor"], found["memory"], found["disk"]
    table = Table(show_header=False, box=None)
    table.add_row("processor", f"{processor['name']}, {processor['cores']} cores ({' '.join(processor['flags'])})")
    table.add_row("memory", f"{_gib(memory['free'])} free of {_gib(memory['total'])}")
    for device in found["devices"]:
        room = f", {_gib(device['free'])} free of {_gib(device['memory'])}" if "memory" in device else ""
        bf16 = "bfloat16 works" if device["bf16"] else "no bfloat16: float32 is used"
        table.add_row("computes on", f"{device['type']}: {device['name']}{room}; {bf16}")
    told = [f"{name} {version or 'missing'}" for name, version in found["versions"].items()]
    table.add_row("versions", ", ".join(told))
    for name, extra in found["extras"].items():
        missing = f"missing {', '.join(extra['missing'])}: {extra['install']}"
        table.add_row(f"extra {name}", "present" if extra["present"] else missing)
    table.add_row("disk", f"{_gib(disk['free'])} free of {_gib(disk['total'])} at {disk['path']}")
    table.add_row("hub", "offline: models and data come from this machine" if found["offline"] else "within reach")
    STDOUT.print(table, markup=False)
    for problem in found["problems"]:
        STDOUT.print(f"problem: {problem['what']}\n  do: {problem['do']}", markup=False)
    if not found["problems"]:
        STDOUT.print("no known bad combination", markup=False)


def _gib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / GIB:.1f} GiB"
