"""The folder of ``precept eval``, as its page shows it. Differences by task are computed from the items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from precept.evaluate.page_items import PAIRED, SINGLE, Answer, Example, kind_of
from precept.evaluate.page_parts import Facts
from precept.evaluate.score_tables import Evaluation, Level, Part, read_level, read_scores
from precept.evaluate.statistics import paired_difference
from precept.run.eval.predictions import ITEMS
from precept.run.output import MANIFEST
from precept.run.report.items import Entry, ItemIndex, ItemPages, Place, Record, read_lines
from precept.run.report.run_files import RunFiles
from precept.run.report.training import show_setting

Values: TypeAlias = Mapping[str, Sequence[float]]
ITEMS_HOLD = "items and answers"


class Indexed(NamedTuple):
    """What is kept of an item: its place, its task, and all its scores by metric."""

    place: Place
    id: str
    task: str
    scores: Values


def read_evaluation(files: RunFiles, result: Record, pages: ItemPages, *, name: str, anchor: str) -> Evaluation:
    """Scores, items and how they came about, from the document ``result``."""
    other = result.get("against", {})
    pairs = list(_pairs(files, result, other))
    models = _short(_model(result)), _short(_model(other)) if other else None
    items = pages.add(_index(pairs, models), title=name, anchor=anchor)
    hrefs = {level.level: level.href for level in items}
    both = _scores_of_both(pairs)
    entry = {"tuned": result["overall"], "base": other.get("overall", {}), "difference": result.get("difference", {})}
    levels = tuple(
        read_level(
            task,
            {
                "tuned": scores,
                "base": other.get("tasks", {}).get(task, {}),
                "difference": _differences(both.get(task, ())),
            },
            href=hrefs.get(task),
        )
        for task, scores in result["tasks"].items()
        if scores
    )
    return Evaluation(
        name,
        models[0],
        base=models[1],
        overall=(read_level("all items", entry, href=f"#{anchor}" if items else None),) if len(levels) > 1 else (),
        groups=tuple(_groups(result)),
        levels=levels,
        parts=tuple(_parts(result, hrefs)),
        items=items,
        facts=_facts(files, result),
        asked=_asked(result.get("asked", {})),
    )


def _pairs(files: RunFiles, result: Record, other: Record) -> Iterator[tuple[Indexed, Indexed | None]]:
    """Every item with the same one of the other model; alone where that model's items are not the same ones."""
    names, others = _item_files(result), _item_files(other)
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


def _lines(files: RunFiles, name: str) -> Iterator[Indexed]:
    for place, item in read_lines(files, name, holds=ITEMS_HOLD):
        scores = {metric: [score] for metric, score in item["scores"].items()} | item.get("several", {})
        yield Indexed(place, item["id"], item["task"], scores)


def _index(pairs: Sequence[tuple[Indexed, Indexed | None]], models: tuple[str, str | None]) -> ItemIndex:
    paired = any(theirs for _, theirs in pairs)

    def example(records: Sequence[Record]) -> Example:
        ours = records[0]
        answers = [_answer(name or "base", record) for name, record in zip(models, records, strict=False)]
        return Example(ours["task"], ours["prompt"], tuple(ours["references"]), tuple(reversed(answers)), ours["id"])

    entries = [
        Entry(
            ours.task,
            kind_of(_first(ours), None if theirs is None else _first(theirs)),
            ours.task,
            (ours.place, theirs.place) if theirs else (ours.place,),
        )
        for ours, theirs in pairs
    ]
    return ItemIndex(entries, PAIRED if paired else SINGLE, example)


def _first(item: Indexed) -> float:
    """The mean score in the task's first metric."""
    values = next(iter(item.scores.values()))
    return sum(values) / len(values)


def _answer(name: str, item: Record) -> Answer:
    turns = item.get("turns") or []
    text = "\n\n".join(f"[turn {n}]\n{turn}" for n, turn in enumerate(turns, start=1)) if turns else item["output"]
    if logps := item.get("option_logps"):
        text += "".join(f"\n{option}: log-probability {logp:.3f}" for option, logp in logps.items())
    extracted = item["extracted"] if item["extracted"] != item["output"] else None
    scores = tuple(item["scores"].items())
    return Answer(name, text, next(iter(item["scores"].values())) == 1, extracted, scores, item["refused"])


def _scores_of_both(pairs: Sequence[tuple[Indexed, Indexed | None]]) -> dict[str, list[tuple[Values, Values]]]:
    """By task the scores of both models on each item that both were asked."""
    found: dict[str, list[tuple[Values, Values]]] = {}
    for ours, theirs in pairs:
        if theirs is not None:
            found.setdefault(ours.task, []).append((ours.scores, theirs.scores))
    return found


def _differences(both: Sequence[tuple[Values, Values]]) -> dict[str, dict[str, float]]:
    """The paired difference of each metric, ours minus theirs."""
    metrics = dict.fromkeys(metric for ours, theirs in both for metric in ours if metric in theirs)
    return {
        metric: paired_difference(
            [value for ours, theirs in both if metric in theirs for value in ours.get(metric, ())],
            [value for ours, theirs in both if metric in ours for value in theirs.get(metric, ())],
        )
        for metric in metrics
    }


def _groups(result: Record) -> Iterator[Level]:
    """The means of a suite's groups over their tasks."""
    for name, scores in result.get("suite", {}).get("scores", {}).items():
        tasks = next(iter(scores.values()))["tasks"]
        yield Level(f"{name}, mean of {tasks} tasks", read_scores(scores))


def _parts(result: Record, hrefs: Mapping[str, str | None]) -> Iterator[Part]:
    told = "By the words of the first reference."
    for task, bins in result.get("parts", {}).items():
        levels = tuple(
            Level(f"{name} words", read_scores(scores), href=hrefs.get(task)) for name, scores in bins.items()
        )
        yield Part(f"By length: {task}", told, levels)


def _facts(files: RunFiles, result: Record) -> Facts:
    """What was asked by what, what could not be asked, and what else a recipe's step had set."""
    facts = {"model": _model(result)}
    if "against" in result:
        facts["compared with"] = _model(result["against"])
    facts |= {
        key.replace("_", " "): str(result[key]) for key in ("model_hash", "date", "seed", "scope") if key in result
    }
    if versions := result.get("versions"):
        facts["versions"] = ", ".join(f"{name} {version}" for name, version in versions.items())
    told = {
        "too_long": "longer than the context, scored wrong",
        "empty": "empty",
        "nothing_extracted": "no answer found",
    }
    for key, name in told.items():
        if count := result["counts"].get(key):
            facts[name] = f"{count:,} items"
    given = files.document(MANIFEST, holds="").get("with", {}) if (files.folder / MANIFEST).is_file() else {}
    facts |= {key: show_setting(value) for key, value in given.items() if key not in ("model", "against")}
    return tuple(facts.items())


def _asked(asked: Mapping[str, Record]) -> tuple[tuple[str, ...], ...]:
    """How each task was asked, as a table."""
    rows = [
        (
            name,
            task["kind"],
            str(task["shots"]),
            "chat template" if task["chat"] else "plain text",
            str(task["max_new_tokens"]),
            "; ".join(f"{metric}: {rule['extract']}" for metric, rule in task["metrics"].items()),
            str(task["version"]),
            "; ".join(f"{file['path']} ({file['sha256'][:16]})" for file in task["files"]),
        )
        for name, task in asked.items()
    ]
    columns = ("task", "kind", "shots", "prompt", "most tokens", "answers read by", "version", "data and hash")
    return (columns, *rows) if rows else ()


def _model(document: Record) -> str:
    return str(document.get("model") or document["predictions"])


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] or model
