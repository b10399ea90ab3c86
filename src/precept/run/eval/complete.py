"""Evaluations that may be reported: the manifest is whole, and every item is there with its full prompt."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError, WorkError
from precept.evaluate import ItemResult
from precept.evaluate.manifest import check_manifest, items_without_prompt
from precept.run.console import say
from precept.run.eval.folder import RESULT, read_json


def refuse_incomplete(document: Mapping[str, Any], results: Sequence[ItemResult]) -> None:
    """Raise WorkError for a document that lacks what must stand beside a score, before it is written or printed."""
    lacks = check_manifest(document)
    lacks += [f"prompt of item {name}" for name in items_without_prompt(results)]
    if lacks:
        raise WorkError(
            "the scores are not reported: what must stand beside them is not whole",
            code="manifest-incomplete",
            found="\n    ".join(["", *lacks[:10]]),
            do="the items are kept; this is a fault of precept: please report it",
        )


def remove_result(folder: Path, names: Collection[str]) -> None:
    """Remove the document of an earlier evaluation, which another will follow. Where it told of other item files than
    ``names`` one line says what it was."""
    before = _read(folder)
    told = [name for part in _parts(before or {}) for name in (*_names(part), *_names_beside(part))]
    if before is not None and not set(told) <= set(names):
        tasks = before.get("suite", {}).get("name") or ", ".join([*before.get("tasks", {})][:5])
        say(f"{folder / RESULT} told of {before.get('model')} on {tasks}: it is replaced, the items of both stay")
    (folder / RESULT).unlink(missing_ok=True)


def read_complete(folder: Path) -> dict[str, Any]:
    """The document of the evaluation in a folder. Raises InputError, naming what is missing, unless it is finished, its
    manifest is whole, and all items of its files are there with their prompts."""
    document = _read(folder)
    lacks = [] if document is None else [*check_manifest(document), *_lacking_items(folder, document)]
    if document is None or lacks:
        raise InputError(
            "this evaluation cannot be reported: it is not whole",
            code="evaluation-incomplete",
            where=str(folder),
            found="\n    ".join(["", *(lacks[:10] or [f"no {RESULT}: it was not finished, or is no evaluation"])]),
            do="give the same 'precept eval' again: it goes on where it was",
        )
    return document


def _read(folder: Path) -> dict[str, Any] | None:
    found = read_json(folder / RESULT)
    return found if isinstance(found, dict) else None


def _lacking_items(folder: Path, document: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the item files, a line each."""
    asked = document.get("asked")
    counts = [task.get("items") for task in asked.values()] if isinstance(asked, dict) else []
    for part in _parts(document):
        names = _names(part)
        expected = counts if len(counts) == len(names) else [None] * len(names)
        for name, count in zip(names, expected, strict=True):
            yield from _lacking(folder / name, count)
        for name in _names_beside(part):
            yield from _lacking(folder / name, None)


def _parts(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """What it says of each model."""
    return [part for part in (document, document.get("against")) if isinstance(part, dict)]


def _names(part: Mapping[str, Any]) -> list[str]:
    names = part.get("item_files")
    return [str(name) for name in names] if isinstance(names, list) else []


def _names_beside(part: Mapping[str, Any]) -> list[str]:
    """The files of variants and repeats."""
    variants, repeats = part.get("variants"), part.get("repeats")
    parts = [*(variants.values() if isinstance(variants, dict) else ()), repeats]
    return [name for entry in parts if isinstance(entry, dict) for name in _names(entry)]


def _lacking(path: Path, count: object) -> Iterator[str]:
    if not path.is_file():
        yield f"{path.name}: the file is not there"
        return
    items = without = 0
    with path.open("rb") as file:
        for line in file:
            try:
                prompt = orjson.loads(line)["prompt"]
            except (ValueError, KeyError, TypeError):
                yield f"{path.name}: line {items + 1} is no item"
                return
            items += 1
            without += not str(prompt).strip()
    if without:
        yield f"{path.name}: {without} items without the prompt that was asked"
    if isinstance(count, int) and items != count:
        yield f"{path.name}: {items} of {count} items"
