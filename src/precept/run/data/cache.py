"""Rendered and proven rows, kept from run to run below ``$PRECEPT_CACHE/data`` by what they were made from.

An entry is a folder that appears whole or not at all; one that is damaged is made again. The entries used longest ago
go when all together are larger than ``$PRECEPT_CACHE_GB`` (20). Deleting the folder is always safe.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

import precept
from precept.errors import InputError
from precept.run.console import say
from precept.run.fingerprint import TOKENIZER, fingerprint

CODE = (
    *("records", "render", "prove", "types.py"),
    *("run/tuning/blocks.py", "run/tuning/prepared.py", "run/proving/rows.py"),
)
LIBRARIES = ("transformers", "tokenizers", "jinja2", "numpy", "orjson", "regex")
PARTIAL = "partial-"
ABANDONED = 7 * 24 * 3600  # seconds


def cache_folder(kind: str) -> Path:
    """``$PRECEPT_CACHE/KIND``, by default below the user's cache folder."""
    own = os.environ.get("PRECEPT_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "precept")
    return base / kind


def key_of(named: Mapping[str, Any], tokenizer: Path) -> str:
    """The entry's name: a hash over what is named, the bytes of the tokenizer's files, our code and the libraries."""
    tokens = fingerprint(tokenizer, TOKENIZER)
    whole = {"named": named, "tokenizer": tokens, "code": _code(), "libraries": [version(name) for name in LIBRARIES]}
    return hashlib.sha256(orjson.dumps(whole, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


@cache
def _code() -> str:
    """Hash of the files that decide what a row becomes."""
    root = Path(precept.__file__).parent
    digest = hashlib.sha256()
    for name in CODE:
        paths = sorted((root / name).rglob("*")) if (root / name).is_dir() else [root / name]
        for path in paths:
            if path.suffix in (".py", ".jinja"):
                digest.update(path.read_bytes())
    return digest.hexdigest()


def read_entry(folder: Path) -> Any | None:
    """What ``write_entry`` stored, None where there is nothing or not all of it."""
    try:
        whole = orjson.loads((folder / "result.json").read_bytes())
        content = whole["content"]
        if _digest(content) != whole["sha256"]:
            return None
    except (OSError, ValueError, TypeError, KeyError):
        return None
    with suppress(OSError):
        os.utime(folder / "result.json")  # used now: what goes first is decided by it, and nothing else
    return content


def make_entry(folder: Path, fill: Callable[[Path], Any]) -> bool:
    """Let ``fill`` write files into a new folder and give the content of ``result.json``; rename it into place.

    False where the cache cannot be written, or not all of it: nothing is kept then. Entries used longest ago go.
    """
    bound = _most_bytes()
    partial = None
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
        content = fill(partial)
        (partial / "result.json").write_bytes(orjson.dumps({"sha256": _digest(content), "content": content}))
    except OSError as error:
        say(f"the rendered rows are not kept: {folder.parent} cannot be written ({error.strerror or error})")
        return False
    else:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process made the same entry meanwhile
            os.replace(partial, folder)
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
    _drop_oldest(folder, bound)
    return True


def _most_bytes() -> float:
    """``$PRECEPT_CACHE_GB`` in bytes, 20 GB where it is not set."""
    stated = os.environ.get("PRECEPT_CACHE_GB") or "20"
    try:
        bound = float(stated)
    except ValueError:
        bound = -1.0
    if not bound >= 0:
        raise InputError(
            "the size of the cache is a number of gigabytes",
            code="bad-cache-size",
            where="PRECEPT_CACHE_GB",
            found=stated,
            do="set it to a number, 20 for example",
        )
    return bound * 1e9


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _drop_oldest(kept: Path, bound: float) -> None:
    """Remove the entries used longest ago while all are larger than ``bound`` bytes; ``kept`` stays."""
    sizes, used = {}, {}
    for folder in kept.parent.iterdir():
        if folder.name.startswith(PARTIAL):
            _drop_abandoned(folder)
            continue
        try:
            sizes[folder] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
            used[folder] = (folder / "result.json").stat().st_mtime
        except OSError:  # being made, or removed by another process
            continue
    for folder in sorted(used, key=lambda folder: used[folder]):
        if sum(sizes.values()) <= bound:
            break
        if folder != kept:
            shutil.rmtree(folder, ignore_errors=True)
            del sizes[folder]


def _drop_abandoned(folder: Path) -> None:
    """Remove what a process left that was killed; another one may still be writing to a younger folder."""
    with suppress(OSError):
        if time.time() - folder.stat().st_mtime > ABANDONED:
            shutil.rmtree(folder)
