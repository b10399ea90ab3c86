"""Model proofs: they hold for the machinery as it is, and each fails when a wrong one is handed in."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tests.tiny import tiny_model, tiny_model_folder
from torch import Tensor

from precept.forest import build_forest
from precept.models.policy import ForestPolicy
from precept.objectives import sft
from precept.prove.models import (
    BETAS,
    EPS,
    LEARNING_RATE,
    accumulation_invariant,
    adapter_identity,
    documents_isolated,
    resume_exact,
    sharing_exact,
)
from precept.prove.proof import Proof
from precept.prove.reference import adamw_steps, take_gradient
from precept.train.loop import accumulate
from precept.train.optimizer import scale_and_clip
from precept.types import Forest, Source, TokenSequence

SOURCE = Source("rows", 1, "0" * 16)
TRUNK = list(range(10, 22))


def sequence(ids: list[int], trained: int) -> TokenSequence:
    weights = np.zeros(len(ids), np.float32)
    weights[-trained:] = 1
    return TokenSequence(np.array(ids, np.int32), weights, SOURCE)


ROWS = [
    sequence([*TRUNK, 30, 31, 32], 3),
    sequence([*TRUNK, 40, 41], 2),
    sequence([50, 51, 52, 53, 54, 55], 1),
    sequence([*TRUNK[:6], 60, 61, 62, 63, 64, 65, 66], 7),
]


@dataclass
class Tried:
    model: Any
    policy: ForestPolicy

    def step_gradient(self, parts: Sequence[Sequence[TokenSequence]]) -> Mapping[str, Tensor]:
        totals = accumulate(self.policy, sft, [build_forest(part) for part in parts])
        scale_and_clip(dict(self.model.named_parameters()), count=totals.count, max_norm=0.0)
        return take_gradient(self.model)


@pytest.fixture(scope="module")
def tried() -> Tried:
    model = tiny_model("llama")
    return Tried(model, ForestPolicy(model))


def test_isolation_and_sharing_hold(tried: Tried) -> None:
    for share in (True, False):
        isolated = documents_isolated(tried.model, tried.policy, ROWS, build=build_forest, share=share)
        assert isolated.ok
        assert isolated.value is not None
        assert isolated.value < 1e-5
    assert sharing_exact(tried.model, tried.policy, ROWS, build=build_forest).ok


def test_packing_without_isolation_is_caught(tried: Tried) -> None:
    def leaky(sequences: Sequence[TokenSequence], *, share: bool = True) -> Forest:
        """Every node sees all nodes before it: rows end where the packed row ends."""
        forest = build_forest(sequences, share=share)
        return replace(forest, end=np.full_like(forest.end, len(forest.ids)))

    proof = documents_isolated(tried.model, tried.policy, ROWS, build=leaky, share=False)
    assert not proof.ok
    assert not sharing_exact(tried.model, tried.policy, ROWS, build=leaky).ok


def test_positions_that_count_on_through_a_packed_row_are_caught(tried: Tried) -> None:
    def counting(sequences: Sequence[TokenSequence], *, share: bool = True) -> Forest:
        forest = build_forest(sequences, share=share)
        depth = forest.depth.copy()
        depth[len(TRUNK) :] += 5
        return replace(forest, depth=depth)

    assert not documents_isolated(tried.model, tried.policy, ROWS, build=counting, share=False).ok


@pytest.mark.parametrize("family", ["bloom", "falcon"])
def test_an_alibi_model_with_sharing_forced_on_is_caught(family: str) -> None:
    model = tiny_model(family, **({"alibi": True} if family == "falcon" else {}))
    try:
        policy = ForestPolicy(model)
    except (ValueError, TypeError, RuntimeError):
        pytest.fail("the model should run; only its results are wrong")
    assert not sharing_exact(model, policy, ROWS, build=build_forest).ok


def test_sharing_does_not_apply_where_rows_run_one_by_one(tried: Tried) -> None:
    proof = sharing_exact(tried.model, tried.policy, ROWS, build=build_forest, instead="rows run as padded batches")
    assert proof.ok
    assert not proof.applies


def test_accumulation_holds(tried: Tried) -> None:
    assert accumulation_invariant(tried.model, ROWS, step_gradient=tried.step_gradient).ok


def test_a_mean_of_means_is_caught(tried: Tried) -> None:
    def mean_of_means(parts: Sequence[Sequence[TokenSequence]]) -> Mapping[str, Tensor]:
        gradients = [tried.step_gradient([part]) for part in parts]
        return {name: sum(g[name] for g in gradients) / len(parts) for name in gradients[0]}

    assert not accumulation_invariant(tried.model, ROWS, step_gradient=mean_of_means).ok


def test_a_gradient_that_is_no_number_in_micro_batches_alone_is_caught(tried: Tried) -> None:
    def broken(parts: Sequence[Sequence[TokenSequence]]) -> Mapping[str, Tensor]:
        factor = 1.0 if len(parts) == 1 else float("nan")
        return {name: gradient * factor for name, gradient in tried.step_gradient(parts).items()}

    assert not accumulation_invariant(tried.model, ROWS, step_gradient=broken).ok


Train = Callable[[Sequence[Sequence[TokenSequence]], bool], Mapping[str, Tensor]]


def training(model: Any, *, again: bool = False, forgets: bool = False) -> Train:
    """Two plain AdamW steps; ``again`` repeats the first batch after an interruption, ``forgets`` its moments."""

    def run(batches: Sequence[Sequence[TokenSequence]], interrupted: bool) -> Mapping[str, Tensor]:
        start = copy.deepcopy(model.state_dict())
        given = {"learning_rate": LEARNING_RATE, "betas": BETAS, "eps": EPS}
        if interrupted and forgets:
            adamw_steps(model, batches[:1], **given)
            adamw_steps(model, batches[1:], **given)
        else:
            adamw_steps(model, [batches[0], batches[0]] if interrupted and again else batches, **given)
        after = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
        model.load_state_dict(start)
        return after

    return run


def test_resuming_holds_and_puts_the_weights_back(tried: Tried) -> None:
    before = copy.deepcopy(tried.model.state_dict())
    assert resume_exact(tried.model, [ROWS[:2], ROWS[2:]], training=training(tried.model)).ok
    assert all(torch.equal(before[name], value) for name, value in tried.model.state_dict().items())


@pytest.mark.parametrize("fault", ["again", "forgets"])
def test_a_resume_that_repeats_a_batch_or_forgets_its_moments_is_caught(tried: Tried, fault: str) -> None:
    assert not resume_exact(tried.model, [ROWS[:2], ROWS[2:]], training=training(tried.model, **{fault: True})).ok


def test_training_that_is_alike_both_times_and_wrong_is_caught(tried: Tried) -> None:
    def lazy(batches: Sequence[Sequence[TokenSequence]], interrupted: bool) -> Mapping[str, Tensor]:
        return training(tried.model)(batches[:1], False)

    proof = resume_exact(tried.model, [ROWS[:2], ROWS[2:]], training=lazy)
    assert "0 differ" in proof.detail
    assert not proof.ok


def adapter_proof(*, start: float = 0.0, folded: Callable[[Any], Any] | None = None) -> Proof:
    """The proof on a LoRA model whose second matrices begin with ``start``."""
    base = tiny_model("llama")
    torch.manual_seed(0)
    model = get_peft_model(tiny_model("llama"), LoraConfig(r=2, target_modules="all-linear"))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.add_(start)
    merge = folded or (lambda model: copy.deepcopy(model).merge_and_unload())
    return adapter_identity(
        ROWS,
        base=base,
        policy=ForestPolicy(model),
        build=build_forest,
        take_step=lambda: adamw_steps(model, [ROWS], learning_rate=LEARNING_RATE, betas=BETAS, eps=EPS),
        merged=lambda: merge(model),
    )


def test_a_fresh_adapter_changes_nothing_and_merges_exactly() -> None:
    proof = adapter_proof()
    assert proof.ok, proof.detail


def test_an_adapter_that_begins_elsewhere_is_caught() -> None:
    assert not adapter_proof(start=0.1).ok


def test_a_merge_that_forgets_the_adapter_is_caught() -> None:
    assert not adapter_proof(folded=lambda model: tiny_model("llama")).ok


def test_the_loops_own_resuming_is_proven(tmp_path: Path) -> None:
    from precept.models.probe import choose_policy
    from precept.run.proving.steps import ProofTraining

    model = tiny_model("llama")
    chosen = choose_policy(model, build=build_forest)
    assert resume_exact(model, [ROWS[:2], ROWS[2:]], training=ProofTraining(model, chosen, "sft", tmp_path)).ok


def test_a_model_that_does_not_fit_is_proven_on_its_first_layers(tmp_path: Path) -> None:
    from precept.models.folder import check_model_folder
    from precept.run.proving.model import model_proofs
    from precept.run.settings import parse_settings

    folder = tiny_model_folder(tmp_path / "model", num_hidden_layers=5)
    checked, settings = check_model_folder(folder), parse_settings({"data": ["rows.jsonl"], "adapter": "lora"})
    for free, expected in ((1 << 30, False), (1000, True)):
        proofs = model_proofs(checked, ROWS, settings, new_tokens=(), method="sft", free=free)
        assert [proof.name for proof in proofs if not proof.ok] == []
        assert [proof.detail.startswith("on the first 2 layers") for proof in proofs] == [expected] * 5
