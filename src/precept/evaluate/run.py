"""Items to scored results, and results to the numbers that ``precept eval`` prints."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from precept.evaluate.choice import Choice
from precept.evaluate.extract import RULES
from precept.evaluate.ifeval import follow_all, score_followed
from precept.evaluate.items import Item
from precept.evaluate.likelihood import Likelihood, corpus_score
from precept.evaluate.metrics import LIKELIHOOD_SCORES, Split, best_score, find_score
from precept.evaluate.statistics import grouped_difference, grouped_interval
from precept.evaluate.task import Task
from precept.types import Generation

Scores = dict[str, dict[str, float]]
Dialogue = Sequence[Generation]
"""What was generated for one item: one answer, or one to each of its user turns."""


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one item. ``extracted`` is what the primary metric scored; ``scores`` are in 0..1, the primary
    one first; an item with ``refused`` was too long for the model's context and scores 0 in all.

    ``several`` holds the metrics that score an item more than once (the instructions of a prompt), whose mean stands
    in ``scores``. ``turns`` are the answers of a dialogue, the last of which is the ``output``. ``likelihood`` has
    ``logp``, ``tokens`` and ``bytes`` of what was scored by it.
    """

    id: str
    task: str
    prompt: str
    references: tuple[str, ...]
    output: str
    extracted: str
    scores: dict[str, float]
    refused: str | None = None
    option_logps: dict[str, float] = field(default_factory=dict)
    category: str | None = None
    several: dict[str, list[float]] = field(default_factory=dict)
    turns: tuple[str, ...] = ()
    likelihood: dict[str, float] = field(default_factory=dict)

    def values(self, metric: str) -> list[float]:
        """The scores of the item by a metric; none where that metric does not score it."""
        return self.several.get(metric) or ([self.scores[metric]] if metric in self.scores else [])


def evaluate(
    items: Sequence[Item],
    task: Task,
    *,
    prompt_text: Callable[[Item, Dialogue], str],
    answer: Callable[[Sequence[Item]], Sequence[Dialogue]] | None = None,
    choose: Callable[[Sequence[Item]], list[Choice]] | None = None,
    measure: Callable[[Sequence[Item]], list[Likelihood]] | None = None,
    split: Split | None = None,
) -> list[ItemResult]:
    """One result an item, in order. A task of kind ``choice`` needs ``choose``, of kind ``likelihood`` ``measure``, any
    other ``answer``; ``split`` is the tokenizer of a score that needs one. ``prompt_text`` tells what was read before
    the last answer, from the answers of the item's earlier turns."""
    if task.kind == "choice":
        assert choose is not None, "a choice task needs a chooser"
        return [
            _score_choice(item, task, choice, prompt_text(item, ()))
            for item, choice in zip(items, choose(items), strict=True)
        ]
    if task.kind == "likelihood":
        assert measure is not None, "texts need someone who knows their likelihood"
        return [
            _score_likelihood(item, task, found, prompt_text(item, ()))
            for item, found in zip(items, measure(items), strict=True)
        ]
    assert answer is not None, "a task whose answers are generated needs someone who answers"
    return [
        _score_answers(item, task, dialogue, prompt_text(item, dialogue[:-1]), split)
        for item, dialogue in zip(items, answer(items), strict=True)
    ]


def cut_at(text: str, stop: Sequence[str]) -> str:
    """The text up to the first of the texts ``stop`` in it."""
    return text[: min([place for mark in stop if (place := text.find(mark)) >= 0], default=len(text))]


def _score_answers(item: Item, task: Task, dialogue: Dialogue, prompt: str, split: Split | None) -> ItemResult:
    refused = next((turn.refused for turn in dialogue if turn.refused), None)
    turns = tuple(cut_at(turn.text, task.stop) for turn in dialogue)
    output = "" if refused else turns[-1]
    several: dict[str, list[float]] = {}
    if task.kind == "checks":
        several = _followed(item, task, output, refused)
        scores = {name: sum(values) / len(values) for name, values in several.items()}
    elif task.kind == "answers":
        scores = dict.fromkeys(task.metrics, float(not refused and all(turn.finished for turn in dialogue)))
    else:
        scores = {
            name: 0.0
            if refused
            else best_score(find_score(metric.score, split=split), RULES[metric.extract](output), item.references)
            for name, metric in task.metrics.items()
        }
    return ItemResult(
        item.id,
        item.task,
        prompt,
        item.references,
        output,
        RULES[task.metrics[task.primary].extract](output),
        scores,
        refused,
        category=item.category,
        several=several,
        turns=turns if len(turns) > 1 else (),
    )


def _followed(item: Item, task: Task, output: str, refused: str | None) -> dict[str, list[float]]:
    """IFEval's four readings of one answer: of the whole prompt and of each instruction, strict and loose."""
    readings = score_followed([follow_all(item.checks, output)])
    chosen = {name: readings[metric.score] for name, metric in task.metrics.items()}
    return {name: [0.0] * len(values) for name, values in chosen.items()} if refused else chosen


def _score_choice(item: Item, task: Task, choice: Choice, prompt: str) -> ItemResult:
    if choice.refused:
        scores = dict.fromkeys(task.metrics, 0.0)
        return ItemResult(
            item.id, item.task, prompt, item.references, "", "", scores, choice.refused, category=item.category
        )
    chosen = {name: item.options[choice.best(metric.normalization)] for name, metric in task.metrics.items()}
    scores = {name: float(option in item.references) for name, option in chosen.items()}
    answer = chosen[task.primary]
    logps = dict(zip(item.options, choice.logps, strict=True))
    return ItemResult(
        item.id, item.task, prompt, item.references, answer, answer, scores, None, logps, category=item.category
    )


def _score_likelihood(item: Item, task: Task, found: Likelihood, prompt: str) -> ItemResult:
    """A text that is too long to be scored has no score: none would be its worst."""
    if found.refused:
        return ItemResult(
            item.id, item.task, prompt, item.references, "", "", {}, found.refused, category=item.category
        )
    scores = {name: found.score(name) for name in task.metrics}
    numbers = {"logp": found.logp, "tokens": found.tokens, "bytes": found.bytes}
    return ItemResult(
        item.id, item.task, prompt, item.references, "", "", scores, category=item.category, likelihood=numbers
    )


def write_items(results: Sequence[ItemResult], path: Path) -> None:
    """One JSON object a line. A file of that name is replaced whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, b"".join(orjson.dumps(result) + b"\n" for result in results))


def replace_file(path: Path, data: bytes) -> None:
    """Write beside and rename, on the disk first: the old file stands or the new one, also when the power goes."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    with unfinished.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(unfinished, path)


def append_items(results: Sequence[ItemResult], path: Path) -> None:
    """Add lines to a file, so that they are on the disk when this returns."""
    with path.open("ab") as file:
        file.write(b"".join(orjson.dumps(result) + b"\n" for result in results))
        file.flush()
        os.fsync(file.fileno())


def read_items(path: Path) -> list[ItemResult]:
    """The results of a file up to the first line that a killed process left torn."""
    return list(_whole_lines(path)) if path.is_file() else []


def _whole_lines(path: Path) -> Iterator[ItemResult]:
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            values = orjson.loads(line)
            result = ItemResult(
                **{**values, "references": tuple(values["references"]), "turns": tuple(values.get("turns", ()))}
            )
        except (ValueError, TypeError, KeyError):
            return
        yield result


def by_task(results: Sequence[ItemResult]) -> dict[str, list[ItemResult]]:
    """Results under the names of their tasks, in order of first appearance."""
    groups: dict[str, list[ItemResult]] = {}
    for result in results:
        groups.setdefault(result.task, []).append(result)
    return groups


def by_words(results: Sequence[ItemResult], bounds: Sequence[int]) -> dict[str, list[ItemResult]]:
    """Results by the words of their first reference, as "0-2", "3-5", ..., ">10" for bounds 2, 5, 10; empty bins are
    left out."""
    starts = [0, *(bound + 1 for bound in bounds)]
    names = [f"{start}-{bound}" for start, bound in zip(starts, bounds, strict=False)] + [f">{bounds[-1]}"]
    bins: dict[str, list[ItemResult]] = {name: [] for name in names}
    for result in results:
        words = len(result.references[0].split()) if result.references else 0
        bins[names[sum(words > bound for bound in bounds)]].append(result)
    return {name: found for name, found in bins.items() if found}


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
        "tasks": {name: score_means(task, primary) for name, task in results.items()},
        "overall": score_means(everything, primary),
        "counts": {"too_long": sum(result.refused is not None for result in everything)},
    }
    if against is not None:
        others = [result for name in results for result in against[name]]
        summary["difference"] = _differences(everything, others, primary)
    return summary


def score_means(results: Sequence[ItemResult], primary: str | None = None) -> Scores:
    """``{METRIC: {value, low, high, n}}`` over all that a metric scored; the scores of one item hang together.
    Perplexity and bits per byte are those of all texts as one, in which each counts by its length."""
    means = {}
    for metric in _metrics(results, primary):
        if metric in LIKELIHOOD_SCORES:
            found = [Likelihood(**result.likelihood) for result in results if result.likelihood]  # type: ignore[arg-type]
            means[metric] = corpus_score(metric, found)
            continue
        groups = [values for result in results if (values := result.values(metric))]
        values = [value for group in groups for value in group]
        low, high = grouped_interval([groups])
        means[metric] = {"value": sum(values) / len(values), "low": low, "high": high, "n": len(values)}
    return means


def _differences(ours: Sequence[ItemResult], theirs: Sequence[ItemResult], primary: str | None) -> Scores:
    assert [result.id for result in ours] == [result.id for result in theirs], "needs the same items"
    return {
        metric: grouped_difference(
            [values for result in ours if (values := result.values(metric))],
            [values for result in theirs if (values := result.values(metric))],
        )
        for metric in _metrics(ours, primary)
    }


def _metrics(results: Sequence[ItemResult], primary: str | None) -> list[str]:
    """Names in order of first appearance, ``primary`` and its lenient variant before all others."""
    names = list(dict.fromkeys(name for result in results for name in result.scores))
    first = [name for name in (primary, f"{primary}_lenient") if name in names]
    return first + [name for name in names if name not in first]
