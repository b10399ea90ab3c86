"""A short hash that tells whether a model folder or data file is still the same, without reading gigabytes."""

from __future__ import annotations

import hashlib
from pathlib import Path

NAMED = ("*.safetensors", "*.json", "*.jinja")
OURS = {"COMPLETED", "data_manifest.json", "environment.json", "result.json"}
SAMPLE = 1 << 20


def fingerprint(folder: Path) -> str:
    """Hash over the names, sizes and contents of a model folder's weights, configuration and tokenizer.

    Of files above 3 MiB the first, middle and last MiB are read: a safetensors file keeps its index at the front.
    """
    digest = hashlib.sha256()
    for path in sorted({path for pattern in NAMED for path in folder.glob(pattern)}):
        if path.name in OURS:
            continue
        size = path.stat().st_size
        digest.update(f"{path.name}:{size}".encode())
        with path.open("rb") as file:
            starts = [0] if size <= 3 * SAMPLE else [0, size // 2, size - SAMPLE]
            for start in starts:
                file.seek(start)
                digest.update(file.read(3 * SAMPLE if len(starts) == 1 else SAMPLE))
    return digest.hexdigest()
