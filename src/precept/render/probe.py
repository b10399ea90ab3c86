"""What a chat template does, learned by rendering a few small conversations with it. No template is known by name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from precept.render.chat_template import ChatTemplate
from precept.render.fields import Form, Marker, plain_messages, unmark
from precept.render.refused import RowRefused
from precept.types import Message, ToolCall

# Nine letters and digits: some templates insist on that shape.
_CALL_ID = "call00001"
_TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "lookup",
        "description": "Looks a word up.",
        "parameters": {
            "type": "object",
            "properties": {"word": {"type": "string", "description": "The word."}},
            "required": ["word"],
        },
    },
}
_USER = Message("user", "question")
_ANSWER = Message("assistant", "answer")
_REASONED = Message("assistant", "answer", reasoning_content="reason")
_CALL = Message("assistant", None, tool_calls=(ToolCall("lookup", {"word": "tree"}, id=_CALL_ID),))
_RESULT = Message("tool", "result", name="lookup", tool_call_id=_CALL_ID)

TOKEN_LIKE = r"<\|[^<>|\s]{1,60}\|>|<｜[^<>｜\s]{1,60}｜>|<(?:start|end)_of_\w{1,30}>"


@dataclass(frozen=True, slots=True)
class Rendering:
    """One probe's text with the places of its fields: ``spans[message]`` are first and last character written."""

    text: str
    spans: dict[int, tuple[int, int]]
    fields: frozenset[tuple[int, str]]

    def before(self, message: int) -> str:
        """What the template wrote between the previous message's fields and this one's; '' if it wrote none of them."""
        if message not in self.spans:
            return ""
        start = self.spans[message][0]
        previous = [end for index, (_, end) in self.spans.items() if index != message and end <= start]
        return self.text[max(previous, default=0) : start]

    def after(self, message: int) -> str:
        """What the template wrote between this message's fields and the next one's."""
        if message not in self.spans:
            return ""
        end = self.spans[message][1]
        following = [start for index, (start, _) in self.spans.items() if index != message and start >= end]
        return self.text[end : min(following, default=len(self.text))]

    def specials_inside(self, message: int, special: re.Pattern[str]) -> frozenset[str]:
        """Special tokens between the first and the last character of a message's fields."""
        return frozenset(special.findall(self.text, *self.spans.get(message, (0, 0))))


@dataclass(frozen=True, slots=True)
class Probe:
    """The template's habits.

    ``lead`` is what stands before the first user's text; ``prompts[role]`` all that stands between the end of a
    message of that role and the point where the model starts to write; ``answer_leads`` what stands between that point
    and the content of a last and an earlier answer, longest first; ``answer_tail`` what follows a last answer;
    ``terminator`` the first special token in it, None when there is none; ``earlier_tail`` and ``earlier_terminator``
    what stands between an earlier answer and the next user's text, and the token in it that ends the answer;
    ``call_tail`` and ``call_terminator`` the same as for a last answer after a last tool call; ``openers`` special
    tokens that begin a role header; ``interior`` and ``call_interior`` special tokens between reasoning and content
    and inside a tool call; ``structure`` the text of all these.
    """

    form: Form
    lead: str
    prompts: dict[str, str]
    answer_leads: tuple[str, ...]
    answer_tail: str
    terminator: str | None
    earlier_tail: str
    earlier_terminator: str | None
    openers: frozenset[str]
    interior: frozenset[str]
    call_tail: str
    call_terminator: str | None
    call_interior: frozenset[str]
    shows_reasoning: bool
    appends_prompt: bool
    structure: str

    def tokens_like(self) -> list[str]:
        """Texts of the form of special tokens that the template writes by itself, in order of appearance."""
        return list(dict.fromkeys(re.findall(TOKEN_LIKE, self.structure)))

    def tail_tokens_like(self) -> list[str]:
        """Those of them that follow an answer."""
        return re.findall(TOKEN_LIKE, self.answer_tail)


def probe(template: ChatTemplate, special: re.Pattern[str], *, tools: bool) -> Probe:
    """Render the probes. ``special`` matches the tokenizer's special tokens; ``tools`` passes a tool to all of them."""
    form = _form(template)
    given = [_TOOL] if tools else []

    def render(*messages: Message, prompt: bool = False) -> Rendering:
        return _render(template, messages, form, given, add_generation_prompt=prompt)

    asked, prompted = render(_USER), render(_USER, prompt=True)
    answered, reopened = render(_USER, _ANSWER), render(_USER, _ANSWER, prompt=True)
    second, reasoned = render(_USER, _ANSWER, _USER, _ANSWER), render(_USER, _REASONED)
    # Calls and results stand beside tools only.
    called = _render(template, [_USER, _CALL], form, [_TOOL], add_generation_prompt=False)
    returned = _render(template, [_USER, _CALL, _RESULT], form, [_TOOL], add_generation_prompt=True)

    tail, call_tail = answered.after(1), called.after(1)
    terminator = next(iter(special.findall(tail)), None)
    call_ends = special.findall(call_tail)
    if terminator in call_ends:
        call_ends = [terminator]  # tokens before it only close the call
    earlier_tail = second.after(1)
    opening_tokens = special.findall(prompted.before(0))
    earlier_ends = [token for token in special.findall(earlier_tail) if token not in opening_tokens]
    closers = special.findall(tail + asked.after(0) + call_tail) + earlier_ends[:1]
    prompts = {"user": prompted.after(0), "tool": returned.after(2)}
    opening = "".join((prompted.before(0), second.before(2), returned.before(2), *prompts.values()))
    shows_reasoning = (1, "reasoning_content") in reasoned.fields
    return Probe(
        form=form,
        lead=prompted.before(0),
        prompts=prompts,
        answer_leads=_answer_leads(prompts["user"], [answered, second]),
        answer_tail=tail,
        terminator=terminator,
        earlier_tail=earlier_tail,
        earlier_terminator=terminator or next(iter(earlier_ends), None),
        openers=frozenset(special.findall(opening)) - set(closers),
        interior=reasoned.specials_inside(1, special) if shows_reasoning else frozenset(),
        call_tail=call_tail,
        call_terminator=call_ends[0] if call_ends else None,
        call_interior=called.specials_inside(1, special),
        shows_reasoning=shows_reasoning,
        appends_prompt=bool(reopened.text) and reopened.text.startswith(answered.text),
        structure=opening + tail,
    )


def _answer_leads(prompt: str, renderings: Sequence[Rendering]) -> tuple[str, ...]:
    regions = [rendering.before(1) for rendering in renderings]
    leads = {region.partition(prompt)[2] for region in regions if prompt and prompt in region}
    return tuple(sorted(leads, key=len, reverse=True))


def _render(
    template: ChatTemplate,
    messages: Sequence[Message],
    form: Form,
    tools: list[dict[str, Any]],
    *,
    add_generation_prompt: bool,
) -> Rendering:
    """The marked rendering of a probe, empty where the template raises on it."""
    marker = Marker()
    marked = marker.messages(plain_messages(messages, form))
    try:
        rendered = template.render(marked, tools, add_generation_prompt=add_generation_prompt)
    except RowRefused:
        return Rendering("", {}, frozenset())
    text, pieces = unmark(rendered, 0)
    spans: dict[int, tuple[int, int]] = {}
    for piece in pieces:
        message = marker.marks[piece.mark].message
        start, end = spans.get(message, (piece.start, piece.end))
        spans[message] = min(start, piece.start), max(end, piece.end)
    fields = frozenset((marker.marks[piece.mark].message, marker.marks[piece.mark].field) for piece in pieces)
    return Rendering(text, spans, fields)


def _form(template: ChatTemplate) -> Form:
    """The first way to pass null content and tool arguments that the template writes whole: null and object first."""
    for arguments, null_content in itertools.product(("object", "string"), ("null", "empty")):
        form = Form(null_content=null_content, arguments=arguments)  # type: ignore[arg-type]  # literals above
        text = _plain_text(template, form)
        python_object = repr(_CALL.tool_calls[0].arguments)  # single quotes: printed without tojson
        if text is None or "tree" not in text or python_object in text:
            continue
        if null_content == "null":
            empty = _plain_text(template, form._replace(null_content="empty"))
            if empty is not None and text.count("None") > empty.count("None"):
                continue
        return form
    return Form()


def _plain_text(template: ChatTemplate, form: Form) -> str | None:
    try:
        return template.render(plain_messages([_USER, _CALL], form), [_TOOL], add_generation_prompt=False)
    except RowRefused:
        return None
