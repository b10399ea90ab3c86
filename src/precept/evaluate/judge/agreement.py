"""How often two judges, or a judge and people, vote alike (Zheng et al., 2306.05685, section 4.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from precept.evaluate.judge.metric import Metric, grouped_metric
from precept.evaluate.judge.verdict import Letter


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote on two models' answers to a turn of a question: ``A`` for the first model named, ``B`` or ``tie``."""

    question: str
    turn: int
    models: tuple[str, str]
    winner: Letter


def agreement(ours: Sequence[Vote], theirs: Sequence[Vote], *, ties: bool, seed: int = 0) -> Metric | None:
    """The share of equal votes over all pairs of votes, one of each side, on the same turn and the same two models.

    ``ties`` is set-up S1 of the paper, where chance agrees in a third; without it, S2, pairs with a tie are left out
    and chance agrees in half. None where no pair is left. ``n`` counts pairs; those of one question hang together.
    """
    others: dict[tuple[str, int, frozenset[str]], list[str]] = defaultdict(list)
    for vote in theirs:
        others[_place(vote)].append(_named(vote))
    equal: dict[str, list[float]] = defaultdict(list)
    for vote in ours:
        mine = _named(vote)
        for other in others.get(_place(vote), ()):
            if ties or "tie" not in (mine, other):
                equal[vote.question].append(float(mine == other))
    return grouped_metric(equal.values(), highest=1.0, seed=seed)


def _place(vote: Vote) -> tuple[str, int, frozenset[str]]:
    return vote.question, vote.turn, frozenset(vote.models)


def _named(vote: Vote) -> str:
    """The winner by name, so that the order of the models does not matter; a tie stays ``tie``."""
    return "tie" if vote.winner == "tie" else f"model {vote.models[vote.winner == 'B']}"
