"""Numbers from judgments that others made: AlpacaEval's annotations, and reviews with two scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from precept.errors import InputError
from precept.evaluate.judge.pairwise import Compared
from precept.evaluate.judge.verdict import Scores, better_of, parse_scores
from precept.run.judge.alpaca import Annotation, LengthFiles, summarize_annotations
from precept.run.judge.files import Rows, read_rows
from precept.run.judge.protocols import relative_document

LARGEST = 2**53
"""Beyond it a whole number is no length and no preference, and may not fit a float."""


def summarize_file(protocol: str, path: str, length: LengthFiles, *, limit: int | None, seed: int) -> dict[str, Any]:
    """The document of a file of annotations, without the judge. Raises InputError for rows that are none."""
    rows = read_rows(path)[:limit]
    _refuse([number for number, row in rows if not isinstance(row, Mapping)], "these rows are no objects", path)
    if protocol == "alpaca_eval":
        found = {**_names(rows, path), **summarize_annotations(_annotations(rows, path), length, seed=seed)}
    elif protocol == "relative":
        found = relative_document(_reviews(rows, path), judge=path, seed=seed)
    else:
        raise InputError(
            f"'{protocol}' reads no annotations",
            code="judge-option",
            found=path,
            do="--annotations is for alpaca_eval and relative; name a judge with --judge",
        )
    return {"protocol": protocol, "annotations": path, "rows": len(rows), **found}


def _names(rows: Rows, path: str) -> dict[str, str | None]:
    """Who was compared and who judged, where the rows say so. Raises InputError where they mix models."""
    names: dict[str, str | None] = {}
    for ours, theirs in (("model", "generator_2"), ("against", "generator_1"), ("judge", "annotator")):
        found = sorted({_name(row[theirs]) for _, row in rows if row.get(theirs) is not None})
        if len(found) > 1:
            raise InputError(
                f"the rows are of several kinds of '{theirs}'",
                code="annotations-mixed",
                where=path,
                found=", ".join(found[:5]),
                do="give one file for each",
            )
        names[ours] = found[0] if found else None
    return names


def _name(value: Any) -> str:
    """The value as text that any file can hold."""
    return str(value).encode("utf-8", "backslashreplace").decode()


def _annotations(rows: Rows, path: str) -> list[Annotation]:
    wrong = [number for number, row in rows if "preference" not in row or not _is_number(row["preference"], null=True)]
    _refuse(wrong, "'preference' is missing or no number", path)
    wrong = [number for number, row in rows if row.get("index") is not None and not _is_count(row["index"])]
    _refuse(wrong, "'index' is no place in the evaluation set, from 0", path)
    annotations = []
    for place, (_, row) in enumerate(rows):
        index = row.get("index")
        annotations.append(
            Annotation(
                preference=None if row["preference"] is None else float(row["preference"]),
                len_1=_length(row, "1"),
                len_2=_length(row, "2"),
                index=place if index is None else index,
            )
        )
    return annotations


def _length(row: Mapping[str, Any], which: str) -> int | None:
    """Characters of an output: its own, or what the row says of it."""
    output, length = row.get(f"output_{which}"), row.get(f"len_{which}")
    return len(output) if isinstance(output, str) else length if _is_count(length) else None


def _reviews(rows: Rows, path: str) -> list[Compared]:
    """Reviews in one order; the two scores are the row's own, or those that its text begins with."""
    compared = []
    wrong = [number for number, row in rows if "score" not in row and not isinstance(row.get("text"), str)]
    _refuse(wrong, "neither 'score' nor 'text'", path)
    for number, row in rows:
        scores = _scores(row)
        winner = None if scores is None else better_of(scores)
        question = str(row.get("question_id", number))
        category = row.get("category")
        compared.append(Compared(question, 1, None if category is None else _name(category), (winner,), scores))
    return compared


def _scores(row: Mapping[str, Any]) -> Scores | None:
    given = row.get("score")
    if isinstance(given, list) and len(given) == 2 and all(_is_number(s) and 0 <= s <= 10 for s in given):
        return float(given[0]), float(given[1])
    return parse_scores(row["text"]) if isinstance(row.get("text"), str) else None


def _is_number(value: Any, *, null: bool = False) -> bool:
    if value is None:
        return null
    return isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST)


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < LARGEST


def _refuse(numbers: Sequence[int], what: str, path: str) -> None:
    if numbers:
        raise InputError(
            f"{len(numbers)} rows cannot be used: {what}",
            code="annotation-rows",
            where=path,
            found=f"rows {', '.join(map(str, numbers[:8]))}",
            do="give rows with 'preference' (alpaca_eval), or with 'score' or 'text' (relative)",
        )
