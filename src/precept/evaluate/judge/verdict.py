"""What a judge's reply says: a letter, two scores or a grade. A reply that does not say it plainly says nothing.

Formats as in FastChat's ``llm_judge``. Its code takes the first of several different verdicts (and ``[[A]]`` before
``[[B]]`` wherever they stand); here such a reply is unparsable, and so is a score outside 0..10 (0 occurs in published
scores, though judges are told 1 to 10).
"""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

Letter: TypeAlias = Literal["A", "B", "tie"]
Scores: TypeAlias = tuple[float, float]

LETTERS: dict[str, Letter] = {"A": "A", "B": "B", "C": "tie"}
SAME_SCORE = 0.1
"""Scores of a pair that differ by no more are a tie."""

_LETTER = re.compile(r"\[\[([ABC])\]\]")
_GRADE = re.compile(r"\[\[(\d+\.?\d*)\]\]")
_GRADE_SINGLE = re.compile(r"\[(\d+\.?\d*)\]")
_PAIR = re.compile(r"\[\[(\d+\.?\d*),\s?(\d+\.?\d*)\]\]")
_PAIR_LINE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(?:,|\s)\s*(\d+(?:\.\d+)?)\s*")


def parse_letter_verdict(reply: str) -> Letter | None:
    """``[[A]]``, ``[[B]]`` or ``[[C]]`` (a tie)."""
    found = set(_LETTER.findall(reply))
    return LETTERS[found.pop()] if len(found) == 1 else None


def parse_grade(reply: str) -> float | None:
    """``[[7]]`` or ``[[7.5]]``, else a number in single brackets; 0..10."""
    found = {float(grade) for grade in _GRADE.findall(reply) or _GRADE_SINGLE.findall(reply)}
    grade = found.pop() if len(found) == 1 else None
    return grade if grade is not None and _on_scale(grade) else None


def parse_scores(reply: str) -> Scores | None:
    """``[[8,9]]``, else a first line of two numbers (``8 9``, ``8, 9``), else one such line further down; 0..10."""
    found = {(float(a), float(b)) for a, b in _PAIR.findall(reply) or _pairs_on_lines(reply)}
    scores = found.pop() if len(found) == 1 else None
    return scores if scores is not None and all(map(_on_scale, scores)) else None


def _pairs_on_lines(reply: str) -> list[tuple[str, ...]]:
    """The two numbers of the first line, else those of each line that holds two and nothing else."""
    lines = [_PAIR_LINE.fullmatch(line) for line in reply.splitlines() if line.strip()]
    pairs = [line.groups() for line in lines if line]
    return pairs[:1] if lines and lines[0] else pairs


def better_of(scores: Scores) -> Letter:
    """Who has the higher score; a tie where they differ by 0.1 or less."""
    a, b = scores
    if abs(a - b) <= SAME_SCORE + 1e-12:  # 1.1 - 1 is a little more than 0.1
        return "tie"
    return "A" if a > b else "B"


def _on_scale(score: float) -> bool:
    return 0 <= score <= 10
