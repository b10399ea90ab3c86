"""The text of another tool's YAML (or JSON) file as plain values, and the path of each leaf."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import yaml

from precept.errors import InputError

Path = tuple[str, ...]
LARGEST = 100_000  # nodes, with aliases written out
DEEPEST = 50  # levels
LARGEST_INTEGER = 2**63


class _Loader(yaml.SafeLoader):
    """SafeLoader that reads ``1e-4`` as a number, as the peers' own loaders or settings classes do."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)[eE][-+]?[0-9]+\Z"),
    list("-+0123456789."),
)


def read_source(text: str, *, where: str) -> dict[str, Any]:
    """The file's keys and values. Raises InputError for text that is no mapping in YAML or JSON."""
    try:
        tree = _plain(_load(text, where))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        detail = " ".join(str(error).split())[:300]
        raise InputError(
            "the file is not valid YAML", code="config-yaml", where=where, found=detail, do="mend it"
        ) from error
    if not isinstance(tree, dict) or not tree:
        kind = "nothing" if not tree else f"a {type(tree).__name__}"
        raise InputError(
            "the file is not a mapping of keys to values",
            code="config-shape",
            where=where,
            found=kind,
            do="name the YAML file that the other tool trains with",
        )
    return tree


def leaves(tree: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """(path, value) of everything that holds no further values; an empty list or mapping is a leaf itself."""
    if isinstance(tree, dict) and tree:
        for key, value in tree.items():
            yield from leaves(value, (*path, key))
    elif isinstance(tree, list) and tree:
        for place, value in enumerate(tree):
            yield from leaves(value, (*path, str(place)))
    else:
        yield path, tree


def _load(text: str, where: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return json.loads(text)  # YAML refuses the tabs of some JSON
        except ValueError:
            pass
    root = yaml.compose(text, Loader=_Loader)
    if root is None:
        return None
    if _size(root, {}) > LARGEST:
        raise InputError(
            "the file's aliases multiply it beyond any use", code="config-yaml", where=where, do="write it out"
        )
    _refuse_doubles(root, where)
    loader = _Loader("")
    try:
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _refuse_doubles(node: yaml.Node, where: str) -> None:
    """PyYAML lets the last of two equal keys win in silence."""
    waiting, seen = [node], set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.MappingNode):
            names: set[str] = set()
            for key, _ in node.value:
                if isinstance(key, yaml.ScalarNode) and key.value in names:
                    line = f"{where} line {key.start_mark.line + 1}"
                    raise InputError(f"'{key.value}' is set twice", code="key-twice", where=line, do="remove one")
                names.add(str(key.value))
        waiting += _inner(node)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    inner = node.value if isinstance(node, yaml.CollectionNode) else []
    return [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Nodes of a document with its aliases written out; infinite where one holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        known[id(node)] = 1 + sum(_size(part, known) for part in _inner(node))
    return known[id(node)]


def _plain(value: Any, depth: int = 0) -> Any:
    """The value in types that JSON has: keys as text; dates, sets, bytes and huge numbers as text."""
    if depth > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    if isinstance(value, dict):
        plain = {_text(key): _plain(inner, depth + 1) for key, inner in value.items()}
        if len(plain) < len(value):
            raise ValueError("two keys of a mapping are spelled alike")
        return plain
    if isinstance(value, list):
        return [_plain(inner, depth + 1) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < LARGEST_INTEGER else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return _text(value)


def _text(value: Any) -> str:
    """As text that any file can hold: escapes in quotes can spell halves of characters."""
    return str(value).encode("utf-8", "backslashreplace").decode()
