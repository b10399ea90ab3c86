"""YAML as nodes that know their line, so that an error can name it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from precept.errors import InputError
from precept.evaluate.task_file import MOST_NODES, count_nodes

# 2026-13-45 looks like a date and is none: a ValueError, as is text that is not UTF-8.
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


def read_nodes(path: Path) -> yaml.Node | None:
    """The root of a YAML file. Raises InputError where it is none, and where its aliases multiply it."""
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (*NOT_YAML, OSError) as error:
        raise _not_yaml(str(path), error) from error
    if root is not None and count_nodes(root) > MOST_NODES:
        raise InputError(
            "the recipe's aliases multiply it beyond any use", code="recipe-aliases", where=str(path), do="write it out"
        )
    return root


def read_mapping(node: yaml.Node | None, path: Path, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """Key -> its node and that of its value. Raises InputError for another shape, or a key that comes twice."""
    if not isinstance(node, yaml.MappingNode):
        where = str(path) if node is None else line_of(path, node)
        raise InputError(
            f"{what} is not a mapping of keys to values", code="recipe-shape", where=where, do="write key: value"
        )
    entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a key is no word", code="recipe-shape", where=line_of(path, key), do="write key: value")
        if key.value in entries:
            raise InputError(f"'{key.value}' is set twice", code="key-twice", where=line_of(path, key), do="remove one")
        entries[str(key.value)] = (key, value)
    return entries


def read_value(node: yaml.Node, where: str) -> Any:
    """What a node stands for, as plain lists, mappings and scalars."""
    try:
        return yaml.safe_load(yaml.serialize(node))
    except NOT_YAML as error:
        raise _not_yaml(where, error) from error


def line_of(path: Path, node: yaml.Node) -> str:
    """File and line of a node."""
    return f"{path} line {node.start_mark.line + 1}"


def _not_yaml(where: str, error: BaseException) -> InputError:
    detail = " ".join(str(error).split())
    return InputError(
        "the recipe is not valid YAML", code="recipe-yaml", where=where, found=detail, do="mend it, or quote the value"
    )
