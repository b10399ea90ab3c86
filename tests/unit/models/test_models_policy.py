from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model
from transformers import LlamaConfig, LlamaForCausalLM

from precept.errors import InputError
from precept.forest import build_forest
from precept.models import attention
from precept.models import head as head_module
from precept.models import policy as policy_module
from precept.models.masks import attention_masks
from precept.models.padded import PaddedPolicy, leaf_sequences, length_batches
from precept.models.policy import ForestPolicy, filled_up, pruned
from precept.types import Source, TokenSequence

TINY = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 32,
}


def seq(ids: list[int], weights: list[float] | None = None) -> TokenSequence:
    values = [1.0] * len(ids) if weights is None else weights
    return TokenSequence(np.array(ids, np.int32), np.array(values, np.float32), Source("rows", 1, "0" * 16))


ROWS = [
    seq([1, 2, 3, 4], [0, 1, 0, 2]),
    seq([1, 2, 5], [0, 0, 0.5]),
    seq([7, 8], [0, 1]),
    seq([1, 2], [0, 1]),
]


def tiny_llama(model_class: Any = LlamaForCausalLM, **options: Any) -> Any:
    torch.manual_seed(0)
    model = model_class(LlamaConfig(**(TINY | options)))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=parameter.shape[-1] ** -0.5)
    return model


def row_logps(model: Any, row: TokenSequence) -> torch.Tensor:
    """Log-probability of each token but the first, from the row alone."""
    ids = torch.as_tensor(row.ids, dtype=torch.long)[None]
    logps = model(input_ids=ids).logits[0, :-1].log_softmax(-1)
    return logps.gather(1, ids[0, 1:, None])[:, 0]


@pytest.mark.parametrize("policy_class", [ForestPolicy, PaddedPolicy])
def test_answers_sum_the_log_probabilities_of_their_trained_tokens(policy_class: Any) -> None:
    model = tiny_llama().requires_grad_(False)
    policy = policy_class(model)
    forest = build_forest(ROWS)
    plain, weighted = [], []
    for row in ROWS:
        logps, weights = row_logps(model, row), torch.as_tensor(row.weights[1:])
        plain.append(float(logps[weights > 0].sum()))
        weighted.append(float((logps * weights).sum()))
    assert policy.answer_logps(forest).tolist() == pytest.approx(plain, rel=1e-5)
    assert policy.answer_logps(forest, weighted=True).tolist() == pytest.approx(weighted, rel=1e-5)


@pytest.mark.parametrize("policy_class", [ForestPolicy, PaddedPolicy])
def test_the_last_hidden_state_is_what_the_head_reads_at_the_last_token(policy_class: Any) -> None:
    model = tiny_llama()
    hidden = policy_class(model).last_hidden(build_forest(ROWS))
    assert hidden.shape == (4, 16)
    for row, state in zip(ROWS, hidden, strict=True):
        logits = model(input_ids=torch.as_tensor(row.ids, dtype=torch.long)[None]).logits[0, -1]
        assert torch.allclose(model.lm_head(state), logits, atol=1e-5)


@pytest.mark.parametrize("kept", [0, 10_000])
def test_logits_in_chunks_give_the_same_gradient(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_llama()
    forest = build_forest(ROWS)
    policy = ForestPolicy(model)
    policy.edge_logps(forest).sum().backward()
    whole = model.lm_head.weight.grad.clone()
    model.zero_grad()
    monkeypatch.setattr(head_module, "CHUNK_LOGITS", 80)  # two states of 40 logits
    monkeypatch.setattr(head_module, "KEPT_LOGITS", kept)  # 0: all are computed again
    policy.edge_logps(forest).sum().backward()
    assert torch.allclose(model.lm_head.weight.grad, whole, atol=1e-6)


class OffsetLlama(LlamaForCausalLM):
    """Makes its logits in a way no rule for heads knows."""

    def forward(self, **inputs: Any) -> Any:
        out = super().forward(**inputs)
        out.logits = out.logits + torch.arange(40) / 10
        return out


@pytest.mark.parametrize("policy_class", [ForestPolicy, PaddedPolicy])
def test_an_unknown_head_falls_back_to_the_models_own_logits(policy_class: Any) -> None:
    model = tiny_llama(OffsetLlama)
    policy = policy_class(model)
    assert policy.head.module is None
    forest = build_forest([ROWS[0]])
    expected = row_logps(model, ROWS[0])[[0, 2]]
    assert torch.allclose(policy.edge_logps(forest), expected, atol=1e-5)


def test_a_forest_without_trained_tokens_still_has_a_gradient_of_zero() -> None:
    model = tiny_llama()
    logps = ForestPolicy(model).edge_logps(build_forest([seq([1, 2], [0, 0])]))
    assert logps.shape == (0,)
    logps.sum().backward()


def test_bfloat16_arithmetic_returns_float32_log_probabilities_nearby() -> None:
    model = tiny_llama()
    forest = build_forest(ROWS)
    exact = ForestPolicy(model).edge_logps(forest)
    rounded = ForestPolicy(model, compute_dtype=torch.bfloat16).edge_logps(forest)
    assert rounded.dtype == torch.float32
    assert not torch.equal(rounded, exact)
    assert torch.allclose(rounded, exact, atol=0.1)


def test_added_tokens_trained_under_lora_are_seen_by_the_head() -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(
        tiny_llama(tie_word_embeddings=True),
        LoraConfig(r=2, target_modules=["q_proj"], trainable_token_indices=[4, 5], task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "trainable_tokens" in name:
            parameter.data += 1.0
    forest = build_forest([ROWS[0]])
    policy = ForestPolicy(model)
    assert policy.head.module is not None
    assert torch.allclose(policy.edge_logps(forest), row_logps(model, ROWS[0])[[0, 2]], atol=1e-5)


def test_a_mask_shows_ancestors_only_and_counts_windows_in_depth() -> None:
    # nodes: 1 - 2 - 3 and 1 - 2 - 5
    forest = build_forest([seq([1, 2, 3]), seq([1, 2, 5])])
    device = torch.device("cpu")
    config = LlamaConfig(**TINY)
    config._attn_implementation = "sdpa"
    mask = attention_masks(forest, config, device=device, dtype=torch.float32)
    assert isinstance(mask, torch.Tensor)
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 0, 1]]
    config.layer_types = ["sliding_attention", "full_attention"]
    config.sliding_window = 2
    masks = attention_masks(forest, config, device=device, dtype=torch.float32)
    assert isinstance(masks, dict)
    assert masks["full_attention"].equal(mask)
    # token 5 is two deeper than the root, though three nodes after it
    assert masks["sliding_attention"][0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]


def test_eager_attention_gets_numbers_to_add() -> None:
    config = LlamaConfig(**TINY)
    config._attn_implementation = "eager"
    forest = build_forest([seq([1]), seq([2])])
    mask = attention_masks(forest, config, device=torch.device("cpu"), dtype=torch.bfloat16)
    assert isinstance(mask, torch.Tensor)
    lowest = torch.finfo(torch.bfloat16).min
    assert mask.dtype == torch.bfloat16
    assert mask[0, 0].tolist() == [[0, lowest], [lowest, 0]]


def test_attention_that_takes_no_mask_is_refused() -> None:
    config = LlamaConfig(**TINY)
    config._attn_implementation = "flash_attention_2"
    with pytest.raises(InputError) as error:
        attention_masks(build_forest(ROWS), config, device=torch.device("cpu"), dtype=torch.float32)
    assert error.value.code == "attention-without-mask"


def test_leaf_sequences_are_the_paths_to_the_leaves() -> None:
    # 1 - 2 - 3 - 4, 1 - 2 - 5, 7 - 8; the row 1 2 is a prefix and no leaf
    assert [path.tolist() for path in leaf_sequences(build_forest(ROWS))] == [[0, 1, 2, 3], [0, 1, 4], [5, 6]]


def test_batches_hold_sequences_of_similar_length_within_an_area() -> None:
    lengths = np.array([4, 100, 90, 3, 80])
    batches = [batch.tolist() for batch in length_batches(lengths, max_area=200)]
    # 100 and 90 fill the area; 80 would waste little, but is a third; 4 and 3 are alike
    assert batches == [[1, 2], [4], [0, 3]]
    assert [len(batch) for batch in length_batches(lengths, max_area=0)] == [1] * 5


def test_attention_in_blocks_equals_the_dense_mask_and_generates_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    forest = build_forest([seq(rng.integers(0, 3, 12).tolist()) for _ in range(20)])
    dense, blocked = tiny_llama(), tiny_llama()
    monkeypatch.setattr(attention, "BLOCK", 16)
    policy = ForestPolicy(blocked)
    assert blocked.config._attn_implementation == attention.BLOCK_ATTENTION
    assert forest.distinct_tokens > 5 * 16
    expected = ForestPolicy(dense, dense=True)
    ours, theirs = policy.edge_logps(forest), expected.edge_logps(forest)
    assert torch.allclose(ours, theirs, atol=1e-5)
    ours.sum().backward()
    theirs.sum().backward()
    for one, other in zip(blocked.parameters(), dense.parameters(), strict=True):
        assert torch.allclose(one.grad, other.grad, rtol=1e-4, atol=1e-5)
    prompt = torch.as_tensor(rng.integers(1, 40, (2, 20)))
    mask = torch.ones_like(prompt)
    mask[0, :5] = 0
    options = {"attention_mask": mask, "max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    assert torch.equal(blocked.generate(prompt, **options), dense.generate(prompt, **options))


@pytest.mark.parametrize("family", ["qwen3", "mistral", "gemma3", "olmo2", "gpt2"])
def test_blocks_equal_a_dense_mask_with_windows_and_shared_heads(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "BLOCK", 8)  # windows are 8 too, so some ancestors lie beyond every query of a block
    rng = np.random.default_rng(0)
    trunk = rng.integers(3, 40, 20).tolist()
    forest = build_forest([seq(trunk[: 5 * i] + rng.integers(3, 40, 11).tolist()) for i in range(5)])
    found = []
    for dense in (False, True):
        model = tiny_model(family)
        policy = ForestPolicy(model, dense=dense)
        assert (model.config._attn_implementation == attention.BLOCK_ATTENTION) is not dense
        logps = policy.edge_logps(forest)
        (logps * torch.linspace(0.5, 2, len(logps))).sum().backward()
        found.append([logps.detach(), *(p.grad for p in model.parameters())])
    for ours, theirs in zip(*found, strict=True):
        assert (ours - theirs).norm() <= 1e-5 * theirs.norm() + 1e-7


def test_blocks_hold_runs_of_the_keys_that_their_queries_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 nodes of a row, 8 more of one that leaves it after 4, and a row of 4 apart; keys are rounded up to eights."""
    monkeypatch.setattr(attention, "BLOCK", 4)
    forest = build_forest([seq([1, 2, 3, 4, 5, 6, 7, 8]), seq([1, 2, 3, 4, 9, *range(6, 13)]), seq([20, 21, 22, 23])])
    token = attention.stand_in(forest, window=None, chunk=None, device=torch.device("cpu"))
    assert token.shape == (1, 1, 20, 20) and token.untyped_storage().nbytes() == 1
    layout = attention._layouts[token._base]
    assert [(block.start, block.stop, block.runs) for block in layout.blocks] == [
        (0, 4, ((0, 4), (16, 20))),  # with 16 to 19 there are eight
        (4, 8, ((0, 8),)),
        (8, 12, ((0, 4), (8, 12))),  # 4 to 7 are no ancestors
        (12, 16, ((0, 4), (8, 20))),
        (16, 20, ((12, 20),)),
    ]
    assert [block.seen for block in layout.blocks] == [1, 5, 5, 9, 0]  # keys before the first that some query misses
    assert layout.blocks[2].hidden.int().tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]
    whole = layout.mask[0, 0]
    for block in layout.blocks:
        keys = [k for first, last in block.runs for k in range(first, last)]
        assert torch.equal(~block.hidden, whole[block.start : block.stop, keys[block.seen :]])
        assert whole[block.start : block.stop, keys[: block.seen]].all()
        assert int(whole[block.start : block.stop].sum()) == int(whole[block.start : block.stop, keys].sum())
    assert whole[15].nonzero()[:, 0].tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]


def test_forests_of_few_sizes_score_the_same() -> None:
    """19 nodes are computed as 24; sizes between two powers of two are 16, and eights below 256."""
    rounded = [attention.round_up(size) for size in (1, 8, 19, 255, 256, 257, 2047, 2049)]
    assert rounded == [8, 8, 24, 256, 256, 272, 2048, 2176]
    forest = build_forest([seq(list(range(1, 20)))])
    larger = filled_up(forest, 24)
    assert (larger.distinct_tokens, larger.end[18:].tolist()) == (24, [19, 20, 21, 22, 23, 24])
    model = tiny_llama()
    expected = row_logps(model, seq(list(range(1, 20))))
    assert torch.allclose(ForestPolicy(model).edge_logps(forest), expected, atol=1e-5)


def test_nodes_that_no_asked_node_sees_are_left_out() -> None:
    """Of ``1 2 3 4``, ``1 2 5`` and ``7 8`` the ends are predicted but predict nothing; the deepest node stays."""
    forest = build_forest(ROWS)
    assert forest.ids.tolist() == [1, 2, 3, 4, 5, 7, 8]
    smaller, places = pruned(forest, np.unique(forest.parent[forest.edges]).astype(np.int64))
    assert smaller.ids.tolist() == [1, 2, 3, 4, 7]
    assert smaller.depth.tolist() == [0, 1, 2, 3, 0]
    assert smaller.parent.tolist() == [-1, 0, 1, 2, -1]
    assert smaller.end.tolist() == [4, 4, 4, 4, 5]
    assert smaller.ids[places].tolist() == forest.ids[np.unique(forest.parent[forest.edges])].tolist()
    whole, same = pruned(forest, np.arange(7))
    assert whole is forest
    assert same.tolist() == list(range(7))


def test_leaving_nodes_out_changes_no_log_probability_and_no_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(3)
    rows = [seq([1, 2, 3, *rng.integers(4, 40, size).tolist()]) for size in rng.integers(1, 12, 30)]
    found = []
    for shortened in (True, False):
        if not shortened:
            monkeypatch.setattr(policy_module, "pruned", lambda forest, nodes: (forest, nodes))
        model = tiny_llama()
        logps = ForestPolicy(model).edge_logps(build_forest(rows))
        logps.sum().backward()  # type: ignore[no-untyped-call]
        found.append((logps.detach(), torch.cat([p.grad.flatten() for p in model.parameters()])))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-6)
    assert float((found[0][1] - found[1][1]).norm() / found[1][1].norm()) < 1e-6


def test_attention_in_blocks_leaves_no_trace_in_a_saved_folder(tmp_path: Path) -> None:
    model = tiny_llama()
    ForestPolicy(model)
    model.save_pretrained(tmp_path)
    assert attention.BLOCK_ATTENTION not in (tmp_path / "config.json").read_text()
