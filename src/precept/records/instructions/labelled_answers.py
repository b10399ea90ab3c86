"""Answers of labelled rows: their columns, options and labels that count them, keys of choices, GSM8K's solutions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from precept.records.instructions.raw_records import as_text
from precept.records.problems import RowProblem
from precept.records.readers.conversation import split_solution

ANSWER_COLUMNS = ("answer", "answers", "target", "targets", "output", "completion", "summary", "label")
"""Where a row's answer is looked for, the first that is there; a number beside options counts them from 0,
and must not be one of them itself."""
RATIONALE = "rationale"
_CALCULATOR = re.compile(r"<<[^<>]*>>")


def answer_column(columns: Mapping[str, Any], stated: str | None = None) -> str | None:
    """The column that holds a row's answer: the one that a plan states, else the first known one with something."""
    names = [stated] if stated else ANSWER_COLUMNS
    return next((name for name in names if columns.get(name) is not None), None)


def with_solution_split(columns: Mapping[str, Any], stated: str | None = None) -> Mapping[str, Any]:
    """The columns, those of GSM8K (Cobbe et al. 2021, 2110.14168) with the bare answer in place of the solution.

    Such an answer is some steps and, as the last line, ``#### 18``: the mark and a number. The steps without their
    calculator notes (``<<2*9=18>>``) become the column ``rationale``, unless there is one or there are none.
    """
    name = answer_column(columns, stated)
    held = columns[name] if name else None
    solved = split_solution(held) if isinstance(held, str) else None
    if name is None or solved is None:
        return columns
    steps, number = _CALCULATOR.sub("", solved[0]).strip(), solved[1]
    rationale = {} if columns.get(RATIONALE) is not None or not steps else {RATIONALE: steps}
    return {**columns, name: number, **rationale}


def read_options(columns: Mapping[str, Any]) -> tuple[str, ...]:
    """``options`` or ``choices`` as a list, or as ``{"text": [...]}``; none where neither is there.

    Raises RowProblem for anything else.
    """
    held = next((columns[name] for name in ("options", "choices") if columns.get(name) is not None), None)
    if isinstance(held, Mapping):
        held = held.get("text")
    if held is None:
        return ()
    texts = [as_text(part) for part in held] if isinstance(held, list) else [None]
    if None in texts:
        raise RowProblem("bad-options", "its options are no list of texts")
    return tuple(text for text in texts if text is not None)


def read_answers(
    columns: Mapping[str, Any],
    options: Sequence[str],
    *,
    stated: str | None = None,
    labels: Mapping[str | int | bool, str] | None = None,
) -> tuple[str, ...]:
    """All answers of a row that have text, as a plan's ``labels`` call them. Raises RowProblem where there is none."""
    name = answer_column(columns, stated)
    held = columns[name] if name else None
    if held is None and not stated and "answerKey" in columns:
        held = _of_key(columns)
    if isinstance(held, Mapping):  # SQuAD's {"text": [...]}
        held = held.get("text")
    answers = [_called(value, labels or {}, options) for value in (held if isinstance(held, list) else [held])]
    known = tuple(answer for answer in answers if answer.strip())
    if not known:
        raise RowProblem("empty-answer", "empty answer")
    return known


def _of_key(columns: Mapping[str, Any]) -> Any:
    """The choice that ``answerKey`` names, of ``choices: {text, label}``."""
    choices = columns.get("choices")
    labels, texts = (choices.get("label"), choices.get("text")) if isinstance(choices, Mapping) else (None, None)
    if not isinstance(labels, list) or not isinstance(texts, list) or columns["answerKey"] not in labels[: len(texts)]:
        raise RowProblem("no-label", f"its answerKey {columns['answerKey']!r:.20} is none of its choices")
    return texts[labels.index(columns["answerKey"])]


def _called(value: Any, labels: Mapping[str | int | bool, str], options: Sequence[str]) -> str:
    """A label as text."""
    if labels:
        names = {key if isinstance(key, str) else as_text(key): text for key, text in labels.items()}
        if as_text(value) not in names:
            raise RowProblem("no-label", f"its label {value!r:.40} has no name in the plan")
        return names[as_text(value)]
    if options and isinstance(value, int) and not isinstance(value, bool):
        if str(value) in options and not (0 <= value < len(options) and options[value] == str(value)):
            raise RowProblem(
                "two-meanings",
                f"its answer {value} is one of its options, and a number beside options counts them from 0: write the "
                f'answer as text ("{value}"), or say in a plan what it is called (labels: {{{value}: ...}})',
            )
        if not 0 <= value < len(options):
            raise RowProblem("no-label", f"its label {value} counts beyond its {len(options)} options")
        return options[value]
    text = as_text(value)
    if text is None:
        raise RowProblem("no-answer", "no answer, or none that is text")
    return text
