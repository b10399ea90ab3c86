"""Our way of running chat templates against transformers' own, on stock templates and rows of many kinds."""

from __future__ import annotations

import datetime
from typing import Any

import jinja2
import pytest
from render_samples import CHATML, SOURCE, byte_level

from precept.errors import InputError
from precept.render import Renderer, RenderSettings
from precept.render.chat_template import ChatTemplate
from precept.render.refused import RowRefused
from precept.types import Conversation, Message, ToolCall

TOOLS: tuple[dict[str, Any], ...] = (
    {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Looks <it> up.",
            "parameters": {"type": "object", "properties": {"q": {"type": "string", "description": "what"}}},
        },
    },
)
CALL = ToolCall("look", {"q": 'x "y" é', "n": [1, {"deep": "z"}]}, id="call00001")
RESULT = Message("tool", "found", name="look", tool_call_id="call00001")
ROWS: dict[str, tuple[tuple[Message, ...], tuple[dict[str, Any], ...]]] = {
    "one turn": ((Message("user", "hi"), Message("assistant", "yes")), ()),
    "system": ((Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes")), ()),
    "repeated": (tuple(Message(role, "same") for role in ("user", "assistant") * 3), ()),
    "blanks": ((Message("user", " hi\n"), Message("assistant", "\n\n yes \n")), ()),
    "empty": ((Message("user", "hi"), Message("assistant", ""), Message("user", "?"), Message("assistant", "")), ()),
    "multi-byte": ((Message("user", "é🙂🏽"), Message("assistant", "日本 e\u0301 🙂")), ()),
    "think tags": (
        (
            Message("user", "hi"),
            Message("assistant", "<think>\nwell\n</think>\n\nyes"),
            Message("user", "so"),
            Message("assistant", "<think>\nhm\n</think>\n\nno"),
        ),
        (),
    ),
    "reasoning": ((Message("user", "hi"), Message("assistant", "yes", reasoning_content="well")), ()),
    "earlier reasoning": (
        (
            Message("user", "hi"),
            Message("assistant", "yes", reasoning_content="well"),
            Message("user", "so"),
            Message("assistant", "no", reasoning_content="hm"),
        ),
        (),
    ),
    "tools unused": ((Message("user", "hi"), Message("assistant", "yes")), TOOLS),
    "call": ((Message("user", "hi"), Message("assistant", None, tool_calls=(CALL,)), RESULT), TOOLS),
    "call and answer": (
        (Message("user", "hi"), Message("assistant", None, tool_calls=(CALL,)), RESULT, Message("assistant", "so")),
        TOOLS,
    ),
    "call without text": (
        (Message("user", "hi"), Message("assistant", "", tool_calls=(ToolCall("look", {"n": 4}, id="call00002"),))),
        TOOLS,
    ),
    "content beside call": (
        (Message("user", "hi"), Message("assistant", "let me see", tool_calls=(CALL,)), RESULT),
        TOOLS,
    ),
    "last word the user's": ((Message("user", "hi"), Message("assistant", "yes"), Message("user", "so?")), ()),
}
# What the stock templates write for the turns' ends and beginnings.
STOCK_TOKENS = [
    "<s>",
    "</s>",
    "<|im_start|>",
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|python_tag|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "<start_of_image>",
    "<|START_OF_TURN_TOKEN|>",
    "<|END_OF_TURN_TOKEN|>",
    "<|USER_TOKEN|>",
    "<|CHATBOT_TOKEN|>",
    "<|SYSTEM_TOKEN|>",
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<|call|>",
    "<|user|>",
    "<|assistant|>",
    "<|system|>",
]
STOCK = ("cohere", "gemma3", "gptoss", "llama3", "llama3_1", "phi3_5", "qwen2_5", "qwen3")


def as_dicts(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for message in messages:
        fields = {"role": message.role, "content": message.content, "reasoning_content": message.reasoning_content}
        fields |= {"name": message.name, "tool_call_id": message.tool_call_id}
        if message.tool_calls:
            fields["tool_calls"] = [
                {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": call.arguments}}
                for call in message.tool_calls
            ]
        rows.append({key: value for key, value in fields.items() if value is not None})
    return rows


@pytest.fixture(scope="module")
def stock_tokenizer():
    return byte_level(special=tuple(STOCK_TOKENS))


@pytest.fixture(params=STOCK)
def stock(request, shared_data, stock_tokenizer):
    text = (shared_data / "chat_templates" / f"{request.param}.jinja").read_text("utf-8")
    # transformers prints the day it is; ours prints the template date.
    stock_tokenizer.chat_template = text.replace('strftime_now("%Y-%m-%d")', '"2026-01-02"')
    ours = byte_level(special=tuple(STOCK_TOKENS))
    ours.chat_template = text
    date = datetime.date(2026, 1, 2)
    return Renderer(ours, RenderSettings(turns="whole"), template_date=date, max_length=9999)


@pytest.mark.parametrize("name", ROWS)
def test_text_and_trained_spans_on_stock_templates(stock: Renderer, stock_tokenizer, name: str) -> None:
    messages, tools = ROWS[name]

    def theirs(given: tuple[Message, ...], prompt: bool) -> str | None:
        try:
            return stock_tokenizer.apply_chat_template(
                as_dicts(given), tools=list(tools) or None, add_generation_prompt=prompt, tokenize=False
            )
        except (jinja2.TemplateError, TypeError, ValueError):
            return None

    explained = stock.explain(Conversation(messages, SOURCE, tools=tools))
    if explained.refusal is not None:
        assert explained.refusal.code in {"template-raises", "field-dropped"}
        return
    (sequence,) = explained.sequences
    text = theirs(messages, False)
    assert text is None or sequence.text == text  # None: they raise on null content, which we then pass as ''
    answers = [place for place, message in enumerate(messages) if message.role == "assistant"]
    assert len(sequence.spans) == len(answers)
    for place, span in zip(answers, sequence.spans, strict=True):
        content = sequence.text[span.start : span.end]
        assert (messages[place].content or "").split("</think>")[-1].strip() in content
        for call in messages[place].tool_calls:
            assert call.name in content
        # An independent way to the start: where the prompt that a server would send is a prefix of the row.
        prompt = theirs(messages[:place], True)
        if prompt is not None and sequence.text.startswith(prompt):
            assert span.start == len(prompt)
        assert sequence.text[: span.end].endswith(tuple(STOCK_TOKENS))


def test_every_stock_template_renders_the_common_rows(stock: Renderer) -> None:
    for name in ("one turn", "repeated", "blanks", "empty", "multi-byte", "last word the user's"):
        messages, tools = ROWS[name]
        assert stock.explain(Conversation(messages, SOURCE, tools=tools)).refusal is None, name


def template(text: str) -> ChatTemplate:
    return ChatTemplate(text, name="mine", variables={"bos_token": "<s>"}, template_date=datetime.date(2026, 1, 2))


def rendered(text: str, *contents: str) -> str:
    messages = [{"role": "user", "content": content} for content in contents]
    return template(text).render(messages, None, add_generation_prompt=False)


def test_the_date_is_the_template_date() -> None:
    assert rendered("{{ strftime_now('%d %b %Y') }}") == "02 Jan 2026"


def test_blocks_filters_and_globals_are_those_of_transformers(tokenizer) -> None:
    text = (
        "{{ bos_token }}{% set ns = namespace(n=0) %}{% for m in messages %}\n"
        "    {% if loop.first %}{% continue %}{% endif %}\n"
        "{% generation %}{{ m | tojson }}{% endgeneration %}{% set ns.n = ns.n + 1 %}"
        "{% if ns.n > 1 %}{% break %}{% endif %}"
        "\n{% endfor %}{{ dict(a='<é>') | tojson(indent=1) }}{{ loop_length is defined }}{{ messages | length * 2 }}"
    )
    messages = [{"role": "user", "content": "<é'>"}] * 4
    expected = tokenizer.apply_chat_template(messages, chat_template=text, tokenize=False)
    assert template(text).render(messages, None, add_generation_prompt=False) == expected


def test_a_dot_reads_dicts_as_in_transformers(tokenizer) -> None:
    text = (
        "{% for m in messages %}{{ m.role }}{{ m.missing }}{{ m.missing is defined }}{{ m.tool.name }}"
        "{% for k, v in m.items() %}{{ k }}{% endfor %}{{ m.keys is defined }}{{ m['content'] }}{% endfor %}"
    )
    messages = [{"role": "user", "content": "hi", "tool": {"name": "look", "keys": "no"}}] * 2
    expected = tokenizer.apply_chat_template(messages, chat_template=text, tokenize=False)
    assert template(text).render(messages, None, add_generation_prompt=False) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in range(90000) %}{% for b in range(90000) %}{% endfor %}{% endfor %}",
        "{% macro f(n) %}{{ f(n - 1) if n }}{{ f(n - 1) if n }}{% endmacro %}{{ f(60) }}",
        "{{ 'x' * 10 ** 10 }}",
        "{{ 10 ** 10 ** 10 }}",
    ],
)
def test_a_template_that_never_ends_is_stopped(text: str) -> None:
    with pytest.raises(RowRefused, match=r"too large|steps") as caught:
        rendered(text, "hi")
    assert caught.value.code == "template-raises"


def test_a_template_reaches_no_python_internals() -> None:
    with pytest.raises(RowRefused):
        rendered("{{ messages.__class__.__mro__[1].__subclasses__() }}", "hi")
    with pytest.raises(RowRefused):
        rendered("{{ namespace(__x=1) }}", "hi")


def test_a_syntax_error_names_the_line() -> None:
    with pytest.raises(InputError, match="mine line 2"):
        template("{{ bos_token }}\n{% if %}")


def test_what_a_template_raises_becomes_the_reason() -> None:
    with pytest.raises(RowRefused, match="'mine' raises on this row: roles must alternate"):
        rendered("{{ raise_exception('roles must alternate') }}", "hi")


def test_a_template_that_inspects_its_fields_is_refused_when_marks_change_its_text(renderer) -> None:
    # The length of a content with marks is another.
    measuring = CHATML.replace("{{ m.content }}", "{{ m.content }} ({{ m.content | length }})")
    conversation = Conversation((Message("user", "hi"), Message("assistant", "yes")), SOURCE)
    assert renderer(measuring).explain(conversation).refusal.code == "marks-change-text"
