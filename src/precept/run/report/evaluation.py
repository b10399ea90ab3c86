"""The folder of ``precept eval``, as its page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.normalized_average import normalized_score
from precept.evaluate.page_items import PAIRED, SINGLE, Answer, Example, kind_of
from precept.evaluate.score_tables import Evaluation, Level, read_level, read_scores
from precept.run.eval.predictions import ITEMS
from precept.run.report.evaluation_parts import model_of, read_facts, read_parts, read_tables
from precept.run.report.items import Entry, ItemIndex, ItemPages, Place, Record, read_lines
from precept.run.report.run_files import RunFiles


class Indexed(NamedTuple):
    """What is kept of an item: its place, its task, and its scores by metric, the task's first one first."""

    place: Place
    id: str
    task: str
    scores: Mapping[str, float]

    @property
    def first(self) -> float:
        """The score that says what became of the item."""
        first, *_ = self.scores.values()
        return first


LIKELIHOOD = set(LIKELIHOOD_SCORES)
Pairs = Sequence[tuple[Indexed, Indexed | None]]


def read_evaluation(files: RunFiles, result: Record, pages: ItemPages, *, name: str, anchor: str) -> Evaluation:
    """Scores, items and how they came about, from the document ``result``."""
    other = result.get("against", {})
    models = _short(model_of(result)), _short(model_of(other)) if other else None
    pairs = list(_pairs(files, _item_files(result), _item_files(other)))
    shown = [pair for pair in pairs if not pair[0].scores.keys() & LIKELIHOOD]  # which is not right or wrong
    items = [*pages.add(_index(shown, models), title=name, anchor=anchor)]
    for label, names, others in _beside(result, other):
        more = list(_pairs(files, names, others))
        items += pages.add(_index(more, models, label=label), title=name, anchor=anchor)
    hrefs = {level.level: level.href for level in items}
    levels = tuple(_levels(result, other, hrefs))
    entry = {"tuned": result["overall"], "base": other.get("overall", {}), "difference": result.get("difference", {})}
    return Evaluation(
        name,
        models[0],
        base=models[1],
        overall=(read_level("all items", entry, href=f"#{anchor}" if items else None),) if len(levels) > 1 else (),
        groups=(*_groups(result, other), *_normalized(result, pairs)),
        levels=levels,
        parts=tuple(read_parts(result, hrefs)),
        tables=tuple(read_tables(result)),
        items=tuple(items),
        facts=read_facts(files, result),
    )


def _pairs(files: RunFiles, names: Sequence[str], others: Sequence[str]) -> Iterator[tuple[Indexed, Indexed | None]]:
    """Every item with the same one of the other model; alone where that model's items are not the same ones."""
    for number, name in enumerate(names):
        ours = list(_lines(files, name))
        theirs = list(_lines(files, others[number])) if number < len(others) else []
        if [item.id for item in ours] == [item.id for item in theirs]:
            yield from zip(ours, theirs, strict=True)
            continue
        if theirs:
            files.note(others[number], f"does not hold the items of {name}, so that nothing is paired")
        yield from ((item, None) for item in ours)


def _item_files(document: Record) -> Sequence[str]:
    """The item files that a document names; scored predictions have one."""
    return list(document.get("item_files", [ITEMS] if "items" in document else []))


def _beside(result: Record, other: Record) -> Iterator[tuple[str, Sequence[str], Sequence[str]]]:
    """(label, our files, theirs) of items that were asked in other words or again."""
    for variant, entry in result.get("variants", {}).items():
        yield variant, entry["item_files"], other.get("variants", {}).get(variant, {}).get("item_files", [])
    if "repeats" in result:
        yield "again", result["repeats"]["item_files"], other.get("repeats", {}).get("item_files", [])


def _lines(files: RunFiles, name: str) -> Iterator[Indexed]:
    for place, item in read_lines(files, name, holds="items and answers"):
        if item["scores"] or not item.get("refused"):  # a text that is too long has no likelihood
            yield Indexed(place, item["id"], item["task"], item["scores"])


def _index(pairs: Pairs, models: tuple[str, str | None], *, label: str = "") -> ItemIndex:
    """The items by task; a ``label`` tells those that were asked in other words or again."""
    paired = any(theirs for _, theirs in pairs)

    def example(records: Sequence[Record]) -> Example:
        ours = records[0]
        answers = [_answer(name or "base", record) for name, record in zip(models, records, strict=False)]
        return Example(ours["task"], ours["prompt"], tuple(ours["references"]), tuple(reversed(answers)), ours["id"])

    entries = [
        Entry(
            f"{ours.task}, {label}" if label else ours.task,
            kind_of(ours.first, None if theirs is None else theirs.first),
            ours.task,
            (ours.place, theirs.place) if theirs else (ours.place,),
        )
        for ours, theirs in pairs
    ]
    return ItemIndex(entries, PAIRED if paired else SINGLE, example)


def _answer(name: str, item: Record) -> Answer:
    turns = item.get("turns") or []
    text = "\n\n".join(f"[turn {n}]\n{turn}" for n, turn in enumerate(turns, start=1)) if turns else item["output"]
    if logps := item.get("option_logps"):
        text += "".join(f"\n{option}: log-probability {logp:.3f}" for option, logp in logps.items())
    extracted = item["extracted"] if item["extracted"] != item["output"] else None
    scores = tuple(item["scores"].items())
    return Answer(name, text, scores[0][1] == 1, extracted, scores, item["refused"])


def _levels(result: Record, other: Record, hrefs: Mapping[str, str | None]) -> Iterator[Level]:
    """Each task; the difference of a single one is that over all items."""
    tasks = result["tasks"]
    differences = result.get("task_differences", {})
    if len(tasks) == 1:
        differences = dict.fromkeys(tasks, result.get("difference", {}))
    for task, scores in tasks.items():
        base = other.get("tasks", {}).get(task, {})
        entry = {"tuned": scores, "base": base, "difference": differences.get(task, {})}
        if scores:
            yield read_level(task, entry, href=hrefs.get(task))


def _groups(result: Record, other: Record) -> Iterator[Level]:
    """The means of a suite's groups over their tasks."""
    theirs = other.get("suite", {}).get("scores", {})
    for name, scores in result.get("suite", {}).get("scores", {}).items():
        first, *_ = scores.values()
        yield Level(
            f"{name}, mean of {first['tasks']} tasks", read_scores(scores), base=read_scores(theirs.get(name, {}))
        )


def _normalized(result: Record, pairs: Pairs) -> Iterator[Level]:
    """Of groups with tasks that can be guessed the mean of normalised scores, in the group's first metric."""
    asked = result.get("asked", {})
    for group, scores in result.get("suite", {}).get("scores", {}).items():
        guessing = {task: entry["guessing"] for task, entry in asked.items() if entry["group"] == group}
        metric, *_ = scores
        values: dict[str, list[float]] = {}
        for ours, _ in pairs:
            if ours.task in guessing and metric in ours.scores:
                values.setdefault(ours.task, []).append(ours.scores[metric])
        if any(guessing[task] for task in values) and all(guessing[task] < 1 for task in values):
            found = normalized_score(values, guessing)
            yield Level(f"{group}, normalised: 0 is guessing, 100 is perfect", read_scores({metric: found}))


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] or model
