"""A forest gives the loss and the whole gradient of separate sequences, on every architecture that can share.

The reference is transformers' own forward of one row at a time. Models are random, float32, with two to six
layers of width 32; rows reach beyond every window, chunk and switch of theirs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from precept.forest import build_forest, cut
from precept.models import attention
from precept.models.policy import ForestPolicy
from precept.models.probe import Chosen, choose_policy
from precept.objectives import sft
from precept.ports import Policy
from precept.types import Source, TokenSequence

VOCABULARY = 96
LLAMA = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2 = {
    "vocab_size": VOCABULARY,
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
NO_GPT2_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
LONGROPE = {
    "rope_parameters": {
        "rope_type": "longrope",
        "rope_theta": 10000.0,
        "original_max_position_embeddings": 12,
        "short_factor": [1.0, 1.1, 1.2, 1.3],
        "long_factor": [2.0, 3.0, 4.0, 5.0],
    },
    "original_max_position_embeddings": 12,
}

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("Llama", LLAMA),
    "qwen3": ("Qwen3", LLAMA | {"head_dim": 8}),
    "qwen3_moe": ("Qwen3Moe", LLAMA | EXPERTS | {"head_dim": 8, "num_experts": 4}),
    "mistral_window": ("Mistral", LLAMA | {"sliding_window": 6}),
    "gemma2": ("Gemma2", LLAMA | {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8}),
    "gemma3": (
        "Gemma3",
        LLAMA | {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8, "num_hidden_layers": 6},
    ),
    "gpt_oss": ("GptOss", LLAMA | EXPERTS | {"head_dim": 8, "sliding_window": 6, "num_local_experts": 4}),
    "gpt_neox": ("GPTNeoX", LLAMA),
    "gpt2": ("GPT2", GPT2 | NO_GPT2_DROPOUT),
    "opt": ("OPT", LLAMA | {"ffn_dim": 48, "word_embed_proj_dim": 16, "dropout": 0.0}),
    "olmo2": ("Olmo2", LLAMA),
    "phi3": ("Phi3", LLAMA),
    "phi3_longrope": ("Phi3", LLAMA | LONGROPE),
    "smollm3": ("SmolLM3", LLAMA | {"num_hidden_layers": 4}),
    "falcon": ("Falcon", LLAMA),
    "granite": ("Granite", LLAMA | {"logits_scaling": 4.0}),
    "cohere": ("Cohere", LLAMA | {"logit_scale": 0.25}),
}
FALL_BACK: dict[str, tuple[str, dict[str, Any]]] = {
    "llama4": (
        "Llama4",
        LLAMA
        | {
            "head_dim": 8,
            "attention_chunk_size": 6,
            "num_hidden_layers": 4,
            "num_local_experts": 2,
            "intermediate_size_mlp": 32,
        },
    ),
    "gpt_neo": (
        "GPTNeo",
        {
            "vocab_size": VOCABULARY,
            "hidden_size": 32,
            "num_layers": 2,
            "num_heads": 4,
            "intermediate_size": 48,
            "attention_types": [[["global", "local"], 1]],
            "window_size": 6,
            "max_position_embeddings": 64,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "resid_dropout": 0.0,
        },
    ),
    "lfm2_conv": ("Lfm2", LLAMA | {"layer_types": ["conv", "full_attention"]}),
    "bloom": ("Bloom", {"vocab_size": VOCABULARY, "hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "falcon_alibi": ("Falcon", LLAMA | {"alibi": True}),
    "mpt": ("Mpt", {"vocab_size": VOCABULARY, "d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 64}),
}

ENCODER_DECODER: dict[str, tuple[str, dict[str, Any]]] = {
    "t5": (
        "T5",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "dropout_rate": 0.0,
        },
    ),
    "t5_untied": (
        "T5",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "d_kv": 8,
            "d_ff": 48,
            "num_layers": 2,
            "num_heads": 4,
            "dropout_rate": 0.0,
            "tie_word_embeddings": False,
        },
    ),
    "bart": (
        "Bart",
        {
            "vocab_size": VOCABULARY,
            "d_model": 32,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 48,
            "decoder_ffn_dim": 48,
            "max_position_embeddings": 64,
            "dropout": 0.0,
        },
    ),
}
CLASSES = {
    "gpt2": ("GPT2Config", "GPT2LMHeadModel"),
    "gemma3": ("Gemma3TextConfig", "Gemma3ForCausalLM"),
    "llama4": ("Llama4TextConfig", "Llama4ForCausalLM"),
    "t5": ("T5Config", "T5ForConditionalGeneration"),
    "t5_untied": ("T5Config", "T5ForConditionalGeneration"),
    "bart": ("BartConfig", "BartForConditionalGeneration"),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forests here have about 80 nodes: let attention in blocks take several blocks for one."""
    monkeypatch.setattr(attention, "BLOCK", 16)


def make_model(name: str, *, seed: int = 0) -> Any:
    """A random model whose weights are large enough for every part to matter."""
    family, config = (MODELS | FALL_BACK | ENCODER_DECODER)[name]
    config_name, model_name = CLASSES.get(name, (f"{family}Config", f"{family}ForCausalLM"))
    config = getattr(transformers, config_name)(**config)
    config._attn_implementation = "eager" if name == "gpt_oss" else None  # None: the best the class has
    torch.manual_seed(seed)
    model = getattr(transformers, model_name)(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=parameter.shape[-1] ** -0.5)
    return model


def random_rows(*, encoder: bool = False, seed: int = 0) -> list[TokenSequence]:
    """Two prompts with several answers, duplicates, prefixes of others, other roots and single tokens,
    shuffled.

    Sequences that share nodes weigh them differently.
    """
    rng = np.random.default_rng(seed)

    def draw(n: int) -> list[int]:
        return [int(i) for i in rng.integers(3, VOCABULARY, n)]

    rows: list[list[int]] = []
    for size in (5, 14):
        prompt = draw(size)
        answers = [prompt + draw(n) for n in (3, 6, 9)]
        rows += [*answers, answers[0], answers[1][: size + 2], answers[2] + draw(2)]
    rows += [draw(8), draw(1), rows[0][:1]]
    order = rng.permutation(len(rows))
    return [
        TokenSequence(
            np.array(rows[i], np.int32),
            rng.choice(np.array([0, 0.5, 1, 2], np.float32), len(rows[i])),
            Source("random", int(i), "0" * 16),
            np.array(draw(int(rng.integers(1, 12))), np.int32) if encoder else None,
        )
        for i in order
    ]


def add_lora(model: Any, *, use_dora: bool = False) -> Any:
    """Adapters on all linear layers that change the output: B is not zero."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=4,
        target_modules="all-linear",
        init_lora_weights=False,
        use_dora=use_dora,
        fan_in_fan_out=model.config.model_type == "gpt2",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, config)


def separate(model: Any, rows: list[TokenSequence]) -> tuple[float, Tensor]:
    """Weighted loss and whole gradient of the rows, one at a time through transformers' own forward."""
    model.zero_grad()
    total = 0.0
    for row in rows:
        ids = torch.as_tensor(row.ids, dtype=torch.long)[None]
        inputs = {"input_ids": ids}
        if row.encoder_ids is not None:
            encoder = torch.as_tensor(row.encoder_ids, dtype=torch.long)[None]
            inputs = {"input_ids": encoder, "decoder_input_ids": ids}
        logits = model(**inputs).logits[0, :-1]
        nll = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none")
        loss = (nll * torch.as_tensor(row.weights[1:])).sum()
        loss.backward()
        total += float(loss.detach())
    return total, gradient(model)


def through(policy: Policy, model: Any, forests: list[list[TokenSequence]], *, share: bool) -> tuple[float, Tensor]:
    """Loss and whole gradient of the same rows as forests."""
    model.zero_grad()
    total = 0.0
    for rows in forests:
        loss = sft(policy, build_forest(rows, share=share))
        loss.sum.backward()
        total += float(loss.sum.detach())
    return total, gradient(model)


def gradient(model: Any) -> Tensor:
    """All gradients in one vector, float64."""
    parts = [
        (torch.zeros_like(p) if p.grad is None else p.grad).double().flatten()
        for p in model.parameters()
        if p.requires_grad
    ]
    model.zero_grad()
    return torch.cat(parts)


def assert_exact(found: tuple[float, Tensor], expected: tuple[float, Tensor]) -> None:
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    assert float((found[1] - expected[1]).norm() / expected[1].norm()) < 1e-5


def cut_for(chosen: Chosen, rows: list[TokenSequence], *, max_tokens: int) -> list[list[TokenSequence]]:
    groups = cut(rows, max_tokens=max_tokens, share=chosen.share, switches=chosen.length_switches)
    return [[rows[i] for i in group] for group in groups]


@pytest.mark.filterwarnings("ignore:The following .*_pattern keys")  # peft's own, on experts
@pytest.mark.parametrize("adapter", ["none", "lora"])
@pytest.mark.parametrize("name", MODELS)
def test_a_forest_equals_separate_sequences(name: str, adapter: str) -> None:
    model = make_model(name)
    if adapter == "lora":
        model = add_lora(model)
    model.train()
    rows = random_rows()
    chosen = choose_policy(model, build=build_forest)
    assert chosen.mode == "forest"
    found = through(chosen.policy, model, cut_for(chosen, rows, max_tokens=1000), share=True)
    assert_exact(found, separate(model, rows))


@pytest.mark.parametrize("name", FALL_BACK)
def test_a_model_that_cannot_share_falls_back_and_is_exact_too(name: str) -> None:
    model = make_model(name).train()
    rows = random_rows()
    chosen = choose_policy(model, build=build_forest)
    assert chosen.mode == "padded"
    assert chosen.notices[0].startswith("sequences: padded batches (shared prefixes ")
    found = through(chosen.policy, model, cut_for(chosen, rows, max_tokens=1000), share=False)
    assert_exact(found, separate(model, rows))


@pytest.mark.parametrize("name", ENCODER_DECODER)
def test_encoder_decoder_models_are_exact_in_padded_batches(name: str) -> None:
    model = make_model(name).train()
    rows = random_rows(encoder=True)
    chosen = choose_policy(model, build=build_forest)
    assert chosen.mode == "encoder_decoder"
    found = through(chosen.policy, model, cut_for(chosen, rows, max_tokens=1000), share=False)
    assert_exact(found, separate(model, rows))


def test_dora_adapters_are_exact() -> None:
    model = add_lora(make_model("llama"), use_dora=True)
    rows = random_rows()
    assert_exact(through(ForestPolicy(model), model, [rows], share=True), separate(model, rows))


def test_gradient_checkpointing_changes_nothing() -> None:
    model = make_model("qwen3").train()
    rows = random_rows()
    expected = separate(model, rows)
    model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    assert_exact(through(ForestPolicy(model), model, [rows], share=True), expected)


def test_eager_attention_is_exact_too() -> None:
    model = make_model("gemma3")
    model.set_attn_implementation("eager")
    rows = random_rows()
    assert_exact(through(ForestPolicy(model), model, [rows], share=True), separate(model, rows))


def test_cutting_into_forests_changes_nothing() -> None:
    model = make_model("llama")
    rows = random_rows()
    policy = ForestPolicy(model)
    whole = through(policy, model, [rows], share=True)
    pieces = [[rows[i] for i in group] for group in cut(rows, max_tokens=25)]
    assert len(pieces) > 3
    assert_exact(through(policy, model, pieces, share=True), whole)


def test_one_batch_of_eight_equals_eight_of_one() -> None:
    model = make_model("llama")
    rows = random_rows()[:8]
    policy = ForestPolicy(model)
    eight = through(policy, model, [rows], share=True)
    assert_exact(through(policy, model, [[row] for row in rows], share=True), eight)


def test_isolated_trees_equal_shared_prefixes() -> None:
    model = make_model("gpt_oss")
    rows = random_rows()
    policy = ForestPolicy(model)
    shared = through(policy, model, [rows], share=True)
    assert_exact(through(policy, model, [rows], share=False), shared)


@pytest.mark.parametrize("name", ["llama", "qwen3"])
def test_bfloat16_errs_no_more_than_separate_sequences_in_bfloat16(name: str) -> None:
    """Both against float32. Rounding differs by where it falls, so a quarter more is allowed."""
    model = make_model(name).train()
    rows = random_rows()
    _, exact = separate(model, rows)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, theirs = separate(model, rows)
    _, ours = through(ForestPolicy(model, compute_dtype=torch.bfloat16), model, [rows], share=True)
    assert float((ours - exact).norm()) < 1.25 * float((theirs - exact).norm())
