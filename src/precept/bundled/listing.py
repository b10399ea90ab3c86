"""What is done with lists: pure functions on a list of words, used by the texts and the tasks alike."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

LENGTHS = range(3, 7)


def write_list(words: Sequence[str]) -> str:
    """The words as running text names them: 'pear, plum, fig'."""
    return ", ".join(words)


def draw_list(words: Sequence[str], rng: random.Random, *, lengths: range = LENGTHS) -> list[str]:
    """Different words in random order, as many as one of ``lengths``."""
    return rng.sample(words, lengths[int(rng.random() * len(lengths))])


OPERATIONS: Mapping[str, Callable[[Sequence[str]], str]] = {
    "first": lambda words: words[0],
    "second": lambda words: words[1],
    "third": lambda words: words[2],
    "last": lambda words: words[-1],
    "reverse": lambda words: write_list(words[::-1]),
    "drop_first": lambda words: write_list(words[1:]),
    "drop_last": lambda words: write_list(words[:-1]),
    "count": lambda words: str(len(words)),
}
"""Operation -> what it makes of a list of three words or more."""

PICKING = ("first", "second", "third", "last")
REARRANGING = ("reverse", "drop_first", "drop_last")
