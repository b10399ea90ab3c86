"""Preference rows -> comparisons: ``prompt``, ``chosen``, ``rejected`` and their variants.

Each side is text, a message or a list of messages. The prompt may be a column of its own (text, or messages under
``messages`` or ``conversations``), may stand inside both answers, or both. ``chosen_messages`` with
``rejected_messages`` and Anthropic's ``Human:``/``Assistant:`` transcripts are read too. Scores become the answers'.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from precept.records.problems import RowProblem, kind_of
from precept.records.readers.alpaca import join_input
from precept.records.readers.conversation import build, side_columns
from precept.records.readers.prompt_completion import side_turns
from precept.records.readers.reader import Columns, Layout, Reader, Record, optional_text, text_of
from precept.types import Answer, Comparison, Message, Source

SIDES = (("chosen", "rejected"), ("chosen_messages", "rejected_messages"))
PROMPTS = ("prompt", "messages", "conversations", "question", "instruction", "query")
SCORES = (("score_chosen", "score_rejected"), ("chosen_score", "rejected_score"), ("chosen_rating", "rejected_rating"))
SPEAKER = re.compile(r"(?:^|\n\n)(Human|Assistant): ?")


def _match(columns: Columns) -> Layout | None:
    sides = next((pair for pair in SIDES if columns.has(*pair)), None)
    if sides is None:
        return None
    mapping = dict(zip(("chosen", "rejected"), sides, strict=True))
    prompt = columns.one_of(*PROMPTS)
    notes: tuple[str, ...] = ()
    repeated = False
    if prompt:
        mapping["prompt"] = prompt
        repeated = _all_repeat(columns, prompt, sides)
        notes = (f"'{prompt}' is repeated at the start of both answers of every row and taken off",) if repeated else ()
    if prompt == "instruction" and columns.has("input"):
        mapping["input"] = "input"
    if scores := next((pair for pair in SCORES if columns.has(*pair)), None):
        mapping |= zip(("chosen score", "rejected score"), scores, strict=True)
    side = side_columns(columns)
    mapping |= {name: side[name] for name in ("system", "tools", "images") if name in side}
    return Layout(mapping, notes=notes, context=repeated)


def _all_repeat(columns: Columns, prompt: str, sides: tuple[str, str]) -> bool:
    """Whether in every row all three are text and both answers start with the prompt."""
    rows = zip(columns.values(prompt), *map(columns.values, sides), strict=True)
    return all(
        isinstance(text, str) and text and all(isinstance(a, str) and a.startswith(text) for a in answers)
        for text, *answers in rows
    )


def _read(record: Record, layout: Layout, source: Source) -> Comparison:
    mapping = layout.mapping
    prompt: list[Message] = []
    if "input" in mapping:
        prompt = [Message("user", join_input(text_of(record, "instruction"), optional_text(record, "input")))]
    elif "prompt" in mapping:
        prompt = side_turns(record, mapping["prompt"], role="user")
    chosen, rejected = (_side(record, mapping[name], layout) for name in ("chosen", "rejected"))
    prompt, chosen, rejected = _split_prompt(prompt, chosen, rejected)
    for name, turns in (("chosen", chosen), ("rejected", rejected)):
        if not any(turn.role == "assistant" for turn in turns):
            raise RowProblem("no-answer", f"no assistant turn in '{mapping[name]}'")
    asked = build(prompt, record, layout, source)
    scores = [_score(record, mapping.get(f"{name} score")) for name in ("chosen", "rejected")]
    return Comparison(
        prompt=asked.messages,
        answers=(
            Answer(tuple(chosen), score=scores[0], rank=1),
            Answer(tuple(rejected), score=scores[1], rank=2),
        ),
        source=source,
        tools=asked.tools,
    )


def _side(record: Record, column: str, layout: Layout) -> list[Message]:
    value = record.get(column)
    if isinstance(value, str) and layout.context:
        return [Message("assistant", value[len(text_of(record, layout.mapping["prompt"])) :])]
    if isinstance(value, str) and "prompt" not in layout.mapping:
        return _transcript(value)
    return side_turns(record, column, role="assistant")


def _transcript(text: str) -> list[Message]:
    """Turns of 'Human: ...' and 'Assistant: ...' paragraphs."""
    before, *pieces = SPEAKER.split(text)
    if before.strip() or not pieces:
        raise RowProblem(
            "no-prompt", "no prompt column, and the answers are no 'Human: ... Assistant: ...' transcripts"
        )
    return [
        Message("user" if speaker == "Human" else "assistant", said)
        for speaker, said in zip(pieces[::2], pieces[1::2], strict=True)
    ]


def _split_prompt(
    prompt: list[Message], chosen: list[Message], rejected: list[Message]
) -> tuple[list[Message], list[Message], list[Message]]:
    """The prompt once, and what each answer adds to it. Raises RowProblem when that cannot be told."""
    size = len(prompt)
    if prompt and chosen[:size] == prompt and rejected[:size] == prompt:
        return prompt, chosen[size:], rejected[size:]
    if prompt and chosen[0].role == "assistant" and rejected[0].role == "assistant":
        return prompt, chosen, rejected
    shared = _shared_start(chosen, rejected)
    if shared == 0:
        raise RowProblem("no-prompt", "chosen and rejected answer different prompts, or hold none")
    if any(message not in chosen[:shared] for message in prompt):
        raise RowProblem("two-prompts", "the prompt column is not the prompt inside chosen and rejected")
    return chosen[:shared], chosen[shared:], rejected[shared:]


def _shared_start(chosen: Sequence[Message], rejected: Sequence[Message]) -> int:
    """How many first messages both hold, ending before an assistant's turn."""
    limit = min(len(chosen), len(rejected)) - 1
    shared = 0
    while shared < limit and chosen[shared] == rejected[shared]:
        shared += 1
    while shared and chosen[shared - 1].role == "assistant":
        shared -= 1
    return shared


def _score(record: Record, column: str | None) -> float | None:
    value = record.get(column) if column else None
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RowProblem("bad-score", f"column '{column}' holds {kind_of(value)}, not a number")
    return float(value)


READER = Reader(name="preference", columns="prompt, chosen, rejected", match=_match, read=_read)
