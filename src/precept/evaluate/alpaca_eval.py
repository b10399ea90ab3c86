"""AlpacaEval's win rate from a judge's preferences, and the question that it asks the judge.

A preference is a number from 1 (output 1, the baseline's, is better) to 2 (output 2, the candidate's); 1.5 is a draw,
which old files write as 0. Anything else is no preference and is left out and counted. The rules are those of
AlpacaEval's ``metrics``; the wording of the question is ours (``judge/prompts/alpaca_eval.txt``).
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from precept.evaluate.judge.ask import Request
from precept.evaluate.judge.pairwise import OURS_FIRST, THEIRS_FIRST
from precept.evaluate.judge.prompt import fill
from precept.evaluate.judge.question import Question, Response, content_hash
from precept.types import Message

DRAW = 1.5
FIRST, SECOND = "m", "M"
"""What the judge answers when the output shown first, or second, is better."""
_LETTER = re.compile(r"(?<![^\W_])(?<![^\W_]['’])[mM](?![^\W_])")  # the second keeps "I'm sorry" from being a verdict


@dataclass(frozen=True, slots=True)
class WinRate:
    """Rates in 0..1. ``labels`` are the valid preferences minus 1, in order; ``standard_error`` is None for one row.

    The discrete rate counts a draw as half a win and anything else as won by the nearer side.
    """

    labels: tuple[float, ...]
    value: float
    standard_error: float | None
    discrete: float
    wins: int
    losses: int
    draws: int
    invalid: int


def normalized_preference(preference: float | None) -> float | None:
    """A preference in 1..2, a draw as 1.5; None for what is none."""
    if preference is None or math.isnan(preference):
        return None
    if preference == 0:
        return DRAW
    return float(preference) if 1 <= preference <= 2 else None


def win_rate(preferences: Sequence[float | None]) -> WinRate:
    """The candidate's win rate. Needs one valid preference at least."""
    valid = [label for value in preferences if (label := normalized_preference(value)) is not None]
    assert valid, "needs a preference"
    labels = np.array(valid) - 1
    wins, losses = int((labels > 0.5).sum()), int((labels < 0.5).sum())
    draws = len(labels) - wins - losses
    return WinRate(
        labels=tuple(labels.tolist()),
        value=float(labels.mean()),
        standard_error=float(labels.std(ddof=1) / math.sqrt(len(labels))) if len(labels) > 1 else None,
        discrete=(wins + draws / 2) / len(labels),
        wins=wins,
        losses=losses,
        draws=draws,
        invalid=len(preferences) - len(labels),
    )


def parse_letter(reply: str) -> str | None:
    """The letter of a reply that holds ``m`` or ``M`` as a word, and not both; else None."""
    found = set(_LETTER.findall(reply))
    return found.pop() if len(found) == 1 else None


def preference_of_letter(letter: str | None, *, swapped: bool) -> float | None:
    """The preference that a letter means. ``swapped``: the candidate's output was shown first."""
    if letter is None:
        return None
    return 1.0 if (letter == FIRST) != swapped else 2.0


def preference_of_logps(first: float | None, second: float | None, *, swapped: bool) -> float | None:
    """The weighted preference of AlpacaEval 2 from the letters' log-probabilities: 2 - p(m) / (p(m) + p(M)).

    A letter that is not among the likeliest tokens (None) has probability 0; without both there is no preference.
    """
    if first is None and second is None:
        return None
    # p(first) / (p(first) + p(second)) without leaving log space
    towards_first = 1.0 if second is None else 0.0 if first is None else 1 / (1 + math.exp(min(second - first, 700.0)))
    return 1 + towards_first if swapped else 2 - towards_first


class LetterLogps(Protocol):
    """A judge that can say how likely it would answer with each of some letters."""

    name: str

    def letter_logps(
        self, conversations: Sequence[Sequence[Message]], letters: Sequence[str]
    ) -> list[tuple[float | None, ...]]:
        """Log-probability of each letter as the answer to each conversation; None for one that is unlikely."""
        ...


class WeightedLetters:
    """Such a judge as a ``ports.Chat``: its reply is the JSON list of the log-probabilities of ``m`` and ``M``."""

    def __init__(self, judge: LetterLogps) -> None:
        self.name = judge.name
        self._judge = judge

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """Of the arguments only the conversations matter: nothing is generated."""
        return [json.dumps(logps) for logps in self._judge.letter_logps(conversations, (FIRST, SECOND))]


def preference_of_reply(reply: str, *, order: str, weighted: bool) -> float | None:
    """The preference in the reply to a request of ``alpaca_requests``."""
    swapped = order == OURS_FIRST
    if weighted:
        first, second = json.loads(reply)
        return preference_of_logps(first, second, swapped=swapped)
    return preference_of_letter(parse_letter(reply), swapped=swapped)


def alpaca_requests(
    questions: Sequence[Question], ours: Sequence[Response], theirs: Sequence[Response], *, seed: int
) -> list[Request]:
    """One request a question, the outputs in an order drawn for it. Equal outputs are a draw without asking."""
    requests = []
    for question, a, b in zip(questions, ours, theirs, strict=True):
        if a.turns == b.turns:
            continue
        order, first, second = (THEIRS_FIRST, b, a) if shown_second(seed, question.turns[0]) else (OURS_FIRST, a, b)
        prompt = fill("alpaca_eval", instruction=question.turns[0], first=first.turns[0], second=second.turns[0])
        hashes = (content_hash(first.turns), content_hash(second.turns))
        requests.append(Request(question.id, 1, order, hashes, prompt))
    return requests


def shown_second(seed: int, question: str) -> bool:
    """Whether the candidate's output is shown second to this question: drawn with even odds, the same in every run."""
    return bool(np.random.default_rng([seed, *question.encode()]).random() < 0.5)
