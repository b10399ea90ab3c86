"""Items to scored results, and results to the numbers that ``precept eval`` prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from precept.evaluate.choice import Choice
from precept.evaluate.extract import RULES
from precept.evaluate.items import Item
from precept.evaluate.metrics import SCORES, best_score
from precept.evaluate.statistics import interval, paired_difference
from precept.evaluate.task import Task
from precept.ports import Sampler
from precept.types import IntArray

Scores = dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item. ``extracted`` is what the primary metric scored; ``scores`` are in 0..1, the primary
    one first; an item with ``refused`` was too long for the model's context and scores 0 in all."""

    id: str
    task: str
    prompt: str
    references: tuple[str, ...]
    output: str
    extracted: str
    scores: dict[str, float]
    refused: str | None = None
    option_logps: dict[str, float] = field(default_factory=dict)


def evaluate(
    items: Sequence[Item],
    task: Task,
    *,
    prompt_text: Callable[[Item], str],
    prompt_ids: Callable[[Item], IntArray] | None = None,
    sampler: Sampler | None = None,
    choose: Callable[[Sequence[Item]], list[Choice]] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[ItemResult]:
    """One result an item, in order. A task of kind ``generate`` needs ``prompt_ids`` and ``sampler``, one of kind
    ``choice`` needs ``choose``."""
    if task.kind == "choice":
        assert choose is not None, "a choice task needs a chooser"
        return [
            _score_choice(item, task, choice, prompt_text(item))
            for item, choice in zip(items, choose(items), strict=True)
        ]
    assert prompt_ids is not None and sampler is not None, "a generation task needs prompts and a sampler"
    generations = sampler.generate(
        [prompt_ids(item) for item in items], max_new_tokens=task.max_new_tokens, progress=progress
    )
    return [
        _score_text(item, task, generation.text, generation.refused, prompt_text(item))
        for item, generation in zip(items, generations, strict=True)
    ]


def _score_text(item: Item, task: Task, output: str, refused: str | None, prompt: str) -> ItemResult:
    scores = {
        name: 0.0 if refused else best_score(SCORES[metric.score], RULES[metric.extract](output), item.references)
        for name, metric in task.metrics.items()
    }
    extracted = RULES[task.metrics[task.primary].extract](output)
    return ItemResult(item.id, item.task, prompt, item.references, output, extracted, scores, refused)


def _score_choice(item: Item, task: Task, choice: Choice, prompt: str) -> ItemResult:
    if choice.refused:
        scores = dict.fromkeys(task.metrics, 0.0)
        return ItemResult(item.id, item.task, prompt, item.references, "", "", scores, choice.refused)
    chosen = {
        "option": item.options[choice.index],
        "option_normalized": item.options[choice.index_normalized],
    }
    scores = {name: float(chosen[metric.score] in item.references) for name, metric in task.metrics.items()}
    answer = chosen[task.metrics[task.primary].score]
    logps = dict(zip(item.options, choice.logps, strict=True))
    return ItemResult(item.id, item.task, prompt, item.references, answer, answer, scores, None, logps)


def write_items(results: Sequence[ItemResult], path: Path) -> None:
    """One JSON object a line. A file of that name is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_bytes(b"".join(orjson.dumps(result) + b"\n" for result in results))
    os.replace(unfinished, path)


def by_task(results: Sequence[ItemResult]) -> dict[str, list[ItemResult]]:
    """Results under the names of their tasks, in order of first appearance."""
    groups: dict[str, list[ItemResult]] = {}
    for result in results:
        groups.setdefault(result.task, []).append(result)
    return groups


def summarize(
    results: Mapping[str, Sequence[ItemResult]],
    *,
    against: Mapping[str, Sequence[ItemResult]] | None = None,
    primary: str | None = None,
) -> dict[str, Any]:
    """``{tasks: {NAME: {METRIC}}, overall: {METRIC}, difference?: {METRIC}, counts}``, values in 0..1.

    ``overall`` is over all items that the metric scored, whatever their task; ``difference`` is ours minus
    ``against`` on the same items; ``primary`` with its lenient variant comes first, else each task's own order holds.
    ``counts.too_long`` are the items that no model could be asked, scored 0.
    """
    everything = [result for task in results.values() for result in task]
    assert everything, "needs results"
    summary: dict[str, Any] = {
        "tasks": {name: _means(task, primary) for name, task in results.items()},
        "overall": _means(everything, primary),
        "counts": {"too_long": sum(result.refused is not None for result in everything)},
    }
    if against is not None:
        others = [result for name in results for result in against[name]]
        summary["difference"] = _differences(everything, others, primary)
    return summary


def _means(results: Sequence[ItemResult], primary: str | None) -> Scores:
    means = {}
    for metric in _metrics(results, primary):
        values = [result.scores[metric] for result in results if metric in result.scores]
        low, high = interval(values)
        means[metric] = {"value": sum(values) / len(values), "low": low, "high": high, "n": len(values)}
    return means


def _differences(ours: Sequence[ItemResult], theirs: Sequence[ItemResult], primary: str | None) -> Scores:
    assert [result.id for result in ours] == [result.id for result in theirs], "needs the same items"
    differences = {}
    for metric in _metrics(ours, primary):
        pairs = [(a.scores[metric], b.scores[metric]) for a, b in zip(ours, theirs, strict=True) if metric in a.scores]
        differences[metric] = paired_difference([a for a, _ in pairs], [b for _, b in pairs])
    return differences


def _metrics(results: Sequence[ItemResult], primary: str | None) -> list[str]:
    """Names in order of first appearance, ``primary`` and its lenient variant before all others."""
    names = list(dict.fromkeys(name for result in results for name in result.scores))
    first = [name for name in (primary, f"{primary}_lenient") if name in names]
    return first + [name for name in names if name not in first]
