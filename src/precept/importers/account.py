"""The account of one import: every leaf of the source is booked once, as mapped, without effect or unsupported."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from precept.importers.key_tables import KeyTable
from precept.importers.source_file import Path, leaves

GAP = "FILL-IN: "
SAME = object()
Refuses = Callable[[Mapping[str, Any]], str | None]


@dataclass(frozen=True)
class Entry:
    """A leaf of the source: its dotted path, our key where there is one, its value as written, and the reason."""

    key: str
    to: str | None
    value: Any
    why: str


class Account:
    """What was read from a source file so far, and what the recipe holds.

    ``refuses`` tells why our settings do not take a set of keys, or None where they do: what it refuses is booked as
    unsupported, so that the recipe always parses.
    """

    def __init__(self, tree: Mapping[str, Any], *, tool: str, refuses: Refuses) -> None:
        self.tool = tool
        self.settings: dict[str, Any] = {}
        self.comments: dict[str, str] = {}
        self.differences: list[str] = []
        self.output: str | None = None
        self._tree = tree
        self._refuses = refuses
        self._leaves = dict(leaves(tree))
        self._booked: dict[Path, tuple[str, Entry]] = {}

    def find(self, path: str | Path) -> Any:
        """The source's value at a path, dotted or in parts; None where there is none."""
        value: Any = self._tree
        for part in _parts(path):
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
                value = value[int(part)]
            else:
                return None
        return value

    def has(self, key: str) -> bool:
        """Whether the source names a top-level key, be it with an empty value."""
        return key in self._tree

    def text(self, path: str) -> str:
        """The source's value as text in lower case; empty where there is none."""
        value = self.find(path)
        return "" if value is None else str(value).strip().lower()

    def number(self, path: str, default: float) -> float:
        """The source's value where it is a number, be it in quotes."""
        value = self.find(path)
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                return default
            value = int(value) if value.is_integer() else value
        fits = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        return value if fits else default

    def map(self, path: str | Path, to: str, why: str = "", *, value: Any = SAME, comment: str = "") -> bool:
        """Set our key ``to`` from the leaves at or below ``path``. False where the source has no value there, or
        where it is booked or our setting does not take it."""
        given = self.find(path)
        if given is None or not self._open(path):
            return False
        refused = self.set(to, given if value is SAME else value, comment=comment)
        if refused:
            self.lack(path, f"{to} does not take this value: {refused}", to=to)
            return False
        self.book("mapped", path, why or _conversion(given, self.settings[to]), to=to)
        return True

    def idle(self, path: str | Path, why: str) -> None:
        """The leaves at or below ``path`` have no effect here."""
        self.book("without_effect", path, why)

    def lack(self, path: str | Path, why: str, *, to: str | None = None) -> None:
        """The leaves at or below ``path`` are not supported."""
        self.book("unsupported", path, why, to=to)

    def set(self, to: str, value: Any, *, comment: str = "") -> str | None:
        """Put a key into the recipe. Returns the reason where our settings refuse it."""
        value = _without_references(value)
        refused = self._refuses({**self.settings, to: value})
        if refused is None:
            self.settings[to] = value
            if comment:
                self.comments[to] = comment
        return refused

    def default(self, to: str, value: Any) -> None:
        """The other tool's default for a key that its file leaves open."""
        if to not in self.settings:
            self.set(to, value, comment=f"the default of {self.tool}")

    def gap(self, to: str, what: str, *, comment: str) -> None:
        """A place in the recipe that only the user can fill."""
        self.set(to, [GAP + what] if to in ("data", "eval_data") else GAP + what, comment=comment)

    def differ(self, sentence: str) -> None:
        """One thing in which the objective here is not that of the source."""
        if sentence not in self.differences:
            self.differences.append(sentence)

    def book(self, list_name: str, path: str | Path, why: str, *, to: str | None = None) -> None:
        """Book the leaves at or below ``path`` that are still open; empty ones never have an effect."""
        for leaf in self._open(path):
            value = self._leaves[leaf]
            if value is None:
                self._booked[leaf] = ("without_effect", _empty(leaf))
            else:
                self._booked[leaf] = (list_name, Entry(".".join(leaf), to, value, why))

    def _open(self, path: str | Path) -> list[Path]:
        """The leaves at or below ``path`` that are not booked yet."""
        parts = _parts(path)
        return [leaf for leaf in self._leaves if leaf[: len(parts)] == parts and leaf not in self._booked]

    def settle(self, tables: Sequence[KeyTable]) -> None:
        """Book what is left by the tables of known keys; what they do not know is unsupported."""
        for leaf, value in self._leaves.items():
            if leaf in self._booked:
                continue
            if value is None or value == {} or value == []:
                self._booked[leaf] = ("without_effect", _empty(leaf, value))
                continue
            rule = next((rule for table in tables if (rule := table.find(leaf)) is not None), None)
            if rule is None:
                self.lack(leaf, f"not a key of {self.tool} that is known here: look up what it does there")
            elif rule.list_name == "mapped":
                self.map(leaf, rule.to or "", rule.why)
            elif rule.is_off(value):
                self.idle(leaf, f"this value changes nothing ({rule.why})")
            else:
                self.book(rule.list_name, leaf, rule.why)

    def entries(self, list_name: str) -> list[Entry]:
        """The entries of a list in the order of the source."""
        booked = (self._booked[leaf] for leaf in self._leaves)
        return [entry for name, entry in booked if name == list_name]


def _parts(path: str | Path) -> Path:
    return tuple(path.split(".")) if isinstance(path, str) else path


def _empty(leaf: Path, value: Any = None) -> Entry:
    return Entry(".".join(leaf), None, value, "no value: as if the key were not there")


def _conversion(given: Any, value: Any) -> str:
    same = given == value and not isinstance(given, bool) ^ isinstance(value, bool)
    return "the same" if same else f"becomes {value}"


def _without_references(value: Any) -> Any:
    """``${...}`` would name a step of ours: what the other tool fills in when it starts is a gap here."""
    if isinstance(value, list):
        return [_without_references(item) for item in value]
    if isinstance(value, str) and "${" in value:
        return GAP + value.removeprefix(GAP).replace("$", "")
    return value
