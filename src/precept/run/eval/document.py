"""The JSON document of an evaluation: scores, what they depend on, and where the items are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from precept.evaluate import ItemResult, by_task, summarize
from precept.evaluate.best_template import best_template
from precept.evaluate.run import by_words, score_means
from precept.evaluate.statistics import add_p_holm, holm, verdict
from precept.evaluate.suite import Suite, group_scores
from precept.run.eval.byte_bpe import hash_byte_bpe
from precept.run.eval.tasks import Asked

Results = Sequence[tuple[Asked, Sequence[ItemResult]]]
"""Every task with its results, in order."""


def score_document(
    results: Results, *, in_chat: bool, against: Results | None = None, suite: Suite | None = None
) -> dict[str, Any]:
    """``{suite?, tasks, overall, difference?, p_holm?, verdict?, task_differences?, counts, parts?, asked}``.

    ``suite`` is the unweighted mean over the tasks of each group, ``parts`` the scores by the length of the reference
    where a task wants them, ``verdict`` says better, worse or undecided of each difference by its own p, ``p_holm`` is
    corrected for all metrics, in ``task_differences`` for all tasks and metrics, and ``asked`` tells how each task was
    asked. ``in_chat`` says that the model has a chat template, through which it is asked where a task wants that.
    """
    merged = _merged(results)
    others = None if against is None else _merged(against)
    document = summarize(merged, against=others)
    if others is not None:
        difference = document["difference"]
        document["p_holm"] = holm({metric: found["p"] for metric, found in difference.items()})
        document["verdict"] = {metric: verdict(found) for metric, found in difference.items()}
        if len(merged) > 1:
            document["task_differences"] = _task_differences(merged, others)
    if suite is not None:
        scores, templates = _groups(results), _templates(results)
        chosen = {"templates": templates} if templates else {}
        document = {"suite": {"name": suite.name, "about": suite.about, "scores": scores, **chosen}, **document}
    parts = {
        asked.task.name: {name: score_means(part) for name, part in by_words(own, asked.task.bins).items()}
        for asked, own in results
        if asked.task.bins
    }
    return {
        **document,
        **({"parts": parts} if parts else {}),
        "asked": {a.task.name: _asked(a, in_chat) for a, _ in results},
    }


def _merged(results: Results) -> dict[str, list[ItemResult]]:
    """Results by the task that each item names: two folders may hold parts of one task."""
    return by_task([result for _, own in results for result in own])


def _task_differences(
    ours: Mapping[str, Sequence[ItemResult]], theirs: Mapping[str, Sequence[ItemResult]]
) -> dict[str, Any]:
    """``{TASK: {METRIC: {value, low, high, p, n, p_holm}}}``."""
    found = {name: summarize({name: own}, against={name: theirs[name]})["difference"] for name, own in ours.items()}
    add_p_holm(entry for metrics in found.values() for entry in metrics.values())
    return found


def _groups(results: Results) -> dict[str, Any]:
    groups: dict[str, dict[str, Sequence[ItemResult]]] = {}
    for asked, own in results:
        groups.setdefault(asked.group, {})[asked.task.name] = own
    return {name: group_scores(tasks) for name, tasks in groups.items()}


def _templates(results: Results) -> dict[str, Any]:
    """``{DATASET: {METRIC: {mean, best}}}`` of the data sets that several templates put: the mean over templates, and
    the template that is best on other items (``evaluate.best_template``)."""
    datasets: dict[str, dict[str, Sequence[ItemResult]]] = {}
    for asked, own in results:
        if asked.dataset is not None:
            datasets.setdefault(asked.dataset, {})[asked.task.name] = own
    found = {}
    for name, tasks in datasets.items():
        means = group_scores(tasks)
        if best := best_template(tasks):
            found[name] = {metric: {"mean": means[metric], "best": entry} for metric, entry in best.items()}
    return found


def _asked(asked: Asked, in_chat: bool) -> dict[str, Any]:
    task = asked.task
    found: dict[str, Any] = {
        "group": asked.group,
        "family": task.family,
        "version": task.version,
        "kind": task.kind,
        "prompt": task.prompt,
        "chat": task.chat and in_chat,
        "shots": task.shots,
        "examples": list(asked.examples),
        "max_new_tokens": task.max_new_tokens,
        "metrics": {name: asdict(metric) for name, metric in task.metrics.items()},
        "items": len(asked.items),
        "guessing": asked.guessing,
        "files": [{"path": path, "sha256": digest} for path, digest in asked.files],
    }
    if task.needs_tokenizer and task.rouge_tokenizer is not None:
        found["rouge_tokenizer"] = {"path": task.rouge_tokenizer, "sha256": hash_byte_bpe(task.rouge_tokenizer)}
    return found
