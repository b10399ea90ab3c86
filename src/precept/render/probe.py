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

_LOOKS_LIKE_A_TOKEN = re.compile(r"<\|[^<>|\s]{1,60}\|>|<｜[^<>｜\s]{1,60}｜>|<(?:start|end)_of_\w{1,30}>")


@dataclass(frozen=True, slots=True)
class Rendering:
    """One probe's text with the places of its fields: ``spans[message]`` are first and last character written."""

    text: str
    spans: dict[int, tuple[int, int]]
    fields: frozenset[tuple[int, str]]

    def before(self, message: int) -> str:
        """What the template wrote between the previous field and this message's first one."""
        start = self.spans[message][0]
        previous = [end for index, (_, end) in self.spans.items() if index != message and end <= start]
        return self.text[max(previous, default=0) : start]

    def after(self, message: int) -> str:
        """What the template wrote after this message's last field, up to the next field."""
        end = self.spans[message][1]
        following = [start for index, (start, _) in self.spans.items() if index != message and start >= end]
        return self.text[end : min(following, default=len(self.text))]


@dataclass(frozen=True, slots=True)
class Probe:
    """The template's habits.

    ``lead`` is what stands before the first user's text; ``prompts[role]`` all that stands between the end of a
    message of that role and the point where the model starts to write; ``answer_leads`` what stands between that
    point and the content of a last and an earlier answer, longest first; ``answer_tail`` what follows a last answer;
    ``terminator`` the first special token in it, None when there is none; ``call_terminator`` the same after tool
    calls; ``openers`` special tokens that begin a role header; ``interior`` and ``call_interior`` special tokens
    between reasoning and content and inside a tool call; ``structure`` the text of all these.
    """

    form: Form
    lead: str
    prompts: dict[str, str]
    answer_leads: tuple[str, ...]
    answer_tail: str
    terminator: str | None
    openers: frozenset[str]
    interior: frozenset[str]
    call_terminator: str | None
    call_interior: frozenset[str]
    shows_reasoning: bool
    appends_prompt: bool
    structure: str

    def tokens_like(self) -> list[str]:
        """Texts of the form of special tokens that the template writes by itself, in order of appearance."""
        return list(dict.fromkeys(_LOOKS_LIKE_A_TOKEN.findall(self.structure)))

    def tail_tokens_like(self) -> list[str]:
        """Those of them that follow an answer."""
        return _LOOKS_LIKE_A_TOKEN.findall(self.answer_tail)


def probe(template: ChatTemplate, special: re.Pattern[str], *, tools: bool) -> Probe:
    """Render the probes. ``special`` matches the tokenizer's special tokens; ``tools`` passes a tool to all of them."""
    form = _form(template)
    given = [_TOOL] if tools else []

    def render(*messages: Message, prompt: bool = False) -> Rendering | None:
        return _render(template, messages, form, given, add_generation_prompt=prompt)

    asked, prompted = render(_USER), render(_USER, prompt=True)
    answered, reopened = render(_USER, _ANSWER), render(_USER, _ANSWER, prompt=True)
    second, reasoned = render(_USER, _ANSWER, _USER, _ANSWER), render(_USER, _REASONED)
    # A tool's result is only ever written beside tools.
    called = _render(template, [_USER, _CALL], form, [_TOOL], add_generation_prompt=False)
    returned = _render(template, [_USER, _CALL, _RESULT], form, [_TOOL], add_generation_prompt=True)

    prompts = {}
    if prompted and 0 in prompted.spans:
        prompts["user"] = prompted.after(0)
    if returned and 2 in returned.spans:
        prompts["tool"] = returned.after(2)
    tail = answered.after(1) if answered and 1 in answered.spans else ""
    closing = special.search(tail)
    closers = set(special.findall(tail))
    closers |= set(special.findall(asked.after(0))) if asked and 0 in asked.spans else set()
    call_tail = called.after(1) if called and 1 in called.spans else ""
    ending = special.search(call_tail)
    closers |= set(special.findall(call_tail))
    lead = prompted.before(0) if prompted and 0 in prompted.spans else ""
    opening = lead + "".join(prompts.values())
    opening += second.before(2) if second and 2 in second.spans else ""
    opening += returned.before(2) if returned and 2 in returned.spans else ""
    shows = bool(reasoned and (1, "reasoning_content") in reasoned.fields)
    return Probe(
        form=form,
        lead=lead,
        prompts=prompts,
        answer_leads=_answer_leads(prompts.get("user", ""), [answered, second]),
        answer_tail=tail,
        terminator=closing.group() if closing else None,
        openers=frozenset(special.findall(opening)) - closers,
        interior=_specials_inside(reasoned, special) if shows else frozenset(),
        call_terminator=ending.group() if ending else None,
        call_interior=_specials_inside(called, special),
        shows_reasoning=shows,
        appends_prompt=bool(answered and reopened and reopened.text.startswith(answered.text)),
        structure=opening + tail,
    )


def _answer_leads(prompt: str, renderings: Sequence[Rendering | None]) -> tuple[str, ...]:
    regions = [rendering.before(1) for rendering in renderings if rendering and 1 in rendering.spans]
    leads = {region.partition(prompt)[2] for region in regions if prompt and prompt in region}
    return tuple(sorted(leads, key=len, reverse=True))


def _specials_inside(rendering: Rendering | None, special: re.Pattern[str]) -> frozenset[str]:
    """Special tokens between the first and the last field of the answer."""
    if rendering is None or 1 not in rendering.spans:
        return frozenset()
    return frozenset(special.findall(rendering.text, *rendering.spans[1]))


def _render(
    template: ChatTemplate,
    messages: Sequence[Message],
    form: Form,
    tools: list[dict[str, Any]],
    *,
    add_generation_prompt: bool,
) -> Rendering | None:
    """The marked rendering of a probe, None where the template raises on it."""
    marker = Marker()
    marked = marker.messages(plain_messages(messages, form))
    try:
        rendered = template.render(marked, tools, add_generation_prompt=add_generation_prompt)
    except RowRefused:
        return None
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
