"""The YAML of a task or a suite with the lines of its keys, so that an error can point at one."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal

import yaml

from precept.errors import InputError

Place = tuple[int | str, ...]
MOST_NODES = 100_000  # of a file


def nearest(word: str, valid: Sequence[str]) -> str:
    """A hint at the valid word that looks most like this one, to end a sentence with; empty where none does."""
    close = get_close_matches(word, valid, n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


@dataclass(frozen=True)
class TaskFile:
    """A mapping read from ``path``; ``lines`` has the line of each key, by the keys that lead to it. ``kind`` is what
    errors call it."""

    path: Path
    values: dict[str, Any]
    lines: Mapping[Place, int]
    kind: Literal["task", "suite"]

    @classmethod
    def read(cls, path: Path, *, kind: Literal["task", "suite"] = "task") -> TaskFile:
        """Raises InputError for a file that is no YAML mapping or names a key twice."""
        try:
            text = path.read_text(encoding="utf-8")
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            if root is not None and count_nodes(root) > MOST_NODES:
                raise ValueError("its aliases multiply it beyond any use")
            values = yaml.safe_load(text)
            json.dumps(values, ensure_ascii=False, default=str, skipkeys=True).encode()  # refuses half a character
        except (yaml.YAMLError, ValueError, RecursionError) as error:
            raise InputError(
                "not a YAML file",
                code="suite-not-yaml" if kind == "suite" else "task-not-yaml",
                where=str(path),
                found=str(error),
                do="mend it, or quote the value",
            ) from None
        if not isinstance(root, yaml.MappingNode):
            raise InputError(
                "not a YAML mapping",
                code="suite-not-yaml" if kind == "suite" else "task-not-yaml",
                where=str(path),
                do="write key: value",
            )
        lines: dict[Place, int] = {}
        _note_lines(root, (), lines, path)
        return cls(path, values, lines, kind)

    def error(self, place: Place, what: str, *, found: str | None = None, do: str | None = None) -> InputError:
        """An error at a key."""
        line = next((self.lines[place[:n]] for n in range(len(place), 0, -1) if place[:n] in self.lines), None)
        where = f"{self.path} line {line}" if line else str(self.path)
        key = ".".join(map(str, place))
        return InputError(
            what,
            code="suite-invalid" if self.kind == "suite" else "task-invalid",
            where=f"{where}, key '{key}'" if key else where,
            found=found,
            do=do,
        )

    def invalid(self, problems: Sequence[Mapping[str, Any]], *, keys: Callable[[Place], Sequence[str]]) -> InputError:
        """The error for pydantic's: an unknown key before all others, since it may be the one that is missing.
        ``keys`` gives the valid keys beside a place."""
        unknown = [problem for problem in problems if problem["type"] == "unexpected_keyword_argument"]
        problem = (unknown or problems)[0]
        place: Place = problem["loc"]
        if not unknown:
            return self.error(place, problem["msg"], found=repr(problem["input"]), do="give a value that fits")
        valid = keys(place)
        return self.error(place, "no such key", do=f"use one of {', '.join(valid)}{nearest(str(place[-1]), valid)}")

    def resolve_data(self, data: str, *, key: str = "data") -> str:
        """The path under ``key`` relative to the file, ``#500`` and ``hf:`` names kept. Raises InputError where there
        is nothing."""
        if data.startswith("hf:"):
            return data
        path, mark, count = data.partition("#")
        resolved = self.path.parent / path
        if not resolved.exists():
            raise self.error((key,), "no such data file", found=str(resolved), do="write it relative to the task file")
        return f"{resolved}{mark}{count}"


def count_nodes(root: yaml.Node) -> float:
    """Nodes of a document with its aliases written out; infinite where one holds itself."""
    known: dict[int, float] = {}

    def size(node: yaml.Node) -> float:
        if id(node) not in known:
            known[id(node)] = math.inf
            inner = node.value if isinstance(node, yaml.CollectionNode) else []
            parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
            known[id(node)] = 1 + sum(map(size, parts))
        return known[id(node)]

    return size(root)


def _note_lines(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path) -> None:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inner = (*place, key.value)
        line = key.start_mark.line + 1
        if inner in lines:
            raise InputError(
                f"the key '{'.'.join(map(str, inner))}' stands twice",
                code="key-twice",
                where=f"{path} line {line}",
                do=f"remove it here or on line {lines[inner]}",
            )
        lines[inner] = line
        _note_lines(value, inner, lines, path)
