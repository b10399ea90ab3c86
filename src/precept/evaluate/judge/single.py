"""One answer graded from 1 to 10 (Zheng et al., 2306.05685, section 3.1), beside a reference answer if there is one.

A reply without a grade is left out of the mean and counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from precept.evaluate.judge.ask import Judgment, Request
from precept.evaluate.judge.metric import Metric, grouped_metric
from precept.evaluate.judge.prompt import judge_prompt
from precept.evaluate.judge.question import Question, Response, content_hash
from precept.evaluate.judge.verdict import parse_grade


@dataclass(frozen=True, slots=True)
class Graded:
    """A turn's grade, 0..10; None where the reply held none."""

    question: str
    turn: int
    category: str | None
    grade: float | None


def single_requests(questions: Sequence[Question], responses: Sequence[Response]) -> list[Request]:
    """One request for every turn of every question; a later turn is shown with the conversation before it."""
    return [
        Request(
            question.id,
            turn,
            "a",
            (content_hash(response.turns[:turn]),),
            judge_prompt("single", question, (response.turns,), turn=turn),
        )
        for question, response in zip(questions, responses, strict=True)
        for turn in range(1, len(question.turns) + 1)
    ]


def grade(questions: Sequence[Question], judgments: Sequence[Judgment]) -> list[Graded]:
    """The grade in each judgment."""
    categories = {question.id: question.category for question in questions}
    return [
        Graded(
            judgment.request.question,
            judgment.request.turn,
            categories[judgment.request.question],
            parse_grade(judgment.reply),
        )
        for judgment in judgments
    ]


def summarize_grades(graded: Sequence[Graded], *, seed: int = 0) -> dict[str, Any]:
    """``{score, by_turn, by_category, unparsable}``: means over all grades that were given, 0..10."""

    def mean(entries: Iterable[Graded]) -> Metric | None:
        groups: dict[str, list[float]] = {}
        for entry in entries:
            if entry.grade is not None:
                groups.setdefault(entry.question, []).append(entry.grade)
        return grouped_metric(groups.values(), highest=10.0, seed=seed)

    turns = sorted({entry.turn for entry in graded})
    categories = list(dict.fromkeys(entry.category for entry in graded if entry.category is not None))
    return {
        "score": mean(graded),
        "by_turn": {str(turn): mean(entry for entry in graded if entry.turn == turn) for turn in turns},
        "by_category": {name: mean(entry for entry in graded if entry.category == name) for name in categories},
        "unparsable": sum(entry.grade is None for entry in graded),
    }
