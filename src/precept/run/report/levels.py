"""The levels of a quickstart, as its page shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from precept.evaluate.examples import Answer, Example
from precept.evaluate.metrics import SCORES, best_score
from precept.evaluate.score_tables import Evaluation, read_level
from precept.run.report.run_files import RunFiles

ITEMS = "items.jsonl"
PART_NAMES = {
    "new_combination": "new combinations of known words",
    "new_key_word": "with a key word that the task was never put in",
}


def read_levels(files: RunFiles, result: Mapping[str, Any]) -> Evaluation:
    """A folder with the quickstart's ``result.json`` and its items."""
    levels = result["levels"]
    items = files.lines(ITEMS, holds="items and answers")
    return Evaluation(
        files.folder.resolve().name,
        "tuned",
        base="base, best way",
        levels=tuple(read_level(_name(level), entry, note=_note(entry)) for level, entry in levels.items()),
        examples=tuple(_example(item) for item in items),
        facts=tuple((f"base, best way on {_name(level)}", entry["base_way"]) for level, entry in levels.items()),
    )


def _name(level: str) -> str:
    return level.replace("_", " ")


def _note(entry: Mapping[str, Any]) -> str:
    parts = [
        f"{PART_NAMES[name]} {100 * part['exact_match']['value']:.1f} % of {part['exact_match']['n']:,}"
        for name, part in entry["parts"].items()
        if name in PART_NAMES
    ]
    return " ".join([entry["told"], *([f"Tuned, exact match: {'; '.join(parts)}."] if parts else [])])


def _example(item: Mapping[str, Any]) -> Example:
    references = tuple(item["references"])
    tuned, base = (
        Answer(item[who], best_score(SCORES["exact_match"], item[who], references) == 1) for who in ("tuned", "base")
    )
    return Example(_name(item["level"]), item["task"], item["prompt"], references, tuned, base)
