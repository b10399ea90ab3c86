"""Where another tool's data set lies, in the words of our ``data`` key."""

from __future__ import annotations

import re
from typing import Any

from precept.importers.account import GAP, Account

HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
FIRST_ROWS = re.compile(r"([\w.-]+)\[:(\d+)\]")
LOADERS = ("json", "csv", "parquet", "text")
FILE = re.compile(r"\.(jsonl?|csv|tsv|parquet|arrow|txt)(\.(gz|zst))?\Z", re.IGNORECASE)


def is_local(name: str) -> bool:
    """Whether a name is a path: it says so, or ends as a data file."""
    return name.startswith(("./", "../", "/", "~")) or bool(FILE.search(name)) or name.endswith("/")


def name_data(name: str, *, split: str | None = None, subset: str | None = None) -> tuple[str, str | None]:
    """Our name for a data set and, where it is only a marked gap, what is missing.

    ``split`` is in the notation of the datasets library: ``train``, ``train[:500]``, ``train[:20%]``.
    """
    first = FIRST_ROWS.fullmatch(split or "")
    part, rows = (first[1], f"#{first[2]}") if first else (split, "")
    if "${" in name or ("://" in name and not name.startswith("hf://")):
        return f"{GAP}{name.replace('$', '')}", "an address that only the other tool opens: name local files"
    if is_local(name) and "[" in (part or ""):
        return f"{GAP}{name} ({part})", "a part of a file: write #N for its first N rows, or save the part"
    if is_local(name):
        return f"{name}{rows}", None
    if HUB.fullmatch(name):
        ours = f"hf:{name}{f':{part}' if part and part != 'train' else ''}{rows}"
        if subset and subset != "default":
            return f"{GAP}{ours} (subset {subset})", f"hf: names have no subset: save '{subset}' to a file and name it"
        return ours, None
    return f"{GAP}dataset {name}{rows}", "a name that only the other tool resolves: name its file, or hf:owner/name"


def add_entry(account: Account, at: str, to: str, *, key: str, path: str, split: str) -> None:
    """Add a data set that is written as arguments of the datasets library: ``path`` (at ``at.key``), ``name`` for a
    subset, ``data_files`` and ``split``."""
    files, subset = account.find(f"{at}.data_files"), account.find(f"{at}.name")
    if isinstance(files, dict):
        chosen = split.partition("[")[0] if split.partition("[")[0] in files else "train"
        for other in files:
            if other != chosen:
                account.idle((*at.split("."), "data_files", other), f"only '{chosen}' of these files is asked for")
        files = files.get(chosen)
    if files is None:
        named = [name_data(path, split=split, subset=None if subset is None else str(subset))]
    else:
        named = [_name_file(path, str(file), split) for file in (files if isinstance(files, list) else [files])]
    add_data(account, [f"{at}.{key}", f"{at}.data_files", f"{at}.split", f"{at}.name"], to, named)


def _name_file(path: str, file: str, split: str) -> tuple[str, str | None]:
    if path in LOADERS or not HUB.fullmatch(path):
        inside = path not in LOADERS and not FILE.search(path)
        return name_data(f"{path.rstrip('/')}/{file}" if inside else file, split=split)
    return f"{GAP}{file} of hf:{path}", "hf: names have no files: download this one and name it"


def add_data(account: Account, paths: list[str], to: str, names: list[tuple[str, str | None]]) -> None:
    """Append data names to ``data`` or ``eval_data`` and book the source's leaves at ``paths``.

    A hub name with a split that our reader does not know becomes a gap as well.
    """
    became, reasons = [], []
    for ours, missing in names:
        before: list[Any] = list(account.settings.get(to, []))
        refused = account.set(to, [*before, ours])
        if refused:
            missing = refused
            account.set(to, [*before, GAP + ours])
        became.append(account.settings[to][-1])
        if missing and missing not in reasons:
            reasons.append(missing)
            account.comments[to] = missing
    why = f"becomes {', '.join(became)}" + "".join(f"; {reason}" for reason in reasons)
    for path in paths:
        account.book("mapped", path, why, to=to)
