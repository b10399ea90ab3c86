"""The normalised average of Chung et al. (Scaling Instruction-Finetuned Language Models, 2210.11416).

Scores become shares of the way from guessing to perfect, and six columns are averaged. All values in 0..1; theirs are
in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from precept.evaluate.statistics import interval_of_means

GUESSING = {
    "mmlu_direct": 0.25,
    "mmlu_cot": 0.25,
    "bbh_direct": 0.257,
    "bbh_cot": 0.257,
    "tydiqa_direct": 0.0,
    "mgsm_cot": 0.0,
}
"""What guessing scores in each of the six columns: four options; the mean over BBH's tasks; generated answers.

The paper normalises each task and then averages, as ``normalize_tasks`` does where scores by task are at hand. With one
bound a column its published averages come out within 0.9 points for its larger models and 1.5 for the smallest.
"""


def normalize(score: float, guessing: float) -> float:
    """0 for what guessing scores, 1 for perfect; negative below guessing (section 2.3 and its footnote)."""
    assert 0 <= guessing < 1, "needs what guessing scores, below 1"
    return (score - guessing) / (1 - guessing)


def normalize_tasks(scores: Mapping[str, float], guessing: Mapping[str, float]) -> float:
    """Unweighted mean of the tasks' normalised scores: one column, as the paper computes it. Both are by task."""
    assert scores and scores.keys() <= guessing.keys(), "needs what guessing scores on each task"
    return sum(normalize(score, guessing[task]) for task, score in scores.items()) / len(scores)


def normalized_average(scores: Mapping[str, float], guessing: Mapping[str, float] = GUESSING) -> float:
    """Mean of the columns' normalised scores; every column of ``guessing`` must be there, for a mean over fewer is
    another number."""
    assert scores.keys() == guessing.keys(), f"needs exactly {', '.join(guessing)}"
    return normalize_tasks(scores, guessing)


def normalized_score(
    values: Mapping[str, Sequence[float]], guessing: Mapping[str, float], *, seed: int = 0
) -> dict[str, float]:
    """``normalize_tasks`` from the scores of each task's items, as ``{value, low, high, n}``.

    ``low`` and ``high`` are ``interval_of_means`` of the items within each task, the tasks kept as they are. Values lie
    below 0 where guessing does better.
    """
    means = {task: float(np.mean(own)) for task, own in values.items()}
    strata = [[normalize(score, guessing[task]) for score in own] for task, own in values.items()]
    lowest = min(normalize(0.0, guessing[task]) for task in values)
    low, high = interval_of_means(strata, lowest=lowest, seed=seed)
    n = sum(map(len, values.values()))
    return {"value": normalize_tasks(means, guessing), "low": low, "high": high, "n": n}
