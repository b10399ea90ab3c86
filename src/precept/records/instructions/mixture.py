"""A mixture of files or tasks: rows drawn by weights, caps, temperature and epochs, with what was drawn reported."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from precept.errors import InputError
from precept.records.by_hash import data_hash
from precept.records.files import find_files, split_limit
from precept.records.instructions.built import MAX_ROWS, Built, CountTokens, RowCount, Seed
from precept.records.load import load
from precept.records.mixture import Mixture, MixtureSource, counts_for, mixing_shares, most_without_repeats
from precept.settings import Settings
from precept.types import Comparison, Conversation, Refusal, Row

Above0 = Annotated[float, Field(gt=0, allow_inf_nan=False)]
AtLeast1 = Annotated[int, Field(ge=1)]
Value = TypeVar("Value")


class MixtureSettings(Settings):
    """How much is drawn of each source. A source is named by its file, or its folder where the file is train.jsonl."""

    sources: Literal["file", "task"] = "file"
    """What is one source: each path that `data` names, or all rows of one task."""
    weights: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]] = Field(default_factory=dict)
    """Share of each source, in any unit; by default its number of rows, up to the cap."""
    cap: AtLeast1 | dict[str, AtLeast1] | None = None
    """Rows of a source above this add nothing to its share: one number, or one for each of some sources."""
    temperature: Above0 = 1.0
    """Shares to the power 1/temperature: above 1 makes them more alike."""
    total_rows: RowCount | None = None
    """Rows of the mixture; by default as many as these shares allow without a row coming twice."""
    epochs: Above0 | dict[str, Above0] | None = None
    """Passes over each source, instead of shares: one number, or one for every source."""
    seed: Seed = 42
    """Of the order in which a source is drawn from."""


@dataclass(frozen=True)
class _Source:
    name: str
    rows: Sequence[Row]


def build(paths: Sequence[str], settings: MixtureSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """The rows in the order of the mixture. Raises InputError for sources that have no name of their own, keys that
    name none of them, and rows that are neither conversations nor comparisons."""
    sources, refused = _read(paths, settings)
    names = [source.name for source in sources]
    mixed = [MixtureSource(source.name, len(source.rows), data_hash(source.rows)) for source in sources]
    _refuse_twins(mixed)
    counts, shares = _counts(mixed, names, settings)
    mixture = Mixture(mixed, counts, settings.seed)
    draws = [mixture[place] for place in range(len(mixture))]
    rows = _checked([sources[draw.source].rows[draw.row] for draw in draws])
    report = {}
    for source, count, share in zip(mixed, counts, shares, strict=True):
        report[source.name] = {
            "rows": source.rows,
            "drawn": count,
            "repeats": max(0, count - source.rows),  # no row comes twice before all have come once
            "epochs": count / source.rows,
            "share_wanted": share,
            "share": count / len(mixture),
            "hash": source.hash,
        }
    return Built(rows, report={"rows": len(mixture), "seed": settings.seed, "sources": report}, refused=refused)


def _read(paths: Sequence[str], settings: MixtureSettings) -> tuple[list[_Source], list[Refusal]]:
    by_name: dict[str, list[Row]] = {}
    refused: list[Refusal] = []
    for spec in paths:
        loaded = load([spec])
        refused += loaded.refusals
        name = _name_of(spec)
        if settings.sources == "file" and name in by_name:
            raise InputError(
                f"two sources are called '{name}'",
                code="mixture-source-twice",
                where=spec,
                do="rename the file or its folder, or mix with sources=task",
            )
        if not loaded.rows:
            raise InputError(
                f"no row of '{name}' can be used",
                code="mixture-source-empty",
                where=spec,
                found=loaded.refusals[0].reason if loaded.refusals else None,
                do="mend the file, or leave it out",
            )
        for row in loaded.rows:
            by_name.setdefault(name if settings.sources == "file" else _task_of(row), []).append(row)
    return [_Source(name, rows) for name, rows in by_name.items()], refused


def _name_of(spec: str) -> str:
    path, _ = split_limit(spec, base=None)
    if path.startswith("hf:"):
        return path.partition("/")[2]
    files = find_files(path, base=None)
    return files[0].stem if not files[0].walked else path.rstrip("/").rpartition("/")[2]


def _task_of(row: Row) -> str:
    task = row.task if isinstance(row, Conversation) else None
    if task is None:
        raise InputError(
            "this row names no task",
            code="row-without-task",
            where=f"{row.source.file} row {row.source.row}",
            do="give rows with a column 'task', or mix with sources=file",
        )
    return task


def _refuse_twins(sources: Sequence[MixtureSource]) -> None:
    """The same rows twice would be drawn in the same order, as repeats that no count shows."""
    seen: dict[str, str] = {}
    for source in sources:
        if source.hash in seen:
            raise InputError(
                f"'{source.name}' and '{seen[source.hash]}' hold the same rows",
                code="mixture-source-twice",
                do="name one of them; give it more weight, or more epochs, to have more of it",
            )
        seen[source.hash] = source.name


def _counts(
    mixed: Sequence[MixtureSource], names: Sequence[str], settings: MixtureSettings
) -> tuple[list[int], list[float]]:
    """Rows of each source, and the shares that they shall have."""
    sizes = [source.rows for source in mixed]
    if settings.epochs is not None:
        epochs = _for_each(settings.epochs, names, key="epochs")
        wanted = [size * passes for size, passes in zip(sizes, epochs, strict=True)]
        if sum(wanted) > MAX_ROWS:
            raise InputError(
                f"so many passes draw more than {MAX_ROWS:,} rows",
                code="mixture-too-long",
                where="epochs",
                found=f"{sum(wanted):.4g} rows",
                do="set fewer",
            )
        counts = [round(count) for count in wanted]
        if not sum(counts):
            raise InputError(
                "so few passes draw no row",
                code="mixture-empty",
                where="epochs",
                found=str(settings.epochs),
                do="set more",
            )
        return counts, [count / sum(wanted) for count in wanted]
    caps = settings.cap
    weights = None
    if settings.weights:
        weights = _for_each(settings.weights, names, key="weights")
        if not sum(weights):
            raise InputError("all weights are 0", code="bad-value", where="weights", do="give one source more")
    limits: list[int | None] = []
    if weights is None:
        _refuse_strange(caps if isinstance(caps, dict) else {}, names, key="cap")
        limits = [caps.get(name) if isinstance(caps, dict) else caps for name in names]
    shares = mixing_shares(sizes, caps=limits or None, weights=weights, temperature=settings.temperature)
    return counts_for(shares, settings.total_rows or most_without_repeats(sizes, shares)), shares


def _for_each(value: float | Mapping[str, float], names: Sequence[str], *, key: str) -> list[float]:
    """The value of every source. Raises InputError where one is missing or a name is none of theirs."""
    if not isinstance(value, Mapping):
        return [value for _ in names]
    _refuse_strange(value, names, key=key)
    missing = [name for name in names if name not in value]
    if missing:
        raise InputError(
            f"{key} says nothing of {', '.join(missing[:5])}",
            code="mixture-source-missing",
            where=key,
            do=f"add {missing[0]}: NUMBER (0 draws nothing from it)"
            if key == "weights"
            else f"add {missing[0]}: NUMBER",
        )
    return [value[name] for name in names]


def _refuse_strange(value: Mapping[str, Any], names: Sequence[str], *, key: str) -> None:
    for name in value:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
            raise InputError(
                f"{key} names '{name}', which is no source here",
                code="mixture-source-unknown",
                where=key,
                do=f"did you mean '{near[0]}'?" if near else f"the sources are {', '.join(names[:12])}",
            )


def _checked(rows: Sequence[Row]) -> list[Conversation | Comparison]:
    kinds = {type(row) for row in rows}
    odd = next((row for row in rows if not isinstance(row, Conversation | Comparison)), None)
    if odd is not None or len(kinds) > 1:
        shown = odd or rows[0]
        raise InputError(
            "a mixture holds rows of one kind, conversations or comparisons",
            code="mixture-kinds",
            where=f"{shown.source.file} row {shown.source.row}",
            found=", ".join(sorted(kind.__name__.lower() for kind in kinds)),
            do="mix files of one kind",
        )
    return [row for row in rows if isinstance(row, Conversation | Comparison)]
