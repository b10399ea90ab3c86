"""``precept init``: a shipped recipe as a file to edit, with a comment on each key that it sets."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from precept.errors import InputError
from precept.run.console import STDOUT
from precept.run.recipe.file import shipped_recipes
from precept.run.recipe.step_kinds import KINDS, EvalKeys, key_classes
from precept.run.reference import field_docstrings
from precept.run.settings import unknown_key

WIDTH = 110


def list_recipes() -> dict[str, Any]:
    """``{recipes: [{name, about}]}`` of the shipped recipes, by name."""
    return {"recipes": [{"name": name, "about": _about(path)} for name, path in shipped_recipes().items()]}


def init(name: str | None, *, output: Path | None) -> dict[str, Any]:
    """Write the recipe to ``output``, by default a file of its name here; returns ``{recipe, about, output}``.

    Raises InputError for a name that is not shipped, and where a file is already there: nothing is overwritten.
    """
    shipped = shipped_recipes()
    if name is None:
        raise InputError("no recipe was named", code="no-recipe", do=f"choose one of: {', '.join(sorted(shipped))}")
    if name not in shipped:
        raise unknown_key(name, sorted(shipped), where=None, kind="recipe")
    target = output or Path(shipped[name].name)
    text = annotate(shipped[name].read_text(encoding="utf-8"))
    text = re.sub(rf"precept run {name}(?![\w.-])", f"precept run {target.name}", text)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise InputError(
            "there is something by this name, and nothing is overwritten",
            code="file-exists",
            where=str(target),
            do="name another file with -o",
        ) from None
    except OSError as error:
        raise InputError(
            "the file cannot be written",
            code="unwritable-path",
            where=str(target),
            found=error.strerror,
            do="name another with -o",
        ) from None
    return {"recipe": name, "about": _about(shipped[name]), "output": str(target)}


def annotate(text: str) -> str:
    """A recipe's text with the description of each key above it, where the recipe itself says nothing of the key.

    Required keys that the recipe leaves to its user stand there as comments: what it parses to stays the same.
    """
    lines = text.splitlines()
    above: dict[int, list[str]] = {}
    for step, uses, start, settings in _steps(yaml.compose(text)):
        told = describe(uses)
        indent = " " * settings.start_mark.column
        set_here = {key.value for key, _ in settings.value}
        for name in _missing(uses, set_here):
            needed = _comment(f"Needed, here or as {step}.{name}=...: {told[name]}", indent)
            above.setdefault(start, []).extend([*needed, f"{indent}# {name}: ..."])
        for key, value in settings.value:
            line = key.start_mark.line
            if not _has_comment(lines, line, value):
                above.setdefault(line, []).extend(_comment(told[key.value], indent))
    return "".join(f"{line}\n" for number, own in enumerate(lines) for line in [*above.get(number, ()), own])


def describe(uses: str) -> dict[str, str]:
    """What each key of a kind of step means."""
    return {key: meaning for cls in key_classes(uses) for key, meaning in field_docstrings(cls).items()}


def print_list(found: dict[str, Any]) -> None:
    """A line a recipe."""
    width = max(len(entry["name"]) for entry in found["recipes"])
    for entry in found["recipes"]:
        STDOUT.print(f"{entry['name']:{width}}  {entry['about']}", markup=False)


def print_init(result: dict[str, Any]) -> None:
    """Where the file is, and how to go on."""
    STDOUT.print(f"{result['output']}: {result['about']}", markup=False)
    STDOUT.print(f"edit it, then: precept run {result['output']}", markup=False)


def _about(path: Path) -> str:
    return str(yaml.safe_load(path.read_text(encoding="utf-8")).get("about", ""))


def _steps(root: Any) -> Iterator[tuple[str, str, int, Any]]:
    """(name, uses, line below ``with``, node of the keys) of each step that sets any."""
    top = {key.value: value for key, value in root.value}
    for step in top["steps"].value:
        entries = {key.value: (key, value) for key, value in step.value}
        if "with" in entries:
            below = entries["with"][0].start_mark.line + 1
            yield entries["name"][1].value, entries["uses"][1].value, below, entries["with"][1]


def _missing(uses: str, given: set[str]) -> list[str]:
    """Keys without which the step cannot run."""
    needed = [key for key, field in KINDS[uses].model_fields.items() if field.is_required()]
    if KINDS[uses] is EvalKeys and "suite" not in given:
        needed.append("task")
    return [key for key in needed if key not in given]


def _has_comment(lines: list[str], line: int, value: Any) -> bool:
    """A comment of the recipe's own: behind the value, or above the key."""
    behind = lines[line][value.end_mark.column :] if value.end_mark.line == line else ""
    return "#" in behind or lines[line - 1].lstrip().startswith("#")


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - len(indent))]
