"""Votes, a row each as FastChat's human judgments have them, and how often those of two files agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from precept.errors import InputError
from precept.evaluate.judge import Compared, Vote, agreement
from precept.evaluate.judge.verdict import Letter
from precept.run.judge.files import read_rows
from precept.run.output import write_atomic

NAME = "votes.jsonl"
WINNERS: Mapping[str, Letter] = {"model_a": "A", "model_b": "B", "tie": "tie", "tie (inconsistent)": "tie"}
OUTCOMES = {"win": "model_a", "loss": "model_b", "tie": "tie"}


def write_votes(compared: Sequence[Compared], path: Path, *, model: str, against: str) -> None:
    """A row for every comparison that has an outcome."""
    rows = [
        {"question_id": pair.question, "turn": pair.turn, "model_a": model, "model_b": against}
        | {"winner": OUTCOMES[pair.outcome]}
        for pair in compared
        if pair.outcome is not None
    ]
    write_atomic(path, b"".join(orjson.dumps(row) + b"\n" for row in rows))


def agreement_document(ours: str, theirs: str, *, seed: int) -> dict[str, Any]:
    """``{protocol, annotations, against, agreement, agreement_without_ties, chance}`` of two files of votes.

    Raises InputError for rows that are no votes, and for files that have no two votes on the same answers.
    """
    votes, others = read_votes(ours), read_votes(theirs)
    with_ties = agreement(votes, others, ties=True, seed=seed)
    if with_ties is None:
        raise InputError(
            "the files have no votes on the same two models' answers to the same turn",
            code="votes-apart",
            where=theirs,
            found=f"{_told(votes[0])} beside {_told(others[0])}, for example",
            do="use the same question_id, turn and names of models in both files",
        )
    return {
        "protocol": "agreement",
        "annotations": ours,
        "against": theirs,
        "agreement": with_ties,
        "agreement_without_ties": agreement(votes, others, ties=False, seed=seed),
        "chance": {"agreement": 1 / 3, "agreement_without_ties": 1 / 2},
    }


def read_votes(path: str) -> list[Vote]:
    """The votes of a file. Raises InputError naming the rows that are none."""
    votes = [_vote(row) for _, row in read_rows(path)]
    wrong = [str(place) for place, vote in enumerate(votes, 1) if vote is None]
    if wrong:
        raise InputError(
            f"{len(wrong)} rows hold no vote",
            code="vote-rows",
            where=path,
            found=f"rows {', '.join(wrong[:8])}",
            do=f"give question_id, model_a, model_b and winner ({', '.join(WINNERS)}); turn is 1 where it is missing",
        )
    return [vote for vote in votes if vote is not None]


def _vote(row: Any) -> Vote | None:
    if not isinstance(row, Mapping):
        return None
    question, turn, first, second = row.get("question_id"), row.get("turn", 1), row.get("model_a"), row.get("model_b")
    winner = WINNERS.get(row["winner"]) if isinstance(row.get("winner"), str) else None
    if not isinstance(first, str) or not isinstance(second, str) or first == second or winner is None:
        return None
    if not isinstance(question, int | str) or not isinstance(turn, int):
        return None
    return Vote(str(question), turn, (first, second), winner)


def _told(vote: Vote) -> str:
    return f"question {vote.question}, turn {vote.turn}, {' and '.join(vote.models)}"
