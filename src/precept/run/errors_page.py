"""The page of all errors, read off the source: every place that makes an exception with a code, and its words."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from precept.run.error_words import Function, Site, assigned, bind, defaults, name_of, parameters, tell

PACKAGE = Path(__file__).parents[1]
PAGE = PACKAGE.parents[1] / "docs" / "errors.md"

MADE_BY = "<!-- Made by `python -m precept.run.reference`; change the code, not this page. -->"
TITLE = """# Errors

An error says what is wrong, where, what was found and what to do; its last line on the terminal names its code, which
stays the same while words may change. Words in braces stand for what is told at run time, brackets for what is said
in some cases. `--debug` shows the traceback."""
INPUT = "The input is wrong: exit code 2"
WORK = "The work failed, or a proof does not hold: exit code 1"
ROWS = """Rows and files that are refused

A refused row is counted under its reason and stops a command with the error [`bad-rows`](#bad-rows), with
[`no-usable-rows`](#no-usable-rows) where none is left and with [`no-readable-file`](#no-readable-file) where it is the
whole file. The cure is the same for all: mend the row where the reason says, or go on without it with `bad_rows=drop`
(`over_length=drop` for length); `precept data stats` names every one."""


@dataclass(frozen=True)
class Fault:
    """One error that the code can raise. ``exit_code`` is None for a refused row; ``module`` is where it is raised."""

    code: str
    exit_code: int | None
    what: str
    do: str
    module: str


class Package:
    """The calls, classes and string constants of all modules under ``root``."""

    def __init__(self, root: Path) -> None:
        self.calls: dict[str, list[Site]] = defaultdict(list)
        self.classes: dict[str, ast.ClassDef] = {}
        self.constants: dict[str, str] = {}
        for path in sorted(root.rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts)
            self._visit(ast.parse(path.read_text(encoding="utf-8")), module, None, None)

    def faults(self) -> list[Fault]:
        """Every error with a code, sorted by code."""
        found: set[Fault] = set()
        for name, exit_code in ((name, self._exit_code(name)) for name in self.classes if self._carries_code(name)):
            for site in [*self.calls[name], *self.calls["super().__init__"]]:
                inside = name_of(site.call.func) == "__init__"
                if inside and (site.owner is None or site.owner.name != name):
                    continue
                given = bind(site.call, self._fields(self._base(name) if inside else name))
                if "code" in given and not isinstance(given["code"], ast.Attribute):  # else another's is passed on
                    found |= set(self._faults_at(site, given, exit_code))
        return sorted(found, key=lambda fault: (fault.code, fault.what, fault.do, fault.module))

    def _visit(self, node: ast.AST, module: str, function: Function | None, owner: ast.ClassDef | None) -> None:
        if isinstance(node, ast.ClassDef):
            self.classes[node.name] = owner = node
        elif isinstance(node, Function):
            function = node
        elif isinstance(node, ast.Call):
            above = isinstance(node.func, ast.Attribute) and ast.unparse(node.func) == "super().__init__"
            name = "super().__init__" if above else name_of(node.func)
            self.calls[name].append(Site(node, module, function, owner, self.constants, {}, {}))
        elif isinstance(node, ast.Assign) and function is None and isinstance(node.value, ast.Constant):
            self.constants[name_of(node.targets[0])] = str(node.value.value)
        for child in ast.iter_child_nodes(node):
            self._visit(child, module, function, owner)

    def _base(self, name: str) -> str:
        return next((name_of(base) for base in self.classes[name].bases), "") if name in self.classes else ""

    def _carries_code(self, name: str) -> bool:
        """Refusals and our exceptions do."""
        return name in {"Exception", "Refusal"} or (name in self.classes and self._carries_code(self._base(name)))

    def _fields(self, name: str) -> list[str]:
        """Parameters of a class's constructor, its own or its base's, without ``self``."""
        body = self.classes[name].body if name in self.classes else []
        for item in body:
            if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                return parameters(item)
        own = [item.target.id for item in body if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)]
        return own or (self._fields(self._base(name)) if name in self.classes else [])

    def _exit_code(self, name: str) -> int | None:
        for item in self.classes[name].body if name in self.classes else []:
            if isinstance(item, ast.Assign) and name_of(item.targets[0]) == "exit_code":
                return int(ast.literal_eval(item.value))
        return self._exit_code(self._base(name)) if name in self.classes else None

    def _faults_at(self, site: Site, given: Mapping[str, ast.expr], exit_code: int | None) -> Iterator[Fault]:
        words = {key: given.get(field) for key, field in (("code", "code"), ("what", _about(given)), ("do", "do"))}
        for choice in self._choices(site, words["code"]):
            for bound in self._callers(choice, [word for word in words.values() if word]):
                text = {key: tell(word, bound) if word else "" for key, word in words.items()}
                assert "{" not in text["code"], f"{site.module} line {site.call.lineno}: the code cannot be told"
                yield Fault(text["code"], exit_code, text["what"], text["do"], bound.module)

    def _choices(self, site: Site, code: ast.expr | None) -> list[Site]:
        """The site once for each way that the condition of its code can go."""
        code = assigned(code, site.function) or code
        if not isinstance(code, ast.IfExp):
            return [site]
        return [replace(site, taken={ast.unparse(code.test): way}) for way in (True, False)]

    def _callers(self, site: Site, words: list[ast.expr]) -> list[Site]:
        """The site once for each caller of the function around it, where callers give some of its words."""
        names = {node.id for word in words for node in ast.walk(word) if isinstance(node, ast.Name)}
        names &= set(parameters(site.function))
        if site.function is None or not names:
            return [site]
        built = site.function.name == "__init__" and site.owner is not None
        callers = self.calls[site.owner.name if built and site.owner else site.function.name]
        room = site.module.split(".")[0]
        fields = parameters(site.function)
        found = []
        for caller in callers:
            if not built and (caller.module.split(".")[0] != room or not _reaches(caller, site)):
                continue  # another function of the same name
            given = {**defaults(site.function), **bind(caller.call, fields)}
            bound = {name: tell(given[name], caller) for name in names if name in given}
            known = {name: text for name, text in bound.items() if text[:1] != "{"}
            found.append(replace(site, module=caller.module, bound=known) if any(known.values()) else site)
        return found or [site]


def _reaches(caller: Site, site: Site) -> bool:
    """Whether a call by the name of the function around ``site`` may be of it: a function of a module is not called on
    an object, nor is it what a parameter of its name holds."""
    if site.owner is not None:
        return True
    called = caller.call.func
    return isinstance(called, ast.Name) and called.id not in parameters(caller.function)


def errors_page() -> str:
    """All faults by exit code, a heading a code, each place's words under it."""

    faults = Package(PACKAGE).faults()
    lines = [MADE_BY, "", TITLE]
    for title, exit_code in ((INPUT, 2), (WORK, 1), (ROWS, None)):
        group = [fault for fault in faults if fault.exit_code == exit_code]
        lines += ["", f"## {title}"]
        for code in sorted({fault.code for fault in group}):
            lines += ["", f"### `{code}`", ""]
            said = defaultdict(list)
            for fault in group:
                if fault.code == code:
                    said[fault.what, fault.do].append(f"`{fault.module}`")
            for (what, do), modules in said.items():
                cure = f" Do: {do}." if do else ""
                lines.append(f"- {what[:1].upper()}{what[1:]}.{cure} ({', '.join(dict.fromkeys(modules))})")
    return "\n".join(lines) + "\n"


def _about(given: Mapping[str, ast.expr]) -> str:
    return "reason" if "reason" in given else "what" if "what" in given else next(iter(given))
