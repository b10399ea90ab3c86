"""The import rule and the ratchet of docs/design.md. Exemptions stand in exemptions.txt and may only shrink."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "precept"
SHARED_FILES = {"types", "ports", "errors", "settings", "__init__"}
SEE_ALL = {"run"}
EXEMPTIONS = Path(__file__).with_name("exemptions.txt")
MAX_EXEMPTIONS = 0

FILES = sorted(PACKAGE.rglob("*.py"))


def exemptions() -> dict[str, str]:
    """rule:path[:name] -> reason."""
    lines = [line for line in EXEMPTIONS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return dict(line.split(" ", 1) for line in lines)


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).parts
    return parts[0] if len(parts) > 1 else parts[0].removesuffix(".py")


def imported_rooms(tree: ast.AST) -> set[str]:
    rooms = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "precept":
            parts = (node.module or "").split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {a.name.split(".")[1] for a in node.names if a.name.startswith("precept.")}
    return rooms


def test_each_room_imports_only_itself_and_the_shared_files() -> None:
    broken = []
    for path in FILES:
        own = room(path)
        allowed = {"types", "ports", "errors", "settings", "__version__", "STARTED", own}
        if own in SEE_ALL:
            continue
        if own in {"cli", "__main__"}:
            allowed |= {"run"} if own == "cli" else {"cli"}
        if own in {"types", "ports", "errors", "settings"}:
            allowed = {"types", "errors"} if own == "ports" else set()
        extra = imported_rooms(ast.parse(path.read_text())) - allowed
        if extra:
            broken.append(f"{path.relative_to(ROOT)} imports {sorted(extra)}")
    assert not broken


def test_no_relative_imports() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative


def test_files_stay_under_400_lines() -> None:
    limit = {"run": 200}
    long = {
        str(path.relative_to(ROOT)): n
        for path in FILES
        if (n := len(path.read_text().splitlines())) > limit.get(room(path), 400)
        and f"file:{path.relative_to(ROOT)}" not in exemptions()
    }
    assert not long


def test_functions_stay_under_60_lines() -> None:
    long = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                n = (node.end_lineno or node.lineno) - node.lineno + 1
                name = f"{path.relative_to(ROOT)}:{node.name}"
                if n > 60 and f"function:{name}" not in exemptions():
                    long[name] = n
    assert not long


def test_settings_classes_stay_under_20_fields() -> None:
    wide = {}
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Settings"):
                fields = sum(isinstance(item, ast.AnnAssign) for item in node.body)
                if fields > 20:
                    wide[f"{path.relative_to(ROOT)}:{node.name}"] = fields
    assert not wide


def test_no_broad_except_outside_run_and_serve() -> None:
    broad = []
    for path in FILES:
        if room(path) in {"run", "serve", "cli"}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (
                node.type is None
                or (isinstance(node.type, ast.Name) and node.type.id in {"Exception", "BaseException"})
            ):
                broad.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert not broad


def test_no_vague_names() -> None:
    vague = {"utils", "misc", "common", "manager", "helper", "helpers"}
    assert not [str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.stem in vague]


def test_exemptions_only_shrink() -> None:
    assert len(exemptions()) <= MAX_EXEMPTIONS


@pytest.mark.parametrize("path", sorted((PACKAGE / "recipes").rglob("*.yaml")), ids=lambda p: p.name)
def test_recipes_are_short_and_parse(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 50
    assert isinstance(yaml.safe_load(text), dict)
