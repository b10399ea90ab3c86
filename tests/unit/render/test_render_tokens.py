"""Token ids and weights, for every kind of tokenizer."""

from __future__ import annotations

import numpy as np
import pytest
from render_samples import CHATML, KINDS, byte_fallback, byte_level, row

from precept.errors import InputError
from precept.render.tokens import Span, TextEncoder, weigh

TEXTS = [
    "hello world",
    "  two blanks, then\n\na line  ",
    "naïve café 日本 🙂🏽 e\u0301 \u00a0x",
    "hello</s>\nworld",
    "",
    "\t",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_tokenizer_without_added_special_tokens(tokenizers, kind: str, text: str) -> None:
    expected = tokenizers[kind](text, add_special_tokens=False)["input_ids"]
    assert TextEncoder(tokenizers[kind]).ids(text).tolist() == expected


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_trained_when_its_span_holds_a_trained_character(tokenizers, kind: str) -> None:
    text = "hello  wörld 🙂 is four"
    encoder = TextEncoder(tokenizers[kind])
    (encoding,) = encoder.batch([text])
    for start in range(len(text)):
        for end in range(start + 1, len(text) + 1):
            weights = weigh(encoding, len(text), [Span(start, end, 1.0)]).weights
            # By hand: a token weighs 1 when it has a character in common with start:end.
            expected = [float(a < end and b > start) for a, b in encoding.offsets]
            assert weights.tolist() == expected, (kind, text[start:end])


def test_all_tokens_of_a_multi_byte_character_are_trained() -> None:
    encoder = TextEncoder(byte_level())
    (encoding,) = encoder.batch(["a🙂b"])  # a, four bytes, b
    assert weigh(encoding, 3, [Span(1, 2, 1.0)]).weights.tolist() == [0, 1, 1, 1, 1, 0]


def test_a_leading_blank_belongs_to_its_token_whatever_trim_offsets_says() -> None:
    for trim_offsets in (True, False):
        encoder = TextEncoder(byte_level(trim_offsets=trim_offsets))
        (encoding,) = encoder.batch(["hello world"])  # hello, Ġworld
        assert encoding.tokens == ["hello", "Ġworld"]
        assert encoding.offsets == [(0, 5), (5, 11)]


def test_a_straddling_token_takes_the_larger_weight_and_is_counted() -> None:
    (encoding,) = TextEncoder(byte_level()).batch(["hello world"])
    # The span begins within the token " world": half of it is context.
    encoded = weigh(encoding, 11, [Span(6, 11, 0.5)], context_weight=0.25)
    assert encoded.weights.tolist() == [0.25, 0.5]
    assert encoded.straddling == 1


def test_literals_are_encoded_as_text_and_the_rest_as_ever() -> None:
    encoder = TextEncoder(byte_level())
    text = "hello</s></s>"
    encoded, places = encoder.encode_pieces(text, [(5, 9)], [Span(9, 13, 1.0)])
    eos = encoder.eos_id
    assert encoded.ids.tolist().count(eos) == 1 and encoded.ids[-1] == eos
    assert encoded.weights.tolist() == [0.0] * (len(encoded.ids) - 1) + [1.0]
    assert "".join(text[a:b] for _, a, b in places) == text
    assert encoder.decode_text(encoded.ids) == "hello</s>"


def test_pieces_after_a_literal_get_no_blank_of_their_own() -> None:
    tokenizer = byte_fallback()
    encoded, _ = TextEncoder(tokenizer).encode_pieces("hello</s>world", [(5, 9)], [])
    assert tokenizer.decode(encoded.ids) == "hello</s>world"


def test_the_tokenizers_own_convention_is_known() -> None:
    encoder = TextEncoder(byte_fallback())
    assert (encoder.prefix_ids, encoder.suffix_ids) == ([1], [])  # <s> before a text


def test_slow_tokenizers_are_refused() -> None:
    class Slow:
        is_fast = False

    with pytest.raises(InputError, match="no character offsets") as caught:
        TextEncoder(Slow())
    assert caught.value.code == "slow-tokenizer"


def test_truncation_set_on_the_tokenizer_cuts_nothing(tokenizer) -> None:
    tokenizer.backend_tokenizer.enable_truncation(2)
    assert len(TextEncoder(tokenizer).ids("hello world is four")) == 4


def test_a_conversations_ids_are_those_of_apply_chat_template(renderer, tokenizer) -> None:
    conversation = row(("user", "hello  wörld"), ("assistant", " 🙂 four "))
    (sequence,) = renderer(CHATML).render([conversation]).sequences
    messages = [{"role": message.role, "content": message.content} for message in conversation.messages]
    assert sequence.ids.tolist() == tokenizer.apply_chat_template(messages)["input_ids"]
    assert sequence.ids.dtype == np.int32 and sequence.weights.dtype == np.float32
