"""Batched greedy generation on tiny random models."""

import logging

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_tokenizer
from transformers import RwkvConfig, RwkvForCausalLM

from precept.decode.padded import PaddedSampler

TOKENIZER = tiny_tokenizer()
EOS = 2
TEXTS = ["the cat", "Write a short summary of the article, please.", "x", "What is the capital of Norway?"]
PROMPTS = [np.array(TOKENIZER.encode(text), np.int32) for text in TEXTS]


def sampler(model, **options):
    return PaddedSampler(model, TOKENIZER, **{"stop_ids": [EOS], "max_context": 128} | options)


def greedy_by_hand(model, prompt, steps):
    """Without cache, padding or ``generate``: the whole sequence anew for each token."""
    ids = torch.tensor([prompt.tolist()])
    decoder = torch.tensor([[0]])
    for _ in range(steps):
        with torch.no_grad():
            if model.config.is_encoder_decoder:
                logits = model(input_ids=ids, decoder_input_ids=decoder, use_cache=False).logits
            else:
                logits = model(input_ids=ids, use_cache=False).logits
        token = logits[:, -1:].argmax(-1)
        if model.config.is_encoder_decoder:
            decoder = torch.cat([decoder, token], 1)
        else:
            ids = torch.cat([ids, token], 1)
    return decoder[0, 1:].tolist() if model.config.is_encoder_decoder else ids[0, len(prompt) :].tolist()


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "bloom", "opt", "gemma3", "t5"])
def test_a_batch_gives_what_each_prompt_gives_alone(family):
    model = tiny_model(family)
    batched = sampler(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12)
    alone = [sampler(model, stop_ids=[]).generate([prompt], max_new_tokens=12)[0] for prompt in PROMPTS]
    assert batched == alone
    for prompt, generation in zip(PROMPTS, batched, strict=True):
        assert list(generation.ids) == greedy_by_hand(model, prompt, 12)


def test_each_prompt_may_have_its_own_bound():
    model = tiny_model("llama")
    bounds = [7, 2, 12, 2]
    free = sampler(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12)
    bounded = sampler(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=bounds)
    assert [g.ids for g in bounded] == [g.ids[:bound] for g, bound in zip(free, bounds, strict=True)]


def test_a_recurrent_model_that_reads_padding_is_never_padded():
    torch.manual_seed(0)
    sizes = {"vocab_size": 384, "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 48}
    model = RwkvForCausalLM(RwkvConfig(**sizes, attention_hidden_size=32)).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.3)
    batched = sampler(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=8)
    for prompt, generation in zip(PROMPTS, batched, strict=True):
        assert list(generation.ids) == greedy_by_hand(model, prompt, 8)


LONGROPE = {
    "sliding_window": None,
    "original_max_position_embeddings": 20,
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 20,
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [2.0, 2.6, 3.2, 3.8],
    },
}


@pytest.mark.parametrize("lengths", [(12, 19), (1, 12, 40), (12, 40), (1, 2)])
def test_rows_of_other_lengths_are_not_padded_where_length_scales_positions(lengths):
    model = tiny_model("phi3", **LONGROPE)
    rng = np.random.default_rng(0)
    prompts = [rng.integers(3, 384, length).astype(np.int32) for length in lengths]
    together = sampler(model, stop_ids=[]).generate(prompts, max_new_tokens=24)
    assert together == [sampler(model, stop_ids=[]).generate([prompt], max_new_tokens=24)[0] for prompt in prompts]
    assert not sampler(model)._padding_is_exact(prompts, [24] * len(prompts))
    assert sampler(tiny_model("llama"))._padding_is_exact(prompts, [24] * len(prompts))


def test_small_batches_keep_the_order_asked():
    model = tiny_model("llama")
    whole = sampler(model).generate(PROMPTS, max_new_tokens=8)
    told = []
    small = sampler(model, max_batch_tokens=40).generate(
        PROMPTS, max_new_tokens=8, progress=lambda done, total: told.append((done, total))
    )
    assert small == whole
    assert told[-1] == (4, 4)
    assert len(told) > 1


def test_generation_stops_at_a_stop_token_and_leaves_it_out():
    model = tiny_model("llama")
    free = [list(g.ids) for g in sampler(model, stop_ids=[]).generate(PROMPTS, max_new_tokens=12)]
    stop = free[0][5]
    stopped = sampler(model, stop_ids=[stop, EOS]).generate(PROMPTS, max_new_tokens=12)
    for ids, generation in zip(free, stopped, strict=True):
        expected = ids[: ids.index(stop)] if stop in ids else ids
        assert list(generation.ids) == expected
        assert generation.finished == (stop in ids)
        assert generation.text == TOKENIZER.decode(expected, skip_special_tokens=True)
    assert stopped[0].finished


def test_a_prompt_that_does_not_fit_is_refused_and_not_cut():
    model = tiny_model("llama")
    long = np.full(30, 9, np.int32)
    results = sampler(model, max_context=30).generate([PROMPTS[0], long, PROMPTS[2][:0]], max_new_tokens=11)
    assert results[0].refused is None
    assert len(results[0].ids) == 11
    assert results[1].refused == "prompt of 30 tokens leaves no room in the context of 30"
    assert results[1].ids == ()
    assert results[2].refused == "empty prompt"


def test_an_answer_ends_where_the_context_does():
    model = tiny_model("llama")
    long = np.full(30, 9, np.int32)
    free = sampler(model, stop_ids=[]).generate([long, PROMPTS[0]], max_new_tokens=11)
    results = sampler(model, stop_ids=[], max_context=34).generate([long, PROMPTS[0]], max_new_tokens=11)
    assert results[0].ids == free[0].ids[:4]  # 34 - 30
    assert not results[0].finished
    assert results[1].ids == free[1].ids


def test_the_folders_sampling_settings_do_not_leak_in(recwarn, caplog, monkeypatch):
    # transformers keeps its records from the root logger, where caplog listens.
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    model = tiny_model("llama")
    plain = sampler(model).generate(PROMPTS, max_new_tokens=12)
    config = model.generation_config
    for name, value in {
        "do_sample": True,
        "temperature": 0.3,
        "top_k": 3,
        "repetition_penalty": 9.0,
        "no_repeat_ngram_size": 1,
        "num_beams": 3,
        "min_new_tokens": 12,
        "suppress_tokens": [plain[0].ids[0]],
        "eos_token_id": plain[0].ids[1],
        "max_length": 3,
    }.items():
        setattr(config, name, value)
    with caplog.at_level(logging.WARNING):
        assert sampler(model).generate(PROMPTS, max_new_tokens=12) == plain
    assert model.generation_config is config
    assert config.repetition_penalty == 9.0
    assert not caplog.records
    assert not recwarn.list


def test_an_adapter_generates_with_its_own_weights_and_settings_stay_out():
    from peft import LoraConfig, get_peft_model

    base = tiny_model("llama")
    without = sampler(base).generate(PROMPTS, max_new_tokens=8)
    base.generation_config.repetition_penalty = 9.0
    model = get_peft_model(base, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"))
    assert sampler(model).generate(PROMPTS, max_new_tokens=8) == without  # LoRA starts at zero
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.fill_(0.3)
    adapted = sampler(model).generate(PROMPTS, max_new_tokens=8)
    assert adapted != without
    assert adapted == sampler(model.merge_and_unload()).generate(PROMPTS, max_new_tokens=8)


def test_generating_while_training_changes_neither_modes_nor_random_state():
    model = tiny_model("gpt2", attn_pdrop=0.5, resid_pdrop=0.5)
    expected = sampler(model).generate(PROMPTS, max_new_tokens=6)
    model.train()
    model.transformer.h[0].eval()
    state = torch.get_rng_state()
    assert sampler(model).generate(PROMPTS, max_new_tokens=6) == expected
    assert torch.equal(torch.get_rng_state(), state)
    assert model.training
    assert not model.transformer.h[0].training
    assert model.transformer.h[1].attn.training


def test_autocast_to_bfloat16_generates():
    model = tiny_model("llama")
    results = sampler(model, compute_dtype=torch.bfloat16, stop_ids=[]).generate(PROMPTS, max_new_tokens=4)
    assert [len(result.ids) for result in results] == [4] * 4
