"""KTO rows -> comparisons with one answer: ``prompt``, ``completion``, ``label``, or ``messages`` and ``label``.

The label says whether the answer is wanted: true/false, or 1/0 where the whole column holds nothing else. Beside
true/false any other label is refused by row: an unwanted answer must not be read as one to learn.
"""

from __future__ import annotations

from precept.records.problems import RowProblem
from precept.records.readers.conversation import build, side_columns
from precept.records.readers.messages import COLUMN_NAMES
from precept.records.readers.prompt_completion import side_turns
from precept.records.readers.reader import Columns, Layout, Reader, Record, no_text
from precept.types import Answer, Comparison, Source

LABELS = {True: True, False: False, "true": True, "false": False}


def _match(columns: Columns) -> Layout | None:
    label = columns.one_of("label", "kto_tag")
    if label is None:
        return None
    given = [value for value in columns.values(label) if value is not None]
    spelled = any(isinstance(value, bool | str) and _label(value) is not None for value in given)
    if not spelled and any(_label(value) is None for value in given):
        return None
    side = {name: theirs for name, theirs in side_columns(columns).items() if name in ("system", "tools", "images")}
    if columns.has("prompt", "completion"):
        return Layout({"prompt": "prompt", "answer": "completion", "label": label, **side})
    turns = columns.one_of(*COLUMN_NAMES)
    return Layout({"prompt + answer": turns, "label": label, **side}) if turns else None


def _label(value: object) -> bool | None:
    try:
        return LABELS.get(value.lower() if isinstance(value, str) else value)
    except TypeError:
        return None


def _read(record: Record, layout: Layout, source: Source) -> Comparison:
    mapping = layout.mapping
    label = _label(record.get(mapping["label"]))
    if label is None:
        raise RowProblem("no-label", f"column '{mapping['label']}' holds {record.get(mapping['label'])!r:.40}")
    if "answer" in mapping:
        prompt = side_turns(record, mapping["prompt"], role="user")
        answer = side_turns(record, mapping["answer"], role="assistant")
    else:
        column = mapping["prompt + answer"]
        if isinstance(record.get(column), str):
            raise no_text(record, column)
        turns = side_turns(record, column, role="user")
        asked = max((place + 1 for place, turn in enumerate(turns) if turn.role == "user"), default=0)
        prompt, answer = turns[:asked], turns[asked:]
    if not any(turn.role == "assistant" for turn in answer):
        raise RowProblem("no-answer", "no assistant turn at the end")
    asked_row = build(prompt, record, layout, source)
    return Comparison(asked_row.messages, (Answer(tuple(answer), label=label),), source, asked_row.tools)


READER = Reader(name="labelled", columns="prompt, completion, label", match=_match, read=_read)
