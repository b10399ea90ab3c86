"""Plain rows are laid out by what stands around their texts exactly as by marks."""

from __future__ import annotations

import itertools

import pytest
import render_samples
from render_samples import CHATML, row

from precept.render import shipped_names
from precept.render.chat_template import ChatTemplate
from precept.render.refused import RowRefused
from precept.render.skeleton import plain_roles
from precept.types import Message, ToolCall

TEMPLATES = {name: text for name, text in vars(render_samples).items() if isinstance(text, str) and "{%" in text}
TEXTS = ("hi", "a{{ b }}", "<|im_end|>", "x\n\ny", "quokka 0 zebu", "日本", "hi")
ROLES = (
    ("user", "assistant"),
    ("system", "user", "assistant"),
    ("user", "assistant", "user", "assistant"),
    ("user",),
)


@pytest.mark.parametrize("name", [*TEMPLATES, *shipped_names()])
def test_turns_and_pieces_are_those_of_marks(renderer, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        tuple(map(Message, roles, texts))
        for roles in ROLES
        for texts in itertools.islice(itertools.permutations(TEXTS, len(roles)), 0, 200, 7)
    ]
    found = {}
    for way in ("skeleton", "marks"):
        if way == "marks":
            monkeypatch.setattr("precept.render.conversation.plain_roles", lambda messages: None)
        conversations = renderer(TEMPLATES.get(name, name))._drafter.conversations
        for place, prompt in itertools.product(range(len(rows)), (False, True)):
            try:
                layout = conversations.lay_out(rows[place], (), add_generation_prompt=prompt)
                told = layout._replace(marks=[tuple(mark) for mark in layout.marks])
            except RowRefused as refused:
                told = str(refused)
            found.setdefault((place, prompt), []).append(told)
    for one, other in found.values():
        assert one == other


def test_a_plain_row_is_rendered_once(renderer, monkeypatch: pytest.MonkeyPatch) -> None:
    made = renderer(CHATML)
    rows = [row(("user", f"say {number}"), ("assistant", f"{number}.")) for number in range(20)]
    made.render(rows[:1])
    count = itertools.count()
    render = ChatTemplate.render
    monkeypatch.setattr(ChatTemplate, "render", lambda *given, **named: (next(count), render(*given, **named))[1])
    made.render(rows[1:])
    assert next(count) == 19


@pytest.mark.parametrize(
    "changed",
    [
        Message("assistant", " a"),
        Message("assistant", "a\n"),
        Message("assistant", ""),
        Message("assistant", "a</think>b"),
        Message("assistant", "a", reasoning_content="b"),
        Message("assistant", "a", tool_calls=(ToolCall("f", {}),)),
        Message("user", "a", name="Ann"),
        Message("tool", "a", tool_call_id="1"),
    ],
)
def test_messages_with_more_than_a_text_are_marked(changed: Message) -> None:
    assert plain_roles([Message("user", "a")]) == ("user",)
    assert plain_roles([Message("user", "a"), changed]) is None
