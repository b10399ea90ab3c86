"""Rows written once more, by transformers' own ``apply_chat_template`` and tokenizer, and where their answers stand.

Nothing here is shared with the room that renders for training: answers are found from the prompts that transformers
writes, not from marks, and offsets come from a second tokenisation.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from jinja2 import TemplateError

from precept.prove.words import Words, words_of
from precept.types import Conversation, Message, Source

# What a template may raise on messages that it does not expect.
RAISED = (TemplateError, TypeError, ValueError, LookupError, AttributeError, RuntimeError)
THINK = re.compile(r"</?think>")
WORDS = ("quokka", "zebu")
"""What no template writes by itself."""
DATE_CALL = re.compile(r"""strftime_now\(\s*(?:format\s*=\s*)?(["'])(.*?)\1\s*\)""")


class Form(NamedTuple):
    """How a template is handed tool arguments, as text or as objects, and null contents, as '' or left out."""

    text_arguments: bool = False
    empty_content: bool = False


PLAIN = Form()
FORMS = tuple(Form(*choice) for choice in itertools.product((False, True), repeat=2))


class Turn(NamedTuple):
    """Characters ``start:end`` that an assistant message trains. ``written`` is where the row's own text ends: without
    a terminator (``closed`` False) what follows up to ``end`` may belong to the turn or not."""

    message: int
    start: int
    written: int
    end: int
    closed: bool


@dataclass(frozen=True)
class Writer:
    """Writes conversations with a tokenizer and a chat template; ``date`` is the day that the template prints."""

    tokenizer: Any
    chat_template: str
    date: datetime.date

    @cached_property
    def template(self) -> str:
        """The template with its date pinned by a macro in front, since transformers' own function tells today's."""
        if self.date == datetime.date.today() or "strftime_now" not in self.chat_template:
            return self.chat_template
        moment = datetime.datetime.combine(self.date, datetime.time())
        formats = dict.fromkeys(match[2] for match in DATE_CALL.finditer(self.chat_template))
        cases = "".join(
            f"{{%- if format == {json.dumps(text)} -%}}{moment.strftime(text)}{{%- endif -%}}" for text in formats
        )
        return f"{{%- macro strftime_now(format) -%}}{cases}{{%- endmacro -%}}{self.chat_template}"

    @cached_property
    def backend(self) -> Any:
        """A copy of the tokenizer of the tokenizers library that neither cuts nor pads."""
        backend = copy.deepcopy(self.tokenizer.backend_tokenizer)
        backend.no_truncation()
        backend.no_padding()
        return backend

    @cached_property
    def special(self) -> re.Pattern[str]:
        """Matches every special token of the tokenizer."""
        return re.compile("|".join(map(re.escape, self.closing)) or r"(?!)")

    @cached_property
    def words(self) -> Words | None:
        """The tokenizer word by word, None where it has no words."""
        return words_of(self.backend)

    @cached_property
    def closing(self) -> tuple[str, ...]:
        """The special tokens of the tokenizer, longest first."""
        added = self.tokenizer.added_tokens_decoder.values()
        texts = {token.content for token in added if token.special} | set(self.tokenizer.all_special_tokens)
        return tuple(sorted(texts, key=len, reverse=True))

    @cached_property
    def answer_end(self) -> str | None:
        """The special token that ends a plain answer; None where the template writes none."""
        text = self.write((Message("user", "question"), Message("assistant", "answer")), ())
        found = self.special.search(text, text.rfind("answer")) if text else None
        return found.group() if found else None

    def write(
        self,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        *,
        generation_prompt: bool = False,
        form: Form = PLAIN,
    ) -> str | None:
        """The text of the messages; None where the template raises."""
        try:
            text = self.tokenizer.apply_chat_template(
                [_fields(message, form) for message in messages],
                tools=list(tools) or None,
                chat_template=self.template,
                add_generation_prompt=generation_prompt,
                tokenize=False,
            )
        except RAISED:
            return None
        return str(text)

    def write_rows(self, rows: Sequence[Conversation]) -> list[str | None]:
        """The text of each row, as ``write`` gives it; those without tools in one call where none of them raises."""
        bare = [[_fields(message, PLAIN) for message in row.messages] for row in rows if not row.tools]
        try:
            texts = iter(self.tokenizer.apply_chat_template(bare, chat_template=self.template, tokenize=False))
        except RAISED:
            return [self.write(row.messages, row.tools) for row in rows]
        return [self.write(row.messages, row.tools) if row.tools else str(next(texts)) for row in rows]

    def turn(self, row: Conversation, place: int, text: str, *, form: Form) -> Turn:
        """Where assistant message ``place`` of a row stands in its text."""
        message = row.messages[place]
        pieces = _pieces(message)
        prompt = self._prompt(row, place, text, pieces, form)
        if prompt and text.startswith(prompt):
            start = len(prompt)
        else:
            history = self.write(row.messages[:place], row.tools, form=form) or ""
            header = prompt[len(history) :] if prompt.startswith(history) else prompt
            start = _after_header(text, _end_of(row.messages[:place], text), pieces, header)
        last = place == len(row.messages) - 1
        through = text if last else self.write(row.messages[: place + 1], row.tools, form=form) or ""
        written = self._written_to(text, start, pieces, through)
        ceiling = len(through) if text.startswith(through) and len(through) > start else len(text)
        ends = list(self.special.finditer(text, written, ceiling))
        if message.tool_calls:  # tokens before the one that ends an answer only close the calls
            ends = [match for match in ends if match.group() == self.answer_end] or ends
        if ends:
            end = ends[0].end()
        else:
            following = [] if last else _pieces(row.messages[place + 1])
            after = text.find(following[0], written) if following else -1
            end = len(text) if after < 0 else after
        return Turn(place, start, written, end, bool(ends))

    def _prompt(self, row: Conversation, place: int, text: str, pieces: Sequence[str], form: Form) -> str:
        """What a server sends before message ``place``; '' where the template raises.

        Of messages that are a text and nothing else it is what stands around other texts, where the row's own text
        begins so and goes on with the answer; else it is written.
        """
        before = row.messages[:place]
        if pieces and not row.tools and all(map(_is_text_alone, before)):
            around = self._around(tuple(message.role for message in before))
            texts = [message.content or "" for message in before]
            known = "".join(itertools.chain.from_iterable(zip(around, [*texts, ""], strict=True))) if around else ""
            if known and text.startswith(known) and text[len(known) :].lstrip().startswith(pieces[0]):
                return known
        return self.write(before, row.tools, generation_prompt=True, form=form) or ""

    def _around(self, roles: tuple[str, ...]) -> tuple[str, ...]:
        """What the template writes around the texts of a prompt's messages with these roles; () where it does not write
        each once, in order."""
        if roles not in self.prompts:
            words = [f"{WORDS[number % 2]} {number}." for number in range(len(roles))]
            text = self.write([*map(Message, roles, words)], (), generation_prompt=True) or ""
            parts = re.split("|".join(map(re.escape, words)), text)
            found = [*itertools.chain.from_iterable(zip(parts, [*words, ""], strict=False))]
            whole = len(parts) == len(roles) + 1 and "".join(found) == text
            self.prompts[roles] = tuple(parts) if whole else ()
        return self.prompts[roles]

    @cached_property
    def prompts(self) -> dict[tuple[str, ...], tuple[str, ...]]:
        """By roles, what stands around the texts of prompts."""
        return {}

    def answers_hold_questions(self) -> bool:
        """Whether the template writes the user's text into the turn of the assistant."""
        messages = [Message(role, f"{role} {word}") for word in WORDS for role in ("user", "assistant")]
        for count in (len(messages), 2):
            row = Conversation(tuple(messages[:count]), Source("template", 1, ""))
            text = self.write(row.messages, ())
            if text is not None:
                turns = [self.turn(row, place, text, form=PLAIN) for place in range(1, count, 2)]
                return any(f"user {word}" in text[turn.start : turn.end] for turn in turns for word in WORDS)
        return False

    def _written_to(self, text: str, start: int, pieces: Sequence[str], through: str) -> int:
        """Where the row's own text of the turn from ``start`` on ends. ``through`` is the row's text up to the turn's
        end, where the template writes it alike."""
        body = self._body(through)
        if pieces and len(body) > start and text.startswith(body) and body.endswith(pieces[-1]):
            return len(body)
        end = start
        for number, piece in enumerate(pieces):
            place, following = text.find(piece, end), text.find(pieces[-1], end)
            if place >= 0 and (place <= following or number == len(pieces) - 1):  # else it stands in a later turn
                end = place + len(piece)
        return end

    def _body(self, text: str) -> str:
        """A text without the blanks and special tokens at its end."""
        body = text.rstrip()
        while closing := next((token for token in self.closing if token and body.endswith(token)), None):
            body = body.removesuffix(closing).rstrip()
        return body


def _is_text_alone(message: Message) -> bool:
    """Whether a message is a role and a text."""
    bare = message.reasoning_content is None and message.name is None and message.tool_call_id is None
    return bool(message.content) and bare and not message.tool_calls


def _end_of(messages: Sequence[Message], text: str) -> int:
    """Where the texts of some first messages end in the rendering of all."""
    end = 0
    for message in messages:
        for piece in _pieces(message):
            place = text.find(piece, end)
            end = end if place < 0 else place + len(piece)
    return end


def _after_header(text: str, floor: int, pieces: Sequence[str], prompt: str) -> int:
    """Where an answer starts whose history is written otherwise than its prompt: behind the longest end of the prompt,
    or beginning of it up to a think block, that stands before the answer's text."""
    ceiling = text.find(pieces[0], floor) if pieces else len(text)
    region = text[floor : ceiling if ceiling >= 0 else len(text)]
    opening = prompt.partition("<think>")[0]
    ends = [prompt[cut:] for cut in range(len(prompt))]
    heads = [opening[:cut] for cut in range(1, len(opening) + 1)]
    for part in sorted((part for part in (*ends, *heads) if part.strip()), key=len, reverse=True):
        place = region.rfind(part)
        if place >= 0:
            return floor + place + len(part)
    return floor + len(region)


def _pieces(message: Message) -> list[str]:
    """The texts of a message, without outer blanks, in the order in which templates write them."""
    texts = [message.reasoning_content or "", *THINK.split(message.content or "")]
    for call in message.tool_calls:
        texts.append(call.name)
        arguments = call.arguments
        texts += (
            [value for value in arguments.values() if isinstance(value, str)] if isinstance(arguments, dict) else []
        )
    return [text.strip() for text in texts if text.strip()]


def _fields(message: Message, form: Form) -> dict[str, Any]:
    """A message as ``apply_chat_template`` takes it."""
    fields: dict[str, Any] = {"role": message.role}
    if message.content is not None or form.empty_content:
        fields["content"] = message.content or ""
    if message.reasoning_content is not None:
        fields |= {"reasoning_content": message.reasoning_content, "thinking": message.reasoning_content}
    if message.tool_calls:
        fields["tool_calls"] = [
            {"type": "function"}
            | ({} if call.id is None else {"id": call.id})
            | {"function": {"name": call.name, "arguments": _arguments(call.arguments, form)}}
            for call in message.tool_calls
        ]
    fields |= {} if message.name is None else {"name": message.name}
    return fields | ({} if message.tool_call_id is None else {"tool_call_id": message.tool_call_id})


def _arguments(arguments: dict[str, Any] | str, form: Form) -> dict[str, Any] | str:
    if form.text_arguments:
        return arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
    if isinstance(arguments, dict):
        return arguments
    try:
        parsed = json.loads(arguments)
    except ValueError:
        return arguments
    return parsed if isinstance(parsed, dict) else arguments
