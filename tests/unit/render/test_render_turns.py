"""Which characters are trained, in templates of the kinds that model families use."""

from __future__ import annotations

import pytest
from render_samples import (
    ALWAYS_A_THOUGHT,
    CALL_TOKENS,
    CHANNELS,
    CHATML,
    EMPTY_THOUGHT,
    EOS_AT_THE_END,
    EOS_BETWEEN_TURNS,
    HEADERS,
    HEADERS_ONLY,
    INSTRUCT,
    NO_TERMINATOR,
    PLAIN_HEADERS,
    RENAMED,
    THINKS,
    row,
    trained,
)

from precept.types import Conversation, Message, Source, ToolCall

TWO_TURNS = row(("user", "hi"), ("assistant", "yes"), ("user", "so?"), ("assistant", "yes"))


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (CHATML, ["yes<|im_end|>", "yes<|im_end|>"]),
        (HEADERS, ["yes<|eot|>", "yes<|eot|>"]),
        (RENAMED, ["yes</turn>", "yes</turn>"]),
        (CHANNELS, ["<|channel|>final<|message|>yes<|end|>", "<|channel|>final<|message|>yes<|return|>"]),
        (INSTRUCT, [" yes</s>", " yes</s>"]),  # the blank is written after the prompt [INST] ... [/INST]
        (EOS_AT_THE_END, ["yes<|end|>", "yes<|end|>"]),  # the EOS of the whole text is no turn's terminator
        (NO_TERMINATOR, ["yes\n", "yes\n"]),  # what the template writes after an answer, not the next header
    ],
)
def test_repeated_answers_are_trained_from_the_prompt_to_the_terminator(renderer, template, expected) -> None:
    assert trained(renderer(template), TWO_TURNS) == expected


def test_the_text_is_what_the_template_writes(renderer) -> None:
    explained = renderer(HEADERS).explain(row(("user", " hi "), ("assistant", "yes")))
    assert explained.sequences[0].text == (
        "<s><|head|>user<|/head|>\n\nhi<|eot|><|head|>assistant<|/head|>\n\nyes<|eot|>"
    )


def test_a_terminator_that_also_stands_inside_turns_does_not_stop_generation(renderer, tokenizer) -> None:
    rendered = renderer(CHANNELS).render([TWO_TURNS])
    # <|end|> closes earlier answers and analysis; only <|return|> may stop generation.
    assert tokenizer.convert_ids_to_tokens(list(rendered.stop_ids)) == ["<|return|>"]


def test_blanks_at_the_ends_of_an_answer_are_trained_where_the_template_keeps_them(renderer) -> None:
    padded = row(("user", " hi "), ("assistant", "\n  yes \n"))
    assert trained(renderer(CHATML), padded) == ["\n  yes \n<|im_end|>"]
    assert trained(renderer(HEADERS), padded) == ["yes<|eot|>"]
    assert trained(renderer(INSTRUCT), padded) == [" \n  yes \n</s>"]


def test_an_earlier_answer_is_trained_up_to_the_terminator_that_a_last_one_lacks(renderer) -> None:
    eos = renderer(EOS_BETWEEN_TURNS, turns="whole")
    assert trained(eos, TWO_TURNS) == [" yes</s>", " yes"]
    # The header tokens of HEADERS_ONLY end no answer.
    assert trained(renderer(HEADERS_ONLY), TWO_TURNS) == ["\n<think></think>\nyes", "\n<think></think>\nyes"]


def test_closing_blanks_of_an_answer_are_trained_without_a_terminator_too(renderer) -> None:
    padded = row(("user", "hi"), ("assistant", "yes \n"), ("user", " so?"), ("assistant", "no "))
    assert trained(renderer(PLAIN_HEADERS), padded) == [" yes \n", " no "]


def test_an_empty_answer_trains_its_terminator(renderer) -> None:
    empty = row(("user", "hi"), ("assistant", ""), ("user", "so?"), ("assistant", " "))
    assert trained(renderer(CHATML), empty) == ["<|im_end|>", " <|im_end|>"]
    assert trained(renderer(INSTRUCT), empty) == [" </s>", "  </s>"]
    assert trained(renderer(CHANNELS), empty)[0] == "<|channel|>final<|message|><|end|>"
    # The prompts of these end in a think block that the history lacks.
    assert trained(renderer(THINKS, turns="whole"), empty) == ["</s>", " </s>"]
    assert trained(renderer(ALWAYS_A_THOUGHT, turns="whole"), empty)[0] == "<think></think><|im_end|>"


def test_leading_blanks_of_an_answer_are_trained_after_a_prompt_of_blanks(renderer) -> None:
    assert trained(renderer("flan"), row(("user", "hi"), ("assistant", "\nyes"))) == ["\nyes</s>"]


def test_blank_reasoning_is_part_of_its_turn(renderer) -> None:
    blank = row(("user", "hi"), Message("assistant", "four", reasoning_content=" "))
    assert trained(renderer(CHANNELS), blank)[0].startswith("<|channel|>analysis<|message|> <|end|>")


def test_two_answers_in_a_row_are_two_turns(renderer) -> None:
    both = row(("user", "hi"), ("assistant", "one"), ("assistant", "two"))
    assert trained(renderer(CHATML), both) == ["one<|im_end|>", "two<|im_end|>"]


def test_an_inserted_think_block_is_trained_when_the_prompt_lacks_it(renderer) -> None:
    # Written before the last answer only; a server's prompt ends before it.
    assert trained(renderer(EMPTY_THOUGHT, turns="whole"), TWO_TURNS) == [
        "yes<|im_end|>",
        "<think>\n\n</think>\n\nyes<|im_end|>",
    ]


def test_a_think_block_that_the_prompt_opens_is_context(renderer) -> None:
    # The prompt ends in <think>\n, which an answer that thinks begins with.
    thinking = row(("user", "hi"), ("assistant", "<think>\nwell</think>yes"))
    assert trained(renderer(THINKS), thinking) == ["well</think>yes</s>"]


def test_a_history_without_the_prompts_think_tag_is_trained_from_its_header(renderer) -> None:
    # <｜Assistant｜><think>\n is no prefix of the history; its first part is.
    assert trained(renderer(THINKS, turns="whole"), TWO_TURNS) == ["yes</s>", "yes</s>"]


def test_tool_calls_are_trained_and_tool_output_never(renderer) -> None:
    call = Message("assistant", None, tool_calls=(ToolCall("look", {"n": 4}),))
    conversation = row(("user", "hi"), call, ("tool", "look four"), ("assistant", "four"))
    assert trained(renderer(CHANNELS), conversation) == [
        ' to=look<|channel|>calls<|message|>{"n": 4}<|call|>',
        "<|channel|>final<|message|>four<|return|>",
    ]


def test_special_tokens_after_a_call_do_not_end_its_turn(renderer) -> None:
    call = Message("assistant", None, tool_calls=(ToolCall("look", {"q": "sky"}), ToolCall("look", {"n": 4})))
    conversation = row(("user", "hi"), call, ("tool", "blue"), ("assistant", "so"))
    assert trained(renderer(CALL_TOKENS, turns="whole"), conversation) == [
        '<|call|>function<|sep|>look\n{"q": "sky"}<|/call|><|call|>function<|sep|>look\n{"n": 4}<|/call|>'
        "<|/calls|></s>",
        "so</s>",
    ]


def test_a_template_that_only_opens_turns_trains_all_up_to_the_next_header(renderer) -> None:
    calls = [Message("assistant", "", tool_calls=(ToolCall("look", given),)) for given in ({"q": "sky"}, {"n": 4})]
    conversation = row(("user", "hi"), calls[0], ("user", "so?"), calls[1], ("user", "so?"), ("assistant", "yes"))
    assert trained(renderer(HEADERS_ONLY), conversation) == [
        "\n<think></think>\n<tool_call>look\n<arg>q=sky</arg>\n</tool_call>",
        "\n<think></think>\n<tool_call>look\n<arg>n=4</arg>\n</tool_call>",
        "\n<think></think>\nyes",
    ]


def test_an_inserted_think_block_is_trained_when_the_prompt_opens_another(renderer) -> None:
    # The prompt ends in <think>\n, which <think></think> does not continue.
    assert trained(renderer(ALWAYS_A_THOUGHT, turns="whole"), TWO_TURNS) == ["<think></think>yes<|im_end|>"] * 2


def test_reasoning_and_answer_are_one_turn(renderer) -> None:
    thought = row(("user", "hi"), Message("assistant", "four", reasoning_content="two and two"))
    assert trained(renderer(CHANNELS), thought) == [
        "<|channel|>analysis<|message|>two and two<|end|><|start|>assistant<|channel|>final<|message|>four<|return|>"
    ]


def test_a_template_without_terminator_is_told_of(renderer) -> None:
    assert any("no turn with a special token" in notice for notice in renderer(NO_TERMINATOR).render([]).notices)


def test_text_that_holds_private_use_characters_is_marked_in_the_other_area(renderer) -> None:
    assert trained(renderer(CHATML), row(("user", " \U000f0003"), ("assistant", "a\U000f0000"))) == [
        "a\U000f0000<|im_end|>"
    ]
    refusal = renderer(CHATML).explain(row(("user", " \U000f0003"), ("assistant", "\U00100000"))).refusal
    assert refusal.code == "marks-in-text"
    # Texts without outer blanks are found by what stands around them, and need no marks.
    assert trained(renderer(CHATML), row(("user", "\U000f0003"), ("assistant", "\U00100000"))) == [
        "\U00100000<|im_end|>"
    ]


BLANK_BEFORE_ANSWERS = (
    "{% for m in messages %}{{ '\n' + m['role'] + ': ' + m['content'] }}"
    "{% if m['role'] == 'assistant' %}{{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\nassistant: ' }}{% endif %}"
)


def test_rows_become_the_same_sequences_in_any_order(renderer) -> None:
    answers = ("the first", "_", "\u65e5\u672c", "7 boats")
    rows = [
        Conversation(
            (Message("user", "a"), Message("assistant", text), Message("user", "b"), Message("assistant", text)),
            Source("test", number, f"{number:016x}"),
        )
        for number, text in enumerate(answers)
    ]
    found = []
    for order in (rows, rows[::-1]):
        rendered = renderer(BLANK_BEFORE_ANSWERS).render(order)
        found.append({row.source.row: sum(s.source.row == row.source.row for s in rendered.sequences) for row in rows})
    assert found[0] == found[1]
    assert set(found[0].values()) == {1, 2}
