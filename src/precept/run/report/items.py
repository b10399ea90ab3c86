"""The items behind scores: found in their files line by line, and written as pages beside the page of the run.

Of an item only its place in the file is kept, so that a run of any size takes little memory; it is read again where it
is shown.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import orjson

from precept.errors import InputError
from precept.evaluate.page_items import RULE, Example, Items, Kind, items_page
from precept.run.output import write_atomic
from precept.run.report.run_files import RunFiles

FIRST, CARDS_FOR = 3, 6
"""Items of each kind on the page of the run, and levels of which it shows some; all have pages of their own."""
MOST, MOST_BYTES = 200, 2 << 20
"""Items of each kind on a level's own page, and bytes of their lines; the first is always there."""
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]+")

Record = Mapping[str, Any]


class Place(NamedTuple):
    """A line of a file, in bytes."""

    file: Path
    start: int
    size: int


class Entry(NamedTuple):
    """An item: the level that it is scored in, what became of it, its task, and the lines that tell of it."""

    level: str
    kind: str
    task: str
    places: tuple[Place, ...]


@dataclass(frozen=True)
class ItemIndex:
    """Entries in order, the order of their kinds, and how an item is made of its lines. ``rule`` says what the kinds
    mean."""

    entries: Sequence[Entry]
    kinds: Sequence[str]
    example: Callable[[Sequence[Record]], Example]
    rule: str = RULE


def read_lines(files: RunFiles, name: str, *, holds: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """The objects of a JSON lines file with their places, up to the first line that is none, which is noted. A killed
    process may leave a torn last line: it is no line."""
    path = files.folder / name
    if not path.is_file():
        files.note(name, holds)
        return
    start = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if not line.endswith(b"\n"):
                    return
                record = _parse(line)
                if record is None:
                    files.note(name, f"line {number} cannot be read")
                    return
                yield Place(path, start, len(line)), record
                start += len(line)
    except OSError as error:
        files.note(name, f"cannot be read: {error.strerror}")


def _parse(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None where it holds something else."""
    try:
        record = orjson.loads(line)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


class ItemPages:
    """The pages of items beside ``page``, in a folder named after it. Added while the run is read, written at last."""

    def __init__(self, page: Path) -> None:
        self._page = page
        self._folder = page.with_name(f"{page.stem}-items")
        self._planned: list[tuple[Path, Callable[[], str]]] = []

    def add(self, index: ItemIndex, *, title: str, anchor: str) -> tuple[Items, ...]:
        """Plan a page for each level of an index; returns what the page of the run shows of them."""
        levels: dict[str, list[Entry]] = {}
        for entry in index.entries:
            levels.setdefault(entry.level, []).append(entry)
        return tuple(self._add(index, level, own, title, anchor) for level, own in levels.items())

    def address(self, path: Path) -> str:
        """Where a file lies as seen from the page of the run."""
        return _address(path, self._page.parent)

    def write(self) -> None:
        """Put the planned pages on disk. Raises OSError."""
        if self._planned:
            self._folder.mkdir(exist_ok=True)
        for path, make in self._planned:
            write_atomic(path, make().encode())

    def _add(self, index: ItemIndex, level: str, entries: list[Entry], title: str, anchor: str) -> Items:
        name = NOT_IN_NAMES.sub("_", level)[:80]
        path = self._folder / f"{len(self._planned) + 1}-{name}.html"
        kinds = [(kind, [entry for entry in entries if entry.kind == kind]) for kind in index.kinds]
        first = FIRST if len(self._planned) < CARDS_FOR else 0
        shown = Items(
            level,
            tuple(Kind(kind, len(own), _load(index, take_in_turn(own, first))) for kind, own in kinds),
            href=self.address(path),
        )
        sources = dict.fromkeys(place.file for entry in entries for place in entry.places)
        files = tuple((file.name, _address(file, self._folder)) for file in sources)
        back = f"{_address(self._page, self._folder)}#{anchor}"

        def make() -> str:
            whole = tuple(Kind(kind, len(own), _load(index, take_first(own))) for kind, own in kinds)
            return items_page(replace(shown, kinds=whole, files=files), title=title, back=back, rule=index.rule)

        self._planned.append((path, make))
        return shown


def _address(path: Path, folder: Path) -> str:
    """A file as a link on a page in ``folder`` names it."""
    return quote(os.fsencode(os.path.relpath(path, folder)))


def take_in_turn(entries: Sequence[Entry], count: int) -> list[Entry]:
    """The first ``count``, one of every task in turn before the second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, entry in enumerate(entries):
        ranked.append((seen[entry.task], place))
        seen[entry.task] += 1
    return [entries[place] for _, place in sorted(ranked)[:count]]


def take_first(entries: Sequence[Entry]) -> list[Entry]:
    """As many of the first as a page takes."""
    taken: list[Entry] = []
    room = MOST_BYTES
    for entry in entries[:MOST]:
        room -= sum(place.size for place in entry.places)
        if taken and room < 0:
            break
        taken.append(entry)
    return taken


def _load(index: ItemIndex, entries: Sequence[Entry]) -> tuple[Example, ...]:
    """Read items again. Raises InputError where a file is no longer what it was."""
    with ExitStack() as stack:
        paths = dict.fromkeys(place.file for entry in entries for place in entry.places)
        files = {path: stack.enter_context(path.open("rb")) for path in paths}

        def record(place: Place) -> Record:
            files[place.file].seek(place.start)
            found = _parse(files[place.file].read(place.size))
            if found is None:
                raise InputError(
                    "the file changed while its page was made",
                    code="run-file-changed",
                    where=str(place.file),
                    do="wait until the run is done, then make the page again",
                )
            return found

        return tuple(index.example([record(place) for place in entry.places]) for entry in entries)
