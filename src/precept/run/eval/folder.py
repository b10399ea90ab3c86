"""The output folder of ``precept eval``: a new one, or one of ours; nothing of others is overwritten."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.run.output import MANIFEST, refuse_foreign

SETTINGS, RESULT, PREDICTIONS = "asked.json", "result.json", "predictions.json"
LOCK = ".eval.lock"  # the other lock is that of the recipe's step


def _are_settings(found: Any) -> bool:
    return isinstance(found, dict) and all(
        isinstance(entry, dict) and "model_hash" in entry for entry in found.values()
    )


OURS: Mapping[str, Callable[[Any], bool]] = {
    SETTINGS: _are_settings,
    RESULT: lambda found: isinstance(found, dict) and "item_files" in found,
    PREDICTIONS: lambda found: isinstance(found, dict) and {"predictions", "tasks"} <= found.keys(),
}
"""The documents that this command writes, and how they are told from a file of others that has the same name."""


def check_folder(folder: Path) -> None:
    """Raise InputError for a file, for a folder that holds things and no evaluation or run of ours, and for one where
    a document of others has the name of one of ours, such as the numbers of a judge."""
    if folder.exists() and not folder.is_dir():
        raise InputError("the output path is a file", code="output-is-a-file", where=str(folder), do="name a folder")
    found = {name: document for name in OURS if (document := read_json(folder / name)) is not None}
    for name, document in found.items():
        if not OURS[name](document):
            raise InputError(
                "the output folder holds a file that would be overwritten, and is no evaluation's",
                code="output-foreign",
                where=str(folder / name),
                do="name a new folder",
            )
    if folder.is_dir() and not found and not any((folder / name).is_file() for name in (LOCK, MANIFEST)):
        refuse_foreign(folder)


def read_json(path: Path) -> Any:
    """A JSON document; None where there is none."""
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
