"""The items of an evaluation on disk, in blocks as they are done, so that a killed evaluation goes on where it was."""

from __future__ import annotations

import fcntl
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.evaluate import Item, ItemResult, append_items, read_items, write_items
from precept.run.eval.tasks import Asked
from precept.run.output import write_atomic

BLOCK = 64
"""Items that are asked together and written together; a killed evaluation loses one block at most."""
NOT_IN_NAMES = re.compile(r"[^\w.+-]")
SETTINGS, LOCK = "asked.json", ".eval.lock"
# They say where data lies; what it holds is compared by the items' hash.
NOT_COMPARED = {"data", "examples", "prompt"}


@dataclass(frozen=True)
class ItemStore:
    """One task's item file. ``settings`` are all that its numbers depend on, beside the items."""

    folder: Path
    name: str
    settings: Mapping[str, Any]
    items: Sequence[Item]

    @property
    def path(self) -> Path:
        """The file, one JSON object a line."""
        return self.folder / self.name

    def done(self) -> list[ItemResult]:
        """The results of whole blocks that are on disk; what follows them there is removed."""
        found = read_items(self.path)
        wanted = [item.id for item in self.items]
        agreed = next((n for n, result in enumerate(found) if wanted[n : n + 1] != [result.id]), len(found))
        whole = agreed if agreed == len(wanted) else agreed // BLOCK * BLOCK
        on_disk = self.path.read_bytes() if self.path.is_file() else b""
        if on_disk.count(b"\n") != whole or not on_disk.endswith(b"\n"):
            write_items(found[:whole], self.path)
        return found[:whole]

    def append(self, results: Sequence[ItemResult]) -> None:
        """Put one more block on disk."""
        append_items(results, self.path)


def item_file(label: str, task: str) -> str:
    """The file's name; signs that no file name should hold are replaced."""
    return f"{label}.{NOT_IN_NAMES.sub('_', task)}.items.jsonl"


def make_store(folder: Path, label: str, asked: Asked, model: Mapping[str, Any]) -> ItemStore:
    """The store of a task for one model, of which ``model`` says what its answers depend on."""
    task = {key: value for key, value in asdict(asked.task).items() if key not in NOT_COMPARED}
    settings = orjson.loads(orjson.dumps({**model, **task, "items": hash_items(asked.items)}))
    return ItemStore(folder, item_file(label, asked.task.name), settings, asked.items)


def hash_items(items: Sequence[Item]) -> str:
    """A hash of all that is asked and compared."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(orjson.dumps(item) + b"\n")
    return digest.hexdigest()[:16]


@contextmanager
def open_stores(folder: Path, stores: Sequence[ItemStore], *, fresh: bool) -> Iterator[None]:
    """Lock the folder and write down what is asked.

    Raises InputError where another process is at work there, and, unless ``fresh`` removes them, where an item file
    was made with other settings or items.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("a")
    except OSError as error:
        raise InputError(
            "the output folder cannot be written",
            code="unwritable-path",
            where=str(folder),
            found=str(error),
            do="check its permissions, or name another folder with -o",
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                "another evaluation is writing to this folder",
                code="output-in-use",
                where=str(folder),
                do="wait for it to end, or name another folder with -o",
            ) from None
        kept = _read_settings(folder)
        for store in stores:
            before = kept.get(store.name) if store.path.is_file() else None
            if fresh or before is None:
                store.path.unlink(missing_ok=True)
            elif before != store.settings:
                raise _differs(store, before)
        kept |= {store.name: dict(store.settings) for store in stores}
        write_atomic(folder / SETTINGS, orjson.dumps(kept, option=orjson.OPT_INDENT_2))
        yield


def _read_settings(folder: Path) -> dict[str, Any]:
    """What was asked in this folder before; nothing where the file is damaged, so that its items are not trusted."""
    try:
        found = orjson.loads((folder / SETTINGS).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _differs(store: ItemStore, before: Mapping[str, Any]) -> InputError:
    keys = [key for key in store.settings if before.get(key) != store.settings[key]]
    shown = [f"{key}: {_short(before.get(key))} -> {_short(store.settings[key])}" for key in keys]
    return InputError(
        "this folder holds items that were asked with other settings",
        code="evaluation-differs",
        where=str(store.path),
        found="; ".join(shown) or "keys that this version does not know",
        do="use --fresh to ask anew, or name another folder with -o",
    )


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
