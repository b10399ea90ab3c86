"""What the answers of a file share, looked at over all its rows: end markers, a leading blank, emptiness, sameness."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from precept.records.problems import RowProblem
from precept.types import Comparison, Conversation, Message, Row, Text

END_MARKER = re.compile(r"(?:<\|[^<>|\s]{1,40}\|>|</s>|<eos>|<end_of_turn>|<EOS_TOKEN>|\[EOS\])$")
SAME_ANSWER_MIN_ROWS = 5  # fewer equal answers than this are no finding


def strip_shared(rows: Sequence[Row], *, format_name: str) -> tuple[list[Row], list[str]]:
    """Rows without the end marker that all answers share, and what was removed.

    For pairs of prompt and completion the one leading blank that all completions share goes too: it was the
    tokenizer's need of OpenAI's first fine-tuning format, no part of the answer.
    """
    notes = []
    changed = list(rows)
    marker = next((m.group() for text in _first_answers(rows) if (m := END_MARKER.search(text))), None)
    if marker:
        count, total = _count(rows, lambda text: text.endswith(marker))
        if count == total:
            notes.append(f"removed the end marker '{marker}' that all {total} answers share")
            changed = [_map_answers(row, lambda text: text.removesuffix(marker)) for row in changed]
        else:
            notes.append(f"{count} of {total} answers end in '{marker}', which stays since not all do")
    if format_name == "prompt_completion" and all(text.startswith(" ") for text in _first_answers(changed)):
        count, total = _count(changed, lambda text: text.startswith(" "))
        if count == total > 0:
            notes.append(f"removed the blank that all {total} answers start with")
            changed = [_map_answers(row, lambda text: text.removeprefix(" ")) for row in changed]
    return changed, notes


def check_answer(row: Row) -> None:
    """Raises RowProblem when there is nothing to learn: no answer, or only empty ones."""
    if isinstance(row, Conversation):
        answers = [message for message in row.messages if message.role == "assistant"]
        if not answers and not (row.references and row.messages[-1].role in ("user", "tool")):
            raise RowProblem("no-answer", "no assistant turn")
        if answers and all(map(_is_empty, answers)):
            raise RowProblem("empty-answer", "empty answer")
    elif isinstance(row, Comparison):
        wanted = row.answers[0].messages
        if all(_is_empty(message) for message in wanted if message.role == "assistant"):
            raise RowProblem("empty-answer", "empty answer: the preferred answer has no text")


def findings(rows: Sequence[Row], *, empty: int) -> list[str]:
    """Notes on rows that can be read and still may not be what one wants. ``empty`` counts refused empty answers."""
    notes = []
    if empty and not rows:
        notes.append(f"every one of the {empty} answers is empty")
    conversations = [row for row in rows if isinstance(row, Conversation)]
    finals = {row.messages[-1].content for row in conversations}
    unanswered = sum(row.messages[-1].role != "assistant" for row in conversations)
    if len(finals) == 1 and len(conversations) >= SAME_ANSWER_MIN_ROWS and not unanswered:
        notes.append(f"all {len(conversations)} answers are the same: {finals.pop()!r:.60}")
    if prompts := sum(not any(m.role == "assistant" for m in row.messages) for row in conversations):
        notes.append(f"{prompts} rows have references and no answer: for evaluation, not for training")
    pairs = [row for row in rows if isinstance(row, Comparison) and len(row.answers) > 1]
    if equal := sum(row.answers[0].messages == row.answers[1].messages for row in pairs):
        notes.append(f"{equal} comparisons have two equal answers")
    ids = [row.source.id for row in rows if row.source.id is not None]
    if repeated := len(ids) - len(set(ids)):
        notes.append(f"{repeated} ids occur more than once")
    return notes


def _is_empty(message: Message) -> bool:
    return (
        not (message.content or "").strip() and not message.tool_calls and not (message.reasoning_content or "").strip()
    )


def _answers(row: Row) -> Iterator[str]:
    """Texts that may be trained; blank ones do not count."""
    if isinstance(row, Text):
        messages: tuple[Message, ...] = (Message("assistant", row.text),)
    elif isinstance(row, Conversation):
        messages = row.messages
    elif isinstance(row, Comparison):
        messages = tuple(message for answer in row.answers for message in answer.messages)
    else:
        messages = ()
    for message in messages:
        if message.role == "assistant" and message.content and not message.content.isspace():
            yield message.content


def _first_answers(rows: Sequence[Row]) -> list[str]:
    return [text for row in rows[:20] for text in _answers(row)]


def _count(rows: Sequence[Row], test: Callable[[str], bool]) -> tuple[int, int]:
    texts = [text for row in rows for text in _answers(row)]
    return sum(map(test, texts)), len(texts)


def _map_answers(row: Row, change: Callable[[str], str]) -> Row:
    def changed(messages: tuple[Message, ...]) -> tuple[Message, ...]:
        return tuple(
            replace(m, content=change(m.content)) if m.role == "assistant" and m.content else m for m in messages
        )

    if isinstance(row, Text):
        return replace(row, text=change(row.text))
    if isinstance(row, Conversation):
        return replace(row, messages=changed(row.messages))
    if isinstance(row, Comparison):
        return replace(row, answers=tuple(replace(a, messages=changed(a.messages)) for a in row.answers))
    return row
