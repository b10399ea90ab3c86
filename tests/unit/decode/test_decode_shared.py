"""Greedy generation over forests gives the tokens of transformers' own generate."""

from functools import partial

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_tokenizer
from transformers import OpenAIGPTConfig, OpenAIGPTLMHeadModel

from precept.decode.padded import PaddedSampler
from precept.decode.paths import find_trunks, paths_to
from precept.decode.shared import SharedPrefixSampler, goes_on_in_parts
from precept.forest import build_forest, cut
from precept.models.attention import use_block_attention
from precept.models.masks import attention_masks
from precept.types import Source, TokenSequence

TOKENIZER = tiny_tokenizer()
EOS = 2
SHARED = "You are a helpful assistant. Classify the review as positive or negative: "
TEXTS = (
    SHARED + "this was the best film that I have seen this year.",
    "What is the capital of Norway?",
    SHARED,  # a prefix of its neighbours
    SHARED + "the cat sat on the mat.",
    "x",
    SHARED + "the cat sat on the mat.",  # a duplicate
)
PROMPTS = [np.array(TOKENIZER.encode(text), np.int32) for text in TEXTS]
FAMILIES = ("llama", "qwen3", "qwen3_moe", "gpt2", "gpt_neox", "smollm3")


def greedy(model, **options):
    return PaddedSampler(model, TOKENIZER, **{"stop_ids": [EOS], "max_context": 128} | options)


def shared(model, *, forest_tokens=4096, **options):
    return SharedPrefixSampler(
        model,
        TOKENIZER,
        cut=partial(cut, max_tokens=forest_tokens),
        build_forest=build_forest,
        attention_mask=partial(attention_masks, config=model.config, device=model.device, dtype=model.dtype),
        **{"stop_ids": [EOS], "max_context": 128} | options,
    )


def sequence(*ids):
    return TokenSequence(np.array(ids, np.int32), np.zeros(len(ids), np.float32), Source("test", 1, "0" * 16))


@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_that_share_prefixes_get_the_tokens_of_generate(family):
    model = tiny_model(family)
    expected = greedy(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12)
    assert shared(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12) == expected
    assert expected[3] == expected[5]


def test_a_model_that_gives_logits_of_its_routers_generates_over_forests():
    model = tiny_model("qwen3_moe", output_router_logits=True)
    expected = greedy(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12)
    assert shared(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12) == expected
    assert model.config.output_router_logits


def test_a_model_without_a_cache_does_not_go_on_in_parts():
    torch.manual_seed(0)
    model = OpenAIGPTLMHeadModel(OpenAIGPTConfig(vocab_size=384, n_positions=64, n_embd=32, n_layer=1, n_head=2)).eval()
    assert not goes_on_in_parts(model)


@pytest.mark.parametrize("attention", ["blocks", "eager"])
def test_the_tokens_are_the_same_in_every_attention_that_a_forest_takes(attention):
    model = tiny_model("llama")
    expected = greedy(model).generate(PROMPTS, max_new_tokens=12)
    if attention == "blocks":
        use_block_attention(model)
    else:
        model.set_attn_implementation(attention)
    assert shared(model).generate(PROMPTS, max_new_tokens=12) == expected


def test_rows_that_stop_at_different_steps_leave_the_others_as_they_were():
    model = tiny_model("llama")
    free = [generation.ids for generation in greedy(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=16)]
    stop = [free[0][2], free[1][5], free[4][0]]
    expected = greedy(model, stop_ids=stop).generate(PROMPTS, max_new_tokens=16)
    assert shared(model, stop_ids=stop).generate(PROMPTS, max_new_tokens=16) == expected
    assert len({len(generation.ids) for generation in expected}) > 2
    assert expected[4].ids == ()
    assert expected[4].finished


@pytest.mark.parametrize("family", ["llama", "gpt2"])  # GPT-2 has no position beyond its context
def test_each_row_has_its_own_room_near_the_end_of_the_context(family):
    longest = max(map(len, PROMPTS))
    model = tiny_model(family, **{"n_positions": longest + 1} if family == "gpt2" else {})
    options = {"stop_ids": [], "max_context": longest + 1}
    expected = greedy(model, **options).generate(PROMPTS, max_new_tokens=24)
    assert shared(model, **options).generate(PROMPTS, max_new_tokens=24) == expected
    assert len(expected[0].ids) == 1  # of the longest prompt
    assert len(expected[4].ids) == 24


def test_small_forests_and_batches_keep_the_order_asked():
    model = tiny_model("llama")
    whole = shared(model).generate(PROMPTS, max_new_tokens=8)
    told = []
    small = shared(model, forest_tokens=40, max_batch_tokens=90).generate(
        PROMPTS, max_new_tokens=8, progress=lambda done, total: told.append((done, total))
    )
    assert small == whole
    assert told[-1] == (6, 6)
    assert len(told) > 2


def test_each_prompt_may_have_its_own_bound():
    model = tiny_model("llama")
    bounds = [5, 1, 9, 1, 3, 12]
    expected = greedy(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=bounds)
    assert shared(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=bounds) == expected
    assert [len(generation.ids) for generation in expected] == bounds


def test_a_prompt_that_does_not_fit_is_refused_and_not_cut():
    model = tiny_model("llama")
    long = np.full(30, 9, np.int32)
    prompts = [PROMPTS[1], long, PROMPTS[1][:0]]
    expected = greedy(model, max_context=30).generate(prompts, max_new_tokens=5)
    assert shared(model, max_context=30).generate(prompts, max_new_tokens=5) == expected
    assert expected[1].refused == "prompt of 30 tokens leaves no room in the context of 30"
    assert expected[2].refused == "empty prompt"


def test_one_prompt_alone_and_no_prompt():
    model = tiny_model("llama")
    alone = shared(model).generate(PROMPTS[:1], max_new_tokens=9)
    assert alone == greedy(model).generate(PROMPTS[:1], max_new_tokens=9)
    assert shared(model).generate([], max_new_tokens=9) == []


def test_an_adapter_generates_with_its_own_weights():
    from peft import LoraConfig, get_peft_model

    base = tiny_model("llama")
    without = shared(base).generate(PROMPTS, max_new_tokens=8)
    model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.3)
    adapted = shared(model.get_base_model()).generate(PROMPTS, max_new_tokens=8)
    assert adapted == greedy(model).generate(PROMPTS, max_new_tokens=8)
    assert adapted != without


def test_generating_while_training_changes_neither_modes_nor_tokens():
    model = tiny_model("gpt2", attn_pdrop=0.5, resid_pdrop=0.5)
    expected = shared(model).generate(PROMPTS, max_new_tokens=6)
    model.train()
    assert shared(model).generate(PROMPTS, max_new_tokens=6) == expected
    assert model.transformer.h[1].attn.training


def test_autocast_to_bfloat16_generates_with_attention_in_blocks():
    model = tiny_model("llama")
    use_block_attention(model)
    results = shared(model, compute_dtype=torch.bfloat16, stop_ids=[]).generate(PROMPTS, max_new_tokens=4)
    assert [len(result.ids) for result in results] == [4] * len(PROMPTS)


@pytest.mark.parametrize("family", FAMILIES)
def test_models_with_full_attention_keep_every_token(family):
    assert goes_on_in_parts(tiny_model(family))


@pytest.mark.parametrize("family", ["mistral", "gemma3", "gpt_oss", "t5"])
def test_windows_and_encoders_do_not_keep_every_token(family):
    assert not goes_on_in_parts(tiny_model(family))


def test_paths_go_from_the_root_to_the_node_and_are_padded_on_the_right():
    # Nodes: 5:0 6:1, then 7:2 and 8:3 9:4 below 6.
    forest = build_forest([sequence(5, 6, 7), sequence(5, 6, 8, 9), sequence(5, 6)])
    paths = paths_to(forest, forest.answers.last)
    assert paths.tolist() == [[0, 1, 2, -1], [0, 1, 3, 4], [0, 1, -1, -1]]


def test_trunks_leave_the_fewest_keys_over():
    # Rows 0 to 2 share four nodes, 2 to 4 only the first; 5 stands alone. One trunk of one node for rows 0 to 4 would
    # save 4 keys; four nodes for rows 0 to 2 save 8, and the one node of rows 3 and 4 another.
    paths = np.array(
        [[0, 1, 2, 3, 4], [0, 1, 2, 3, 5], [0, 1, 2, 3, -1], [0, 6, -1, -1, -1], [0, 7, -1, -1, -1], [8, 9, -1, -1, -1]]
    )
    assert find_trunks(paths) == [(0, 3, 4), (3, 5, 1), (5, 6, 0)]
