"""Conversations as Vicuna trains on them: cleaned, filtered, and cut into pieces of whole rounds.

A round is a user's message and what the assistant answers, with tool calls and their results where there are any. The
rules for the first turn, for order and for cutting are FastChat's (``train/train.py``,
``data/split_long_conversation.py``).
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator

from precept.errors import InputError
from precept.records.fingerprint import canonical_json, record_hash, text_digest
from precept.records.instructions.built import Built, CountTokens, naming_refused
from precept.records.instructions.dolly import needs_tokenizer
from precept.records.instructions.language import LANGUAGES, UNKNOWN, detect_language
from precept.records.instructions.page_text import is_page, to_markdown
from precept.records.instructions.tally import Tally
from precept.records.load import load
from precept.settings import Settings
from precept.types import Conversation, Message, Row, Source

FIRST_ROLES = ("system", "developer")
FOLLOWS = {
    None: {"user"},
    "user": {"assistant"},
    "assistant": {"user", "tool"},
    "tool": {"tool", "assistant"},
}
"""Role -> the roles that may come after it; None is the start, behind the system text."""

Messages = tuple[Message, ...]


class ConversationsSettings(Settings):
    """How conversations are cleaned, filtered, cut and weighed."""

    languages: tuple[str, ...] = ()
    """Keep conversations in these languages (two-letter codes; und: cannot be told); by default all."""
    min_rounds: int = Field(default=1, ge=1)
    """Shortest conversation kept, in rounds of question and answer."""
    max_rounds: int | None = Field(default=None, ge=1)
    """Longest conversation kept, in rounds; by default any."""
    min_chars: int = Field(default=0, ge=0)
    """Fewest characters that all answers of a conversation have together."""
    clean_html: bool = False
    """Turn answers that were saved as the HTML of a chat page back into Markdown."""
    duplicates: Literal["keep", "drop"] = "keep"
    """Whole conversations that say the same as an earlier one are counted; drop leaves them out."""
    max_length: int | None = Field(default=None, ge=16)
    """Cut conversations into pieces of whole rounds of at most so many tokens: needs a tokenizer."""
    turn_overhead: int = Field(default=6, ge=0)
    """Tokens that the chat template adds to each message, for max_length."""
    train_on: Literal["all", "last"] = "all"
    """Train every answer of a row or only its last one."""
    turn_weights: tuple[float, ...] = ()
    """Loss weight of the first, second, ... answer of a row; the last weight holds for all further answers."""

    @field_validator("languages")
    @classmethod
    def _are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [code for code in value if code not in LANGUAGES]
        if unknown:
            raise ValueError(f"'{unknown[0]}' is none of the languages that can be told: {', '.join(LANGUAGES)}")
        return value

    @field_validator("turn_weights")
    @classmethod
    def _are_weights(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not math.isfinite(weight) or weight < 0 for weight in value) or (value and not any(value)):
            raise ValueError("weights are numbers of at least 0, and not all 0")
        return value


def build(paths: Sequence[str], settings: ConversationsSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Conversations of any format that readers know -> training rows.

    The report names, for each filter and each change, the count and the first rows. Rows whose own messages state
    ``train`` or ``weight`` keep what they state. Raises InputError for rows that are no conversations, and for a
    length limit without a tokenizer.
    """
    if settings.max_length is not None and count_tokens is None:
        raise needs_tokenizer("max_length")
    loaded = load(paths)
    pass_ = _Pass(settings, count_tokens)
    for row in loaded.rows:
        pass_.take(_conversation(row))
    with naming_refused(loaded.refusals):
        pass_.left_out.refuse_nothing_left(pass_.rows)
    report = {
        "conversations": len(loaded.rows),
        "refused": len(loaded.refusals),
        "left_out": pass_.left_out.document(),
        "changed": pass_.changed.document(),
        "duplicates": pass_.duplicates.document(),
        "languages": dict(sorted(pass_.languages.items(), key=lambda entry: (-entry[1], entry[0]))),
        "kept": pass_.kept,
        "rows": len(pass_.rows),
        "answers": sum(message.role == "assistant" for row in pass_.rows for message in row.messages),
    }
    return Built(pass_.rows, report=report, refused=loaded.refusals)


def _conversation(row: Row) -> Conversation:
    if isinstance(row, Conversation):
        return row
    raise InputError(
        "this file holds rows that are no conversations",
        code="wrong-kind-of-rows",
        where=f"{row.source.file} row {row.source.row}",
        found=type(row).__name__,
        do="give conversations: messages, ShareGPT, Alpaca and other rows of turns",
    )


class _Pass:
    """One pass over the conversations, and what became of each."""

    def __init__(self, settings: ConversationsSettings, count_tokens: CountTokens | None) -> None:
        self._settings = settings
        self._count = count_tokens
        self._first: dict[bytes, str] = {}
        self.left_out, self.changed, self.duplicates = Tally(), Tally(), Tally()
        self.languages: dict[str, int] = {}
        self.kept = 0
        self.rows: list[Conversation] = []

    def take(self, row: Conversation) -> None:
        """Add the rows of one conversation, or count why there are none."""
        row = self._ordered(row)
        reason = _fault(row.messages)
        if reason is None:
            row = self._cleaned(row)
            reason = self._unwanted(row)
        if reason is not None:
            self.left_out.add(reason, row.source)
            return
        self.kept += 1
        pieces = self._pieces(row)
        for start, messages in pieces:
            whole = len(pieces) == 1
            source = row.source if whole else _piece_source(row, start)
            self.rows.append(replace(row, messages=self._weighed(messages), source=source))

    def _ordered(self, row: Conversation) -> Conversation:
        """Without a first turn that is not the user's, and without what follows the last answer."""
        head, turns = split_head(row.messages)
        if turns and turns[0].role != "user":
            self.changed.add("first turn dropped, which is not the user's", row.source, detail=turns[0].role)
            turns = turns[1:]
        last = max((place for place, turn in enumerate(turns) if turn.role == "assistant"), default=-1)
        if last + 1 < len(turns) and last >= 0:
            self.changed.add("turns after the last answer dropped", row.source)
            turns = turns[: last + 1]
        return replace(row, messages=(*head, *turns))

    def _cleaned(self, row: Conversation) -> Conversation:
        if not self._settings.clean_html:
            return row
        messages = tuple(
            replace(message, content=to_markdown(message.content))
            if message.role == "assistant" and message.content and is_page(message.content)
            else message
            for message in row.messages
        )
        if messages != row.messages:
            self.changed.add("HTML turned into Markdown", row.source)
        return replace(row, messages=messages)

    def _unwanted(self, row: Conversation) -> str | None:
        """Which filter leaves the conversation out, in the order of the settings."""
        wanted = self._settings
        if any(not _said(message).strip() for message in row.messages):
            return "a blank message"
        language = detect_language("\n".join(message.content or "" for message in row.messages))
        self.languages[language] = self.languages.get(language, 0) + 1
        if wanted.languages and language not in wanted.languages:
            return "language cannot be told" if language == UNKNOWN else f"language {language}"
        rounds = sum(message.role == "user" for message in row.messages)
        if rounds < wanted.min_rounds:
            return f"fewer than {wanted.min_rounds} rounds"
        if wanted.max_rounds is not None and rounds > wanted.max_rounds:
            return f"more than {wanted.max_rounds} rounds"
        chars = sum(len(_said(message)) for message in row.messages if message.role == "assistant")
        if chars < wanted.min_chars:
            return f"answers of fewer than {wanted.min_chars} characters"
        digest = text_digest(row) + canonical_json(list(row.tools))
        place = f"{row.source.file} row {row.source.row}"
        first = self._first.get(digest)
        self._first.setdefault(digest, place)
        if first is not None:
            self.duplicates.add("says the same as an earlier conversation", row.source, detail=f"as {first}")
            if wanted.duplicates == "drop":
                return "a duplicate"
        return None

    def _pieces(self, row: Conversation) -> list[tuple[int, Messages]]:
        """Pieces of whole rounds, each with the place of its first message; the system text goes with every one."""
        limit, count = self._settings.max_length, self._count
        if limit is None or count is None:
            return [(0, row.messages)]
        head, turns = split_head(row.messages)
        lengths = [count(_said(message)) + self._settings.turn_overhead for message in row.messages]
        fixed, free = sum(lengths[: len(head)]), lengths[len(head) :]
        pieces = []
        for start, end in cut_rounds(turns, free, limit - fixed):
            pieces.append((start, (*head, *turns[start:end])))
            if fixed + sum(free[start:end]) > limit:
                self.changed.add(f"a piece of one round has more than {limit} tokens", row.source)
        if len(pieces) > 1:
            self.changed.add("cut into pieces", row.source, detail=f"{len(pieces)} pieces")
        return pieces

    def _weighed(self, messages: Messages) -> Messages:
        answers = [place for place, message in enumerate(messages) if message.role == "assistant"]
        weights = self._settings.turn_weights
        made = list(messages)
        for number, place in enumerate(answers):
            message = messages[place]
            if self._settings.train_on == "last" and place != answers[-1] and message.train is None:
                made[place] = replace(message, train=False)
            elif weights and message.weight is None and message.train is None:
                made[place] = replace(message, weight=float(weights[min(number, len(weights) - 1)]))
        return tuple(made)


def split_head(messages: Messages) -> tuple[Messages, Messages]:
    """The system text, where there is one, and the turns behind it."""
    size = 1 if messages and messages[0].role in FIRST_ROLES else 0
    return messages[:size], messages[size:]


def cut_rounds(turns: Sequence[Message], lengths: Sequence[int], limit: int) -> list[tuple[int, int]]:
    """(start, end) of pieces of whole rounds, each as long as fits into ``limit`` tokens, in order and without gaps.

    A round that is longer than the limit is a piece of its own. (FastChat's script cuts at every second turn, which is
    the same where nobody calls tools.)
    """
    starts = [place for place, turn in enumerate(turns) if turn.role == "user"]
    pieces: list[tuple[int, int]] = []
    begin, used = 0, 0
    for start, end in zip(starts, [*starts[1:], len(turns)], strict=True):
        length = sum(lengths[start:end])
        if used and used + length > limit:
            pieces.append((begin, start))
            begin, used = start, 0
        used += length
    return [*pieces, (begin, len(turns))]


def _fault(messages: Messages) -> str | None:
    """What is wrong with the order of the turns."""
    _, turns = split_head(messages)
    if not any(turn.role == "assistant" for turn in turns):
        return "no answer"
    before = None
    for turn in turns:
        if turn.role not in FOLLOWS.get(before, ()):
            return "turns do not alternate"
        before = turn.role
    return None


def _piece_source(row: Conversation, start: int) -> Source:
    """A piece's place is its conversation's; id and hash also tell where it starts, as FastChat's ids do."""
    name = str(row.source.row) if row.source.id is None else row.source.id
    return replace(row.source, id=f"{name}_{start}", hash=record_hash([row.source.hash, start]))


def _said(message: Message) -> str:
    """All that a message says, as text."""
    calls = [
        call.name + (call.arguments if isinstance(call.arguments, str) else json.dumps(call.arguments))
        for call in message.tool_calls
    ]
    return "\n".join(filter(None, [message.reasoning_content, message.content, *calls]))
