"""Reads a conversation back from text in the shipped template ``plain``."""

from __future__ import annotations

import json
import re
from typing import Any

from precept.errors import InputError
from precept.types import Message, ToolCall

_HEADER = re.compile(r"\n\n(User|Assistant|Tool|Tools|Thinking|Answer|Calls):")


def parse_plain(
    text: str, *, bos_token: str = "", eos_token: str = ""
) -> tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]:
    """The messages and tools that the template ``plain`` wrote as ``text``.

    An empty answer beside reasoning or tool calls comes back as None. Raises InputError (code ``not-plain``) on text
    that the template cannot have written.
    """
    parts = _HEADER.split(text.removeprefix(bos_token))
    messages = [Message("system", parts[0])] if parts[0] else []
    tools: tuple[dict[str, Any], ...] = ()
    for header, body in zip(parts[1::2], parts[2::2], strict=True):
        body = body.removeprefix(" ")
        if header == "Tools":
            tools = tuple(_json(body, header))
        elif header == "User":
            messages.append(Message("user", body))
        elif header == "Tool":
            fields = _json(body, header)
            messages.append(
                Message("tool", fields.get("content"), name=fields.get("name"), tool_call_id=fields.get("tool_call_id"))
            )
        elif header == "Assistant":
            messages.append(Message("assistant", body.removesuffix(eos_token)))
        elif messages and messages[-1].role == "assistant":
            messages[-1] = _with_section(messages[-1], header, body.removesuffix(eos_token))
        else:
            raise _not_plain(f"'{header}:' outside an assistant turn")
    return tuple(messages), tools


def _with_section(message: Message, header: str, body: str) -> Message:
    content, reasoning, calls = message.content or None, message.reasoning_content, message.tool_calls
    if header == "Thinking":
        reasoning = body
    elif header == "Answer":
        content = body or None
    else:
        calls = tuple(
            ToolCall(call["function"]["name"], call["function"]["arguments"], id=call.get("id"))
            for call in _json(body, header)
        )
    return Message("assistant", content, reasoning_content=reasoning, tool_calls=calls)


def _json(body: str, header: str) -> Any:
    try:
        return json.loads(body)
    except json.JSONDecodeError as error:
        raise _not_plain(f"'{header}:' holds no JSON") from error


def _not_plain(found: str) -> InputError:
    return InputError(
        "the text does not follow the template 'plain'",
        found=found,
        code="not-plain",
        do="give text that this template wrote",
    )
