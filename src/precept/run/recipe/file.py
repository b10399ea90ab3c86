"""Recipe files: YAML with the line of every key kept, so that an error can name it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from precept.errors import InputError
from precept.evaluate.study import Scalar, text_of
from precept.run.recipe.axes import Axis, folder_of, read_axes, refuse_step_names, with_overrides
from precept.run.recipe.nodes import line_of, read_mapping, read_nodes, read_value
from precept.run.settings import LISTS, read_scalar, unknown_key

SHIPPED = Path(__file__).parents[2] / "recipes"
RECIPE_KEYS = {"name", "about", "paper", "axes", "steps"}
STEP_KEYS = {"name", "uses", "with"}
STEP_NAME = re.compile(r"\w[\w.-]{0,99}")
LISTED = LISTS | {"task", "training", "variants"}
"""Keys that several overrides fill as a list."""
AXES = "axes"
"""No step may have this name: ``axes.NAME=value`` on the command line means an axis."""


@dataclass(frozen=True)
class Step:
    """One step: its name, what it uses, its flat keys, and the line of each.

    ``axes`` are the values that this instance of it is made for; empty as written, and where it names no axis.
    """

    name: str
    uses: str
    settings: dict[str, Any]
    lines: dict[str, str]
    axes: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name, and the values that tell it from the other instances."""
        return told_with(self.name, self.axes)

    @property
    def place(self) -> str:
        """Its folder below the run's."""
        return place_of(self.name, self.axes)

    def where(self, key: str) -> str | None:
        """File and line of a key, and the instance where the step has several."""
        line = self.lines.get(key) or self.lines.get("name")
        return f"{line}, step '{self.title}'" if line and self.axes else line


@dataclass(frozen=True)
class Recipe:
    """A recipe and the file it came from."""

    name: str
    path: Path
    steps: tuple[Step, ...]
    axes: tuple[Axis, ...] = ()


def told_with(name: str, axes: Mapping[str, Scalar]) -> str:
    """``name (axis=value, ...)``; the name alone where there are no axes."""
    told = ", ".join(f"{axis}={text_of(value)}" for axis, value in axes.items())
    return f"{name} ({told})" if told else name


def place_of(name: str, axes: Mapping[str, Scalar]) -> str:
    """The folder of a step's instance below the run's: ``STEP/axis=value,...``."""
    return f"{name}/{folder_of(axes)}" if axes else name


def shipped_recipes() -> dict[str, Path]:
    """Every recipe that comes with the package, by its name: ``sft``, ``studies/grouping``."""
    return {path.relative_to(SHIPPED).with_suffix("").as_posix(): path for path in sorted(SHIPPED.rglob("*.yaml"))}


def find_recipe(name: str) -> Path:
    """A path, or the name of a shipped recipe."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = shipped_recipes()
    if name in shipped:
        return shipped[name]
    if path.suffix in {".yaml", ".yml"}:
        raise InputError(
            "no such recipe file",
            code="recipe-not-found",
            where=name,
            do=f"check the path, or name one of {', '.join(shipped)}",
        )
    raise unknown_key(name, list(shipped), where=None, kind="recipe")


def read_recipe(path: Path) -> Recipe:
    """Parse and check a recipe's shape. Raises InputError with file and line."""
    top = read_mapping(read_nodes(path), path, "the recipe")
    _known(top, RECIPE_KEYS, path)
    if not isinstance(steps := top.get("steps", (None, None))[1], yaml.SequenceNode) or not steps.value:
        raise InputError(
            "the recipe has no list of steps",
            code="recipe-without-steps",
            where=str(path),
            do="write steps: [{name, uses, with}], as the shipped recipes do",
        )
    parsed = tuple(_step(node, path) for node in steps.value)
    names = [step.name for step in parsed]
    odd = next((step for step in parsed if not STEP_NAME.fullmatch(step.name) or step.name == AXES), None)
    if odd is not None:
        raise InputError(
            "a step's name is the name of its folder",
            code="step-name",
            where=odd.where("name"),
            found=odd.name,
            do=f"use letters, digits, '-', '_' and '.', the first no '.'; '{AXES}' means the axes",
        )
    if len(set(names)) < len(names):
        raise InputError(
            "two steps have the same name",
            code="step-twice",
            where=str(path),
            found=", ".join(names),
            do="name each once",
        )
    axes = read_axes(top[AXES][1], path) if AXES in top else ()
    refuse_step_names(axes, names)
    name = top["name"][1].value if "name" in top else path.stem
    return Recipe(str(name), path, parsed, axes)


def override(recipe: Recipe, words: Sequence[str]) -> Recipe:
    """Apply ``step.key=value`` words from the command line to the steps as written, ``axes.NAME=value`` to the axes."""
    steps = {step.name: step for step in recipe.steps}
    listed: set[tuple[str, str]] = set()
    axes: dict[str, list[str]] = {}
    for word in words:
        target, sign, value = word.removeprefix("--").partition("=")
        name, dot, key = target.partition(".")
        if not sign or not dot:
            raise InputError(
                f"'{word}' is not an override",
                code="not-a-setting",
                do="write step.key=value, as in tune.max_steps=10",
            )
        if name == AXES and recipe.axes:
            if key not in (known := [axis.name for axis in recipe.axes]):
                raise unknown_key(key, known, where=str(recipe.path), kind="axis")
            axes.setdefault(key, []).append(value)
            continue
        if name not in steps:
            raise unknown_key(name, list(steps), where=str(recipe.path), kind="step")
        step = steps[name]
        settings = dict(step.settings)
        if key in LISTED:
            settings[key] = [*(settings[key] if (name, key) in listed else []), value]
            listed.add((name, key))
        else:
            settings[key] = read_scalar(value)
        steps[name] = replace(step, settings=settings, lines={**step.lines, key: f"override '{word}'"})
    return replace(recipe, steps=tuple(steps.values()), axes=with_overrides(recipe.axes, axes))


def _step(node: yaml.Node, path: Path) -> Step:
    entries = read_mapping(node, path, "a step")
    _known(entries, STEP_KEYS, path)
    for key in ("name", "uses"):
        if key not in entries or not isinstance(entries[key][1], yaml.ScalarNode):
            raise InputError(
                f"a step has no '{key}'", code="step-incomplete", where=line_of(path, node), do=f"add {key}: ..."
            )
    settings, lines = {}, {"name": line_of(path, node)}
    if "with" in entries:
        for key, (key_node, value) in read_mapping(entries["with"][1], path, "'with'").items():
            lines[key] = line_of(path, key_node)
            settings[key] = read_value(value, lines[key])
    return Step(str(entries["name"][1].value), str(entries["uses"][1].value), settings, lines)


def _known(entries: dict[str, tuple[yaml.Node, yaml.Node]], valid: set[str], path: Path) -> None:
    for key, (node, _) in entries.items():
        if key not in valid:
            raise unknown_key(key, sorted(valid), where=line_of(path, node))
