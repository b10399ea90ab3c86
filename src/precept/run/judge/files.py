"""The files of ``precept judge``: questions, answers, annotations, and what length control needs."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from precept.errors import InputError
from precept.evaluate.judge.question import (
    Question,
    Response,
    match,
    questions_of,
    read_questions,
    read_responses,
    with_references,
)
from precept.evaluate.length_controlled import GamedRows
from precept.records.files import find_files, parse_file, read_bytes, split_limit
from precept.records.hub import read_hub
from precept.records.problems import FileProblem

Rows = list[tuple[int, Any]]


@dataclass(frozen=True)
class JudgeFiles:
    """Paths as the user named them."""

    answers: str | None = None
    against: str | None = None
    questions: str | None = None
    references: str | None = None
    annotations: str | None = None
    difficulty: str | None = None
    gamed: str | None = None


@dataclass(frozen=True)
class Answered:
    """Questions with the answers to them, in one order."""

    questions: Sequence[Question]
    ours: Sequence[Response]
    theirs: Sequence[Response]

    def hashes(self) -> dict[str, str]:
        """What is judged, for comparing runs."""
        parts = {"questions": self.questions, "answers": self.ours, "against": self.theirs}
        return {f"{name}_hash": _hash([repr(row) for row in rows]) for name, rows in parts.items() if rows}


def read_rows(spec: str) -> Rows:
    """Number and record of each row of a file, ``path#500`` or ``hf:owner/name``. Raises InputError."""
    path, limit = split_limit(spec, base=None)
    if path.startswith("hf:"):
        raw = read_hub(path, limit=limit)
    else:
        files = find_files(path, base=None)
        if len(files) > 1:
            raise InputError("a folder of several files", code="judge-folder", where=spec, do="name one of its files")
        try:
            raw = parse_file(files[0], read_bytes(files[0]), limit=limit)
        except FileProblem as problem:
            raise InputError(
                problem.reason, code=problem.code, where=spec, do="name a JSON or JSON-lines file"
            ) from None
    if raw.refused:
        number, broken = raw.refused[0]
        raise InputError(
            f"{len(raw.refused)} rows cannot be read",
            code="judge-broken-rows",
            where=spec,
            found=f"row {number}: {broken.reason}",
            do="mend these rows",
        )
    return list(zip(raw.numbers, raw.records, strict=True))[:limit]


def read_answered(files: JudgeFiles, *, limit: int | None) -> Answered:
    """Questions, the answers to judge and, where named, those to judge against; the first ``limit`` questions."""
    assert files.answers is not None
    ours = read_responses(read_rows(files.answers), file=files.answers)
    if files.questions is None:
        questions = questions_of(ours, file=files.answers)
    else:
        questions = read_questions(read_rows(files.questions), file=files.questions)
    matched = match(questions, ours, file=files.answers, first=limit)
    others: Sequence[Response] = ()
    if files.against is not None:
        given = read_responses(read_rows(files.against), file=files.against)
        others = match(questions, given, file=files.against, first=limit)
    if files.references is not None:
        given = read_responses(read_rows(files.references), file=files.references)
        questions = with_references(questions, given, file=files.references)
    return Answered(questions[:limit], matched, others)


def model_name(responses: Sequence[Response], path: str) -> str:
    """The one generator that the rows name, else the file."""
    names = {response.generator for response in responses}
    return (names.pop() or path) if len(names) == 1 else path


def read_difficulty(path: str) -> dict[int, float]:
    """Instruction difficulty by the instruction's place in the evaluation set, from AlpacaEval's
    ``instruction_difficulty.csv``: a column of that name, and the place in ``index`` or the unnamed first column, else
    the rows' order. Raises InputError for a row without a number, and for a place that is none or comes twice."""
    found: dict[int, float] = {}
    for number, record in read_rows(path):
        place = _number(record, ("index", ""), path, number, default=number - 1)
        if place != int(place) or int(place) in found:
            raise InputError(
                f"row {number} names no place of its own",
                code="difficulty-place",
                where=path,
                found=f"place {place:g}",
                do="give each instruction's place in the evaluation set, from 0, once",
            )
        found[int(place)] = _number(record, ("instruction_difficulty",), path, number)
    return found


def read_gamed(path: str) -> GamedRows:
    """Judgments of the gamed baselines, from AlpacaEval's ``df_gamed.csv``; rows without a preference are left out."""
    wanted = ("std_delta_len", "instruction_difficulty", "preference")
    rows = read_rows(path)
    kept = [
        [_number(record, (name,), path, number) for name in wanted]
        for number, record in rows
        if not isinstance(record, Mapping) or not _is_blank(record.get("preference"))
    ]
    if not kept or not all(0 <= preference <= 1 for _, _, preference in kept):
        raise InputError(
            "these are no judgments of gamed baselines",
            code="gamed-rows",
            where=path,
            found=f"{len(rows)} rows, {len(kept)} with a preference",
            do=f"give AlpacaEval's df_gamed.csv, with the columns {', '.join(wanted)} and preferences in 0..1",
        )
    return GamedRows(*np.array(kept).T)


def _number(record: Any, names: Sequence[str], path: str, number: int, *, default: float | None = None) -> float:
    """The finite number under the first of ``names`` that the row has, else ``default``."""
    values = [record.get(name) for name in names] if isinstance(record, Mapping) else []
    value = next((value for value in values if not _is_blank(value)), default)
    try:
        found = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if not math.isfinite(found):
        raise InputError(
            f"row {number} has no number under '{names[0]}'",
            code="not-a-number",
            where=path,
            found=f"{value!r:.80}",
            do="give a CSV or JSON file with this column in every row",
        )
    return found


def _is_blank(value: Any) -> bool:
    """Whether a table's cell says that it holds nothing."""
    return value in (None, "", "nan", "NaN") or value != value  # the last is a NaN


def _hash(texts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "backslashreplace") + b"\n")
    return digest.hexdigest()[:16]
