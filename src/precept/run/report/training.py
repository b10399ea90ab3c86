"""The folder of a training step, as its page shows it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from precept.evaluate.page import DataFile, Training
from precept.evaluate.page_parts import Facts
from precept.evaluate.svg import Points
from precept.run.data.rows import count_reasons
from precept.run.output import COMPLETED, MANIFEST
from precept.run.report.run_files import TRAINING_FILES, RunFiles
from precept.run.settings import parse_settings

Records = Sequence[Mapping[str, Any]]


def read_training(files: RunFiles, name: str) -> tuple[Training, dict[str, Any]]:
    """A training folder: what its page shows under ``name``, and its manifest beside its result under
    ``COMPLETED``."""
    manifest, environment, data, result = (
        files.document(name, holds=TRAINING_FILES[name])
        for name in (MANIFEST, "environment.json", "data_manifest.json", COMPLETED)
    )
    metrics = files.lines("metrics.jsonl", holds=TRAINING_FILES["metrics.jsonl"])
    steps = [record for record in metrics if "loss" in record]
    training = Training(
        name,
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


def changed_settings(given: Mapping[str, Any]) -> tuple[tuple[str, str, str], ...]:
    """Settings that differ from their defaults, as (key, value, default)."""
    defaults = parse_settings({}).flat()
    changed = {key: value for key, value in given.items() if value != defaults.get(key)}
    return tuple((key, show_setting(value), show_setting(defaults.get(key))) for key, value in changed.items())


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


def show_setting(value: Any) -> str:
    """A setting as it is written in a recipe."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "not set" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
