"""What variants and repeats say: the parts of an evaluation's document beside its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from precept.evaluate import ItemResult
from precept.evaluate.gap import compare_runs, score_gap, spread_over_runs
from precept.evaluate.statistics import add_p_holm
from precept.run.eval.rounds import Plan

Found = Sequence[Sequence[ItemResult]]
"""The results of each round of a plan."""


def variant_document(plan: Plan, found: Found, names: Sequence[str]) -> dict[str, Any]:
    """``{VARIANT: {items, changed, overall, tasks, item_files}}``: of the items that a variant changed the scores in
    both wordings and their gap (``evaluate.gap.score_gap``), over all of them and by task.

    ``p_holm`` beside each p is corrected for all variants and metrics, by task for all tasks as well. ``names`` are the
    files of the rounds.
    """
    originals = dict(zip((asked.task.name for asked in plan.asked), found, strict=False))
    document: dict[str, Any] = {}
    for variant in plan.variants:
        places = [n for n, round_ in enumerate(plan.rounds) if round_.variant == variant]
        tasks: dict[str, Any] = {}
        before: list[ItemResult] = []
        after: list[ItemResult] = []
        for n in places:
            round_ = plan.rounds[n]
            same = [originals[round_.asked.task.name][place] for place in round_.places]
            own = score_gap(same, found[n])
            tasks[round_.asked.task.name] = {"changed": len(same), **own}
            before += same
            after += found[n]
        document[variant] = {
            "items": sum(len(asked.items) for asked in plan.asked),
            "changed": len(before),
            "overall": score_gap(before, after),
            "tasks": tasks,
            "item_files": [names[n] for n in places],
        }
    add_p_holm(found for entry in document.values() for found in entry["overall"]["gap"].values())
    by_task = [task for entry in document.values() for task in entry["tasks"].values()]
    add_p_holm(found for task in by_task for found in task["gap"].values())
    return document


def repeat_document(plan: Plan, found: Found, names: Sequence[str], *, against: Found | None = None) -> dict[str, Any]:
    """``{runs, seeds, greedy, tasks: {TASK: {METRIC: Spread}}, difference?, item_files}``: of the tasks whose answers
    are drawn the spread over seeds. ``greedy`` names the others, of which every run would be the same.

    ``difference`` compares the runs of two models (``evaluate.gap.compare_runs``), by task and metric.
    """
    runs = {name: _runs(plan, found, name) for name in plan.drawn}
    others = {} if against is None else {name: _runs(plan, against, name) for name in plan.drawn}
    again = range(len(plan.rounds) - (len(plan.seeds) - 1) * len(plan.drawn), len(plan.rounds))
    document: dict[str, Any] = {
        "runs": len(plan.seeds),
        "seeds": list(plan.seeds),
        "greedy": [asked.task.name for asked in plan.asked if asked.task.name not in plan.drawn],
        "tasks": {name: spread_over_runs(own) for name, own in runs.items()} if len(plan.seeds) > 1 else {},
        "item_files": [names[n] for n in again],
    }
    if others and len(plan.seeds) > 1:
        document["difference"] = {name: compare_runs(own, others[name]) for name, own in runs.items()}
    return document


def _runs(plan: Plan, found: Found, name: str) -> list[Sequence[ItemResult]]:
    """The results of a task for each seed."""
    return [
        results
        for round_, results in zip(plan.rounds, found, strict=True)
        if round_.variant is None and round_.asked.task.name == name
    ]
