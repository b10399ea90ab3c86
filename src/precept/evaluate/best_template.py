"""A data set put by several templates: FLAN reports the mean over templates and the template that is best on a
development set (2109.01652, table 2; its ablations take the mean)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from precept.evaluate.run import ItemResult
from precept.evaluate.statistics import interval

Templates = Mapping[str, Sequence[ItemResult]]
"""The results of each template's items."""


def best_template(templates: Templates) -> dict[str, dict[str, Any]]:
    """``{METRIC: {value, low, high, n, chosen}}``: the score of the template that is best on other items.

    Every second item of a template is its development set. On either half a template is chosen, the first of equals,
    and the items of its other half are scored, so that no item has a say in the choice of the template that it is
    scored by; ``chosen`` names both choices. Templates of one item are left out, and metrics that fewer than two
    templates have. FLAN chooses on a data set's validation file, which rendered files do not have beside them.
    """
    metrics = dict.fromkeys(name for results in templates.values() for result in results for name in result.scores)
    found = {}
    for metric in metrics:
        halves = {name: _halves(results, metric) for name, results in templates.items()}
        whole = {name: pair for name, pair in halves.items() if all(pair)}
        if len(whole) < 2:
            continue
        chosen = [_best({name: pair[half] for name, pair in whole.items()}) for half in (0, 1)]
        values = [value for half in (0, 1) for value in whole[chosen[half]][1 - half]]
        low, high = interval(values)
        found[metric] = {"value": _mean(values), "low": low, "high": high, "n": len(values), "chosen": chosen}
    return found


def _halves(results: Sequence[ItemResult], metric: str) -> tuple[list[float], list[float]]:
    """The scores of every second item, from the first and from the second one on."""
    first, second = ([value for result in results[half::2] for value in result.values(metric)] for half in (0, 1))
    return first, second


def _best(scores: Mapping[str, Sequence[float]]) -> str:
    return max(scores, key=lambda name: _mean(scores[name]))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
