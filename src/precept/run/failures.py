"""What the machine refuses - memory, disk, a path - told as errors of ours."""

from __future__ import annotations

import errno

from precept.errors import InputError, PreceptError, WorkError

FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP}
# torch raises RuntimeError and safetensors an error of its own, so their words tell.
NO_MEMORY_WORDS = ("can't allocate memory", "out of memory", "cannot allocate memory", "bad_alloc")
FULL_WORDS = ("no space left on device", "file too large", "disk quota exceeded")


def explain_failure(error: Exception) -> PreceptError | None:
    """The error that tells a user what the machine refused and the way out; None for what is no such refusal."""
    words = str(error).lower()
    if is_out_of_memory(error):
        return WorkError(
            "the memory of this machine does not suffice",
            code="out-of-memory",
            found=_first_line(error),
            do="use fewer rows (path#1000) or a smaller max_length, max_tokens_per_forest or model, or adapter=lora;"
            " a run goes on from its last checkpoint",
        )
    number = error.errno if isinstance(error, OSError) else None
    where = str(error.filename) if isinstance(error, OSError) and error.filename else None
    if number in FULL or any(sign in words for sign in FULL_WORDS):
        return WorkError(
            "the disk is full, or a file grew beyond what is allowed",
            code="disk-full",
            where=where,
            found=_first_line(error),
            do="free disk space and run the same command again: a run goes on from its last complete checkpoint",
        )
    if number in REFUSED:
        return InputError(
            "this path cannot be used",
            code="path-refused",
            where=where,
            found=_first_line(error),
            do="check its permissions, or name another path",
        )
    return None


def is_out_of_memory(error: Exception) -> bool:
    """True for what Python, torch and C++ libraries raise when memory runs out."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(sign in words for sign in NO_MEMORY_WORDS)


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:300]
