from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    FSMTConfig,
    FSMTForConditionalGeneration,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
)

from precept.errors import ProofError
from precept.forest import build_forest
from precept.models.miniature import build_miniature
from precept.models.probe import choose_policy

TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
}


def llama(**options: Any) -> Any:
    return LlamaForCausalLM(LlamaConfig(**(TINY | options)))


def test_a_model_without_dropout_shares() -> None:
    chosen = choose_policy(llama(), build=build_forest)
    assert (chosen.mode, chosen.share, chosen.length_switches, chosen.notices) == ("forest", True, (), ())
    assert chosen.relative_error < 2e-6


def test_dropout_keeps_rows_apart_and_says_what_it_costs() -> None:
    chosen = choose_policy(llama(attention_dropout=0.1), build=build_forest, tokens=(300, 120))
    assert (chosen.mode, chosen.share) == ("packed", False)
    # 300 / 120 = 2.5
    assert chosen.notices == ("sharing: off, since dropout is on (in the model's config), 2.50 times the tokens",)


def test_dropout_of_an_adapter_counts_too() -> None:
    config = LoraConfig(r=2, lora_dropout=0.05, target_modules=["q_proj"], task_type="CAUSAL_LM")
    chosen = choose_policy(get_peft_model(llama(), config), build=build_forest)
    assert chosen.mode == "packed"
    assert "lora_dropout 0.05" in chosen.notices[0]


def test_sharing_can_be_turned_off_without_a_notice() -> None:
    chosen = choose_policy(llama(), build=build_forest, sharing="off")
    assert (chosen.mode, chosen.notices) == ("packed", ())


def test_sharing_that_is_demanded_and_not_exact_is_an_error() -> None:
    with pytest.raises(ProofError) as error:
        choose_policy(llama(attention_dropout=0.1), build=build_forest, sharing="on")
    assert error.value.code == "sharing-not-exact"
    assert "dropout to 0" in str(error.value)


def test_a_model_that_runs_no_row_ends_in_a_proof_error() -> None:
    # Ids are drawn from the encoder's vocabulary; this decoder knows five only.
    sizes = {"src_vocab_size": 40, "tgt_vocab_size": 5, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    config = FSMTConfig(**sizes, **heads, tie_word_embeddings=False)
    with pytest.raises(ProofError) as error:
        choose_policy(FSMTForConditionalGeneration(config), build=build_forest)
    assert error.value.code == "policy-not-exact"


def test_rows_of_different_length_never_meet_under_a_rope_that_stretches() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    chosen = choose_policy(llama(rope_parameters=rope), build=build_forest, longest=70)
    assert chosen.mode == "forest"
    assert list(chosen.length_switches) == [64, 65, 66, 67, 68, 69, 70]
    assert any("losses depend on the order of rows" in notice for notice in chosen.notices)


def test_behaviour_beyond_the_longest_row_does_not_matter() -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    chosen = choose_policy(llama(rope_parameters=rope), build=build_forest, longest=64)
    assert (chosen.length_switches, chosen.notices) == ((), ())


def test_the_routers_auxiliary_loss_is_named() -> None:
    config = Qwen3MoeConfig(
        **TINY, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=8, head_dim=8, output_router_logits=True
    )
    chosen = choose_policy(Qwen3MoeForCausalLM(config), build=build_forest)
    assert chosen.mode == "forest"
    assert any("auxiliary loss" in notice for notice in chosen.notices)


def test_choosing_leaves_the_model_and_the_random_state_as_they_were() -> None:
    model = llama().train()
    model.model.layers[0].eval()
    before = {name: p.clone() for name, p in model.named_parameters()}
    torch.manual_seed(7)
    choose_policy(model, build=build_forest)
    drawn = torch.rand(1)
    torch.manual_seed(7)
    assert torch.equal(drawn, torch.rand(1))
    assert model.training and not model.model.layers[0].training
    assert all(p.grad is None and torch.equal(p, before[name]) for name, p in model.named_parameters())


def test_a_small_copy_keeps_the_class_and_scales_lengths_down() -> None:
    # 124 million parameters, never allocated
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config())
    small = build_miniature(model, seed=0)
    assert small is not None
    assert type(small.model) is GPT2LMHeadModel
    assert small.lengths == {8: 1024}
    assert sum(p.numel() for p in small.model.parameters()) < 1_000_000
    assert model.config.n_embd == 768


def test_a_small_copy_keeps_every_kind_of_layer() -> None:
    from transformers import Gemma3ForCausalLM, Gemma3TextConfig

    with torch.device("meta"):
        model = Gemma3ForCausalLM(Gemma3TextConfig())  # five sliding layers, then a full one
    small = build_miniature(model, seed=0)
    assert small is not None
    assert set(small.model.config.layer_types) == {"sliding_attention", "full_attention"}
    assert small.lengths == {8: 4096, 12: 131072}
