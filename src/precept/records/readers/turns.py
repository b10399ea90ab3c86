"""Lists of messages -> ``Message`` tuples: the role/content form and ShareGPT's from/value form.

Both the conversation readers and the preference readers use these. Beside content a message may hold
``reasoning_content`` (or ``thinking``, ``reasoning``), ``tool_calls``, ``tool_call_id``, ``name``, and its own wish
to be trained: ``train`` or ``training`` (boolean), ``weight``, ``loss_weight`` or ``loss`` (number, or boolean).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from precept.records.problems import RowProblem, kind_of
from precept.types import Message, ToolCall

ROLES = frozenset({"user", "assistant", "system", "developer", "tool"})
SHAREGPT_ROLES = {
    "human": "user",
    "user": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "system": "system",
    "tool": "tool",
    "observation": "tool",
    "function_call": "assistant",
}
REASONING = ("reasoning_content", "thinking", "reasoning")
WISHES = ("train", "training", "weight", "loss_weight", "loss")
MESSAGE_KEYS = frozenset(
    {"role", "content", "tool_calls", "tool_call_id", "name", "from", "value", *REASONING, *WISHES}
)
IMAGE = "<image>"


def read_turns(value: object, *, column: str) -> tuple[Message, ...]:
    """Messages of a column in either form; a single message object and JSON text of either count too.

    Raises RowProblem naming the column, the message (from 1) and what was found.
    """
    value = parsed(value)
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list):
        raise RowProblem("not-messages", f"column '{column}' holds {kind_of(value)}, not a list of messages")
    if not items:
        raise RowProblem("no-messages", f"column '{column}' holds no messages")
    turns = []
    for place, item in enumerate(items, 1):
        where = f"message {place} of '{column}'"
        if not isinstance(item, dict):
            raise RowProblem("not-messages", f"{where}: {kind_of(item)}, not a message")
        try:
            turns.append(_sharegpt_message(item) if "from" in item else _message(item))
        except RowProblem as problem:
            raise RowProblem(problem.code, f"{where}: {problem.reason}") from None
    return tuple(turns)


def parsed(value: object) -> object:
    """The list or object that JSON text stands for; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return orjson.loads(value)
        except orjson.JSONDecodeError:
            return value
    return value


def read_tools(value: object, *, column: str) -> tuple[dict[str, Any], ...]:
    """Tool schemas of a column: a list of objects, or JSON text of one; null and '' are no tools."""
    value = parsed(value)
    if value is None or value == "":
        return ()
    if not isinstance(value, list) or not all(isinstance(tool, dict) for tool in value):
        raise RowProblem("bad-tools", f"column '{column}' holds {kind_of(value)}, not a list of JSON schemas")
    return tuple(value)


def attach_images(messages: Sequence[Message], images: object, *, column: str) -> tuple[Message, ...]:
    """Give the paths of an image column to the ``<image>`` markers, in order.

    Raises RowProblem unless there are as many markers as images.
    """
    if images is None:
        return tuple(messages)
    paths = [images] if isinstance(images, str) else images
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise RowProblem("bad-images", f"column '{column}' holds {kind_of(images)}, not a list of paths")
    wanted = [0 if m.images else (m.content or "").count(IMAGE) for m in messages]
    if sum(wanted) != len(paths):
        raise RowProblem("bad-images", f"{sum(wanted)} {IMAGE} markers for {len(paths)} images in column '{column}'")
    given = iter(paths)
    return tuple(
        replace(message, images=tuple(next(given) for _ in range(count))) if count else message
        for message, count in zip(messages, wanted, strict=True)
    )


def _message(item: dict[str, Any]) -> Message:
    role = item.get("role")
    if not isinstance(role, str) or role not in ROLES:
        raise RowProblem(
            "unknown-role", f"unknown role {role!r}" if "role" in item else f"no role among {sorted(item)}"
        )
    content = item.get("content")
    if len(item) == 2 and isinstance(content, str):
        return Message(role, content)
    images: tuple[str, ...] = ()
    if isinstance(content, list):
        content, images = _join_parts(content)
    elif content is not None and not isinstance(content, str):
        raise RowProblem("not-text", f"content holds {kind_of(content)}, not text")
    tool_calls = _tool_calls(item.get("tool_calls"))
    reasoning = _reasoning(item)
    if content is None and not tool_calls and reasoning is None:
        raise RowProblem("not-text", "content is null" if "content" in item else "content is missing")
    train, weight = _wishes(item)
    return Message(
        role=role,
        content=content,
        reasoning_content=reasoning,
        tool_calls=tool_calls,
        name=_optional_text(item, "name"),
        tool_call_id=_optional_text(item, "tool_call_id"),
        train=train,
        weight=weight,
        images=images,
    )


def _sharegpt_message(item: dict[str, Any]) -> Message:
    role = SHAREGPT_ROLES.get(item["from"]) if isinstance(item["from"], str) else None
    if role is None:
        raise RowProblem("unknown-role", f"unknown role {item['from']!r}")
    value = item.get("value")
    if len(item) == 2 and isinstance(value, str) and item["from"] != "function_call":
        return Message(role, value)
    train, weight = _wishes(item)
    reasoning = _reasoning(item)
    if item["from"] == "function_call":
        calls = parsed(value)
        calls = [calls] if isinstance(calls, dict) else calls
        return Message(
            role, None, reasoning_content=reasoning, tool_calls=_tool_calls(calls), train=train, weight=weight
        )
    if not isinstance(value, str):
        raise RowProblem(
            "not-text", f"value holds {kind_of(value)}, not text" if "value" in item else "value is missing"
        )
    return Message(role, value, reasoning_content=reasoning, train=train, weight=weight)


def _join_parts(parts: Sequence[object]) -> tuple[str, tuple[str, ...]]:
    """Text of a content list with ``<image>`` where an image stands, and the images' paths."""
    texts: list[str] = []
    images: list[str] = []
    for part in parts:
        if isinstance(part, str):
            texts.append(part)
            continue
        if not isinstance(part, dict):
            raise RowProblem("not-text", f"a content part is {kind_of(part)}")
        text = part.get("text", part.get("value"))
        if part.get("type", "text") == "text" and isinstance(text, str):
            texts.append(text)
            continue
        image = part.get("image", part.get("image_url", part.get("path", part.get("url"))))
        image = image.get("url") if isinstance(image, dict) else image
        if part.get("type", "image") not in ("image", "image_url") or not (image is None or isinstance(image, str)):
            raise RowProblem("unknown-part", f"unknown content part {part.get('type', sorted(part))!r}")
        if image is None and part.get("type") is None:
            raise RowProblem("unknown-part", f"unknown content part with the keys {sorted(part)}")
        texts.append(IMAGE)
        images += [image] if image is not None else []
    if images and len(images) != sum(text == IMAGE for text in texts):
        raise RowProblem("bad-images", "some image parts have a path and some have none")
    return "".join(texts), tuple(images)


def _tool_calls(value: object) -> tuple[ToolCall, ...]:
    """Calls of a message: OpenAI's ``{id, type, function: {name, arguments}}`` or the bare inner object."""
    value = parsed(value)
    if value is None or value == []:
        return ()
    if not isinstance(value, list):
        raise RowProblem("bad-tool-call", f"tool calls are {kind_of(value)}, not a list of {{name, arguments}}")
    calls = []
    for item in value:
        call = item.get("function", item) if isinstance(item, dict) else None
        if not isinstance(call, dict) or not isinstance(call.get("name"), str):
            raise RowProblem("bad-tool-call", f"a tool call without a name: {item!r:.60}")
        arguments = call.get("arguments", call.get("parameters", {}))
        if isinstance(arguments, str):
            inner = parsed(arguments)
            arguments = inner if isinstance(inner, dict) else arguments
        elif not isinstance(arguments, dict):
            raise RowProblem("bad-tool-call", f"arguments of '{call['name']}' are {kind_of(arguments)}")
        calls.append(ToolCall(call["name"], arguments, _optional_text(item, "id")))
    return tuple(calls)


def _reasoning(item: dict[str, Any]) -> str | None:
    return next((text for key in REASONING if (text := _optional_text(item, key)) is not None), None)


def _optional_text(item: dict[str, Any], key: str) -> str | None:
    value = item.get(key)
    if value is None or isinstance(value, str):
        return value
    raise RowProblem("not-text", f"{key} holds {kind_of(value)}, not text")


def _wishes(item: dict[str, Any]) -> tuple[bool | None, float | None]:
    """The message's own wish: (train, weight)."""
    train: bool | None = None
    weight: float | None = None
    for key in WISHES:
        value = item.get(key)
        if value is None:
            continue
        if isinstance(value, bool):
            train = value
        elif key in ("train", "training") or not isinstance(value, int | float):
            raise RowProblem("bad-weight", f"{key} holds {kind_of(value)}")
        elif not math.isfinite(value) or value < 0:
            raise RowProblem("bad-weight", f"{key} is {value}, not a number of at least 0")
        else:
            weight = float(value)
    return train, weight
