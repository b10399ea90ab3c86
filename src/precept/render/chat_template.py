"""Runs chat templates as ``apply_chat_template`` of transformers 5 does, with the date pinned and the work bounded.

transformers replaces callables among template arguments by placeholders, so ``strftime_now`` cannot be pinned through
its interface; hence an environment of our own with the same blocks, filters and globals.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import jinja2

from precept.errors import InputError
from precept.render.refused import RowRefused
from precept.render.sandbox import BoundedEnvironment

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


class ChatTemplate:
    """A compiled chat template. ``text`` is its source, ``name`` what errors call it."""

    def __init__(self, text: str, *, name: str, variables: Mapping[str, str], template_date: datetime.date) -> None:
        """``variables`` are the tokenizer's named special tokens. Raises InputError on a syntax error."""
        self.text = text
        self.name = name
        self._variables = dict(variables)
        self._environment = BoundedEnvironment()
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
        return text


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
