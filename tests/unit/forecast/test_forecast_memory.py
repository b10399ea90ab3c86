"""Bytes by part from counts, and activations from two measured forests. Expected values are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from precept.forecast import (
    Activations,
    Linear,
    ModelShape,
    Training,
    analytic_activations,
    count_parts,
    fit_activations,
    largest_fitting,
    peak_bytes,
    propose_changes,
)

# Two layers of hidden size 4 with one square and one wide matrix each: 2 x (16 + 32) = 96 numbers in linear layers;
# with embedding and head of 10 tokens, 40 each, and four norms of 4: 96 + 80 + 16 = 192.
SHAPE = ModelShape(
    parameters=192,
    linears=tuple(
        Linear(f"layers.{i}.{name}", 4, width) for i in (0, 1) for name, width in (("square", 4), ("wide", 8))
    ),
    head=40,
    hidden=4,
    vocabulary=10,
    layers=2,
    attention_heads=2,
)
FULL = Training(
    adapter="none",
    rank=0,
    targets=None,
    weight_bytes=4,
    compute_bytes=4,
    checkpointing=False,
    eager=False,
    kept_logits=100,
    chunk_logits=20,
)
NOTHING = Activations(0, 0, 0)


def test_full_tuning_holds_sixteen_bytes_a_number() -> None:
    parts = count_parts(SHAPE, FULL, Activations(100, 10, 1), tokens=5, predicted=1)
    assert (parts["weights"], parts["gradients"], parts["optimizer"]) == (192 * 4, 192 * 4, 192 * 8)
    assert parts["adapter"] == parts["compute_copies"] == 0
    assert parts["activations"] == 100 + 10 * 5 + 5 * 5


def test_an_adapter_trains_its_own_numbers_alone() -> None:
    # rank 3: 4 layers, 3 x (4 + 4) twice and 3 x (4 + 8) twice = 48 + 72 = 120
    parts = count_parts(SHAPE, replace(FULL, adapter="lora", rank=3), NOTHING, tokens=1, predicted=1)
    assert parts["weights"] == 192 * 4
    assert (parts["adapter"], parts["gradients"], parts["optimizer"]) == (480, 480, 960)


def test_named_targets_and_dora_count() -> None:
    # DoRA on the two wide matrices: 3 x (4 + 8) + 8 = 44 each
    training = replace(FULL, adapter="dora", rank=3, targets=("wide",))
    assert count_parts(SHAPE, training, NOTHING, tokens=1, predicted=1)["adapter"] == 2 * 44 * 4


def test_four_bits_hold_the_linear_layers_alone() -> None:
    # 96 numbers in half a byte, a byte a block of 64 and four bytes for 256 blocks; 96 others in 2 bytes
    training = replace(FULL, adapter="qlora", rank=1, weight_bytes=2, compute_bytes=2)
    expected = round(96 * (0.5 + 1 / 64 + 4 / (64 * 256)) + 96 * 2)
    assert count_parts(SHAPE, training, NOTHING, tokens=1, predicted=1)["weights"] == expected


def test_autocast_keeps_16_bit_copies_of_float32_matrices() -> None:
    parts = count_parts(SHAPE, replace(FULL, compute_bytes=2), NOTHING, tokens=1, predicted=1)
    assert parts["compute_copies"] == 2 * (96 + 40)


def test_the_head_keeps_logits_up_to_a_bound_and_works_in_chunks() -> None:
    # 8 states x 10 tokens = 80 logits, twice
    assert count_parts(SHAPE, FULL, NOTHING, tokens=9, predicted=8)["head"] == 4 * 2 * 80
    # 11 states make 110, more than 100: a chunk of 20 at a time
    assert count_parts(SHAPE, FULL, NOTHING, tokens=12, predicted=11)["head"] == 4 * 2 * 20


def test_activations_count_both_sides_of_linear_layers() -> None:
    # 2 x (4 + 4 + 4 + 8) x 4 bytes = 160, and 6 + 4 hidden sizes in 2 layers: 4 bytes x 10 x 4 x 2 = 320
    assert analytic_activations(SHAPE, FULL) == Activations(0.0, 480.0, 0.0)


def test_checkpointing_keeps_one_layer_and_the_inputs_of_all() -> None:
    # half of 480, and 4 bytes x 4 hidden x 2 layers
    assert analytic_activations(SHAPE, replace(FULL, checkpointing=True)).per_token == 240 + 32


def test_eager_attention_grows_with_the_square() -> None:
    # 2 heads x 2 layers x (4 + 4) bytes of scores beside the masks
    assert analytic_activations(SHAPE, replace(FULL, eager=True)).per_square == 3 + 2 * 2 * 8


def test_two_forests_give_a_straight_line() -> None:
    # 1,000 + 20 a token + 3 T^2: 3,300 at 10 tokens... 1,000 + 200 + 300 = 1,500 and 1,000 + 400 + 1,200 = 2,600
    found = fit_activations([(20, 2600), (10, 1500)], analytic=Activations(0, 352, 3))
    assert found == Activations(1000, 20, 3)


def test_one_forest_scales_the_count() -> None:
    # counted: 10 x 10 + 100 = 200; measured twice that
    assert fit_activations([(10, 400)], analytic=Activations(0, 10, 1)) == Activations(0, 20, 2)


def test_noise_that_falls_with_tokens_becomes_a_constant() -> None:
    assert fit_activations([(10, 500), (20, 400)], analytic=Activations(0, 1, 0)) == Activations(400, 0, 0)


@pytest.mark.parametrize(("accumulates", "expected"), [(True, 768 + 768 + 1536 + 900), (False, 768 + 1536 + 900)])
def test_gradients_take_the_place_of_activations_in_a_step_of_one_forest(accumulates: bool, expected: int) -> None:
    training = replace(FULL, accumulates=accumulates)
    parts = count_parts(SHAPE, training, Activations(900, 0, 0), tokens=1, predicted=0)
    assert peak_bytes(parts, training) == expected


def test_a_budget_is_halved_until_it_fits() -> None:
    # 90 % of 10,000 bytes are used; 10 bytes a token: 2,048 and 1,024 do not fit, 512 do
    assert largest_fitting(2048, longest=100, room=10_000, needs=lambda tokens: 10 * tokens) == 512


def test_a_budget_holds_the_longest_sequence_whatever_it_needs() -> None:
    assert largest_fitting(2048, longest=700, room=10, needs=lambda tokens: 10 * tokens) == 700
    assert largest_fitting(2048, longest=3000, room=10**9, needs=lambda tokens: 10 * tokens) == 3000


def test_changes_come_in_order_of_cost_with_what_each_saves() -> None:
    activations = Activations(0, 1000, 0)
    changes = propose_changes(SHAPE, FULL, activations, tokens=100, predicted=0, longest=60, base_bytes=4)
    assert [c.change for c in changes] == [
        "max_tokens_per_forest=60",
        "gradient_checkpointing=true",
        "adapter=lora",
        "adapter=qlora",
    ][: len(changes)]
    assert changes[0].saves_bytes == 40 * 1000


def test_a_change_that_saves_nothing_is_not_proposed() -> None:
    lean = replace(FULL, adapter="qlora", rank=16, checkpointing=True)
    assert propose_changes(SHAPE, lean, NOTHING, tokens=50, predicted=0, longest=50, base_bytes=4) == []
