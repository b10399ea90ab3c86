"""Messages as templates read them, plain and with marks around every piece of text that a row brings.

A mark is a pair of private-use characters, unique within the row. A template copies them along with the text, so the
marked rendering tells which characters came from which field; without its marks it must equal the plain rendering.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from precept.render.refused import RowRefused
from precept.types import Message, ToolCall

# Supplementary private use areas A and B: no font, tokenizer or text format gives these characters a meaning.
MARK_BASES = (0xF0000, 0x100000)
MARKS_PER_AREA = 0xFFFE
MARK = tuple(re.compile(f"([{chr(base)}-{chr(base + MARKS_PER_AREA - 1)}])") for base in MARK_BASES)

_THINK_TAGS = re.compile(r"(</?think>)")
_LEADING = re.compile(r"\s*")

FieldName = Literal["content", "reasoning_content", "tool_calls"]


class Form(NamedTuple):
    """How a template wants what rows may hold in two ways."""

    null_content: Literal["null", "empty"] = "null"
    arguments: Literal["object", "string"] = "object"


class Mark(NamedTuple):
    """What a pair of marks stands around. ``reasoning`` is text that a template may remove by design."""

    message: int
    field: FieldName
    reasoning: bool


def plain_messages(messages: Sequence[Message], form: Form) -> list[dict[str, Any]]:
    """Messages as ``apply_chat_template`` would hand them to the template."""
    return [_plain(message, form) for message in messages]


def _plain(message: Message, form: Form) -> dict[str, Any]:
    fields: dict[str, Any] = {"role": message.role}
    if message.content is not None:
        fields["content"] = message.content
    elif form.null_content == "empty":
        fields["content"] = ""
    if message.reasoning_content is not None:
        # gpt-oss templates read reasoning as `thinking`; transformers passes both names.
        fields["thinking"] = fields["reasoning_content"] = message.reasoning_content
    if message.tool_calls:
        fields["tool_calls"] = [_call(call, form) for call in message.tool_calls]
    if message.name is not None:
        fields["name"] = message.name
    if message.tool_call_id is not None:
        fields["tool_call_id"] = message.tool_call_id
    return fields


def _call(call: ToolCall, form: Form) -> dict[str, Any]:
    fields: dict[str, Any] = {"type": "function"}
    if call.id is not None:
        fields["id"] = call.id
    fields["function"] = {"name": call.name, "arguments": call_arguments(call.arguments, form)}
    return fields


def call_arguments(arguments: dict[str, Any] | str, form: Form) -> dict[str, Any] | str:
    """Arguments of a tool call in the form that the template wants; text that is no JSON object stays text."""
    if form.arguments == "string":
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if isinstance(arguments, str):
        try:
            parsed = json.loads(arguments)
        except json.JSONDecodeError:
            return arguments
        return parsed if isinstance(parsed, dict) else arguments
    return arguments


class Marker:
    """Hands out marks for one row and remembers what each stands around (``marks[i]`` for pair i)."""

    def __init__(self, area: int = 0, *, arguments: bool = True) -> None:
        """``arguments`` False leaves tool arguments unmarked, for templates that escape or inspect them."""
        self.area = area
        self.marks: list[Mark] = []
        self._base = MARK_BASES[area]
        self.arguments = arguments

    def messages(self, plain: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The plain messages with marks; their order of fields and everything else is the same."""
        return [self._message(index, fields) for index, fields in enumerate(plain)]

    def _message(self, index: int, fields: dict[str, Any]) -> dict[str, Any]:
        marked = dict(fields)
        if fields.get("content"):
            marked["content"] = self._text(fields["content"], index, "content")
        if fields.get("reasoning_content"):
            reasoning = self._text(fields["reasoning_content"], index, "reasoning_content")
            marked["thinking"] = marked["reasoning_content"] = reasoning
        if "tool_calls" in fields:
            marked["tool_calls"] = [self._call(call, index) for call in fields["tool_calls"]]
        return marked

    def _call(self, call: dict[str, Any], index: int) -> dict[str, Any]:
        name, arguments = call["function"]["name"], call["function"]["arguments"]
        marked_name = self._piece(name, Mark(index, "tool_calls", False))
        if self.arguments:
            arguments = self._value(arguments, Mark(index, "tool_calls", False))
        return {**call, "function": {"name": marked_name, "arguments": arguments}}

    def _value(self, value: Any, mark: Mark) -> Any:
        if isinstance(value, str):
            return self._piece(value, mark)
        if isinstance(value, dict):
            return {key: self._value(item, mark) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item, mark) for item in value]
        return value

    def _text(self, text: str, index: int, field: FieldName) -> str:
        if "think>" not in text:
            return self._piece(text, Mark(index, field, field == "reasoning_content"))
        parts = _THINK_TAGS.split(text)
        # Text before a lone closing tag is reasoning too: its opening tag was part of the prompt.
        thinking = "</think>" in parts and "<think>" not in parts[: parts.index("</think>")]
        for place, part in enumerate(parts):
            if place % 2:
                thinking = part == "<think>"
            else:
                parts[place] = self._piece(part, Mark(index, field, thinking or field == "reasoning_content"))
        return "".join(parts)

    def _piece(self, text: str, mark: Mark) -> str:
        inner = text.strip()
        if not inner:
            return text
        pair = 2 * len(self.marks)
        if pair + 1 >= MARKS_PER_AREA:
            raise RowRefused("the row holds more than 32,767 pieces of text", code="row-too-complex")
        self.marks.append(mark)
        opening, closing = chr(self._base + pair), chr(self._base + pair + 1)
        if len(inner) == len(text):
            return f"{opening}{text}{closing}"
        lead = _LEADING.match(text).end()  # type: ignore[union-attr]  # \s* always matches
        return f"{text[:lead]}{opening}{inner}{closing}{text[lead + len(inner) :]}"


class Piece(NamedTuple):
    """Characters ``start:end`` of a rendering that came from one marked piece."""

    start: int
    end: int
    mark: int


def unmark(text: str, area: int) -> tuple[str, list[Piece]]:
    """The text without its marks, and the marked pieces in text order.

    Of a piece that stands twice (a tool's name before its result) the first counts; a mark without its partner gives
    none.
    """
    parts = MARK[area].split(text)
    opened: dict[int, int] = {}
    pieces: list[Piece] = []
    position = len(parts[0])
    for place in range(1, len(parts), 2):
        pair, closes = divmod(ord(parts[place]) - MARK_BASES[area], 2)
        if not closes:
            opened.setdefault(pair, position)
        elif opened.get(pair, -1) >= 0:
            pieces.append(Piece(opened[pair], position, pair))
            opened[pair] = -1
        position += len(parts[place + 1])
    return "".join(parts[::2]), pieces
