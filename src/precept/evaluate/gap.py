"""Scores of the same items in two wordings, and of several runs: what a single number on the original hides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from precept.evaluate.repeats import Spread, a12, over_seeds, rank_sum
from precept.evaluate.run import ItemResult, by_task, score_means, summarize

Runs = Sequence[Sequence[ItemResult]]
"""The results of the same items, run by run."""


def score_gap(originals: Sequence[ItemResult], variants: Sequence[ItemResult]) -> dict[str, Any]:
    """``{original: {METRIC}, variant: {METRIC}, gap: {METRIC: {value, low, high, p, n, a12}}}`` of items and their
    variants, in the same order.

    ``value`` is original minus variant, so that above zero the original does better, with the paired interval and test;
    ``a12`` is the probability that an original scores higher than a variant, ties half (Vargha and Delaney 2000).
    """
    found = summarize(by_task(originals), against=by_task(variants))
    gap = {
        metric: {**difference, "a12": a12(_values(originals, metric), _values(variants, metric))}
        for metric, difference in found["difference"].items()
    }
    return {"original": found["overall"], "variant": score_means(variants), "gap": gap}


def spread_over_runs(runs: Runs) -> dict[str, Spread]:
    """Of each metric the mean, interval, median, quartile distance, smallest and largest score over the runs."""
    scores = [score_means(run) for run in runs]
    return {metric: over_seeds([score[metric]["value"] for score in scores]) for metric in scores[0]}


def compare_runs(ours: Runs, theirs: Runs) -> dict[str, dict[str, float]]:
    """``{METRIC: {p, a12}}``: the rank-sum test that the runs of both come from one distribution, which does not pair
    them, and the probability that a run of ours scores higher than one of theirs."""
    mine, others = ([score_means(run) for run in runs] for runs in (ours, theirs))
    found = {}
    for metric in mine[0]:
        a, b = ([score[metric]["value"] for score in scores] for scores in (mine, others))
        found[metric] = {"p": rank_sum(a, b), "a12": a12(a, b)}
    return found


def _values(results: Sequence[ItemResult], metric: str) -> list[float]:
    return [value for result in results for value in result.values(metric)]
