"""Rows to drafts: the text of each sequence with its weighted characters, before any token is made."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from precept.render.conversation import ConversationRenderer, Layout
from precept.render.refused import RowRefused
from precept.render.settings import RenderSettings
from precept.render.tokens import Span, TextEncoder
from precept.render.turns import Turn
from precept.types import Comparison, Conversation, Message, Source


@dataclass(frozen=True, slots=True)
class Plan:
    """One sequence to be: its messages with a wish each. A wish is the weight of the message's turn, None: context."""

    messages: tuple[Message, ...]
    tools: tuple[dict[str, Any], ...]
    wishes: tuple[float | None, ...]
    source: Source
    earlier_text: str = ""
    """Text of the row's sequence before this one: its context has been weighed there already."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a sequence. ``target`` is the last trained turn; ``literals`` must not become special tokens."""

    text: str
    spans: tuple[Span, ...]
    literals: tuple[tuple[int, int], ...]
    target: tuple[int, int]
    plan: Plan
    terminators: tuple[str | None, ...]
    reasoning_dropped: int


class Drafter:
    """Makes drafts of conversations with one template and one set of settings."""

    def __init__(
        self,
        conversations: ConversationRenderer,
        encoder: TextEncoder,
        settings: RenderSettings,
        *,
        always_split: bool,
    ) -> None:
        self.conversations = conversations
        self._encoder = encoder
        self._settings = settings
        self._always_split = always_split
        self._whole_shapes: dict[object, bool] = {}

    def drafts(self, row: Conversation | Comparison) -> list[Draft]:
        """The drafts of a row, in order. Raises RowRefused."""
        if isinstance(row, Conversation):
            return self._drafts(row, row.messages, 0)
        prompt = len(row.prompt)
        return [draft for answer in row.answers for draft in self._drafts(row, (*row.prompt, *answer.messages), prompt)]

    def _drafts(self, row: Conversation | Comparison, messages: tuple[Message, ...], first: int) -> list[Draft]:
        """The drafts of one list of messages, of which those from ``first`` on may be trained."""
        plan = Plan(messages, row.tools, self._wishes(messages, first), row.source)
        if self._always_split or self._settings.turns == "split":
            return self._split_drafts(plan)
        layout = self._lay_out(plan)
        # An answer that is compared stays one sequence: it has one score.
        if self._settings.turns == "auto" and isinstance(row, Conversation) and not self._whole_serves(plan, layout):
            return self._split_drafts(plan)
        return [self._drafted(plan, layout)]

    def draft(self, plan: Plan) -> Draft:
        """The draft of one plan."""
        return self._drafted(plan, self._lay_out(plan))

    def _lay_out(self, plan: Plan) -> Layout:
        if any(message.images for message in plan.messages):
            raise RowRefused("images need a vision model", code="images-not-supported")
        if not plan.messages:
            raise RowRefused("the row has no messages", code="no-messages")
        return self.conversations.lay_out(plan.messages, plan.tools)

    def _wishes(self, messages: Sequence[Message], first: int) -> tuple[float | None, ...]:
        """Weights by message: the row's own flags, ``train_on``, and nothing before message ``first``."""
        answers = [place for place, message in enumerate(messages) if message.role == "assistant"]
        chosen = set(answers if self._settings.train_on == "all" else answers[-1:])
        wishes: list[float | None] = []
        for place, message in enumerate(messages):
            weight = 1.0 if message.weight is None else message.weight
            if not math.isfinite(weight) or weight < 0:
                raise RowRefused(f"the message weight {weight} is not a number of 0 or more", code="bad-weight")
            if message.train is False:
                wishes.append(0.0)
            elif place >= first and (place in chosen or (message.role != "assistant" and message.train)):
                wishes.append(weight)
            else:
                wishes.append(None)
        return tuple(wishes)

    def _drafted(self, plan: Plan, layout: Layout) -> Draft:
        spans: list[Span] = []
        target = (0, 0)
        terminators = []
        turns = {turn.message: turn for turn in layout.turns}
        for place, wish in enumerate(plan.wishes):
            if wish is None:
                continue
            if place in turns:
                turn = turns[place]
                spans.append(Span(turn.start, turn.end, wish))
                if wish > 0:
                    target = (turn.start, turn.end)
                    terminators.append(turn.terminator)
            else:
                own = [piece for piece in layout.pieces if layout.marks[piece.mark].message == place]
                if own:
                    spans.append(Span(own[0].start, own[-1].end, wish))
        return Draft(
            text=layout.text,
            spans=tuple(_without_earlier(sorted(spans), plan.earlier_text, layout.text)),
            literals=self.conversations.literals(
                layout, plan.messages, plan.tools, policy=self._settings.special_tokens_in_text
            ),
            target=target,
            plan=plan,
            terminators=tuple(terminators),
            reasoning_dropped=len(layout.reasoning_dropped),
        )

    def _split_drafts(self, plan: Plan) -> list[Draft]:
        """One draft for each trained turn, ending there, in which nothing else is trained."""
        made: list[Draft] = []
        previous = -1
        for place, message in enumerate(plan.messages):
            if message.role != "assistant" or not plan.wishes[place]:
                continue
            wishes = [
                wish if at == place or not wish or (at > previous and plan.messages[at].role != "assistant") else None
                for at, wish in enumerate(plan.wishes[: place + 1])
            ]
            earlier = made[-1].text if made else ""
            part = replace(plan, messages=plan.messages[: place + 1], wishes=tuple(wishes), earlier_text=earlier)
            made.append(self.draft(part))
            previous = place
        if not made:
            raise RowRefused("nothing is trained: the row has no answer to learn", code="nothing-trained")
        return made

    def _whole_serves(self, plan: Plan, layout: Layout) -> bool:
        """Whether the row holds, before each trained turn, what a server would send; by the first row of each shape."""
        trained = [turn for turn in layout.turns if plan.wishes[turn.message]]
        if not trained or (len(trained) == 1 and trained[0].message == len(plan.messages) - 1):
            return True  # one sequence that ends with its only trained turn: splitting would change nothing
        shape = (bool(plan.tools), plan.wishes, tuple(_shape(message) for message in plan.messages))
        return all(self._turn_stands(plan, layout, turn, shape) for turn in trained)

    def _turn_stands(self, plan: Plan, layout: Layout, turn: Turn, shape: tuple[object, ...]) -> bool:
        """``_prompt_stands`` by the first row of its kind: what an answer starts with decides whether its first token
        also holds the end of the prompt."""
        kind = (*shape, turn.message, layout.text[turn.start : turn.start + 1])
        if kind not in self._whole_shapes:
            self._whole_shapes[kind] = self._prompt_stands(plan, layout, turn.message, turn.start)
        return self._whole_shapes[kind]

    def _prompt_stands(self, plan: Plan, layout: Layout, message: int, start: int) -> bool:
        try:
            prompt = self.conversations.text(plan.messages[:message], plan.tools, add_generation_prompt=True)
        except RowRefused:
            return True  # no server can send it either
        if start != len(prompt) or not layout.text.startswith(prompt):
            return False
        ids = self._encoder.ids(prompt).tolist()
        return bool(self._encoder.ids(layout.text)[: len(ids)].tolist() == ids)


def _without_earlier(spans: list[Span], earlier: str, text: str) -> list[Span]:
    """Spans with weight 0 for the characters shared with an earlier sequence of the same row."""
    if not earlier:
        return spans
    differing = (place for place, (a, b) in enumerate(zip(earlier, text, strict=False)) if a != b)
    shared = next(differing, min(len(earlier), len(text)))
    kept = [Span(max(start, shared), end, weight) for start, end, weight in spans if end > shared]
    return [Span(0, shared, 0.0), *kept]


def _shape(message: Message) -> tuple[str, bool, bool, int, bool, bool, bool]:
    content = message.content or ""
    return (
        message.role,
        bool(content),
        bool(message.reasoning_content),
        len(message.tool_calls),
        "think>" in content,
        content[:1].isspace(),
        content[-1:].isspace(),
    )
