"""Definitions of tasks, made of parts: opening, ask, core and the place of the input."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from precept.bundled.world import capitalise

PLACES = ("behind", "beside", "above")
TRAINED = 14
COMBINED = 4


@dataclass(frozen=True, slots=True)
class Wording:
    """One way to put a task. ``place`` is where the input stands: behind the definition's full stop, beside it after a
    colon, or in a line above. A blank stands before the input each time, as before every word of running text.

    ``split`` is 'seen', 'new_combination' (of parts that are seen) or 'new_key_word'.
    """

    text: str
    place: str
    split: str

    def prompt(self, given: str) -> str:
        """The definition with an instance's input."""
        if self.place == "above":
            return f"{given}\n{self.text}."
        return f"{self.text}. {given}" if self.place == "behind" else f"{self.text}: {given}"


@dataclass(frozen=True, slots=True)
class Parts:
    """What the wordings of a task are made of."""

    openings: Sequence[str]
    asks: Sequence[str]
    cores: Sequence[str]
    new: Sequence[str] = ()

    def fill(self, values: Mapping[str, str]) -> Parts:
        """The parts with the cores' blanks filled in."""
        return Parts(
            self.openings,
            self.asks,
            tuple(core.format(**values) for core in self.cores),
            tuple(core.format(**values) for core in self.new),
        )


def build_wordings(parts: Parts, rng: random.Random) -> tuple[Wording, ...]:
    """14 seen wordings that together hold every part, four new combinations, and one of each new key word."""
    choices = (parts.openings, parts.asks, parts.cores, PLACES)
    everything = list(product(*choices))
    rng.shuffle(everything)
    missing = {(slot, part) for slot, options in enumerate(choices) for part in options}
    covering: list[tuple[str, str, str, str]] = []
    rest: list[tuple[str, str, str, str]] = []
    for combination in everything:
        new = missing & set(enumerate(combination))
        (covering if new else rest).append(combination)
        missing -= new
    chosen = [*covering, *rest]
    wordings = [_wording(combination, "seen") for combination in chosen[:TRAINED]]
    if parts.new:
        wordings += [_wording(combination, "new_combination") for combination in chosen[TRAINED : TRAINED + COMBINED]]
        wordings += [
            _wording((opening, ask, core, place), "new_key_word")
            for core in parts.new
            for opening, ask, _, place in rng.sample(everything, 1)
        ]
    return tuple(wordings)


def _wording(combination: tuple[str, str, str, str], split: str) -> Wording:
    opening, ask, core, place = combination
    return Wording(capitalise(f"{opening}{ask} {core}"), place, split)
