"""What the documents name exists: functions, recipes, tests, settings and files."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from precept.errors import MissingExtra
from precept.run.recipe.file import shipped_recipes
from precept.run.settings import CLASSES

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "precept"
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "reference")
FILE_ENDINGS = (".py", ".md", ".json", ".jsonl", ".yaml", ".jinja", ".safetensors")
ROOMS = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}


def code_names(page: str) -> list[str]:
    """Dotted names in backticks that begin with a room of the package."""
    prose = re.sub(r"^```.*?^```", "", page, flags=re.MULTILINE | re.DOTALL)
    names = re.findall(r"`((?:precept\.)?[a-z_]+(?:\.\w+)+)`", prose)
    plain = [name.removeprefix("precept.") for name in names if not name.endswith(FILE_ENDINGS)]
    return [name for name in plain if name.split(".")[0] in ROOMS]


def resolve(name: str) -> Any:
    """The object of a dotted name below ``precept``. AttributeError where there is none."""
    found: Any = importlib.import_module("precept")
    for place, part in enumerate(name.split(".")):
        if isinstance(found, ModuleType):
            path = ".".join(["precept", *name.split(".")[: place + 1]])
            try:
                found = importlib.import_module(path)
                continue
            except MissingExtra:  # the module is there, and what it needs is not
                return None
            except ModuleNotFoundError:
                pass
        found = getattr(found, part)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_name_in_the_documents_is_in_the_code(page: Path) -> None:
    missing = []
    for name in code_names(page.read_text()):
        try:
            resolve(name)
        except AttributeError:
            missing.append(name)
    assert not missing


def test_the_map_names_the_way_of_a_row() -> None:
    named = code_names((ROOT / "docs" / "map.md").read_text())
    way = ["records.load.load", "render.renderer.Renderer.render", "forest.tree.build_forest"]
    way += ["objectives.sft.sft", "models.policy.ForestPolicy.edge_logps", "train.loop.fit", "models.save.save_model"]
    places = [named.index(name) for name in way]
    assert places == sorted(places)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_document_names_is_there(page: Path) -> None:
    named = re.findall(r"`((?:src|tests|docs|examples|bench)/[\w/.]+)`", page.read_text())
    assert not [name for name in named if not (ROOT / name).exists()]


def test_settings_in_the_rules_are_settings_of_the_code() -> None:
    """``key=value`` in backticks names a key that can be set."""
    known = {key for cls in CLASSES.values() for key in cls.model_fields}
    page = (ROOT / "docs" / "interfaces.md").read_text()
    assert not [key for key in re.findall(r"`(\w+)=[\w|.]+`", page) if key not in known]


def test_what_works_names_a_recipe_and_a_test() -> None:
    rows = re.findall(r"^\| .*\| works.*$", (ROOT / "docs" / "papers.md").read_text(), flags=re.MULTILINE)
    assert rows
    recipes = set(shipped_recipes())
    for row in rows:
        named = re.findall(r"`([\w/]+)\.yaml`", row)
        tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", row)
        assert named and set(named) <= recipes, row
        assert tests and all(f"def {test}(" in (ROOT / file).read_text() for file, test in tests), row
