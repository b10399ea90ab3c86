"""The JSON document of an evaluation: scores, what they depend on, and where the items are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from precept.evaluate import ItemResult, by_task, summarize
from precept.evaluate.run import by_words, score_means
from precept.evaluate.statistics import verdict
from precept.evaluate.suite import Suite, group_scores
from precept.run.eval.tasks import Asked

Results = Sequence[tuple[Asked, Sequence[ItemResult]]]
"""Every task with its results, in order."""


def score_document(results: Results, *, against: Results | None = None, suite: Suite | None = None) -> dict[str, Any]:
    """``{suite?, tasks, overall, difference?, verdict?, counts, parts?, asked}``.

    ``suite`` is the unweighted mean over the tasks of each group, ``parts`` the scores by the length of the reference
    where a task wants them, ``verdict`` says better, worse or undecided of each difference, and ``asked`` how each
    task was asked.
    """
    merged = _merged(results)
    document = summarize(merged, against=None if against is None else _merged(against))
    if "difference" in document:
        document["verdict"] = {name: verdict(found) for name, found in document["difference"].items()}
    if suite is not None:
        document = {"suite": {"name": suite.name, "about": suite.about, "scores": _groups(results)}, **document}
    parts = {
        asked.task.name: {name: score_means(part) for name, part in by_words(own, asked.task.bins).items()}
        for asked, own in results
        if asked.task.bins
    }
    return {**document, **({"parts": parts} if parts else {}), "asked": {a.task.name: _asked(a) for a, _ in results}}


def _merged(results: Results) -> dict[str, list[ItemResult]]:
    """Results by the task that each item names: two folders may hold parts of one task."""
    return by_task([result for _, own in results for result in own])


def _groups(results: Results) -> dict[str, Any]:
    groups: dict[str, dict[str, Sequence[ItemResult]]] = {}
    for asked, own in results:
        groups.setdefault(asked.group, {})[asked.task.name] = own
    return {name: group_scores(tasks) for name, tasks in groups.items()}


def _asked(asked: Asked) -> dict[str, Any]:
    task = asked.task
    found: dict[str, Any] = {
        "group": asked.group,
        "family": task.family,
        "version": task.version,
        "kind": task.kind,
        "prompt": task.prompt,
        "chat": task.chat,
        "shots": task.shots,
        "examples": list(asked.examples),
        "max_new_tokens": task.max_new_tokens,
        "metrics": {name: asdict(metric) for name, metric in task.metrics.items()},
        "items": len(asked.items),
        "guessing": asked.guessing,
        "files": [{"path": path, "sha256": digest} for path, digest in asked.files],
    }
    return found


def model_facts(hashed: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the numbers of a model depend on beside tasks and items, for the manifest."""
    return {"model_hash": hashed, **settings}
