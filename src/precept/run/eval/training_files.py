"""What ``--training`` names: files, or the folder of a run, whose manifest tells what it was trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.records import Loaded, load, split
from precept.records.files import find_files, split_limit
from precept.run.data.make import TRAIN
from precept.run.data.rows import STREAM_FROM, settle_refusals
from precept.run.output import read_manifest
from precept.types import Row

DATA_MANIFEST = "data_manifest.json"


@dataclass(frozen=True)
class TrainingRows:
    """Files to read, and which of their rows were trained. ``name`` is what the user wrote; of a run, ``held_out`` has
    the share and the seed of rows that it held out, and ``hashes`` are those of its files when it read them."""

    name: str
    paths: tuple[str, ...]
    held_out: tuple[float, int] = (0.0, 0)
    hashes: Mapping[str, str] = field(default_factory=dict)

    def load(self) -> tuple[Loaded, Sequence[Row]]:
        """What was read, and the rows that were trained. Rows of large JSON files are read one by one and not kept.

        Raises InputError where no row can be read, and where a file of a run is not the one that it read.
        """
        loaded = load(self.paths, stream_from=STREAM_FROM)
        for file in loaded.files:
            if self.hashes.get(file.path, file.sha256) != file.sha256:
                raise InputError(
                    "a training file has changed since the run read it",
                    code="training-file-changed",
                    where=self.name,
                    found=file.path,
                    do="restore it, or name the files themselves with --training",
                )
        settle_refusals(loaded.refusals, kept=len(loaded.rows), bad_rows="drop")
        share, seed = self.held_out
        return loaded, split(loaded.rows, fraction=share, seed=seed)[0] if share else loaded.rows


def find_training(paths: Sequence[str]) -> list[TrainingRows]:
    """The rows behind each path, and, of a run, also those of the runs that it started from.

    Raises InputError for paths that are not there, and for folders of runs that do not tell their data.
    """
    return [found for path in paths for found in _find(path, frozenset())]


def _find(path: str, seen: frozenset[Path]) -> list[TrainingRows]:
    folder = Path(path).expanduser()
    manifest = read_manifest(folder) if folder.is_dir() else None
    if manifest is None:
        if not path.startswith("hf:"):
            find_files(split_limit(path, base=None)[0], base=None)  # raises where nothing is there
        return [TrainingRows(path, (path,))]
    method, settings = str(manifest.get("method")), _mapping(manifest.get("with"))
    if method.startswith("data."):  # its other file is what it held out
        return [TrainingRows(path, (str(folder / TRAIN),))]
    if method == "bundled.start":  # random weights
        return []
    if method == "merge":
        return _earlier(settings.get("adapter") or manifest.get("model"), folder, seen)
    if not (folder / DATA_MANIFEST).is_file():
        raise _untold(path, f"a folder of '{method}' without {DATA_MANIFEST}")
    earlier = _earlier(manifest.get("model"), folder, seen)
    return [*earlier, _of_run(path, folder, settings)]


def _earlier(model: Any, folder: Path, seen: frozenset[Path]) -> list[TrainingRows]:
    """The training rows of the run that made a model, where one did."""
    seen |= {folder.resolve()}
    before = Path(str(model)).expanduser()
    if not before.is_dir() or before.resolve() in seen or read_manifest(before) is None:
        return []
    return _find(str(model), seen)


def _of_run(path: str, folder: Path, settings: Mapping[str, Any]) -> TrainingRows:
    try:
        files = orjson.loads((folder / DATA_MANIFEST).read_bytes())["files"]
        hashes = {str(file["path"]): str(file["sha256"]) for file in files}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise _untold(path, f"{DATA_MANIFEST}: {error}") from None
    data = settings.get("data")
    if not isinstance(data, list) or not data or not all(isinstance(spec, str) for spec in data):
        raise _untold(path, f"data: {data!r}")
    fraction = 0.0 if settings.get("eval_data") else float(settings.get("eval_fraction") or 0.0)
    return TrainingRows(path, tuple(data), (fraction, int(settings.get("seed") or 0)), hashes)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _untold(path: str, found: str) -> InputError:
    return InputError(
        "this folder does not tell what it was trained on",
        code="training-untold",
        where=path,
        found=found,
        do="name the training files themselves with --training",
    )
