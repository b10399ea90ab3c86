"""What the machine refuses is told as one of our errors, with the exit code of its kind."""

from __future__ import annotations

import errno
import os

import pytest

from precept.run.failures import explain_failure


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: 8 B"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_missing_memory_is_work_that_failed(error: Exception) -> None:
    told = explain_failure(error)
    assert told is not None and (told.code, told.exit_code) == ("out-of-memory", 1) and told.do


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT])
def test_a_full_disk_is_work_that_failed_at_a_file(number: int) -> None:
    told = explain_failure(OSError(number, os.strerror(number), "out/run.yaml"))
    assert told is not None
    assert (told.code, told.exit_code, told.where) == ("disk-full", 1, "out/run.yaml")


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.ENAMETOOLONG])
def test_a_path_that_cannot_be_used_is_input(number: int) -> None:
    told = explain_failure(OSError(number, os.strerror(number), "out"))
    assert told is not None and (told.code, told.exit_code, told.where) == ("path-refused", 2, "out")


def test_a_fault_of_the_program_stays_one() -> None:
    assert explain_failure(KeyError("x")) is None
    assert explain_failure(RuntimeError("shapes differ")) is None
