"""Rows for a command: read, report the mapping that was found, and stop or go on at rows that cannot be used."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from precept.errors import InputError
from precept.records import FileReport, Loaded, data_hash, load, split
from precept.run.console import say
from precept.run.settings import RunSettings
from precept.types import Comparison, Refusal, Row

NUMBER = re.compile(r"\d[\d,]*")
STREAM_FROM = 4 << 20  # bytes of a file: with smaller ones the rows themselves take little memory


@dataclass(frozen=True)
class RawData:
    """Rows as read, before any tokenizer: what is trained, what is held out, and the readers' reports."""

    train: Sequence[Row]
    held_out: Sequence[Row]
    files: list[FileReport]
    refused: list[Refusal]
    hash: str


def read_data(settings: RunSettings, *, method: str) -> RawData:
    """Read the training rows and the held-out rows. Needs no torch."""
    loaded = _read(settings.data.data, settings, method=method)
    train, held_out, files, refused = loaded.rows, loaded.rows[:0], list(loaded.files), list(loaded.refusals)
    if settings.data.eval_data:
        other = _read(settings.data.eval_data, settings, method=method)
        held_out, files, refused = other.rows, files + other.files, refused + other.refusals
    elif settings.data.eval_fraction > 0:
        train, held_out = split(train, fraction=settings.data.eval_fraction, seed=settings.loop.seed)
    return RawData(train, held_out, files, refused, data_hash(train, held_out))


def _read(paths: Sequence[str], settings: RunSettings, *, method: str) -> Loaded:
    loaded = read_rows(paths, bad_rows=settings.data.bad_rows, stream_from=STREAM_FROM)
    if any(file.comparisons for file in loaded.files):
        refuse_comparisons(loaded.rows, method=method)
    return loaded


def read_rows(
    paths: Sequence[str],
    *,
    bad_rows: Literal["error", "drop"],
    stream_from: int | None = None,
    do: str = "bad_rows=drop",
) -> Loaded:
    """All rows of the paths; says for each kind of file which columns were taken for what.

    Files of ``stream_from`` bytes or more are read again whenever their rows are asked for. Raises InputError when
    rows are refused and ``bad_rows`` is error, which ``do`` tells how to change, and when no row is left.
    """
    loaded = load(paths, stream_from=stream_from)
    say_mappings(loaded.files)
    settle_refusals(loaded.refusals, kept=len(loaded.rows), bad_rows=bad_rows, do=do)
    return loaded


def settle_refusals(
    refusals: Sequence[Refusal],
    *,
    kept: int,
    bad_rows: Literal["error", "drop"],
    do: str = "bad_rows=drop",
    more: str = "; 'precept data stats' names every one",
) -> None:
    """Stop at refused rows, or say how many are left out: counts by reason, then the first five rows. ``more``
    goes on with the advice to mend them."""
    if not refusals:
        if kept == 0:
            raise InputError("no row was found", code="no-rows", do="name files that hold rows")
        return
    whole_files = [refusal for refusal in refusals if refusal.row is None]
    lines = [f"{count} x {reason}" for reason, count in count_reasons(r.reason for r in refusals)[:8]]
    first = [f"{r.file} row {r.row}: {r.reason}" if r.row else f"{r.file}: {r.reason}" for r in refusals[:5]]
    summary = "\n    ".join([*lines, "first:", *first])
    if kept == 0:
        raise InputError(
            "no row can be used" if not whole_files else "no file can be used",
            code="no-usable-rows" if not whole_files else "no-readable-file",
            found="\n    " + summary,
            do=f"mend them{more}",
        )
    if bad_rows == "error":
        raise InputError(
            f"{len(refusals)} of {kept + len(refusals)} rows cannot be used",
            code="bad-rows",
            found="\n    " + summary,
            do=f"mend them, or go on without them with {do}",
        )
    say(f"left out {len(refusals)} of {kept + len(refusals)} rows:\n    {summary}")


def refusals_document(refusals: Sequence[Refusal]) -> dict[str, Any]:
    """What a document says of rows and files that were left out because they cannot be used: every one of them, and
    how many there are of each code. ``row`` is null where it is the whole file."""
    return {
        "count": len(refusals),
        "by_code": dict(Counter(refusal.code for refusal in refusals).most_common()),
        "entries": [{"file": r.file, "row": r.row, "code": r.code, "reason": r.reason} for r in refusals],
    }


def count_reasons(reasons: Iterable[str]) -> list[tuple[str, int]]:
    """Reasons with their counts, most frequent first; those that differ in numbers only are one, with ``#`` there."""
    alike: dict[str, list[str]] = {}
    for reason in reasons:
        alike.setdefault(NUMBER.sub("#", reason), []).append(reason)
    counts = [(group[0] if len(set(group)) == 1 else shape, len(group)) for shape, group in alike.items()]
    return sorted(counts, key=lambda entry: -entry[1])


def refuse_comparisons(rows: Sequence[Row], *, method: str) -> None:
    """Supervised tuning has no use for rejected answers; say so instead of training on half of a row."""
    found = next((row for row in rows if isinstance(row, Comparison)), None)
    if found is not None:
        raise InputError(
            f"this file holds comparisons (several answers to a prompt), but {method} needs conversations",
            code="wrong-kind-of-rows",
            where=f"{found.source.file} row {found.source.row}",
            do="give rows with one answer: the preferred answers as messages, or as prompt and completion",
        )


def file_entries(files: Sequence[FileReport]) -> list[dict[str, object]]:
    """What data_manifest.json says of each file."""
    return [
        {
            "path": file.path,
            "sha256": file.sha256,
            "format": file.format,
            "licence": file.licence,
            "rows": file.rows,
            "kept": file.rows - sum(r.row is not None for r in file.refused),
            "mapping": file.mapping,
            "notes": file.notes,
        }
        for file in files
    ]


def say_mappings(files: Sequence[FileReport]) -> None:
    """One line a kind of file: the format and the columns that were found."""
    seen: dict[tuple[str, str], list[FileReport]] = {}
    for file in files:
        mapping = ", ".join(f"{ours} <- {theirs}" for ours, theirs in file.mapping.items())
        seen.setdefault((str(file.format), mapping), []).append(file)
    for (format_, mapping), group in seen.items():
        if group[0].format is None:
            continue
        rows = sum(file.rows for file in group)
        name = group[0].path if len(group) == 1 else f"{len(group)} files"
        say(f"{name}: {rows} rows, format {format_} ({mapping})")
        for note in sorted({note for file in group for note in file.notes}):
            say(f"    {note}")
