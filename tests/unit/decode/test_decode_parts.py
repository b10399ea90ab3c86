"""Attention over parts of the keys, joined, is attention over all of them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from precept.decode.parts import NewTokens, Parts, _parts, attend

# Nodes 0 1 2 are shared by rows 0 to 3; rows 1 and 2 are two samples of one prompt; row 4 stands alone.
PATHS = np.array([[0, 1, 2, 3, -1], [0, 1, 2, 4, 5], [0, 1, 2, 4, 5], [0, 1, 2, -1, -1], [6, 7, -1, -1, -1]])
HEADS, QUERIES, WIDTH = 2, 3, 4


def random(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def expected(rows, states, query, own):
    """Row by row, over the keys of its path and its own."""
    outputs = []
    for place, row in enumerate(rows):
        nodes = [node for node in PATHS[row] if node >= 0]
        keys, values = (
            torch.cat([shared[0][:, nodes], new[place]], 1).repeat_interleave(QUERIES, 0)
            for shared, new in zip(states, own, strict=True)
        )
        weights = (query[place] @ keys.transpose(1, 2) * 0.5).softmax(-1)
        outputs.append((weights @ values).transpose(0, 1))
    return torch.stack(outputs)


def found(parts, query, own):
    token = _parts.set(parts)
    try:
        return attend(SimpleNamespace(layer_idx=0), query, *own, None, scaling=0.5)[0]
    finally:
        _parts.reset(token)


@pytest.mark.parametrize("kept", [[0, 1, 2, 3, 4], [0, 2, 3], [1, 2], [4], [0, 1, 4]])
def test_joined_parts_are_attention_over_all_keys(kept):
    states = random(1, HEADS, 8, WIDTH), random(1, HEADS, 8, WIDTH + 1)  # values may have another width
    parts = Parts([states], PATHS)
    if len(kept) < len(PATHS):
        parts.keep(kept)
    rows = len(kept)
    query = random(rows, HEADS * QUERIES, 1, WIDTH)
    own = random(rows, HEADS, 2, WIDTH), random(rows, HEADS, 2, WIDTH + 1)
    torch.testing.assert_close(found(parts, query, own), expected(kept, states, query, own))


def test_rows_may_be_dropped_again_and_again():
    states = random(1, HEADS, 8, WIDTH), random(1, HEADS, 8, WIDTH)
    parts = Parts([states], PATHS)
    parts.keep([1, 2, 3, 4])
    parts.keep([0, 2, 3])
    parts.keep([0, 2])
    query, own = random(2, HEADS * QUERIES, 1, WIDTH), (random(2, HEADS, 1, WIDTH), random(2, HEADS, 1, WIDTH))
    torch.testing.assert_close(found(parts, query, own), expected([1, 4], states, query, own))


def test_samples_of_one_prompt_hold_its_keys_once():
    states = random(1, HEADS, 8, WIDTH), random(1, HEADS, 8, WIDTH)
    parts = Parts([states], np.repeat(PATHS[:2], 50, axis=0))
    assert [trunk.length for trunk in parts.trunks] == [3]
    assert parts.rest_states[0][0].shape == (2, HEADS, 2, WIDTH)  # node 3; nodes 4 and 5


@pytest.mark.parametrize("rows", [[1, 1], [3], [3, 3], [0, 3]])
def test_rows_of_one_prompt_and_a_prompt_that_is_the_trunk(rows):
    states = random(1, HEADS, 8, WIDTH), random(1, HEADS, 8, WIDTH)
    count = len(rows)
    own = random(count, HEADS, 1, WIDTH), random(count, HEADS, 1, WIDTH)
    query = random(count, HEADS * QUERIES, 1, WIDTH)
    torch.testing.assert_close(found(Parts([states], PATHS[rows]), query, own), expected(rows, states, query, own))


def test_new_tokens_are_kept_beyond_the_first_memory_and_when_rows_are_dropped():
    cache = NewTokens(1)
    given = random(3, HEADS, 70, WIDTH)
    for place in range(70):
        if place == 40:
            cache.batch_select_indices(torch.tensor([0, 2]))
            given = given[[0, 2]]
        keys, values = cache.update(given[:, :, place : place + 1], -given[:, :, place : place + 1], 0)
    assert torch.equal(keys, given)
    assert torch.equal(values, -given)
    assert cache.get_seq_length() == 70
