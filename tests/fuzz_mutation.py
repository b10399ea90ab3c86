"""Broken variants of values, texts and bytes, for the fuzzer: seeded, so that a case can be repeated."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3.5, 1e308, float("nan"), float("inf"), 10**30, "", " ", "\n", [], {}, [None], [[]]),
    *({"": ""}, [{}], "\x00", "é🙂", "\ud800", "<|im_end|>", "<|endoftext|>", "assistant", "user", "tool", "a" * 5000),
    *("${a}", "{{ x }}", "../..", "hf:", "2026-13-45", "1e999", "-0", "null", "[1", "\ufeff"),
)


@dataclass(frozen=True)
class Room:
    """Where the cases of one run work: a tiny model folder, and a folder that each case finds empty."""

    model: Path
    case: Path


def mutate_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one thing in it wrong: replaced, removed, doubled, renamed or wrapped."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        action = rng.randrange(6)
        if action == 0:
            del changed[key]
        elif action == 1:
            changed[rng.choice((key + "s", key.upper(), "", "role", "text", "id", "content"))] = changed.pop(key)
        elif action == 2:
            changed[rng.choice(("id", "extra", "output", "input", "text", "tools", "system"))] = rng.choice(ODD_VALUES)
        else:
            changed[key] = mutate_value(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        action = rng.randrange(5)
        if action == 0:
            return value[:at] + value[at + 1 :]
        if action == 1:
            return [*value, value[at]]
        if action == 2:
            return rng.sample(value, len(value))
        return [*value[:at], mutate_value(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.4:
        return mutate_text(value, rng, ("<|im_end|>", "\x00", "\u2028", "🙂", "</think>", "\r\n", " " * 50))
    return rng.choice(ODD_VALUES) if rng.random() < 0.8 else [value]


def mutate_text(text: str, rng: random.Random, words: tuple[str, ...]) -> str:
    """A text with pieces cut, doubled or put in."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        action = rng.randrange(3)
        if action == 0:
            text = text[:at] + text[min(end, at + 12) :]
        elif action == 1:
            text = text[:end] + text[at:]
        else:
            text = text[:at] + rng.choice(words) + text[at:]
    return text


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut, doubled, or those of another encoding."""
    action = rng.randrange(6)
    if action == 0:
        return data[: rng.randrange(len(data) + 1)]
    if action == 1:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(changed) + 1)
        if action == 2 or at == len(changed):
            changed[at:at] = rng.randbytes(rng.randint(1, 4))
        elif action == 3:
            del changed[at : at + rng.randint(1, 30)]
        else:
            changed[at] = rng.randrange(256)
    return bytes(changed)
