"""Rows to sequences: weights, turns, lengths and the kinds of rows."""

from __future__ import annotations

import datetime

import numpy as np
import pytest
from pydantic import ValidationError
from render_samples import (
    CHATML,
    EMPTY_THOUGHT,
    HEADERS,
    SOURCE,
    THINKS,
    byte_fallback,
    row,
    trained,
    unigram,
)

from precept.errors import InputError
from precept.render import Renderer, RenderSettings
from precept.types import Answer, Comparison, Message, Text, TokenSequence

TWO_TURNS = row(("user", "hello"), ("assistant", "world"), ("user", "four"), ("assistant", "sky"))


def weight_of(word: str, renderer: Renderer, conversation) -> float:
    """The weight that all tokens of a word have."""
    (sequence,) = renderer.explain(conversation).sequences
    start = sequence.text.index(word)
    (weight,) = {t.weight for t in sequence.tokens if t.start < start + len(word) and t.end > start}
    return weight


def test_weights_follow_the_rows_flags(renderer) -> None:
    flagged = row(
        ("user", "hello"),
        Message("assistant", "world", train=False),
        ("user", "four"),
        Message("assistant", "sky", weight=0.5),
    )
    ours = renderer(CHATML, prompt_weight=0.25)
    assert weight_of("sky", ours, flagged) == 0.5
    assert weight_of("world", ours, flagged) == 0.0  # the row's own wish stands above the prompt weight
    assert weight_of("hello", ours, flagged) == weight_of("four", ours, flagged) == 0.25


def test_other_roles_are_trained_only_where_the_row_says_so(renderer) -> None:
    asked = row(Message("user", "hello", train=True), Message("user", "four", weight=1.0), ("assistant", "sky"))
    assert trained(renderer(CHATML), asked) == ["hello", "sky<|im_end|>"]


def test_train_on_last_leaves_earlier_answers_as_context(renderer) -> None:
    assert trained(renderer(CHATML, train_on="last"), TWO_TURNS) == ["sky<|im_end|>"]


def test_a_negative_weight_is_refused(renderer) -> None:
    (refusal,) = renderer(CHATML).render([row(("user", "hi"), Message("assistant", "sky", weight=-1.0))]).refusals
    assert refusal.code == "bad-weight"


def test_trained_tokens_decode_to_the_trained_text(renderer, tokenizer) -> None:
    (sequence,) = renderer(CHATML).render([TWO_TURNS]).sequences
    assert tokenizer.decode(sequence.ids[sequence.weights > 0]) == "world<|im_end|>sky<|im_end|>"
    assert sequence.source is SOURCE


def test_auto_keeps_rows_whole_where_every_prompt_is_a_prefix(renderer) -> None:
    rendered = renderer(CHATML).render([TWO_TURNS])
    assert (len(rendered.sequences), rendered.counts.turns, rendered.notices) == (1, "whole", [])


def test_auto_decides_by_the_row_at_hand_and_not_by_the_rows_before_it(renderer) -> None:
    trims = CHATML.replace("m.content", "(m.content | trim if add_generation_prompt else m.content)")
    plain = row(("user", "hi"), ("assistant", "yes"), ("user", "so?"), ("assistant", "yes"))
    padded = row(("user", "hi"), ("assistant", "yes "), ("user", "so?"), ("assistant", "yes"))
    # The server's second prompt holds "yes" where the padded row holds "yes ".
    assert [len(renderer(trims).render([one]).sequences) for one in (plain, padded)] == [1, 2]
    assert len(renderer(trims).render([plain, padded]).sequences) == 3


def test_auto_splits_rows_whose_history_differs_from_the_prompt(renderer, tokenizer) -> None:
    # The prompt opens a think block that the history of an earlier turn lacks.
    rendered = renderer(THINKS).render([TWO_TURNS, TWO_TURNS])
    assert (len(rendered.sequences), rendered.counts.turns, rendered.counts.rows_split) == (4, "split", 2)
    assert sum("one sequence a turn" in notice for notice in rendered.notices) == 1
    first, second = (tokenizer.decode(sequence.ids) for sequence in rendered.sequences[:2])
    assert first == "<s><｜User｜>hello<｜Assistant｜>world</s>"
    assert second == "<s><｜User｜>hello<｜Assistant｜>world</s><｜User｜>four<｜Assistant｜>sky</s>"


def test_split_trains_each_turn_once_and_as_a_last_one(renderer) -> None:
    explained = renderer(EMPTY_THOUGHT, turns="split").explain(TWO_TURNS)
    texts = [[s.text[a:b] for a, b, weight in s.spans if weight > 0] for s in explained.sequences]
    assert texts == [["<think>\n\n</think>\n\nworld<|im_end|>"], ["<think>\n\n</think>\n\nsky<|im_end|>"]]


def test_split_weighs_each_prompt_token_once(renderer) -> None:
    rendered = renderer(CHATML, turns="split", prompt_weight=0.5).render([TWO_TURNS])
    whole = renderer(CHATML, turns="whole", prompt_weight=0.5).render([TWO_TURNS])
    first, second = rendered.sequences
    assert (second.weights[: len(first.ids)] == 0).all()
    total = first.weights.sum() + second.weights.sum()
    assert total == whole.sequences[0].weights.sum()


def test_a_prompt_is_what_stands_before_the_trained_tokens(renderer) -> None:
    ours = renderer(HEADERS)
    (sequence,) = ours.render([row(("user", "hello"), ("assistant", "world"))]).sequences
    prompt = ours.prompt_ids((Message("user", "hello"),))
    assert sequence.ids[: len(prompt)].tolist() == prompt.tolist()
    assert sequence.weights[len(prompt)] == 1.0 and not sequence.weights[: len(prompt)].any()
    assert ours.prompt_text((Message("user", "hello"),)).endswith("assistant<|/head|>\n\n")


@pytest.mark.parametrize(
    ("policy", "kept"),
    [
        ("cut_turns", "<|im_start|>user\nfour<|im_end|>\n<|im_start|>assistant\nsky<|im_end|>\n"),
        ("cut_right", "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\nworld<|im_end|>\n<|im_start|>"),
        ("cut_left", "\n<|im_start|>user\nfour<|im_end|>\n<|im_start|>assistant\nsky<|im_end|>\n"),
    ],
)
def test_long_rows_are_cut_by_the_policy(renderer, tokenizer, policy: str, kept: str) -> None:
    limit = len(tokenizer(kept)["input_ids"])
    rendered = renderer(CHATML, over_length=policy, max_length=limit).render([TWO_TURNS])
    assert tokenizer.decode(rendered.sequences[0].ids) == kept
    assert rendered.counts.rows_cut == rendered.counts.rows_over_length == 1


def test_the_default_policy_refuses_and_tells_what_each_policy_would_lose(renderer) -> None:
    (length,) = (len(s.ids) for s in renderer(CHATML).render([TWO_TURNS]).sequences)
    rendered = renderer(CHATML, max_length=length - 1).render([TWO_TURNS, row(("user", "a"), ("assistant", "b"))])
    assert len(rendered.sequences) == 1
    (refusal,) = rendered.refusals
    assert refusal.code == "over-length"
    assert f"{length} tokens, more than max_length {length - 1}" in refusal.reason
    # Without its first turn the row is half as long; by tokens one is enough; split is for plain text.
    half = length // 2
    assert rendered.counts.over_length_losses == {
        "drop": (1, length),
        "cut_turns": (0, half),
        "cut_left": (0, 1),
        "cut_right": (0, 1),
        "split": (1, length),
    }


def test_dropped_rows_are_listed_apart_from_refusals(renderer) -> None:
    rendered = renderer(CHATML, over_length="drop", max_length=8).render([TWO_TURNS])
    assert (rendered.sequences, rendered.refusals, len(rendered.dropped)) == ([], [], 1)


def test_a_cut_never_leaves_a_row_without_trained_tokens(renderer) -> None:
    rendered = renderer(CHATML, over_length="cut_right", max_length=3).render([TWO_TURNS])
    (refusal,) = rendered.refusals
    assert "leaves nothing trained" in refusal.reason


def test_plain_text_is_trained_from_its_second_token_to_eos(renderer, tokenizer) -> None:
    rendered = renderer(CHATML).render([Text("hello world", SOURCE)])
    (sequence,) = rendered.sequences
    assert tokenizer.convert_ids_to_tokens(sequence.ids.tolist()) == ["hello", "Ġworld", "</s>"]
    assert sequence.weights.tolist() == [0, 1, 1]  # nothing stands before the first token


def test_a_template_that_forgets_the_tokenizers_bos_is_told_of() -> None:
    tokenizer = byte_fallback()
    tokenizer.chat_template = "{% for m in messages %}[INST] {{ m.content }}</s>{% endfor %}"
    day = datetime.date(2026, 1, 2)
    notices = Renderer(tokenizer, RenderSettings(), template_date=day, max_length=99).render([]).notices
    assert any("writes no BOS token" in notice for notice in notices)
    told = Renderer(tokenizer, RenderSettings(chat_template="plain"), template_date=day, max_length=99).render([])
    assert told.notices == []


def test_plain_text_begins_with_bos_where_the_tokenizer_puts_one() -> None:
    tokenizer = byte_fallback()
    ours = Renderer(
        tokenizer, RenderSettings(chat_template="plain"), template_date=datetime.date(2026, 1, 2), max_length=99
    )
    (sequence,) = ours.render([Text("hello", SOURCE)]).sequences
    assert tokenizer.convert_ids_to_tokens(sequence.ids.tolist())[0] == "<s>"
    assert sequence.weights.tolist() == [0.0] + [1.0] * (len(sequence.ids) - 1)


def test_long_plain_text_can_be_split(renderer) -> None:
    rendered = renderer(CHATML, over_length="split", max_length=2).render([Text("hello world is four", SOURCE)])
    assert [len(sequence.ids) for sequence in rendered.sequences] == [2, 2, 1]
    assert not rendered.counts.over_length_losses["split"][1]


def test_ready_made_ids_pass_through_within_the_vocabulary(renderer) -> None:
    good = TokenSequence(np.array([1, 2], np.int32), np.array([0, 1], np.float32), SOURCE)
    bad = TokenSequence(np.array([1, 10**6], np.int32), np.array([0, 1], np.float32), SOURCE)
    rendered = renderer(CHATML).render([good, bad])
    assert rendered.sequences == [good]
    assert rendered.refusals[0].code == "id-outside-vocabulary"


def test_the_first_of_ready_made_ids_is_context_since_nothing_predicts_it(renderer) -> None:
    whole = TokenSequence(np.array([5, 6, 7], np.int32), np.array([1, 1, 1], np.float32), SOURCE)
    alone = TokenSequence(np.array([5, 6, 7], np.int32), np.array([1, 0, 0], np.float32), SOURCE)
    rendered = renderer(CHATML).render([whole, alone])
    assert [sequence.weights.tolist() for sequence in rendered.sequences] == [[0, 1, 1]]
    assert rendered.counts.trained_tokens == 2
    assert [refusal.code for refusal in rendered.refusals] == ["nothing-trained"]


def test_each_answer_of_a_comparison_is_a_sequence(renderer, tokenizer) -> None:
    prompt = (Message("user", "hello"), Message("assistant", "four"), Message("user", "sky"))
    answers = tuple(Answer((Message("assistant", text),), score=1.0) for text in ("blue", "why"))
    rendered = renderer(CHATML).render([Comparison(prompt, answers, SOURCE)])
    texts = [tokenizer.decode(s.ids[s.weights > 0]) for s in rendered.sequences]
    assert texts == ["blue<|im_end|>", "why<|im_end|>"]


def test_encoder_decoder_rows_are_one_a_trained_turn() -> None:
    tokenizer = unigram()
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}"
    ours = Renderer(
        tokenizer,
        RenderSettings(),
        template_date=datetime.date(2026, 1, 2),
        max_length=64,
        encoder_decoder=True,
        decoder_start_id=0,
    )
    rendered = ours.render([row(("user", "why"), ("assistant", "the sky"))])
    (sequence,) = rendered.sequences
    # The encoder's tokenizer closes its input with EOS; the decoder starts with <pad>.
    assert tokenizer.decode(sequence.encoder_ids).startswith("why") and sequence.encoder_ids[-1] == 1
    assert tokenizer.decode(sequence.ids, skip_special_tokens=True).strip() == "the sky"
    assert sequence.ids[-1] == 1
    assert sequence.ids[0] == 0 and sequence.weights[0] == 0 and (sequence.weights[1:] == 1).all()
    assert len(ours.render([TWO_TURNS]).sequences) == 2
    assert ours.prompt_ids((Message("user", "why"),)).tolist() == sequence.encoder_ids.tolist()
    assert rendered.counts.not_given_back == 0 and rendered.stop_ids == (1,)
    lossy = ours.render([row(("user", "why\nnot"), ("assistant", "sky"))])
    assert lossy.counts.not_given_back == 1


def test_an_encoder_decoder_model_needs_its_start_token() -> None:
    with pytest.raises(InputError, match="decoder start token"):
        Renderer(
            unigram(),
            RenderSettings(chat_template="flan"),
            template_date=datetime.date(2026, 1, 2),
            max_length=64,
            encoder_decoder=True,
        )


def test_settings_refuse_what_they_do_not_know() -> None:
    for wrong in ({"templat": "x"}, {"prompt_weight": -1}, {"prompt_weight": float("inf")}, {"template_date": "2.1."}):
        with pytest.raises(ValidationError):
            RenderSettings(**wrong)
