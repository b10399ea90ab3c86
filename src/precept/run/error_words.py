"""The words of an error as the source has them: what is known as it stands, the rest as names in braces."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Function: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef
SILENT = {"str", "repr", "sorted", "int", "type", "list", "join", "super"}


@dataclass(frozen=True)
class Site:
    """A call in its surroundings. ``bound`` has what a caller passes for the function's parameters, ``taken`` which
    way a condition goes, ``constants`` the texts that modules name."""

    call: ast.Call
    module: str
    function: Function | None
    owner: ast.ClassDef | None
    constants: Mapping[str, str]
    bound: Mapping[str, str]
    taken: Mapping[str, bool]


def tell(node: ast.expr, site: Site) -> str:
    """The words of an expression; what is said in some cases only stands in brackets."""
    if isinstance(node, ast.Constant):
        return str(node.value or "")
    if isinstance(node, ast.JoinedStr):
        return re.sub(r"(\{[^}]*\})\1+", r"\1", "".join(tell(part, site) for part in node.values))
    if isinstance(node, ast.FormattedValue):
        return braced(node.value) if isinstance(node.value, ast.BinOp) else tell(node.value, site)
    if isinstance(node, ast.BinOp):
        return tell(node.left, site) + tell(node.right, site)
    if isinstance(node, ast.IfExp):
        if ast.unparse(node.test) in site.taken:
            return tell(node.body if site.taken[ast.unparse(node.test)] else node.orelse, site)
        ways = [way for way in (tell(node.body, site), tell(node.orelse, site)) if way]
        return f"[{' | '.join(ways)}]"
    if isinstance(node, ast.Name):
        if node.id in site.bound:
            return site.bound[node.id]
        value = assigned(node, site.function)
        told = tell(value, site) if value else site.constants.get(node.id, "")
        return told if re.search(r"\w", re.sub(r"\{[^}]*\}", "", told)) else braced(node)
    if isinstance(node, ast.Call) and name_of(node.func) == "join" and isinstance(node.args[0], ast.List):
        return "; ".join(tell(part, site) for part in node.args[0].elts)
    return braced(node)


def braced(node: ast.expr) -> str:
    """A name in braces for a value that only the run knows: ``len(rows)`` is {number of rows}."""
    about: ast.AST = node
    words: list[str] = []
    while not isinstance(about, ast.Name):
        if isinstance(about, ast.Call) and about.args:
            function = "number of" if name_of(about.func) == "len" else name_of(about.func).strip("_")
            words += [] if function in SILENT else [function]
            about = about.args[0]
        elif isinstance(about, ast.Call):
            about = about.func
        elif isinstance(about, ast.Attribute) and about.attr.strip("_") not in {"name", "lower", "strip", "splitlines"}:
            return _braces(*words, about.attr)
        elif isinstance(about, ast.Attribute | ast.Subscript | ast.Starred):
            about = about.value
        elif isinstance(about, ast.BinOp):
            about = about.left
        elif isinstance(about, ast.GeneratorExp | ast.ListComp):
            about = about.generators[0].iter
        else:
            return _braces(*words) if words else "{...}"
    return _braces(*words, about.id)


def _braces(*words: str) -> str:
    return "{" + " ".join(words).strip("_").replace("_", " ").lower() + "}"


def bind(call: ast.Call, fields: list[str]) -> dict[str, ast.expr]:
    """The arguments of a call by the names of the parameters."""
    return {**dict(zip(fields, call.args, strict=False)), **{k.arg: k.value for k in call.keywords if k.arg}}


def name_of(node: ast.expr) -> str:
    """The name that an expression ends in, empty where it has none."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def parameters(function: Function | None) -> list[str]:
    """Names of a function's parameters, without ``self``."""
    found = [a.arg for a in [*function.args.args, *function.args.kwonlyargs]] if function else []
    return [name for name in found if name not in {"self", "cls"}]


def defaults(function: Function) -> dict[str, ast.expr]:
    """The default values of a function's parameters."""
    spec = function.args
    last = spec.args[len(spec.args) - len(spec.defaults) :]
    named = {a.arg: value for a, value in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if value is not None}
    return {**{a.arg: value for a, value in zip(last, spec.defaults, strict=True)}, **named}


def assigned(node: ast.expr | None, function: Function | None) -> ast.expr | None:
    """What a local name was set to, where that is text and the function sets it once."""
    if not isinstance(node, ast.Name) or function is None:
        return None
    values = [
        item.value
        for item in ast.walk(function)
        if isinstance(item, ast.Assign) and any(name_of(target) == node.id for target in item.targets)
    ]
    return values[0] if len(values) == 1 and isinstance(values[0], ast.JoinedStr | ast.Constant | ast.IfExp) else None
