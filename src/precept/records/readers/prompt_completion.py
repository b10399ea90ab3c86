"""A prompt and its completion: prompt/completion (P3 and T0 as OpenAI's fine-tuning format), query/response,
question/answer and their like. Either side may be text or a list of messages.

Where an answer ends in GSM8K's ``#### 42``, the reference is that number. Rows with a prompt and a ``ground_truth``
but no answer are kept for evaluation.
"""

from __future__ import annotations

from dataclasses import replace

from precept.records.readers.conversation import build, side_columns, split_solution
from precept.records.readers.reader import Columns, Layout, Reader, Record, no_text
from precept.records.readers.turns import read_turns
from precept.types import Conversation, Message, Source

PAIRS = (
    ("prompt", "completion"),
    ("prompt", "response"),
    ("query", "response"),
    ("question", "answer"),
    ("question", "response"),
    ("input", "output"),
    ("input", "target"),
    ("inputs", "targets"),
)
PROMPTS = tuple(dict.fromkeys(prompt for prompt, _ in PAIRS))


def _match(columns: Columns) -> Layout | None:
    side = side_columns(columns)
    for prompt, answer in PAIRS:
        if columns.has(prompt, answer):
            if "references" not in side and split_solution(str(columns.first[answer])):
                side["references"] = f"what follows #### in {answer}"
            return Layout({"user": prompt, "assistant": answer, **side})
    alone = columns.one_of(*PROMPTS)
    return Layout({"user": alone, **side}) if alone and "references" in side else None


def _read(record: Record, layout: Layout, source: Source) -> Conversation:
    turns = side_turns(record, layout.mapping["user"], role="user")
    if "assistant" in layout.mapping:
        turns += side_turns(record, layout.mapping["assistant"], role="assistant")
    row = build(turns, record, layout, source)
    solved = split_solution(turns[-1].content or "")
    return row if solved is None or row.references else replace(row, references=(solved[1],))


def side_turns(record: Record, column: str, *, role: str) -> list[Message]:
    """One side of a pair: text becomes one message of ``role``, a list of messages stays what it is."""
    value = record.get(column)
    if isinstance(value, str):
        return [Message(role, value)]
    if isinstance(value, list | dict):
        return list(read_turns(value, column=column))
    raise no_text(record, column)


READER = Reader(
    name="prompt_completion",
    columns="prompt, completion (or query, response; question, answer; input, output)",
    match=_match,
    read=_read,
)
