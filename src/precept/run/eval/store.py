"""The items of an evaluation on disk, in blocks as they are done, so that a killed evaluation goes on where it was."""

from __future__ import annotations

import datetime
import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.evaluate import Item, ItemResult, append_items, read_items, write_items
from precept.run.eval.byte_bpe import hash_byte_bpe
from precept.run.eval.folder import LOCK, SETTINGS, check_folder, read_json
from precept.run.eval.rounds import Round
from precept.run.output import locked, write_atomic

BLOCK = 64
"""Items that are asked together and written together; a killed evaluation loses one block at most."""
NOT_IN_NAMES = re.compile(r"[^\w.+-]")
TEMPLATE_DATE = "template_date"
# They say where data lies; what it holds is compared by the items' hash.
NOT_COMPARED = {"data", "examples", "prompt", "rouge_tokenizer", "variants"}


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
        if not self.path.is_file():
            return []
        found = read_items(self.path)
        wanted = [item.id for item in self.items]
        agreed = next((n for n, result in enumerate(found) if wanted[n : n + 1] != [result.id]), len(found))
        whole = agreed if agreed == len(wanted) else agreed // BLOCK * BLOCK
        on_disk = self.path.read_bytes()
        if on_disk.count(b"\n") != whole or not on_disk.endswith(b"\n"):
            write_items(found[:whole], self.path)
        return found[:whole]

    def append(self, results: Sequence[ItemResult]) -> None:
        """Put one more block on disk."""
        append_items(results, self.path)


def file_name(label: str, task: str, ending: str) -> str:
    """The name of a task's file; signs that no file name should hold are replaced."""
    return f"{label}.{NOT_IN_NAMES.sub('_', task)}{ending}"


def item_file(label: str, own: Round) -> str:
    """The name of the item file of a round."""
    return file_name(label, f"{own.asked.task.name}{own.suffix}", ".items.jsonl")


def kept_template_date(folder: Path, names: Sequence[str]) -> datetime.date | None:
    """The day that templates print in the first of these item files that has one; an evaluation keeps it when it goes
    on another day."""
    kept = _read_settings(folder)
    for name in names:
        with suppress(KeyError, TypeError, ValueError):  # no day is kept, or the file is damaged
            return datetime.date.fromisoformat(kept[name][TEMPLATE_DATE])
    return None


def make_store(folder: Path, label: str, own: Round, model: Mapping[str, Any]) -> ItemStore:
    """The store of a round for one model, of which ``model`` says what its answers depend on."""
    task = own.asked.task
    settings = {key: value for key, value in asdict(task).items() if key not in NOT_COMPARED}
    settings |= {**model, "seed": own.seed, "items": hash_items(own.asked.items)}
    if task.needs_tokenizer:
        assert task.rouge_tokenizer is not None, "the tokenizer was read when the task was"
        settings["rouge_tokenizer"] = hash_byte_bpe(task.rouge_tokenizer)
    return ItemStore(folder, item_file(label, own), orjson.loads(orjson.dumps(settings)), own.asked.items)


def hash_items(items: Sequence[Item]) -> str:
    """A hash of all that is asked and compared."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(orjson.dumps(item) + b"\n")
    return digest.hexdigest()[:16]


@contextmanager
def open_stores(folder: Path, stores: Sequence[ItemStore], *, fresh: bool) -> Iterator[None]:
    """Lock the folder and write down what is asked.

    Raises InputError where it is not ours or cannot be locked, where two stores would share a file, and, unless
    ``fresh`` removes them, where an item file was made with other settings or items, or nothing tells with which. A
    file without a whole item is none.
    """
    _refuse_shared_files(stores)
    check_folder(folder)
    with locked(folder, LOCK):
        kept = _read_settings(folder)
        for store in stores:
            if fresh:
                store.path.unlink(missing_ok=True)
            elif _holds_items(store.path) and (before := kept.get(store.name, {})) != store.settings:
                raise _differs(store, before)
        kept |= {store.name: dict(store.settings) for store in stores}
        write_atomic(folder / SETTINGS, orjson.dumps(kept, option=orjson.OPT_INDENT_2))
        yield


def _holds_items(path: Path) -> bool:
    """Whether a file has a whole line."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.readline().endswith(b"\n")


def _read_settings(folder: Path) -> dict[str, Any]:
    """What was asked in this folder before; nothing where the file is damaged."""
    found = read_json(folder / SETTINGS)
    return found if isinstance(found, dict) else {}


def _refuse_shared_files(stores: Sequence[ItemStore]) -> None:
    counts = Counter(store.name for store in stores)
    if shared := [name for name, count in counts.items() if count > 1]:
        raise InputError(
            "two tasks would write their items to one file",
            code="duplicate-task",
            found=", ".join(shared),
            do="give each task a name of its own, of letters, digits, '.', '-' and '_'",
        )


def _differs(store: ItemStore, before: Mapping[str, Any]) -> InputError:
    if not before:
        return InputError(
            "this folder holds items, and nothing that tells how they were asked",
            code="evaluation-differs",
            where=str(store.path),
            found=f"no entry in {SETTINGS}",
            do="use --fresh to ask anew, or name another folder with -o",
        )
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
