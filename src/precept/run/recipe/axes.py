"""Axes of a recipe: the values that steps which name the axis are repeated for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from precept.errors import InputError
from precept.evaluate.study import Scalar, text_of
from precept.run.recipe.nodes import line_of, read_mapping, read_value
from precept.run.settings import SHORT, read_scalar, unknown_key

AXIS_NAME = re.compile(r"\w[\w-]{0,99}")
NOT_IN_FOLDERS = re.compile(r"[^\w.-]")


@dataclass(frozen=True)
class Axis:
    """A name and its values in the file's order, each under its label: the name of a named value, else its text.

    A named value may be a mapping, with the same keys behind each name. ``where`` is file and line.
    """

    name: str
    values: Mapping[str, Scalar | Mapping[str, Scalar]]
    named: bool
    where: str

    def value(self, label: str, key: str = "") -> Scalar | Mapping[str, Scalar]:
        """What stands under a label, or under one of its keys."""
        found = self.values[label]
        return found[key] if key and isinstance(found, Mapping) else found

    def told(self, label: str) -> Scalar:
        """What results call a value: its name, or the value itself where it has none."""
        value = self.values[label]
        return label if self.named or isinstance(value, Mapping) else value

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys behind each name; empty where the values are scalars."""
        first = next(iter(self.values.values()))
        return tuple(first) if isinstance(first, Mapping) else ()


def folder_of(axes: Mapping[str, Scalar]) -> str:
    """``axis=value,axis=value``, with '-' for signs that no folder's name should hold."""
    return ",".join(f"{name}={NOT_IN_FOLDERS.sub('-', text_of(value))}" for name, value in axes.items())


def read_axes(node: yaml.Node, path: Path) -> tuple[Axis, ...]:
    """The axes of a recipe. Raises InputError with file and line."""
    return tuple(_read_axis(name, *nodes, path) for name, nodes in read_mapping(node, path, "'axes'").items())


def override_axis(axis: Axis, words: Sequence[str]) -> Axis:
    """The axis with the values of ``axes.NAME=value`` words: names among its own where it has names."""
    where = f"override 'axes.{axis.name}={words[-1]}'"
    if not axis.named:
        return _checked(axis.name, [_plain(read_scalar(word), where) for word in words], False, where)
    for word in words:
        if word not in axis.values:
            raise unknown_key(word, list(axis.values), where=where, kind="axis-value")
    return _checked(axis.name, [(word, axis.values[word]) for word in words], True, where)


def refuse_step_names(axes: Sequence[Axis], steps: Sequence[str]) -> None:
    """Raise InputError for an axis whose references could be a step's."""
    for axis in axes:
        for step in steps:
            if step == axis.name or step.startswith(f"{axis.name}."):
                raise InputError(
                    "an axis is named like a step",
                    code="axis-named-like-step",
                    where=axis.where,
                    found=f"axis '{axis.name}', step '{step}'",
                    do="rename one of them: ${NAME} means either a step or an axis",
                )


def _read_axis(name: str, key: yaml.Node, node: yaml.Node, path: Path) -> Axis:
    where = line_of(path, key)
    if isinstance(node, yaml.SequenceNode):
        return _checked(
            name, [_plain(read_value(item, where), line_of(path, item)) for item in node.value], False, where
        )
    if not isinstance(node, yaml.MappingNode):
        raise InputError(
            f"the axis '{name}' is neither a list of values nor values by name",
            code="axis-shape",
            where=where,
            do=f"write {name}: [1, 2], or {name}: {{small: 1, large: 2}}",
        )
    values: list[tuple[str, Any]] = []
    for label, (_, inner) in read_mapping(node, path, f"the axis '{name}'").items():
        at = line_of(path, inner)
        if isinstance(inner, yaml.MappingNode):
            keys = read_mapping(inner, path, f"'{label}'")
            values.append((label, {k: _plain(read_value(value, at), at)[1] for k, (_, value) in keys.items()}))
        else:
            values.append((label, _plain(read_value(inner, at), at)[1]))
    return _checked(name, values, True, where)


def _plain(value: Any, where: str) -> tuple[str, Scalar]:
    """A scalar behind its text."""
    if value is not None and not isinstance(value, str | int | float):
        raise InputError(
            "a value of an axis is a number, a word, true, false or null",
            code="axis-value",
            where=where,
            found=SHORT.repr(value),
            do="write one value at a time; quote a date; give values with several parts a name: {small: {a: 1, b: 2}}",
        )
    return text_of(value), value


def _checked(name: str, values: Sequence[tuple[str, Any]], named: bool, where: str) -> Axis:
    if not AXIS_NAME.fullmatch(name):
        raise InputError(
            "an axis is named in references and folders",
            code="axis-name",
            where=where,
            found=name,
            do="use letters, digits, '-' and '_'",
        )
    if not values:
        raise InputError(f"the axis '{name}' has no values", code="axis-empty", where=where, do="name one or more")
    if len({tuple(value) if isinstance(value, Mapping) else None for _, value in values}) > 1:
        raise InputError(
            f"the values of the axis '{name}' have different keys",
            code="axis-keys",
            where=where,
            found="; ".join(f"{label}: {SHORT.repr(value)}" for label, value in values),
            do="give each name the same keys in the same order; null leaves a setting at its default",
        )
    _refuse_alike(name, values, where)
    return Axis(name, dict(values), named, where)


def _refuse_alike(name: str, values: Sequence[tuple[str, Any]], where: str) -> None:
    labels: dict[Any, str] = {}
    folders: dict[str, str] = {}
    for label, value in values:
        same = tuple(value.items()) if isinstance(value, Mapping) else (isinstance(value, bool), value)
        if (other := labels.setdefault(same, label)) is not label:
            raise InputError(
                f"two values of the axis '{name}' are equal",
                code="axis-value-twice",
                where=where,
                found=f"{other} and {label}",
                do="keep one of them",
            )
        folder = folder_of({name: label})
        if (other := folders.setdefault(folder, label)) is not label:
            raise InputError(
                f"two values of the axis '{name}' would share a folder",
                code="axis-folder",
                where=where,
                found=f"'{other}' and '{label}' as {folder}",
                do=f"give the values names, as in {name}: {{first: ..., second: ...}}",
            )


def with_overrides(axes: Sequence[Axis], words: Mapping[str, Sequence[str]]) -> tuple[Axis, ...]:
    """The axes, those that ``words`` name with the values listed there."""
    return tuple(override_axis(axis, words[axis.name]) if axis.name in words else axis for axis in axes)
