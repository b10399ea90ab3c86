"""Which reader a file's records want, decided over all of them."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, overload

from precept.records.parse_json import RawRows
from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.records.readers import READERS
from precept.records.readers.foreign import why_foreign, why_unknown
from precept.records.readers.reader import Columns, Layout, Reader

ID_COLUMNS = ("id", "prompt_id", "uuid", "uid", "idx")
LICENCE_COLUMNS = ("license", "licence")


@dataclass(frozen=True)
class Part:
    """Records of a file that are read with one layout, each with its row number; ``places`` are those in the file."""

    layout: Layout
    records: Sequence[Any]
    numbers: Sequence[int]
    id_column: str | None
    licence_column: str | None
    places: Sequence[int] = ()


@dataclass(frozen=True)
class Plan:
    """How a file is read, and the rows that its format cannot hold."""

    reader: Reader
    parts: list[Part]
    refused: list[tuple[int, RowProblem]]
    mapping: dict[str, str]
    notes: list[str]


@dataclass
class _Group:
    """Records with the same columns, in whatever order."""

    names: frozenset[str]
    records: Sequence[Any]
    numbers: Sequence[int]
    places: Sequence[int]

    def __post_init__(self) -> None:
        self.columns = Columns(self.records)
        self.foreign = why_foreign(self.columns)


def choose_reader(raw: RawRows, stem: str) -> Plan:
    """The format that most rows have, and a layout for each set of columns in it.

    Rows of another format are refused, naming the columns found. ``stem`` is the file's name without endings.
    Raises FileProblem when no row has a known format.
    """
    groups, refused = _group(raw)
    votes: Counter[int] = Counter()
    for group in groups:
        place = next((i for i, reader in enumerate(READERS) if not group.foreign and reader.match(group.columns)), None)
        if place is not None:
            votes[place] += len(group.records)
    if not votes:
        raise _unknown(groups, refused)
    most = max(votes.values())
    reader = READERS[min(place for place, count in votes.items() if count == most)]
    if reader.expand is not None:
        return _expand(reader, groups, refused, stem)
    return _plan(reader, groups, refused)


def _group(raw: RawRows) -> tuple[list[_Group], list[tuple[int, RowProblem]]]:
    """Records by their columns, most frequent first, and the records that are no objects."""
    refused = list(raw.refused)
    by_keys: dict[tuple[str, ...], array[int]] = {}
    for place, (number, record) in enumerate(zip(raw.numbers, map(as_object, raw.records), strict=True)):
        if isinstance(record, dict):
            by_keys.setdefault(tuple(record), array("i")).append(place)
        else:
            reason = f"row is {kind_of(record)}, not an object with columns"
            refused.append((number, RowProblem("not-an-object", reason)))
    merged: dict[frozenset[str], array[int]] = {}
    for keys, places in by_keys.items():
        merged.setdefault(frozenset(keys), array("i")).extend(places)
    groups = [_chosen(names, raw, places) for names, places in merged.items()]
    return sorted(groups, key=lambda group: -len(group.records)), refused


def as_object(record: Any) -> Any:
    """The record; a bare list of messages as an object that holds it."""
    if isinstance(record, list) and record and isinstance(record[0], dict) and record[0].keys() & {"role", "from"}:
        return {"messages": record}
    return record


def _chosen(names: frozenset[str], raw: RawRows, places: array[int]) -> _Group:
    if isinstance(raw.records, list):
        records = [as_object(raw.records[place]) for place in places]
        return _Group(names, records, [raw.numbers[place] for place in places], places)
    return _Group(names, Picked(raw.records, places), Picked(raw.numbers, places), places)


@dataclass(frozen=True)
class Picked(Sequence[Any]):
    """Some items of a sequence that is read in order from disk; ``places`` ascend."""

    items: Sequence[Any]
    places: Sequence[int]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, place: int) -> Any: ...

    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [as_object(self.items[chosen]) for chosen in self.places[place]]
        return as_object(self.items[self.places[place]])

    def __iter__(self) -> Iterator[Any]:
        following = iter(self.places)
        wanted = next(following, None)
        for place, item in enumerate(self.items):
            if place == wanted:
                yield as_object(item)
                wanted = next(following, None)
                if wanted is None:
                    return


def _plan(reader: Reader, groups: list[_Group], refused: list[tuple[int, RowProblem]]) -> Plan:
    parts = []
    used: set[str] = set()
    seen: set[str] = set()
    main: tuple[frozenset[str], Layout] | None = None
    for group in groups:
        layout = None if group.foreign else reader.match(group.columns)
        if layout is None and main is not None and group.names >= main[0]:
            layout = main[1]  # the columns are there and hold only nulls: reading names them
        if layout is None:
            reason = (
                f"not in the file's format, {reader.name} ({reader.columns}); columns found: {_listed(group.names)}"
            )
            refused += [(number, RowProblem("other-format", reason)) for number in group.numbers]
            continue
        main = main or (group.names, layout)
        id_column, licence_column = (
            _label_column(group.columns, ID_COLUMNS),
            _label_column(group.columns, LICENCE_COLUMNS),
        )
        used |= {*layout.mapping.values(), *layout.used, *filter(None, (id_column, licence_column))}
        seen |= group.columns.first.keys()
        parts.append(Part(layout, group.records, group.numbers, id_column, licence_column, group.places))
    notes = _merged_notes(parts)
    if seen - used:
        notes.append(f"columns that are not used: {_listed(seen - used)}")
    return Plan(reader, parts, refused, _merged_mapping(parts), notes)


def _expand(reader: Reader, groups: list[_Group], refused: list[tuple[int, RowProblem]], stem: str) -> Plan:
    """Documents that hold many rows: rows are counted through the file, a bad document as one."""
    assert reader.expand is not None
    found: dict[int, Any] = dict(refused)
    for group in groups:
        found |= zip(group.numbers, group.records, strict=True)
    parts: list[Part] = []
    bad: list[tuple[int, RowProblem]] = []
    number = 0
    for _, document in sorted(found.items(), key=lambda item: item[0]):
        try:
            if isinstance(document, RowProblem):
                raise document
            if reader.match(Columns([document])) is None:
                raise RowProblem("other-format", f"not a {reader.name} object; columns found: {_listed(document)}")
            batch = reader.expand(document, stem)
        except RowProblem as problem:
            if len(found) == 1:
                raise FileProblem(problem.code, problem.reason) from None
            number += 1
            bad.append((number, problem))
            continue
        numbers = range(number + 1, number + 1 + len(batch.records))
        number += len(batch.records)
        rows = [(n, record) for n, record in zip(numbers, batch.records, strict=True) if isinstance(record, dict)]
        bad += [
            (n, RowProblem("not-an-object", f"row is {kind_of(record)}, not an object"))
            for n, record in zip(numbers, batch.records, strict=True)
            if not isinstance(record, dict)
        ]
        columns = Columns([record for _, record in rows])
        label = _label_column(columns, ID_COLUMNS)
        parts.append(Part(batch.layout, [record for _, record in rows], [n for n, _ in rows], label, None))
    if number == 0:
        raise FileProblem("empty-file", f"empty: the {reader.name} file holds no instances")
    return Plan(reader, parts, bad, _merged_mapping(parts), _merged_notes(parts))


def _unknown(groups: list[_Group], refused: list[tuple[int, RowProblem]]) -> FileProblem:
    """Why no row of a file can be read, told by its most frequent columns."""
    if not groups:
        return FileProblem(refused[0][1].code, f"no rows: {refused[0][1].reason}")
    columns = _listed(groups[0].names)
    if groups[0].foreign:
        return FileProblem("not-rows", f"{groups[0].foreign}; columns found: {columns}")
    hint = why_unknown(groups[0].columns)
    known = "; ".join(reader.columns for reader in READERS)
    found = f"{hint}; columns found: {columns}" if hint else f"no known format; columns found: {columns}"
    return FileProblem("unknown-format", f"{found}. Known: {known}")


def _listed(names: Iterable[str], *, limit: int = 12) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - limit} more" if len(ordered) > limit else ""
    return ", ".join(f"{name:.40}" for name in ordered[:limit]) + more


def _label_column(columns: Columns, names: Sequence[str]) -> str | None:
    name = columns.one_of(*names)
    return name if name and isinstance(columns.first[name], str | int) else None


def _merged_mapping(parts: list[Part]) -> dict[str, str]:
    """Our field -> their columns over all parts; several ones are joined by '|'."""
    merged: dict[str, dict[str, None]] = {}
    for part in parts:
        for ours, theirs in part.layout.mapping.items():
            merged.setdefault(ours, {})[theirs] = None
    return {ours: " | ".join(theirs) for ours, theirs in merged.items()}


def _merged_notes(parts: list[Part]) -> list[str]:
    return list(dict.fromkeys(note for part in parts for note in part.layout.notes))
