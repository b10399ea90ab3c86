"""The folder of ``precept judge``, as its page shows it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from precept.evaluate.page_items import Answer, Example
from precept.evaluate.page_judge import RULE, Judging, Rating
from precept.evaluate.score_tables import read_score
from precept.run.judge.store import NAME
from precept.run.judge.text import COUNTS, HABITS, PER_CENT, VOTES
from precept.run.report.items import Entry, ItemIndex, ItemPages, Record, read_lines
from precept.run.report.run_files import RunFiles

LEVEL = "all judgments"
KINDS = ("unparsable", "read")
BY = {"by_category": "By category", "by_turn": "By turn", "relative_by_category": "Relative score by category"}


def read_judging(files: RunFiles, result: Record, pages: ItemPages, *, name: str, anchor: str) -> Judging:
    """Ratings, counts and judgments, from the document ``result``; annotations of others have no judgments here."""
    entries = []
    if "judgments" in result:
        for place, row in read_lines(files, NAME, holds="every judgment with its prompt"):
            kind = "unparsable" if row["verdict"] is None else "read"
            entries.append(Entry(LEVEL, kind, str(row["question"]), (place,)))
    items = pages.add(ItemIndex(entries, KINDS, _example, RULE), title=name, anchor=f"{anchor}-items")
    return Judging(
        name,
        _told(result),
        ratings=tuple(_ratings(result)),
        parts=tuple(
            (title, tuple(_divided(result[key], is_grade="score" in result)))
            for key, title in BY.items()
            if result.get(key)
        ),
        counts=tuple((key.replace("_", " "), f"{result[key]:,}") for key in COUNTS if result.get(key) is not None),
        notes=tuple(_notes(result)),
        items=items,
    )


def _told(result: Record) -> str:
    """Who was judged by whom, on how many questions."""
    told = f"{result['protocol']}: {result.get('model') or result.get('annotations')}"
    if result.get("against"):
        told += f" against {result['against']}"
    counted = {"questions": "questions", "rows": "annotations"}
    told += "".join(f", {result[key]:,} {name}" for key, name in counted.items() if key in result)
    return f"{told}, judged by {result['judge']}." if result.get("judge") else f"{told}."


def _ratings(result: Record) -> Iterator[Rating]:
    """All rates and grades that the document holds at its top."""
    for key in (*PER_CENT, *HABITS, *VOTES):
        if entry := result.get(key):
            error = result.get("standard_error") if key == "win_rate" else None
            yield Rating(key.replace("_", " "), read_score(entry), standard_error=error)
    if grade := result.get("score"):
        yield Rating("grade, 0 to 10", read_score(grade), is_grade=True)


def _divided(entries: Mapping[str, Any], *, is_grade: bool) -> Iterator[Rating]:
    """Ratings by category or turn: a grade, a relative score, or the win rates of a comparison."""
    for name, entry in entries.items():
        if entry is None:
            continue
        if "win_rate" not in entry:
            yield Rating(name, read_score(entry), is_grade=is_grade)
        elif entry["win_rate"]:
            ties = (
                f"{entry['wins']} won, {entry['losses']} lost, {entry['ties']} tied, {entry['unparsable']} unparsable"
            )
            yield Rating(f"{name}: win rate ({ties})", read_score(entry["win_rate"]))


def _notes(result: Record) -> Iterator[str]:
    if reason := result.get("length_control", {}).get("reason"):
        yield f"No length-controlled win rate: {reason}."
    if points := result.get("points"):
        yield f"Points: {points['model']:g} to {points['against']:g}."
    if chance := result.get("chance"):
        alone, without = (f"{100 * chance[key]:.0f} %" for key in VOTES)
        yield f"Votes at random agree in {alone}, without ties in {without}."
    if "order_consistency" in result:
        yield "Both orders were asked: a side wins only where both agree, and where they differ it is a tie."


def _example(records: Sequence[Record]) -> Example:
    (row,) = records
    verdict = "unparsable" if row["verdict"] is None else str(row["verdict"])
    answer = Answer(f"judge: {row['judge']}", row["reply"], extracted=verdict)
    name = f"question {row['question']}, turn {row['turn']}, order {row['order']}"
    return Example(LEVEL, row["prompt"], (), (answer,), name)
