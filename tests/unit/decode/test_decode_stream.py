"""Streaming: the same tokens as greedy generation, in pieces that never tear a character."""

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_tokenizer

from precept.decode.padded import PaddedSampler
from precept.decode.stream import stream, text_pieces

TOKENIZER = tiny_tokenizer()
EOS = 2
PROMPT = np.array(TOKENIZER.encode("What is the capital of Norway?"), np.int32)


@pytest.mark.parametrize("family", ["llama", "gpt2", "bloom", "gemma3", "t5"])
def test_pieces_join_to_what_greedy_generation_gives(family):
    model = tiny_model(family)
    expected = PaddedSampler(model, TOKENIZER, stop_ids=[EOS], max_context=None).generate([PROMPT], max_new_tokens=20)
    pieces = list(stream(model, TOKENIZER, PROMPT, stop_ids=[EOS], max_new_tokens=20))
    assert "".join(pieces) == expected[0].text


def test_the_stop_token_ends_the_stream():
    model = tiny_model("llama")
    ids = PaddedSampler(model, TOKENIZER, stop_ids=[], max_context=None).generate([PROMPT], max_new_tokens=9)[0].ids
    pieces = stream(model, TOKENIZER, PROMPT, stop_ids=[ids[4]], max_new_tokens=9)
    assert "".join(pieces) == TOKENIZER.decode(ids[: ids.index(ids[4])], skip_special_tokens=True)


def byte_level_tokens(text):
    """One token a byte: the alphabet of the byte-level tokenizer follows its special tokens."""
    from tokenizers.pre_tokenizers import ByteLevel

    return [
        TOKENIZER.convert_tokens_to_ids(symbol)
        for symbol in ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)[0][0]
    ]


def test_characters_of_several_bytes_come_whole():
    # ã is 2 bytes, 漢 is 3, 🙂 is 4: each byte is a token of its own.
    assert list(text_pieces(TOKENIZER, byte_level_tokens("ã漢🙂!"))) == ["ã", "漢", "🙂", "!"]


def test_bytes_that_make_no_character_come_at_the_end():
    torn = byte_level_tokens("a漢")[:-1]
    assert list(text_pieces(TOKENIZER, torn)) == ["a", "\ufffd"]


def test_special_tokens_are_not_shown():
    ids = TOKENIZER.encode("the<|im_end|> cat<|endoftext|>")
    assert "".join(text_pieces(TOKENIZER, ids)) == "the cat"


def test_blanks_between_pieces_survive_a_tokenizer_that_strips_the_first():
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    vocabulary = {"▁the": 0, "▁cat": 1, "s": 2, "<0xE6>": 3, "<0xBC>": 4, "<0xA2>": 5, "<s>": 6}
    core = Tokenizer(models.BPE(vocabulary, [], byte_fallback=True))
    core.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(content=" ", left=1),
        ]
    )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token="<s>")
    assert list(text_pieces(tokenizer, [6, 0, 1, 2, 6, 1, 3, 4, 5])) == ["the", " cat", "s", " cat", "漢"]


def test_a_stream_can_be_left_early():
    model = tiny_model("gpt2", attn_pdrop=0.5)
    model.train()
    pieces = stream(model, TOKENIZER, PROMPT, stop_ids=[EOS], max_new_tokens=50)
    assert next(pieces)
    assert torch.is_grad_enabled()
    pieces.close()
    assert model.training


def draw(model, **options):
    return "".join(stream(model, TOKENIZER, PROMPT, stop_ids=[], max_new_tokens=12, **options))


def test_the_seed_fixes_what_is_drawn_and_no_global_state_is_used():
    model = tiny_model("llama")
    state = torch.get_rng_state()
    assert draw(model, temperature=1.0, seed=1) == draw(model, temperature=1.0, seed=1)
    assert draw(model, temperature=1.0, seed=1) != draw(model, temperature=1.0, seed=2)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_vanishing_temperature_or_top_p_is_greedy():
    model = tiny_model("llama")
    assert draw(model, temperature=1e-4, seed=1) == draw(model)
    assert draw(model, temperature=1.0, top_p=0.0, seed=1) == draw(model)


def test_top_p_keeps_the_smallest_set_that_reaches_it():
    from precept.decode.stream import _pick

    logits = torch.tensor([0.1, 0.5, 0.15, 0.25]).log()
    generator = torch.Generator().manual_seed(0)
    # 0.5 + 0.25 = 0.75 reaches 0.7; 0.5 alone does not.
    drawn = [_pick(logits, temperature=1.0, top_p=0.7, generator=generator) for _ in range(300)]
    assert set(drawn) == {1, 3}
    assert np.mean(np.array(drawn) == 1) == pytest.approx(0.5 / 0.75, abs=0.08)
