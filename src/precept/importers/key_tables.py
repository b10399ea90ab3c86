"""Tables of a tool's keys (``keys/*.yaml``): which of our keys one is, or why it has no effect or no counterpart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path as File
from typing import Any

import yaml

from precept.importers.source_file import Path

FOLDER = File(__file__).with_name("keys")


@dataclass(frozen=True)
class Rule:
    """What becomes of a key. ``harmless`` are the values with which an unsupported key changes nothing, by default
    false."""

    list_name: str
    why: str
    to: str | None = None
    harmless: tuple[Any, ...] = (False,)

    def is_off(self, value: Any) -> bool:
        """Whether an unsupported key is set to a value that changes nothing."""
        return self.list_name == "unsupported" and any(_same(value, other) for other in self.harmless)


@dataclass(frozen=True)
class KeyTable:
    """Rules by dotted path; ``*`` stands for the place in a list, or for the rest of a name (``wandb_*``).

    A rule holds for everything below its path, unless a longer path has its own.
    """

    exact: Mapping[str, Rule]
    patterns: Mapping[str, Rule]

    def find(self, leaf: Path) -> Rule | None:
        """The rule of the longest known beginning of a leaf's path."""
        parts = ["*" if part.isdecimal() else part for part in leaf]
        for length in range(len(parts), 0, -1):
            path = ".".join(parts[:length])
            if path in self.exact:
                return self.exact[path]
            for pattern, rule in self.patterns.items():
                if path.count(".") == pattern.count(".") and fnmatchcase(path, pattern):
                    return rule
        return None


@lru_cache
def key_table(name: str) -> KeyTable:
    """The table of ``keys/<name>.yaml``."""
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
    rules = dict(_rules(document))
    patterns = {path: rule for path, rule in rules.items() if any(part != "*" and "*" in part for part in _parts(path))}
    return KeyTable({path: rule for path, rule in rules.items() if path not in patterns}, patterns)


def _rules(document: Mapping[str, Any]) -> Iterator[tuple[str, Rule]]:
    for path, to in document.get("mapped", {}).items():
        yield path, Rule("mapped", "", to)
    for list_name in ("without_effect", "unsupported"):
        for group in document.get(list_name, []):
            rule = Rule(list_name, " ".join(group["why"].split()), None, tuple(group.get("harmless", [False])))
            for path in group["keys"]:
                yield path, rule


def _parts(path: str) -> list[str]:
    return path.split(".")


def _same(value: Any, other: Any) -> bool:
    """Equal, and not as True equals 1."""
    return bool(value == other) and isinstance(value, bool) == isinstance(other, bool)
