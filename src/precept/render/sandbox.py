"""The sandbox in which chat templates run: the blocks, filters and globals of transformers 5, and the work bounded.

Every loop step, call and copied text is counted, so that a template that loops, recurses or doubles a string ends in
bounded time and memory with an error of its own instead of the process's end.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

# A template takes a few dozen steps a message: no honest one comes near these.
STEPS_PER_RENDERING = 1_000_000
STEPS_PER_CALL = 10
CHARACTERS_PER_RENDERING = 50_000_000
CHARACTERS_PER_STEP = 4096
LARGEST_NUMBER = 1_000_000  # as a width, a count or a factor
# These write text from all that lies inside what they are given.
WRITING = frozenset(
    ("capitalize", "center", "e", "escape", "forceescape", "format", "indent", "join", "lower", "pprint", "replace")
) | {"safe", "string", "striptags", "title", "tojson", "trim", "truncate", "upper", "urlencode", "urlize", "xmlattr"}
DICT_ATTRIBUTES = frozenset(dir(dict))
WIDE = re.compile(r"\d{6}")


class _GenerationBlock(Extension):
    """``{% generation %}`` marks assistant text for other trainers; its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - the attribute that jinja2 reads

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> str:
        return str(caller())


class _Counting(NodeTransformer):
    """Puts the counters into a parsed template: around what a loop walks and what ``~`` joins."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        self.generic_visit(node)
        node.iter = nodes.Filter(node.iter, "counted_steps", [], [], None, None, lineno=node.lineno)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        node.nodes = [self._weighed(part) for part in node.nodes]
        return self._weighed(node)

    def _weighed(self, node: nodes.Expr) -> nodes.Expr:
        return nodes.Filter(node, "weighed", [], [], None, None, lineno=node.lineno)


class BoundedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, with every loop step, call and copied character counted so that no template can run for ever."""

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, loopcontrols], cache_size=0
        )
        self.steps = 0
        self.filters["tojson"] = _tojson
        self.filters = {name: self._bounded(name, function) for name, function in self.filters.items()}
        self.filters["counted_steps"] = self._counted
        self.filters["weighed"] = self.weigh
        self.finalize = self.weigh
        self.concat = self._join  # type: ignore[method-assign]
        self.globals["raise_exception"] = _raise_exception
        self.globals["dict"] = _TemplateDict()
        self.globals["namespace"] = _TemplateNamespace

    def template(self, text: str) -> jinja2.Template:
        """Compile a template with its counters. Raises TemplateSyntaxError."""
        tree = _Counting().visit(self.parse(text))
        # a plain dict: each rendering copies it, and a chain of maps is slow to copy
        return self.template_class.from_code(self, self.compile(tree), dict(self.globals))

    def getattr(self, obj: Any, attribute: str) -> Any:
        """As jinja2 does: attributes before items. Dicts, most of what templates read, skip the attribute's error."""
        if type(obj) is dict and attribute not in DICT_ATTRIBUTES:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)

    def step(self, count: int = 1) -> None:
        """Count work done; raises TemplateError once it is more than any honest template does."""
        self.steps += count
        if self.steps > STEPS_PER_RENDERING:
            raise jinja2.TemplateError(f"the template takes more than {STEPS_PER_RENDERING:,} steps on one row")

    def copied(self, characters: int) -> None:
        """Count characters about to be written. Raises TemplateError when one text would hold too many."""
        if characters > CHARACTERS_PER_RENDERING:
            raise jinja2.TemplateError(f"the template writes more than {CHARACTERS_PER_RENDERING:,} characters")
        self.step(characters // CHARACTERS_PER_STEP)

    def weigh(self, value: Any) -> Any:
        """The value, once its text is known to be bounded. Lists that hold one list many times count it each time."""
        if isinstance(value, str):
            if len(value) >= CHARACTERS_PER_STEP:  # shorter ones count nothing
                self.copied(len(value))
        elif isinstance(value, list | tuple | Mapping):
            self._weigh_inside(value)
        return value

    def _weigh_inside(self, value: Any) -> None:
        waiting, characters = [value], 0
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                characters += len(part)
            elif isinstance(part, list | tuple):
                self.step()
                waiting.extend(part)
            elif isinstance(part, Mapping):
                self.step()
                waiting.extend(part)
                waiting.extend(part.values())
        self.copied(characters)

    def _bounded(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """A filter that weighs what it writes from, its numbers and what it gives."""

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            if name in WRITING:
                for value in args:
                    self.weigh(value)
            self._refuse_growth(name, args, kwargs)
            result = function(*args, **kwargs)
            if isinstance(result, str):
                self.copied(len(result))
            return result

        return run

    def _refuse_growth(self, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Refuse numbers and formats that would write more than a rendering may hold, before they do."""
        values = [*args, *kwargs.values()]
        if any(isinstance(value, int) and abs(value) > LARGEST_NUMBER for value in values):
            raise jinja2.TemplateError(f"the template computes too large a value with '{name}'")
        texts = [value for value in values if isinstance(value, str)]
        if name in ("format", "format_map") and texts:
            if WIDE.search(texts[0]):
                raise jinja2.TemplateError(f"the template computes too large a value with '{name}'")
            self.copied((texts[0].count("{") + texts[0].count("%")) * max(map(len, texts)))
        if name == "replace" and len(texts) >= 3:
            text, old, new = texts[:3]
            self.copied(len(text) + text.count(old) * len(new))
        if name == "indent" and texts:
            width = next((value for value in values if isinstance(value, int)), 4)
            self.copied(len(texts[0]) + texts[0].count("\n") * max(width, *map(len, texts[1:]), 0))
        if name == "join":
            sides = [value for value in values if isinstance(value, list | tuple)]
            self.copied(sum(len(side) for side in sides) * max(map(len, texts), default=0))

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item

    def _join(self, pieces: Iterable[str]) -> str:
        kept, characters = [], 0
        for piece in pieces:
            characters += len(piece)
            if characters > CHARACTERS_PER_RENDERING:
                self.copied(characters)
            kept.append(piece)
        self.copied(characters)
        return "".join(kept)

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what a template calls: counted, and its texts and numbers weighed where it is a method of a text."""
        self.step(STEPS_PER_CALL)
        if not self.is_safe_callable(function):
            raise jinja2.exceptions.SecurityError(f"{function!r} is not safely callable")
        # the sandbox hides the method `format` behind a function of its own
        text = getattr(getattr(function, "__wrapped__", function), "__self__", None)
        if not isinstance(text, str):
            return context.call(function, *args, **kwargs)
        self.weigh((text, *args))
        self._refuse_growth(function.__name__, (text, *args), kwargs)
        return self.weigh(context.call(function, *args, **kwargs))

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Compute ``*``, ``**``, ``+`` or ``%``, unless the result would be too large."""
        if operator == "+" and type(left) is str and type(right) is str:
            size = len(left) + len(right)
            if size >= CHARACTERS_PER_STEP:
                self.copied(size)
            return left + right
        numbers = isinstance(left, int | float) and isinstance(right, int | float)
        if operator == "+" and not numbers:
            self.copied(sum(len(side) for side in (left, right) if isinstance(side, str | list | tuple)))
        elif operator == "%" and isinstance(left, str):
            self.weigh(right)
            self._refuse_growth("format", (left, *right) if isinstance(right, tuple) else (left, right), {})
        elif operator == "**" or (operator == "*" and not numbers):
            size = max((len(side) for side in (left, right) if hasattr(side, "__len__")), default=10_000)
            times = max((side for side in (left, right) if isinstance(side, int)), default=1)
            if size * times > LARGEST_NUMBER:
                raise jinja2.TemplateError(f"the template computes too large a value with '{operator}'")
        return super().call_binop(context, operator, left, right)


class _TemplateDict:
    """``dict(...)`` without the class attributes by which a template could reach into Python."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _TemplateNamespace(Namespace):
    """``namespace(...)`` that stores no underscored name."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        # `self` is taken from args, so that a template may store a key of that name.
        self, rest = args[0], args[1:]
        values = dict(*rest, **kwargs)
        for name in values:
            _TemplateNamespace._check(name)
        Namespace.__init__(self, values)

    def __setitem__(self, name: str, value: Any) -> None:
        _TemplateNamespace._check(name)
        super().__setitem__(name, value)

    @staticmethod
    def _check(name: Any) -> None:
        if isinstance(name, str) and name.startswith("_"):
            raise jinja2.exceptions.SecurityError(f"a template cannot store the underscored name {name!r}")


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
