from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.tiny import tiny_model, tiny_model_folder

from precept.forest import build_forest
from precept.models import attention, flex
from precept.models.load import load_model
from precept.models.policy import ForestPolicy, filled_up
from precept.models.probe import choose_policy
from precept.models.settings import ModelSettings
from precept.types import Forest, Source, TokenSequence

CPU = torch.device("cpu")
WIDE = {"hidden_size": 64, "head_dim": 16}  # heads that flex attention takes


def seq(ids: list[int]) -> TokenSequence:
    return TokenSequence(np.array(ids, np.int32), np.ones(len(ids), np.float32), Source("rows", 1, "0" * 16))


def random_forest(seed: int, *, rows: int = 12, longest: int = 60) -> Forest:
    """Rows that leave a common trunk at random places, and a few that stand apart."""
    rng = np.random.default_rng(seed)
    trunk = rng.integers(3, 40, longest).tolist()
    leaving = [
        trunk[: rng.integers(0, longest)] + rng.integers(3, 40, rng.integers(1, 20)).tolist() for _ in range(rows)
    ]
    return build_forest([seq(ids) for ids in leaving])


def dense(mask: Any, length: int) -> np.ndarray[Any, Any]:
    """What a block mask shows, [T, T]: whole blocks as they are, others through the rule for single nodes."""
    node = torch.arange(length)
    zero = torch.tensor(0)
    allowed = mask.mask_mod(zero, zero, node[:, None], node[None, :])
    shown = torch.zeros(length, length, dtype=torch.bool)
    for block in range(length // flex.BLOCK):
        rows = slice(block * flex.BLOCK, (block + 1) * flex.BLOCK)
        for counts, places, whole in (
            (mask.kv_num_blocks, mask.kv_indices, False),
            (mask.full_kv_num_blocks, mask.full_kv_indices, True),
        ):
            for place in places[0, 0, block, : counts[0, 0, block]].tolist():
                columns = slice(place * flex.BLOCK, (place + 1) * flex.BLOCK)
                assert not shown[rows, columns].any()  # no block comes twice
                shown[rows, columns] = True if whole else allowed[rows, columns]
    return shown.numpy()


@pytest.mark.parametrize(("window", "chunk"), [(None, None), (5, None), (1, None), (None, 7), (20, None)])
def test_a_block_mask_shows_what_the_dense_mask_shows(
    window: int | None, chunk: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flex, "BLOCK", 8)
    whole = 0
    for seed in range(5):
        forest = random_forest(seed)
        forest = filled_up(forest, flex.padded_size(forest.distinct_tokens))
        length = forest.distinct_tokens
        nodes = np.arange(length)
        expected = attention.visible(forest, nodes, nodes, window=window, chunk=chunk)
        mask = flex.make_block_mask(forest, window=window, chunk=chunk, device=CPU)
        assert np.array_equal(dense(mask, length), expected)
        blocks = expected.reshape(length // 8, 8, length // 8, 8)
        found_part, found_whole = flex.block_structure(forest, window=window, chunk=chunk)
        assert np.array_equal(found_whole, blocks.all(axis=(1, 3)))
        if window is chunk is None:
            assert np.array_equal(found_part | found_whole, blocks.any(axis=(1, 3)))  # nothing is computed in vain
        whole += int(found_whole.sum())
    assert whole > 0 or (window or chunk or 99) < 16  # 8 x 8 nodes lie within 15 of depth


def test_blocks_are_skipped_masked_or_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flex, "BLOCK", 2)
    # 0-1-2-3 and 0-1-4-5 share two nodes, 6-7 stands apart
    forest = build_forest([seq([1, 2, 3, 4]), seq([1, 2, 5, 6]), seq([7, 8])])
    part, whole = flex.block_structure(forest, window=None, chunk=None)
    assert part.astype(int).tolist() == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    assert whole.astype(int).tolist() == [[0, 0, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    # depths 0 1 2 3 2 3 0 1: within 3 of depth node 3 sees 1 and not 0, so a block that was whole is masked
    part, whole = flex.block_structure(forest, window=3, chunk=None)
    assert part.astype(int).tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]
    assert not whole.any()


def test_forests_come_in_few_sizes() -> None:
    assert [flex.padded_size(size) for size in (1, 128, 129, 1025, 2048, 2049, 4097, 8192)] == [
        128, 128, 256, 1152, 2048, 2304, 4608, 8192,
    ]  # fmt: skip
    sizes = {flex.padded_size(size) for size in range(1, 65_537)}
    assert 2 * 2 * len(sizes) <= flex.KERNELS  # full and limited layers, training and scoring
    assert max(flex.padded_size(size) / size for size in range(1024, 65_537)) <= 1.125


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_flex_attention_gives_what_attention_in_blocks_gives(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    forest = random_forest(1)
    model = tiny_model(family, **WIDE)
    with torch.no_grad():
        expected = ForestPolicy(model).edge_logps(forest)
        monkeypatch.setattr(flex, "DEVICES", ("cpu",))
        monkeypatch.setattr(flex, "BACKEND", "eager")
        policy = ForestPolicy(model)
        assert torch.allclose(policy.edge_logps(forest), expected, atol=1e-5)
        monkeypatch.setattr(flex, "attend", None)  # heads too narrow for it get a dense mask
        monkeypatch.setattr(flex, "SMALLEST_HEAD", 17)
        assert torch.allclose(policy.edge_logps(forest), expected, atol=1e-5)


def test_another_forest_of_a_size_needs_no_other_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = []

    def backend(graph: Any, inputs: Any) -> Any:
        kernels.append(graph)
        return graph.forward

    monkeypatch.setattr(flex, "DEVICES", ("cpu",))
    monkeypatch.setattr(flex, "BACKEND", backend)
    policy = ForestPolicy(tiny_model("mistral", **WIDE))
    with torch.no_grad():
        for seed in range(4):
            policy.edge_logps(random_forest(seed, rows=1, longest=30))  # up to 128 nodes
            policy.edge_logps(random_forest(seed, rows=14))  # up to 256
    assert len(kernels) == 2


def test_a_device_on_which_flex_attention_fails_gets_a_dense_mask_and_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    # a processor is such a device: flex attention has no backward pass there
    monkeypatch.setattr(flex, "DEVICES", ("cpu",))
    monkeypatch.setattr(flex, "BACKEND", "eager")
    model = tiny_model("llama", **WIDE)
    chosen = choose_policy(model, build=build_forest)
    assert chosen.mode == "forest"
    assert model.config._attn_implementation == "sdpa"
    assert any("under a dense mask (shared prefixes cannot run)" in notice for notice in chosen.notices)


needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="flex attention's kernels run on a GPU")
CUDA = torch.device("cuda")


@pytest.fixture
def ieee_products() -> Iterator[None]:
    """Float32 products without TF32, whatever the machine's default is."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


def weighted_gradient(policy: ForestPolicy, forest: Forest) -> tuple[float, torch.Tensor]:
    """Loss of a forest and its whole gradient, float64 on the processor."""
    policy.model.zero_grad()
    logps = policy.edge_logps(forest)
    loss = -(logps * torch.as_tensor(forest.weight, device=logps.device)).sum()
    loss.backward()
    gradients = [p.grad.double().cpu().flatten() for p in policy.model.parameters() if p.grad is not None]
    return float(loss.detach()), torch.cat(gradients)


def separate_gradient(policy: ForestPolicy, rows: list[TokenSequence]) -> tuple[float, torch.Tensor]:
    """The same as one plain causal forward for each row, under the policy's precision."""
    policy.model.zero_grad()
    total = 0.0
    for row in rows:
        ids = torch.as_tensor(row.ids, dtype=torch.long, device=policy.device)[None]
        with policy.autocast():
            logits = policy.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
        loss = torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum")
        loss.backward()
        total += float(loss.detach())
    gradients = [p.grad.double().cpu().flatten() for p in policy.model.parameters() if p.grad is not None]
    return total, torch.cat(gradients)


def sharing_rows(lengths: tuple[int, ...] = (300, 200, 150, 40)) -> list[TokenSequence]:
    """Rows that share whole blocks of 128 tokens, and one that stands apart."""
    rng = np.random.default_rng(0)
    trunk = rng.integers(3, 40, max(lengths)).tolist()
    rows = [seq(trunk[:size] + rng.integers(3, 40, 50).tolist()) for size in lengths for _ in range(2)]
    return [*rows, seq(rng.integers(3, 40, 70).tolist())]


LONG = {"max_position_embeddings": 512}


@needs_cuda
@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral", "gemma3", "olmo2"])
def test_on_a_gpu_loss_and_gradient_are_those_of_separate_rows(family: str, ieee_products: None) -> None:
    rows = sharing_rows()
    policy = ForestPolicy(tiny_model(family, **WIDE, **LONG).to(CUDA))
    assert policy.model.config._attn_implementation == attention.BLOCK_ATTENTION
    loss, gradient = weighted_gradient(policy, build_forest(rows))
    expected_loss, expected = separate_gradient(policy, rows)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert (gradient - expected).norm() <= 1e-5 * expected.norm()


@needs_cuda
@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral"])
def test_on_a_gpu_bfloat16_is_no_noisier_than_on_separate_rows(family: str, ieee_products: None) -> None:
    rows = sharing_rows()
    model = tiny_model(family, **WIDE, **LONG).to(CUDA)
    exact_loss, exact = separate_gradient(ForestPolicy(model), rows)
    rounded = ForestPolicy(model, compute_dtype=torch.bfloat16)
    loss, gradient = weighted_gradient(rounded, build_forest(rows))
    separate_loss, separate = separate_gradient(rounded, rows)
    noise = float((separate - exact).norm() / exact.norm())
    # the bound: twice the noise of separate rows, whose rounding errors are others
    assert float((gradient - exact).norm() / exact.norm()) <= 2 * noise
    assert abs(loss - exact_loss) <= 2 * max(abs(separate_loss - exact_loss), 1e-3 * abs(exact_loss))


@needs_cuda
def test_on_a_gpu_the_chosen_policy_uses_flex_attention(ieee_products: None) -> None:
    model = tiny_model("qwen3", **WIDE, **LONG).to(CUDA)
    chosen = choose_policy(model, build=build_forest)
    assert (chosen.mode, chosen.notices) == ("forest", ())
    assert model.config._attn_implementation == attention.BLOCK_ATTENTION
    assert chosen.relative_error < 1e-5


@needs_cuda
def test_on_a_gpu_kernels_are_made_once_a_size() -> None:
    from torch._dynamo.utils import counters

    policy = ForestPolicy(tiny_model("llama", **WIDE, **LONG).to(CUDA), compute_dtype=torch.bfloat16)
    weighted_gradient(policy, random_forest(0, rows=14))
    before = counters["stats"]["unique_graphs"]
    for seed in range(1, 5):
        weighted_gradient(policy, random_forest(seed, rows=14))
    assert counters["stats"]["unique_graphs"] == before


@needs_cuda
@pytest.mark.parametrize("adapter", ["none", "lora", "qlora"])
def test_on_a_gpu_adapters_and_checkpointed_activations_give_the_gradient_of_a_dense_mask(
    adapter: str, tmp_path: Path, ieee_products: None
) -> None:
    if adapter == "qlora":
        pytest.importorskip("bitsandbytes")
    folder = tiny_model_folder(tmp_path / "base", "llama", **WIDE, **LONG, intermediate_size=128)
    settings = ModelSettings(adapter=adapter, gradient_checkpointing=True, dtype="float32")
    loaded = load_model(folder, settings, train=True, device="cuda")
    for name, parameter in loaded.model.named_parameters():
        if "lora_B" in name:  # zero at first, which would leave lora_A without a gradient
            torch.nn.init.normal_(parameter, std=0.1)
    forest = build_forest(sharing_rows())
    loss, gradient = weighted_gradient(ForestPolicy(loaded.model), forest)
    expected_loss, expected = weighted_gradient(ForestPolicy(loaded.model, dense=True), forest)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    assert (gradient - expected).norm() <= 1e-5 * expected.norm()
