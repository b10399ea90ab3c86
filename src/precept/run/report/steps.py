"""Folders of training and evaluation steps into the structures of the page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from precept.evaluate.examples import Answer, Example
from precept.evaluate.page import DataFile, Training
from precept.evaluate.page_parts import Facts
from precept.evaluate.score_tables import Evaluation, Level, read_scores
from precept.evaluate.statistics import paired_difference
from precept.evaluate.svg import Points
from precept.run.data.rows import count_reasons
from precept.run.eval.evaluate import RESULT
from precept.run.output import COMPLETED, MANIFEST
from precept.run.report.levels import read_levels
from precept.run.report.run_files import TRAINING_FILES, RunFiles
from precept.run.settings import parse_settings

Records = Sequence[Mapping[str, Any]]
OVERALL = "overall"


def read_training(files: RunFiles) -> tuple[Training, dict[str, Any]]:
    """A training folder: what its page shows, and its manifest beside its result under ``COMPLETED``."""
    manifest, environment, data, result = (
        files.document(name, holds=TRAINING_FILES[name])
        for name in (MANIFEST, "environment.json", "data_manifest.json", COMPLETED)
    )
    metrics = files.lines("metrics.jsonl", holds=TRAINING_FILES["metrics.jsonl"])
    steps = [record for record in metrics if "loss" in record]
    training = Training(
        files.folder.resolve().name,
        loss=_curve(steps, "loss"),
        eval_loss=_curve(metrics, "eval_loss"),
        learning_rate=_curve(steps, "learning_rate"),
        tokens=result.get("tokens") or _token_sums(steps),
        files=tuple(_data_file(file) for file in data.get("files", ())),
        rows=_row_facts(data),
        left_out=tuple(count_reasons(row["reason"] for row in data.get("left_out", ()))),
        settings=changed_settings(manifest.get("with", {})),
        samples=_samples(metrics),
        machine=_machine(environment),
        card=read_card(files.text("README.md", holds=TRAINING_FILES["README.md"])),
    )
    return training, {**manifest, COMPLETED: result}


def read_evaluation(files: RunFiles) -> Evaluation:
    """A folder of ``precept eval``: scores and items. Differences by task are computed from the items with the
    evaluation's own test."""
    result = files.document(RESULT, holds="the scores, written when the evaluation is done")
    if not result:
        return Evaluation(files.folder.resolve().name, "model")
    if "levels" in result:
        return read_levels(files, result)
    other = result.get("against", {})
    ours, theirs = _items(files, result), _items(files, other)
    paired = len(ours) == len(theirs) and all(a["id"] == b["id"] for a, b in zip(ours, theirs, strict=True))
    pairs = list(zip(ours, theirs, strict=True)) if paired else [(item, None) for item in ours]
    levels = [_level(OVERALL, result["overall"], other.get("overall", {}), result.get("difference", {}))]
    for name, scores in result["tasks"].items():
        differences = _differences([(a, b) for a, b in pairs if b and a["task"] == name], scores)
        levels.append(_level(name, scores, other.get("tasks", {}).get(name, {}), differences))
    return Evaluation(
        files.folder.resolve().name,
        _short(result["model"]),
        base=_short(other["model"]) if other else None,
        levels=tuple(levels if len(levels) > 2 else levels[1:]),  # one task is all there is
        examples=tuple(_example(a, b) for a, b in pairs),
        facts=_evaluation_facts(files, result),
    )


def _evaluation_facts(files: RunFiles, result: Mapping[str, Any]) -> Facts:
    """Which models, how many items could not be asked, and what else a recipe's step had set."""
    facts = {"model": result["model"]}
    if "against" in result:
        facts["compared with"] = result["against"]["model"]
    if too_long := result["counts"]["too_long"]:
        facts["longer than the context, scored wrong"] = f"{too_long} items"
    given = files.document(MANIFEST, holds="").get("with", {}) if (files.folder / MANIFEST).is_file() else {}
    facts |= {key: _shown(value) for key, value in given.items() if key not in ("model", "against")}
    return tuple(facts.items())


def changed_settings(given: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Settings that differ from their defaults, as (key, value, default)."""
    defaults = parse_settings({}).flat()
    changed = {key: value for key, value in given.items() if value != defaults.get(key)}
    return tuple((key, _shown(value), _shown(defaults.get(key))) for key, value in changed.items())


def read_card(text: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The lists of a model card by heading, without Markdown's backticks."""
    parts = []
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        lines = [line.removeprefix("- ").replace("`", "") for line in body.splitlines() if line.startswith("- ")]
        parts.append((heading.strip(), tuple(lines)))
    return tuple(parts)


def _curve(records: Records, key: str) -> Points:
    """(step, value) where a record holds the value; one that is not finite is stored as null."""
    return tuple((float(record["step"]), float(record[key])) for record in records if record.get(key) is not None)


def _token_sums(steps: Records) -> dict[str, int]:
    """What an unfinished run has counted so far."""
    names = ("real", "distinct", "trained")
    return {name: sum(record[f"{name}_tokens"] for record in steps) for name in names} if steps else {}


def _data_file(entry: Mapping[str, Any]) -> DataFile:
    given = {key: entry[key] for key in ("path", "rows", "kept", "licence", "sha256")}
    return DataFile(format=entry["format"] or "refused", notes=tuple(entry["notes"]), **given)


def _row_facts(data: Mapping[str, Any]) -> Facts:
    rows = [(f"rows {name.replace('_', ' ')}", f"{count:,}") for name, count in data.get("rows", {}).items()]
    limit = [("longest sequence allowed", f"{data['max_length']:,} tokens")] if "max_length" in data else []
    notices = [("notice", notice) for notice in data.get("notices", ())]
    whole = [("hash of all rows", data["hash"])] if "hash" in data else []
    return (*rows, *limit, *notices, *whole)


def _samples(metrics: Records) -> tuple[tuple[str, str, str], ...]:
    """The first and the last answer to each prompt that was asked on the way, where there are two."""
    asked: dict[str, list[tuple[int, str]]] = {}
    for record in metrics:
        if sample := record.get("sample"):
            asked.setdefault(sample["prompt_tail"], []).append((record["step"], sample["answer"]))
    return tuple((tail, a[0][1], a[-1][1]) for tail, a in asked.items() if a[0][0] == 0 < a[-1][0])


def _machine(environment: Mapping[str, Any]) -> Facts:
    versions = environment.get("versions", {})
    facts = [(name, str(value)) for name, value in environment.items() if name != "versions"]
    return (*facts, *versions.items())


def _items(files: RunFiles, result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The items of every file that the result names, in order of tasks."""
    return [item for name in result.get("item_files", ()) for item in files.lines(name, holds="items and answers")]


def _level(name: str, tuned: Any, base: Any, difference: Any) -> Level:
    return Level(name, read_scores(tuned), base=read_scores(base), difference=read_scores(difference))


def _differences(pairs: Sequence[tuple[Any, Any]], metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    differences = {}
    for metric in metrics:
        both = [(a["scores"][metric], b["scores"][metric]) for a, b in pairs if metric in a["scores"]]
        if both:
            differences[metric] = paired_difference([a for a, _ in both], [b for _, b in both])
    return differences


def _example(ours: Mapping[str, Any], theirs: Mapping[str, Any] | None) -> Example:
    base = _answer(theirs) if theirs else None
    return Example(ours["task"], ours["task"], ours["prompt"], tuple(ours["references"]), _answer(ours), base)


def _answer(item: Mapping[str, Any]) -> Answer:
    """Right is a full score in ``exact_match``, or in the primary metric of tasks that do not have it."""
    scores = item["scores"]
    return Answer(item["output"], scores.get("exact_match", next(iter(scores.values()))) == 1, item["refused"])


def _short(model: str) -> str:
    return model.rstrip("/").rpartition("/")[2] or model


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
