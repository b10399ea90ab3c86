"""``precept import-config``: another tool's configuration as a recipe, every key accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.table import Table

from precept.errors import InputError
from precept.importers import PEERS, Entry, Imported
from precept.importers import import_config as translate
from precept.records.hub import NAME as HUB_NAME
from precept.run.console import STDERR, print_json, say
from precept.run.settings import parse_settings, unknown_key

LISTS = {
    "mapped": "keys with a counterpart",
    "without_effect": "keys without effect here",
    "unsupported": "keys that are not supported",
}


def import_config(file: Path, *, tool: str | None, output: Path | None, as_json: bool) -> None:
    """Read, translate, write or print. Refuses to write over a file."""
    if tool is not None and tool not in PEERS:
        raise unknown_key(tool, list(PEERS), where=None, kind="tool")
    if output is not None and output.exists():
        raise InputError("the file exists already", code="file-exists", where=str(output), do="name another one")
    imported = translate(_read(file), where=str(file), name=file.stem, tool=tool, refuses=refuse_settings)
    if output is not None:
        try:
            output.write_text(imported.recipe, encoding="utf-8")
        except OSError as error:
            raise InputError(
                f"cannot be written: {error.strerror}",
                code="unwritable-path",
                where=str(output),
                do="name another one",
            ) from None
    if as_json:
        print_json(to_document(imported))
        return
    if output is None:
        print(imported.recipe, end="", flush=True)
    _print_account(imported)
    if output is not None:
        say(f"the recipe: {output}   run it: precept run {output}")


def to_document(imported: Imported) -> dict[str, Any]:
    """The JSON document of the command."""
    lists = {name: [asdict(entry) for entry in _entries(imported, name)] for name in LISTS}
    return {"recipe": imported.recipe, **lists, "objective_differences": imported.objective_differences}


def refuse_settings(settings: Mapping[str, Any]) -> str | None:
    """Why a recipe cannot hold these keys of a training step; None where it can."""
    if not isinstance(settings.get("model", ""), str):
        return "a model is a folder or owner/name"
    for name in (*settings.get("data", ()), *settings.get("eval_data", ())):
        if name.startswith("hf:") and not HUB_NAME.fullmatch(name.partition("#")[0]):
            return (
                "hf:owner/name[:split] cannot name that part: write #N for the first N rows, or save the rows to a file"
            )
    try:
        parse_settings({key: value for key, value in settings.items() if key != "model"})
    except InputError as error:
        return error.what
    return None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        what = f"cannot be opened: {error.strerror}" if isinstance(error, OSError) else "is not UTF-8"
        raise InputError(
            what, code="config-unreadable", where=str(file), do="name a YAML file of the other tool"
        ) from None


def _entries(imported: Imported, name: str) -> Sequence[Entry]:
    lists: dict[str, list[Entry]] = {
        "mapped": imported.mapped,
        "without_effect": imported.without_effect,
        "unsupported": imported.unsupported,
    }
    return lists[name]


def _print_account(imported: Imported) -> None:
    for name, title in LISTS.items():
        entries = _entries(imported, name)
        if not entries:
            continue
        table = Table(title=f"{len(entries)} {title}", title_justify="left")
        for column in (imported.tool, "value", "here", "why"):
            table.add_column(column, overflow="fold")
        for entry in entries:
            table.add_row(*map(_cell, (entry.key, entry.value, entry.to or "", entry.why)))
        STDERR.print(table, soft_wrap=False)
    if imported.objective_differences:
        say("where the objective differs:")
        for sentence in imported.objective_differences:
            say(f"- {sentence}")


def _cell(value: Any) -> str:
    from rich.markup import escape

    return escape(str(value))
