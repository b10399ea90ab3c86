"""Steps as they run: ``${...}`` filled in, and a step that names axes repeated for each combination of their values."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.evaluate.study import Scalar, text_of
from precept.run.recipe.axes import Axis, folder_of
from precept.run.recipe.file import Recipe, Step, place_of
from precept.run.settings import unknown_key

REFERENCE = re.compile(r"\$\{([^}]*)\}")
MOST_STEPS = 10_000
LONGEST_NAME = 255  # bytes, on common file systems

Labels = Mapping[str, str]
"""Axis -> the label of one of its values."""


def expand(recipe: Recipe, root: Path) -> list[Step]:
    """Every step, in order, once for each combination of values of its axes: those that its values name as ``${axis}``
    or ``${axis.key}``, and those of the steps that they refer to as ``${step}``.

    A reference to a step is the folder of the instance with the same values. Raises InputError for references to what
    is not there, or comes later, and for axes that no step names.
    """
    grid = _Grid(root, {axis.name: axis for axis in recipe.axes})
    for step in recipe.steps:
        grid.add(step)
    _refuse_unused(grid)
    _refuse_too_many(recipe, grid)
    return [instance for step in recipe.steps for instance in grid.instances(step)]


@dataclass(frozen=True)
class _Grid:
    """The axes, and for each step so far those over which it is repeated, in the file's order."""

    root: Path
    axes: Mapping[str, Axis]
    over: dict[str, tuple[Axis, ...]] = field(default_factory=dict)

    def add(self, step: Step) -> None:
        """Find the axes of a step; all that it refers to must be known."""
        named: set[str] = set()
        for key, value in step.settings.items():
            for text in texts(value):
                for match in REFERENCE.finditer(text):
                    named |= self._axes_behind(match[1], step, key, whole=match[0] == text)
        self.over[step.name] = tuple(axis for axis in self.axes.values() if axis.name in named)

    def instances(self, step: Step) -> Iterator[Step]:
        """The step once for each combination of values."""
        own = self.over[step.name]
        for combination in product(*(axis.values for axis in own)):
            labels = dict(zip((axis.name for axis in own), combination, strict=True))
            settings = {key: self._fill(value, labels) for key, value in step.settings.items()}
            instance = replace(step, settings=settings, axes=_told(own, labels))
            _refuse_long_folder(instance)
            yield instance

    def _axes_behind(self, name: str, step: Step, key: str, *, whole: bool) -> set[str]:
        if name in self.over:
            return {axis.name for axis in self.over[name]}
        axis_name, _, inner = name.partition(".")
        axis = self.axes.get(axis_name)
        if axis is None or (name != axis_name and inner not in axis.keys):
            known = [*self.over, *(known for axis in self.axes.values() for known in _references_to(axis))]
            if self.axes:
                raise unknown_key(name, known, where=step.where(key), kind="reference")
            raise unknown_key(name, known, where=step.where(key), kind="step")
        if whole and name == axis_name and axis.keys:
            raise InputError(
                f"each value of the axis '{name}' has several parts",
                code="axis-needs-key",
                where=step.where(key),
                found=f"{key}: ${{{name}}}",
                do=f"name one of them, as in ${{{name}.{axis.keys[0]}}}",
            )
        return {axis_name}

    def _fill(self, value: Any, labels: Labels) -> Any:
        """A value with its references replaced; alone, one to an axis keeps the type of its value."""
        if isinstance(value, list):
            return [self._fill(item, labels) for item in value]
        if isinstance(value, dict):
            return {key: self._fill(item, labels) for key, item in value.items()}
        if not isinstance(value, str):
            return value
        if (whole := REFERENCE.fullmatch(value)) and whole[1] not in self.over:
            axis, _, key = whole[1].partition(".")
            return self.axes[axis].value(labels[axis], key)
        return REFERENCE.sub(lambda match: self._text(match[1], labels), value)

    def _text(self, name: str, labels: Labels) -> str:
        if name in self.over:
            return str(self.root / place_of(name, _told(self.over[name], labels)))
        axis, _, key = name.partition(".")
        value = self.axes[axis].value(labels[axis], key) if key else labels[axis]
        assert not isinstance(value, Mapping), "a key of a named value is a scalar"
        return text_of(value)


def _told(axes: Sequence[Axis], labels: Labels) -> dict[str, Scalar]:
    return {axis.name: axis.told(labels[axis.name]) for axis in axes}


def texts(value: Any) -> Iterator[str]:
    """Every text in a value, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from texts(inner)


def _references_to(axis: Axis) -> list[str]:
    return [f"{axis.name}.{key}" for key in axis.keys] or [axis.name]


def _refuse_unused(grid: _Grid) -> None:
    used = {axis.name for own in grid.over.values() for axis in own}
    for axis in grid.axes.values():
        if axis.name not in used:
            raise InputError(
                f"no step uses the axis '{axis.name}'",
                code="axis-unused",
                where=axis.where,
                do=f"write ${{{_references_to(axis)[0]}}} as a value of a step, or remove the axis",
            )


def _refuse_too_many(recipe: Recipe, grid: _Grid) -> None:
    counts = {name: prod(len(axis.values) for axis in own) for name, own in grid.over.items()}
    if sum(counts.values()) > MOST_STEPS:
        most = max(counts, key=lambda name: counts[name])
        raise InputError(
            f"the axes make {sum(counts.values()):,} steps, and {MOST_STEPS:,} is the most",
            code="too-many-steps",
            where=str(recipe.path),
            found=f"{counts[most]:,} of them are '{most}'",
            do="name fewer values, or divide the recipe",
        )


def _refuse_long_folder(step: Step) -> None:
    if len(folder_of(step.axes).encode()) > LONGEST_NAME:
        raise InputError(
            f"the values of the axes make a folder's name longer than {LONGEST_NAME} bytes",
            code="axis-folder-long",
            where=step.where("name"),
            do="give long values short names, as in base: {small: path/to/small}",
        )
