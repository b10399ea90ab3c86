"""One measured step: how long forests take, and how far memory grows. Imports torch."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch

from precept.types import Forest

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
CGROUP = Path("/sys/fs/cgroup")


class Meter(Protocol):
    """Memory of the place where the model computes, in bytes."""

    def now(self) -> int:
        """What this process holds."""
        ...

    def peak(self) -> int:
        """The most it held since ``reset``."""
        ...

    def reset(self) -> None: ...

    def free(self) -> int:
        """What it could take on top of what it holds."""
        ...


class ResidentMemory:
    """Resident memory of this process. Where the system does not forget a peak, the peak is that of its whole life."""

    def now(self) -> int:
        return _status("VmRSS")

    def peak(self) -> int:
        return _status("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    def reset(self) -> None:
        try:
            CLEAR.write_text("5")
        except OSError:
            return

    def free(self) -> int:
        return free_memory()


class DeviceMemory:
    """Memory of the CUDA device in use."""

    def now(self) -> int:
        return torch.cuda.memory_allocated()

    def peak(self) -> int:
        torch.cuda.synchronize()
        return torch.cuda.max_memory_reserved()

    def reset(self) -> None:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()

    def free(self) -> int:
        return int(torch.cuda.mem_get_info()[0]) + torch.cuda.memory_reserved() - torch.cuda.memory_allocated()


def meter_of(device: torch.device) -> Meter:
    """The meter of a device."""
    return DeviceMemory() if device.type == "cuda" else ResidentMemory()


def free_memory() -> int:
    """Bytes of main memory that a process could still take: what the system names available, within its group."""
    try:
        fields = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        free = int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    try:
        most = int((CGROUP / "memory.max").read_text())  # "max" where there is no limit
        used = int((CGROUP / "memory.current").read_text())
        stat = dict(line.split() for line in (CGROUP / "memory.stat").read_text().splitlines())
        free = min(free, most - used + int(stat.get("inactive_file", 0)))
    except (OSError, ValueError):
        pass
    return max(0, free)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one step showed: ``peaks`` and ``passes`` hold (tokens, bytes) and (tokens, seconds) of single forests, at
    the memory of a running step: optimizer states there, gradients too where a step has several forests.
    ``grown`` is how far the peak rose for each further size of forest: libraries keep kernels for each size of matrix,
    and the allocator's gaps grow. ``token_seconds`` is the forward pass of a single token, as for an answer."""

    peaks: tuple[tuple[int, int], ...]
    passes: tuple[tuple[int, float], ...]
    grown: float
    update_seconds: float
    token_seconds: float


def measure(
    *,
    backward: Callable[[Forest], None],
    forward: Callable[[Forest], None],
    update: Callable[[], None],
    sized: Sequence[Forest],
    typical: Sequence[Forest],
    one_token: Forest,
    accumulates: bool,
    meter: Meter,
    most_seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:
    """Run forests of different size, ascending, for memory and those of a typical step for time.

    ``backward`` runs both passes of a forest, ``update`` the optimizer and frees the gradients. A first pass and
    update warm up; ``most_seconds`` bounds the passes that are timed, of which there is one at least.
    """
    backward(sized[0])
    update()
    if accumulates:
        backward(sized[0])
    peaks = []
    for forest in sized:
        meter.reset()
        backward(forest)
        peaks.append((forest.distinct_tokens, meter.peak()))
        if not accumulates:
            update()
    meter.reset()
    passes = [_timed(clock, backward, typical[0])]
    for forest in typical[1:]:
        if sum(seconds for _, seconds in passes) > most_seconds:
            break
        passes.append(_timed(clock, backward, forest))
    grown = max(0, meter.peak() - max(peak for _, peak in peaks)) / len({tokens for tokens, _ in passes})
    started = clock()
    update()
    updated = clock() - started
    forward(one_token)
    _, forwarded = _timed(clock, forward, one_token)
    return Measured(tuple(peaks), tuple(passes), grown, updated, forwarded)


def _timed(clock: Callable[[], float], run: Callable[[Forest], None], forest: Forest) -> tuple[int, float]:
    started = clock()
    run(forest)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return forest.distinct_tokens, clock() - started


def _status(field: str) -> int:
    """A field of /proc/self/status in bytes, 0 where it is not there."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field + ":")), 0)
