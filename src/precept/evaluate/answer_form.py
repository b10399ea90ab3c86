"""Whether an answer looks like a right one, whatever it says: the style that imitation can learn (2305.15717)."""

from __future__ import annotations

import string
from typing import NamedTuple


class AnswerForm(NamedTuple):
    """What an answer looks like. ``end`` is its last sign where that is punctuation."""

    words: int
    parts: int
    number: bool
    capital: bool
    end: str


def form_of(text: str) -> AnswerForm:
    """Words, parts between commas, whether it is a whole number, begins with a capital, and how it ends."""
    stripped = text.strip()
    return AnswerForm(
        words=len(stripped.split()),
        parts=stripped.count(",") + 1,
        number=stripped.isdecimal(),
        capital=stripped[:1].isupper(),
        end=stripped[-1] if stripped[-1:] in string.punctuation and stripped else "",
    )


def same_form(prediction: str, reference: str) -> float:
    """1 where the prediction has the reference's form: as many words and parts between commas, a number where that is
    one, the same case of the first letter and the same sign at the end. It need not be right. An answer that does not
    end has other words."""
    return float(form_of(prediction) == form_of(reference))
