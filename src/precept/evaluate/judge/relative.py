"""The relative score of GPT-4-LLM (Peng et al., 2304.03277, section 4) and LLaVA (2304.08485): points over points.

A judge scores both answers to each question from 1 to 10; the candidate's sum over all questions is divided by the
reference's. With both orders, each question counts the mean of two scores: the papers print half points and do not say
where they come from, which this explains. 83 % means that the candidate has 0.83 of the reference's points, and says
nothing of how often it is better: ``summarize_pairs`` counts that, where scores that differ by 0.1 or less are a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from precept.errors import WorkError
from precept.evaluate.judge.metric import ratio_metric


def summarize_scores(scores: Sequence[tuple[float, float]], *, judge: str, seed: int = 0) -> dict[str, Any]:
    """``{relative_score, points}`` of (candidate, reference) pairs, a pair a question.

    Raises WorkError where the reference has no points: there is nothing to be relative to.
    """
    ours, theirs = [a for a, _ in scores], [b for _, b in scores]
    relative = ratio_metric(ours, theirs, highest=10.0, seed=seed)
    if relative is None:
        raise WorkError(
            "the reference answers have no points, so that nothing is relative to them",
            code="relative-undefined",
            where=judge,
            found=f"{len(scores)} questions with scores, {sum(ours):g} points to {sum(theirs):g}",
            do="use other reference answers, or another judge",
        )
    return {"relative_score": relative, "points": {"model": sum(ours), "against": sum(theirs)}}
