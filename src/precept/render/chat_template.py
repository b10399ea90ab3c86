"""Runs chat templates as ``apply_chat_template`` of transformers 5 does, with the date pinned and the work bounded.

transformers replaces callables among template arguments by placeholders, so ``strftime_now`` cannot be pinned through
its interface; hence an environment of our own with the same blocks, filters and globals.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from precept.errors import InputError
from precept.render.refused import RowRefused

# A template takes a few dozen steps a message: no honest one comes near these.
STEPS_PER_RENDERING = 1_000_000
STEPS_PER_CALL = 10
CHARACTERS_PER_RENDERING = 50_000_000

# What running a template can raise on a message that it does not expect.
TEMPLATE_ERRORS = (
    jinja2.TemplateError,
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
)


class _GenerationBlock(Extension):
    """``{% generation %}`` marks assistant text for other trainers; its body is rendered as it stands."""

    tags = {"generation"}  # noqa: RUF012 - the attribute that jinja2 reads

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller: Any) -> str:
        return str(caller())


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with every loop step and call counted so that no template can run for ever."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationBlock, loopcontrols], cache_size=0
        )
        self.steps = 0
        self.filters["counted_steps"] = self._counted
        self.filters["tojson"] = _tojson
        self.globals["raise_exception"] = _raise_exception
        self.globals["dict"] = _TemplateDict()
        self.globals["namespace"] = _TemplateNamespace

    def template(self, text: str) -> jinja2.Template:
        tree = self.parse(text)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "counted_steps", [], [], None, None, lineno=loop.lineno)
        code = self.compile(tree)
        return self.template_class.from_code(self, code, self.make_globals(None))

    def step(self, count: int = 1) -> None:
        self.steps += count
        if self.steps > STEPS_PER_RENDERING:
            raise jinja2.TemplateError(f"the template takes more than {STEPS_PER_RENDERING:,} steps on one row")

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self.step()
            yield item

    def call(self, context: Context, function: Any, *args: Any, **kwargs: Any) -> Any:
        self.step(STEPS_PER_CALL)
        if not self.is_safe_callable(function):
            raise jinja2.exceptions.SecurityError(f"{function!r} is not safely callable")
        return context.call(function, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" or (not isinstance(left, int | float) or not isinstance(right, int | float)):
            size = max((len(side) for side in (left, right) if hasattr(side, "__len__")), default=10_000)
            times = max((side for side in (left, right) if isinstance(side, int)), default=1)
            if size * times > 1_000_000:
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


class ChatTemplate:
    """A compiled chat template. ``text`` is its source, ``name`` what errors call it."""

    def __init__(self, text: str, *, name: str, variables: Mapping[str, str], template_date: datetime.date) -> None:
        """``variables`` are the tokenizer's named special tokens. Raises InputError on a syntax error."""
        self.text = text
        self.name = name
        self._variables = dict(variables)
        self._environment = _Environment()
        moment = datetime.datetime.combine(template_date, datetime.time())
        self._environment.globals["strftime_now"] = moment.strftime
        try:
            self._template = self._environment.template(text)
        except jinja2.TemplateSyntaxError as error:
            raise InputError(
                f"the chat template does not parse: {error.message}",
                where=f"{name} line {error.lineno}",
                code="template-syntax",
                do="correct the template, or choose another with chat_template",
            ) from error

    def render(
        self,
        messages: list[dict[str, Any]],
        tools: list[dict[str, Any]] | None,
        *,
        add_generation_prompt: bool,
    ) -> str:
        """The text of a conversation. Raises RowRefused where the template raises or outgrows its bounds."""
        self._environment.steps = 0
        try:
            text = self._template.render(
                messages=messages,
                tools=tools or None,
                documents=None,
                add_generation_prompt=add_generation_prompt,
                **self._variables,
            )
        except TEMPLATE_ERRORS as error:
            raise RowRefused(
                f"the chat template '{self.name}' raises on this row: {_first_line(error)}", code="template-raises"
            ) from error
        if len(text) > CHARACTERS_PER_RENDERING:
            raise RowRefused(f"the chat template '{self.name}' writes too much text", code="template-raises")
        return text


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
