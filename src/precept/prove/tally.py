"""What was seen in blocks of rows, added up in their order: proofs read the sums, so no block need stay in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

SHOWN = 3


@dataclass
class Faults:
    """How many faults were found, and the first of them in words."""

    count: int = 0
    told: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, told: Iterable[str]) -> Faults:
        """One fault for each text."""
        texts = list(told)
        return cls(len(texts), texts[:SHOWN])

    def __add__(self, later: Faults) -> Faults:
        return Faults(self.count + later.count, [*self.told, *later.told][:SHOWN])


@dataclass
class Tally:
    """Sums over rows. Fields are other tallies, what can be added, or dicts in which the earlier entry counts."""

    def add(self, later: Self) -> None:
        """Add what was seen in the next block."""
        for one in fields(self):
            mine, other = getattr(self, one.name), getattr(later, one.name)
            if isinstance(mine, Tally):
                mine.add(other)
                continue
            if isinstance(mine, dict) and not isinstance(mine, Counter):
                total: Any = other | mine
            elif isinstance(mine, np.ndarray):
                total = mine | other
            else:
                total = mine + other
            setattr(self, one.name, total)


@dataclass
class Masks(Tally):
    """Sequences compared with their texts: whose ids differ, whose weights do, and how many tokens were compared."""

    sequences: int = 0
    tokens: int = 0
    unmatched: Faults = field(default_factory=Faults)
    wrong: Faults = field(default_factory=Faults)


@dataclass
class Terminators(Tally):
    """Trained turns that were looked at, the tokens that end the last ones of rows, and ends that are not trained."""

    turns: int = 0
    ends: Counter[int] = field(default_factory=Counter)
    faults: Faults = field(default_factory=Faults)


@dataclass
class Shapes(Tally):
    """The first sequence of each shape: kinds of messages and which of them are trained."""

    first: dict[tuple[object, ...], int] = field(default_factory=dict)


@dataclass
class Openings(Tally):
    """Sequences whose first tokens are not those that the tokenizer begins a text with, once."""

    sequences: int = 0
    faults: Faults = field(default_factory=Faults)


@dataclass
class Vocabulary(Tally):
    """The tokens that occur, bool [embeddings], and how often those beyond the embedding do."""

    used: npt.NDArray[np.bool_]
    beyond: Counter[int] = field(default_factory=Counter)


@dataclass
class Accounts(Tally):
    """Rows, those of them with a sequence, those of which nothing is known, sequences without a trained token, and
    the codes of refusals."""

    rows: int = 0
    kept: int = 0
    silent: Faults = field(default_factory=Faults)
    empty: Faults = field(default_factory=Faults)
    reasons: Counter[str] = field(default_factory=Counter)
