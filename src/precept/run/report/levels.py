"""The levels of a quickstart, as its page shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from precept.evaluate.metrics import SCORES, best_score
from precept.evaluate.page_items import PAIRED, Answer, Example, kind_of
from precept.evaluate.score_tables import Evaluation, read_level
from precept.run.report.items import Entry, ItemIndex, ItemPages, Record, read_lines
from precept.run.report.run_files import RunFiles

ITEMS = "items.jsonl"
TUNED, BASE = "tuned", "base, best way"
PART_NAMES = {
    "new_combination": "new combinations of known words",
    "new_key_word": "with a key word that the task was never put in",
}


def read_levels(files: RunFiles, result: Record, pages: ItemPages, *, name: str, anchor: str) -> Evaluation:
    """A folder with the quickstart's ``result.json`` and its items."""
    levels = result["levels"]
    entries = [
        Entry(_name(item["level"]), kind_of(_score(item, "tuned"), _score(item, "base")), item["task"], (place,))
        for place, item in read_lines(files, ITEMS, holds="items and answers")
    ]
    items = pages.add(ItemIndex(entries, PAIRED, _example), title=name, anchor=anchor)
    hrefs = {level.level: level.href for level in items}
    return Evaluation(
        name,
        TUNED,
        base=BASE,
        levels=tuple(
            read_level(_name(level), entry, note=_note(entry), href=hrefs.get(_name(level)))
            for level, entry in levels.items()
        ),
        items=items,
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


def _score(item: Record, who: str) -> float:
    return best_score(SCORES["exact_match"], item[who], item["references"])


def _example(records: Sequence[Record]) -> Example:
    (item,) = records
    answers = [Answer(name, item[who], _score(item, who) == 1) for name, who in ((BASE, "base"), (TUNED, "tuned"))]
    return Example(item["task"], item["prompt"], tuple(item["references"]), tuple(answers), item.get("id", ""))
