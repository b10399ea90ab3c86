"""The normalised average of Chung et al. (Scaling Instruction-Finetuned Language Models, 2210.11416).

Scores become shares of the way from guessing to perfect, and six columns are averaged. All values in 0..1; theirs are
in per cent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from precept.evaluate.statistics import RESAMPLES

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

    ``low`` and ``high`` are a 95 % percentile bootstrap over the items within each task, the tasks kept as they are;
    where no task's items differ they are the value itself. Values lie below 0 where guessing does better.
    """
    means = {task: float(np.mean(own)) for task, own in values.items()}
    rng = np.random.default_rng(seed)
    total = np.zeros(RESAMPLES)
    for task, own in values.items():
        distinct, counts = np.unique(np.asarray(own, np.float64), return_counts=True)
        drawn = rng.multinomial(len(own), counts / len(own), size=RESAMPLES) @ distinct / len(own)
        total += (drawn - guessing[task]) / (1 - guessing[task])
    low, high = np.quantile(total / len(values), (0.025, 0.975))
    return {"value": normalize_tasks(means, guessing), "low": float(low), "high": float(high)} | {
        "n": sum(map(len, values.values()))
    }
