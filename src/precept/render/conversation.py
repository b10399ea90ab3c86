"""One conversation to text, with the places of its turns and fields, in two renderings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from precept.render.chat_template import ChatTemplate
from precept.render.fields import MARK, Form, Mark, Marker, Piece, call_arguments, plain_messages, unmark
from precept.render.probe import Probe, probe
from precept.render.refused import RowRefused
from precept.render.settings import SpecialTokensInText
from precept.render.skeleton import Skeleton, find_skeleton, plain_roles, stand_ins
from precept.render.tokens import matcher
from precept.render.turns import Turn, TurnFinder
from precept.types import Message

MOST_SKELETONS = 4096


class Layout(NamedTuple):
    """The text of a conversation and what stands where. ``reasoning_dropped`` lists messages whose reasoning the
    template removes by design; ``pieces`` are the characters that came from the row; ``arguments_marked`` tells
    whether the texts in tool arguments are among them."""

    text: str
    turns: list[Turn]
    pieces: list[Piece]
    marks: list[Mark]
    reasoning_dropped: frozenset[int]
    arguments_marked: bool


class ConversationRenderer:
    """Lays conversations out with one chat template."""

    def __init__(
        self, template: ChatTemplate, *, special_tokens: frozenset[str], added_tokens: Mapping[str, int]
    ) -> None:
        """``special_tokens`` are texts, ``added_tokens`` texts and ids of all tokens outside the base vocabulary."""
        self.template = template
        self._special_tokens = special_tokens
        self._token_ids = added_tokens
        self._special = matcher(special_tokens)
        self._controls: dict[bool, re.Pattern[str]] = {}
        self._habits: dict[bool, tuple[Probe, TurnFinder]] = {}
        self._skeletons: dict[tuple[tuple[str, ...], bool], Skeleton | None] = {}

    def habits(self, *, tools: bool) -> Probe:
        """What the template does beside tools or without, probed once."""
        return self._known(tools)[0]

    def _known(self, tools: bool) -> tuple[Probe, TurnFinder]:
        if tools not in self._habits:
            found = probe(self.template, self._special, tools=tools)
            self._habits[tools] = found, TurnFinder(found, self._special)
        return self._habits[tools]

    def text(self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], *, add_generation_prompt: bool) -> str:
        """The plain rendering, nothing looked up in it."""
        return self._plain(messages, list(tools), add_generation_prompt)[1]

    def _plain(
        self, messages: Sequence[Message], tools: list[dict[str, Any]], add_generation_prompt: bool
    ) -> tuple[list[dict[str, Any]], str]:
        form = self.habits(tools=bool(tools)).form
        plain = plain_messages(messages, form)
        try:
            return plain, self.template.render(plain, tools, add_generation_prompt=add_generation_prompt)
        except RowRefused:
            if form.null_content == "empty" or all(message.content is not None for message in messages):
                raise
        plain = plain_messages(messages, Form("empty", form.arguments))
        return plain, self.template.render(plain, tools, add_generation_prompt=add_generation_prompt)

    def lay_out(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], *, add_generation_prompt: bool = False
    ) -> Layout:
        """Render a conversation and find its turns. Raises RowRefused where the template raises, drops a field, or
        writes something else once marks stand around the row's text, and where the row has more texts than marks."""
        given = list(tools)
        habits, finder = self._known(bool(given))
        plain, text = self._plain(messages, given, add_generation_prompt)
        skeleton = None if given else self._skeleton(plain_roles(messages), add_generation_prompt)
        placed = skeleton.place(messages, text) if skeleton else None
        if skeleton and placed is not None:
            marker, prompt, pieces = skeleton.marker, skeleton.prompt, placed
        else:
            marker, prompt, pieces = self._marked(plain, given, text, add_generation_prompt)
        self._refuse_vanished(messages, marker, pieces, habits)
        turns = finder.find(text, messages, pieces, marker.marks, prompt)
        written = {piece.mark for piece in pieces}
        dropped = frozenset(
            mark.message for place, mark in enumerate(marker.marks) if mark.reasoning and place not in written
        )
        return Layout(text, turns, pieces, marker.marks, dropped, marker.arguments)

    def _skeleton(self, roles: tuple[str, ...] | None, add_generation_prompt: bool) -> Skeleton | None:
        """What stands around the texts of plain messages with these roles; None where the template has no such form."""
        if roles is None:
            return None
        key = roles, add_generation_prompt
        if key not in self._skeletons:
            if len(self._skeletons) >= MOST_SKELETONS:
                self._skeletons.clear()
            messages = stand_ins(roles)
            try:
                plain, text = self._plain(messages, [], add_generation_prompt)
                self._skeletons[key] = find_skeleton(text, *self._marked(plain, [], text, add_generation_prompt))
            except RowRefused:
                self._skeletons[key] = None
        return self._skeletons[key]

    def _marked(
        self,
        plain: list[dict[str, Any]],
        tools: list[dict[str, Any]],
        text: str,
        add_generation_prompt: bool,
    ) -> tuple[Marker, str, list[Piece]]:
        """The marks of a rendering whose rest is the text, or the text and the generation prompt after it; that prompt,
        or ''; and the marked pieces.

        An attempt says whether the generation prompt is asked for and whether tool arguments are marked. Nearly
        always the first holds. The others serve templates whose body depends on the generation prompt and templates
        that escape or inspect tool arguments.
        """
        area = next((area for area, marks in enumerate(MARK) if not marks.search(text)), None)
        if area is None:
            raise RowRefused("the row holds characters of both supplementary private use areas", code="marks-in-text")
        prompting = add_generation_prompt or self.habits(tools=bool(tools)).appends_prompt
        attempts = ((prompting, True), (add_generation_prompt, True), (add_generation_prompt, False))
        for with_prompt, arguments in dict.fromkeys(attempts):
            marker = Marker(area, arguments=arguments)
            marked = marker.messages(plain)
            try:
                rendered = self.template.render(marked, tools, add_generation_prompt=with_prompt)
            except RowRefused:
                continue
            stripped, pieces = unmark(rendered, area)
            if stripped == text or (with_prompt and stripped.startswith(text)):
                return marker, stripped[len(text) :], pieces
        raise RowRefused(
            f"the chat template '{self.template.name}' writes other text once marks stand around the row's fields, "
            "so its trained tokens cannot be told",
            code="marks-change-text",
        )

    def _refuse_vanished(
        self, messages: Sequence[Message], marker: Marker, pieces: Sequence[Piece], habits: Probe
    ) -> None:
        written = {piece.mark for piece in pieces}
        if len(written) == len(marker.marks):
            return
        # Reasoning may go once somebody else has spoken or the model has answered after its tools.
        last = max((place for place, message in enumerate(messages) if message.role != "tool"), default=-1)
        for place, mark in enumerate(marker.marks):
            if place in written or (mark.reasoning and mark.message < last and habits.shows_reasoning):
                continue
            role = messages[mark.message].role
            raise _vanished(self.template.name, mark, role)

    def literals(
        self,
        layout: Layout,
        messages: Sequence[Message],
        tools: Sequence[dict[str, Any]],
        *,
        policy: SpecialTokensInText,
    ) -> tuple[tuple[int, int], ...]:
        """Characters of the row's own text that spell a control token and must stay text.

        Empty under ``allow``. Raises RowRefused under ``error``, and for fields whose place in the text is unknown.
        """
        if policy == "allow":
            return ()
        control = self._control(tools=bool(tools))
        found = []
        for start, end, _ in layout.pieces:
            found += [match.span() for match in control.finditer(layout.text, start, end)]
        form = self.habits(tools=bool(tools)).form
        spelled = control.search("\n".join(_unplaced(layout, messages, tools, form)))
        if spelled:
            raise RowRefused(
                f"a tool schema, name, id or argument holds '{spelled.group()}', which the tokenizer turns into a "
                "special token",
                code="special-token-in-text",
            )
        if found and policy == "error":
            raise special_token_in_text(layout.text[slice(*found[0])])
        return tuple(found)

    def may_hold_literals(
        self, messages: Sequence[Message], tools: Sequence[dict[str, Any]], *, policy: SpecialTokensInText
    ) -> bool:
        """A quick look: whether ``literals`` could find any."""
        if policy == "allow":
            return False
        control = self._control(tools=bool(tools))
        texts = [
            text
            for message in messages
            for text in (message.content, message.reasoning_content, message.name, message.tool_call_id)
            if text
        ]
        return bool(tools) or any(message.tool_calls for message in messages) or any(map(control.search, texts))

    def stop_ids(self, terminators: Iterable[str | None], eos_id: int | None) -> tuple[int, ...]:
        """Ids at which generation must stop: the turns' terminators, but for tokens that also stand inside a turn."""
        inside = set().union(*(habits.interior for habits, _ in self._habits.values()))
        ends = {text for text in terminators if text is not None}
        ids = {self._token_ids[text] for text in (ends - inside or ends) if text in self._token_ids}
        if not ids and eos_id is not None:
            ids = {eos_id}
        return tuple(sorted(ids))

    def _control(self, *, tools: bool) -> re.Pattern[str]:
        """Special tokens, and added tokens that the template builds turns from; think tags are ordinary contents."""
        if tools not in self._controls:
            structure = self.habits(tools=tools).structure
            tokens = self._special_tokens | {token for token in self._token_ids if token in structure}
            self._controls[tools] = matcher(tokens - {"<think>", "</think>"})
        return self._controls[tools]


def _unplaced(
    layout: Layout, messages: Sequence[Message], tools: Sequence[dict[str, Any]], form: Form
) -> Iterator[str]:
    """Text that a template may write without marks around it, or in several places: schemas, names, ids and keys, and
    tool arguments where they could not be marked."""
    if tools:
        yield json.dumps(list(tools), ensure_ascii=False)
    for message in messages:
        yield from filter(None, (message.name, message.tool_call_id))
        for call in message.tool_calls:
            yield from filter(None, (call.name, call.id))
            texts = _argument_texts(call_arguments(call.arguments, form))
            yield from (text for text, is_key in texts if is_key or not layout.arguments_marked)


def _argument_texts(value: Any) -> Iterator[tuple[str, bool]]:
    """The texts in a tool call's arguments, and whether each is a key."""
    if isinstance(value, str):
        yield value, False
    elif isinstance(value, list):
        for item in value:
            yield from _argument_texts(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield key, True
            yield from _argument_texts(item)


def special_token_in_text(token: str) -> RowRefused:
    """The refusal of a row whose text spells a special token."""
    return RowRefused(
        f"the text holds '{token}', which the tokenizer turns into a special token "
        "(special_tokens_in_text=as_text encodes its spelling)",
        code="special-token-in-text",
    )


def _vanished(template: str, mark: Mark, role: str) -> RowRefused:
    return RowRefused(
        f"the chat template '{template}' drops the field '{mark.field}' of a message with role '{role}'",
        code="field-dropped",
    )
