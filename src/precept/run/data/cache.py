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
from precept.run.console import say

CODE = (
    *("records", "render", "prove", "types.py"),
    *("run/tuning/blocks.py", "run/tuning/prepared.py", "run/proving/rows.py"),
)
LIBRARIES = ("transformers", "tokenizers", "jinja2", "numpy", "orjson", "regex")
PARTIAL = "partial-"
ABANDONED = 7 * 24 * 3600  # seconds
TOKENIZER_FILES = (
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.jinja",
    "vocab*",
    "merges.txt",
    "*.py",
)


def cache_folder(kind: str) -> Path:
    """``$PRECEPT_CACHE/KIND``, by default below the user's cache folder."""
    own = os.environ.get("PRECEPT_CACHE")
    base = Path(own) if own else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "precept")
    return base / kind


def key_of(named: Mapping[str, Any], tokenizer: Path) -> str:
    """The entry's name: a hash over what is named, the bytes of the tokenizer's files, our code and the libraries."""
    files = {path for pattern in TOKENIZER_FILES for path in tokenizer.glob(pattern) if path.is_file()}
    tokens = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
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

    False where the cache cannot be written: nothing is kept then.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder.parent))
    except OSError:
        say(f"the rendered rows are not kept: {folder.parent} cannot be written")
        return False
    try:
        content = fill(partial)
        (partial / "result.json").write_bytes(orjson.dumps({"sha256": _digest(content), "content": content}))
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # another process made the same entry meanwhile
            os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return True


def _digest(content: Any) -> str:
    return hashlib.sha256(orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).hexdigest()


def drop_oldest(kept: Path) -> None:
    """Remove the entries used longest ago while all are larger than the bound; ``kept`` stays."""
    bound = float(os.environ.get("PRECEPT_CACHE_GB") or 20) * 1e9
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
