"""A hash over every byte that makes a model folder what it is: another hash, another model."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

TOKENIZER = (
    "tokenizer*",
    "tekken.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "*.jinja",
    "*.model",
    "vocab*",
    "merges.txt",
    "*.py",
)
"""The files that decide which tokens a text becomes."""
NAMED = ("*.safetensors", "*.json", *TOKENIZER)
OURS = {"COMPLETED", "data_manifest.json", "environment.json", "result.json"}
PIECE = 64 << 20
BLOCK = 1 << 20
MOST_THREADS = 8  # more do not read faster
SETTLED_NS = 2_000_000_000  # file systems tell times to 2 seconds at worst


def fingerprint(folder: Path, patterns: Sequence[str] = NAMED) -> str:
    """Hash over the names, sizes and bytes of a model folder's weights, configuration and tokenizer.

    Large files are hashed in pieces, as many at once as there are cores: about as quick as the disk. A process reads
    files once, and again where their sizes, times or inodes are others or so young that a change need not show.
    """
    states = [(path, path.stat()) for path in named_files(folder, patterns)]
    files = tuple((path, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino) for path, stat in states)
    settled = all(max(stat.st_mtime_ns, stat.st_ctime_ns) < time.time_ns() - SETTLED_NS for _, stat in states)
    return _hash_files(files) if settled else _hash_files.__wrapped__(files)


@cache
def _hash_files(files: tuple[tuple[Path, int, int, int, int], ...]) -> str:
    digest = hashlib.sha256()
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        pieces = [(path, start, size) for path, size, *_ in files for start in range(0, max(size, 1), PIECE)]
        for (path, start, size), piece in zip(pieces, pool.map(_hash_piece, pieces), strict=True):
            if not start:
                digest.update(f"{path.name}:{size}".encode())
            digest.update(piece)
    return digest.hexdigest()


def named_files(folder: Path, patterns: Sequence[str]) -> list[Path]:
    """The files that the patterns name, in the order of their names."""
    found = {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}
    return sorted(path for path in found if path.name not in OURS)


def _hash_piece(piece: tuple[Path, int, int]) -> bytes:
    path, start, _ = piece
    digest = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(start)
        for _ in range(PIECE // BLOCK):
            digest.update(file.read(BLOCK))
    return digest.digest()
