"""Dialogues of two: the turns of a row, and turns as text in one way or in many (Flan Collection, 2301.13688)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from precept.records.instructions.options_text import collection_table
from precept.records.problems import RowProblem, kind_of

TEXT_KEYS = ("content", "value", "text", "utterance")
SPEAKER_KEYS = ("role", "from", "speaker")
MOST_REPLIES = 20  # of a dialogue: one of the first so many is asked for (the released code's bound)


def read_dialogue(value: Any) -> tuple[str, ...]:
    """The texts of a list of turns: bare texts, whose speakers alternate, or objects with a text and who says it.

    Raises RowProblem for anything else: a blank turn, more than two speakers (a system text counts as one), or one who
    speaks twice in a row.
    """
    if not isinstance(value, list) or not value:
        raise RowProblem("bad-dialogue", f"its dialogue is {kind_of(value)}, not a list of turns")
    texts = [_first(turn, TEXT_KEYS) if isinstance(turn, Mapping) else turn for turn in value]
    for place, text in enumerate(texts, 1):
        if not isinstance(text, str) or not text.strip():
            raise RowProblem("bad-dialogue", f"turn {place} of its dialogue has no text")
    speakers = [
        _first(turn, SPEAKER_KEYS) if isinstance(turn, Mapping) else place % 2 for place, turn in enumerate(value)
    ]
    if any(speaker != speakers[place % 2] for place, speaker in enumerate(speakers)) or speakers[0] in speakers[1:2]:
        raise RowProblem("bad-dialogue", "its turns are not those of two speakers by turns")
    return tuple(texts)


def _first(turn: Mapping[str, Any], keys: Sequence[str]) -> Any:
    return next((turn[key] for key in keys if turn.get(key) is not None), None)


def draw_reply(turns: Sequence[str], rng: random.Random) -> tuple[tuple[str, ...], str]:
    """The turns before a drawn reply, and that reply: a turn of the speaker who did not begin. Raises RowProblem."""
    if len(turns) < 2:
        raise RowProblem("bad-dialogue", "its dialogue has no reply")
    place = 2 * rng.randrange(min(len(turns) // 2, MOST_REPLIES)) + 1
    return tuple(turns[:place]), turns[place]


def dialogue_block(turns: Sequence[str], *, goes_on: bool = True) -> str:
    """A heading and a line for each turn; the last line is left for whose turn it is. Of a dialogue that does not go
    on, the lines of its turns alone."""
    lines = "\n- ".join(turns)
    return f"DIALOGUE:\n- {lines}\n-" if goes_on else f"- {lines}"


def list_dialogue(turns: Sequence[str], rng: random.Random, *, goes_on: bool = True) -> str:
    """A header, speakers' names by turns, and what ends a turn, all drawn; the name of whose turn it is stands last.
    Of a dialogue that does not go on, the named turns alone."""
    table = collection_table()
    header, end = rng.choice(table["dialogue_headers"]), rng.choice(table["dialogue_ends"])
    names = rng.choice(table["dialogue_speakers"])
    said = "".join(f"{names[place % 2]}{turn}{end}" for place, turn in enumerate(turns))
    return f"{header}{said}{names[len(turns) % 2].rstrip()}" if goes_on else said.strip("\n")
