"""The output folder of a training step: locked while in use, resumed when unfinished, never overwritten in silence."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from precept.errors import InputError

MANIFEST, COMPLETED, LOCK = "run.yaml", "COMPLETED", ".lock"
# These name where things lie or how they are shown; the content behind them is compared by hash.
NOT_COMPARED = {"data", "eval_data", "model", "report_to", "template_date", "save_total_limit"}


@dataclass(frozen=True)
class Output:
    """An output folder that this process may write. ``stored`` is the manifest of the run that it continues."""

    folder: Path
    stored: dict[str, Any] | None

    def claim(self, manifest: Mapping[str, Any]) -> None:
        """Begin: what runs here, resolved, replaces what ran here before.

        Call it once the input is known to be good, so that a refused command leaves the folder as it was.
        """
        if self.stored is None:
            _clear(self.folder)
        (self.folder / COMPLETED).unlink(missing_ok=True)
        write_atomic(self.folder / MANIFEST, yaml.safe_dump(dict(manifest), sort_keys=False).encode())

    def write_json(self, name: str, document: Any) -> None:
        """One JSON file of the folder."""
        options = orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY
        write_atomic(self.folder / name, orjson.dumps(document, option=options))

    def complete(self, result: Mapping[str, Any]) -> None:
        """The last file written: the run's result."""
        self.write_json(COMPLETED, dict(result))


def write_atomic(path: Path, content: bytes) -> None:
    """Write beside and rename, so that a reader sees the old file or the new one."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def stored_result(folder: Path, manifest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of a completed run of exactly this manifest, else None. Writes nothing."""
    if not (folder / COMPLETED).is_file() or differing(read_manifest(folder) or {}, manifest):
        return None
    try:
        result = orjson.loads((folder / COMPLETED).read_bytes())
    except orjson.JSONDecodeError:
        result = None
    if not isinstance(result, dict):
        raise InputError(
            "the run's stored result is damaged",
            code="result-damaged",
            where=str(folder / COMPLETED),
            do="the model beside it may be sound; use --fresh to run anew, or another output folder",
        )
    return result


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest that an earlier run left, or None. Raises InputError when it cannot be read."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = yaml.safe_load(path.read_text())
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        manifest = error
    if not isinstance(manifest, dict):
        raise InputError(
            "the run's manifest is damaged",
            code="manifest-damaged",
            where=str(path),
            do="use --fresh to start anew, or another output folder",
        )
    return manifest


def differing(stored: Mapping[str, Any], manifest: Mapping[str, Any]) -> list[str]:
    """Keys in which two manifests differ, with both values."""
    before = {**stored, **stored.get("with", {})}
    now = {**manifest, **manifest.get("with", {})}
    keys = [k for k in now if k not in NOT_COMPARED and k != "with" and before.get(k) != now[k]]
    return [f"{key}: {before.get(key)!r} -> {now[key]!r}" for key in keys]


@contextmanager
def open_output(
    folder: Path, manifest: Mapping[str, Any], *, fresh: bool = False, allow_changed: bool = False
) -> Iterator[Output]:
    """Lock an output folder for this run.

    Raises InputError when another process holds it, when it holds something that is not ours, or when an earlier run
    there had other settings or data (``fresh`` has ``claim`` remove that run, ``allow_changed`` goes on with it).
    """
    with locked(folder):
        if not (folder / MANIFEST).is_file():
            refuse_foreign(folder)
        stored = None if fresh else read_manifest(folder)
        if stored is not None and (keys := differing(stored, manifest)):
            _settle_changes(folder, keys, allow_changed=allow_changed)
        yield Output(folder, stored)


def _settle_changes(folder: Path, keys: list[str], *, allow_changed: bool) -> None:
    """Other settings or data than before: only an unfinished run can go on with them, and only when asked to."""
    completed = (folder / COMPLETED).is_file()
    if allow_changed and not completed:
        return
    go_on = "" if completed else ", --allow-changed to go on from its last checkpoint"
    raise InputError(
        f"this folder holds a {'completed ' if completed else ''}run with other settings or data",
        code="output-differs",
        where=str(folder),
        found="; ".join(keys),
        do=f"use --fresh to start anew{go_on}, or name another folder",
    )


def _make(folder: Path, lock: str) -> None:
    if folder.exists() and not folder.is_dir():
        raise InputError("the output path is a file", code="output-is-a-file", where=str(folder), do="name a folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / lock).touch()
    except OSError as error:
        raise InputError(
            "the output folder cannot be written",
            code="unwritable-path",
            where=str(folder),
            found=str(error),
            do="check its permissions, or name another folder",
        ) from error


@contextmanager
def locked(folder: Path, lock: str = LOCK) -> Iterator[None]:
    """Make a folder and hold one of its locks. Raises InputError where it cannot be written or another process holds
    the lock."""
    _make(folder, lock)
    with (folder / lock).open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                "another process is writing to this folder",
                code="output-in-use",
                where=str(folder),
                do="wait for it to end, or name another folder",
            ) from error
        yield


def refuse_foreign(folder: Path) -> None:
    """Raise InputError for a folder that holds anything but a lock."""
    others = [p.name for p in folder.iterdir() if p.name != LOCK and not p.name.endswith(".partial")]
    if others:
        raise InputError(
            "the output folder is not empty and holds no run of ours",
            code="output-foreign",
            where=str(folder),
            found=", ".join(sorted(others)[:5]),
            do="name a new folder",
        )


def _clear(folder: Path) -> None:
    """Remove an earlier run of ours. A kill leaves no run that looks complete, and no folder that looks foreign."""
    (folder / COMPLETED).unlink(missing_ok=True)
    for path in sorted(folder.iterdir(), key=lambda path: path.name == MANIFEST):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()
