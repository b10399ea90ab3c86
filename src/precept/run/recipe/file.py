"""Recipe files: YAML with the line of every key kept, so that an error can name it."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from precept.errors import InputError
from precept.run.settings import LISTS, read_scalar, unknown_key

SHIPPED = Path(__file__).parents[2] / "recipes"
RECIPE_KEYS = {"name", "about", "paper", "steps"}
STEP_KEYS = {"name", "uses", "with"}
LARGEST = 100_000  # nodes
STEP_NAME = re.compile(r"\w[\w.-]{0,99}")
# 2026-13-45 looks like a date and is none: a ValueError, as is text that is not UTF-8.
NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)


@dataclass(frozen=True)
class Step:
    """One step as written: its name, what it uses, its flat keys, and the line of each."""

    name: str
    uses: str
    settings: dict[str, Any]
    lines: dict[str, str]

    def where(self, key: str) -> str | None:
        """File and line of a key."""
        return self.lines.get(key) or self.lines.get("name")


@dataclass(frozen=True)
class Recipe:
    """A recipe and the file it came from."""

    name: str
    path: Path
    steps: tuple[Step, ...]


def find_recipe(name: str) -> Path:
    """A path, or the name of a shipped recipe."""
    path = Path(name)
    if path.is_file():
        return path
    shipped = {p.stem: p for p in SHIPPED.glob("*.yaml")}
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
    try:
        root = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (*NOT_YAML, OSError) as error:
        raise _not_yaml(str(path), error) from error
    if root is not None and _size(root, {}) > LARGEST:
        raise InputError(
            "the recipe's aliases multiply it beyond any use", code="recipe-aliases", where=str(path), do="write it out"
        )
    top = _mapping(root, path, "the recipe")
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
    odd = next((step for step in parsed if not STEP_NAME.fullmatch(step.name)), None)
    if odd is not None:
        raise InputError(
            "a step's name is the name of its folder",
            code="step-name",
            where=odd.where("name"),
            found=odd.name,
            do="use letters, digits, '-', '_' and '.', the first no '.'",
        )
    if len(set(names)) < len(names):
        raise InputError(
            "two steps have the same name",
            code="step-twice",
            where=str(path),
            found=", ".join(names),
            do="name each once",
        )
    name = top["name"][1].value if "name" in top else path.stem
    return Recipe(str(name), path, parsed)


def override(recipe: Recipe, words: Sequence[str]) -> Recipe:
    """Apply ``step.key=value`` words from the command line."""
    steps = {step.name: step for step in recipe.steps}
    listed: set[tuple[str, str]] = set()
    for word in words:
        target, sign, value = word.removeprefix("--").partition("=")
        name, dot, key = target.partition(".")
        if not sign or not dot:
            raise InputError(
                f"'{word}' is not an override",
                code="not-a-setting",
                do="write step.key=value, as in tune.max_steps=10",
            )
        if name not in steps:
            raise unknown_key(name, list(steps), where=str(recipe.path), kind="step")
        step = steps[name]
        settings = dict(step.settings)
        if key in LISTS | {"task"}:
            settings[key] = [*(settings[key] if (name, key) in listed else []), value]
            listed.add((name, key))
        else:
            settings[key] = read_scalar(value)
        steps[name] = replace(step, settings=settings, lines={**step.lines, key: f"override '{word}'"})
    return replace(recipe, steps=tuple(steps.values()))


def _step(node: yaml.Node, path: Path) -> Step:
    entries = _mapping(node, path, "a step")
    _known(entries, STEP_KEYS, path)
    for key in ("name", "uses"):
        if key not in entries or not isinstance(entries[key][1], yaml.ScalarNode):
            raise InputError(
                f"a step has no '{key}'", code="step-incomplete", where=_at(path, node), do=f"add {key}: ..."
            )
    settings, lines = {}, {"name": _at(path, node)}
    if "with" in entries:
        for key, (key_node, value) in _mapping(entries["with"][1], path, "'with'").items():
            lines[key] = _at(path, key_node)
            try:
                settings[key] = yaml.safe_load(yaml.serialize(value))
            except NOT_YAML as error:
                raise _not_yaml(lines[key], error) from error
    return Step(str(entries["name"][1].value), str(entries["uses"][1].value), settings, lines)


def _mapping(node: yaml.Node | None, path: Path, what: str) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        where = str(path) if node is None else _at(path, node)
        raise InputError(
            f"{what} is not a mapping of keys to values", code="recipe-shape", where=where, do="write key: value"
        )
    entries: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise InputError("a key is no word", code="recipe-shape", where=_at(path, key), do="write key: value")
        if key.value in entries:
            raise InputError(f"'{key.value}' is set twice", code="key-twice", where=_at(path, key), do="remove one")
        entries[str(key.value)] = (key, value)
    return entries


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """Nodes of a document with its aliases written out; infinite where one holds itself."""
    if id(node) not in known:
        known[id(node)] = math.inf
        inner = node.value if isinstance(node, yaml.CollectionNode) else []
        parts = [part for entry in inner for part in (entry if isinstance(entry, tuple) else (entry,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def _not_yaml(where: str, error: BaseException) -> InputError:
    detail = " ".join(str(error).split())
    return InputError(
        "the recipe is not valid YAML", code="recipe-yaml", where=where, found=detail, do="mend it, or quote the value"
    )


def _known(entries: dict[str, tuple[yaml.Node, yaml.Node]], valid: set[str], path: Path) -> None:
    for key, (node, _) in entries.items():
        if key not in valid:
            raise unknown_key(key, sorted(valid), where=_at(path, node))


def _at(path: Path, node: yaml.Node) -> str:
    return f"{path} line {node.start_mark.line + 1}"
