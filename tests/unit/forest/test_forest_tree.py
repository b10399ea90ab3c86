from __future__ import annotations

import numpy as np
import pytest

from precept.errors import InputError
from precept.forest import build_forest, distinct_tokens
from precept.types import Forest, Source, TokenSequence


def seq(ids: list[int], weights: list[float] | None = None, encoder: list[int] | None = None) -> TokenSequence:
    return TokenSequence(
        np.array(ids, np.int32),
        np.array([1.0] * len(ids) if weights is None else weights, np.float32),
        Source("rows.jsonl", 1, "0" * 16),
        None if encoder is None else np.array(encoder, np.int32),
    )


def path(forest: Forest, node: int) -> list[int]:
    """The tokens from the root to a node."""
    found: list[int] = []
    while node >= 0:
        found.append(int(forest.ids[node]))
        node = int(forest.parent[node])
    return found[::-1]


def random_sequences(rng: np.random.Generator, n: int) -> list[TokenSequence]:
    """Few distinct tokens, so that prefixes, duplicates and prefixes of others abound."""
    return [
        seq(rng.integers(0, 3, size).tolist(), rng.integers(0, 3, size).tolist()) for size in rng.integers(1, 9, size=n)
    ]


def test_sequences_share_the_nodes_of_their_common_prefix() -> None:
    forest = build_forest([seq([1, 2, 4, 5]), seq([7]), seq([1, 2, 3])])
    # 1 - 2 - 3
    #      \- 4 - 5
    # 7
    assert forest.ids.tolist() == [1, 2, 3, 4, 5, 7]
    assert forest.depth.tolist() == [0, 1, 2, 2, 3, 0]
    assert forest.parent.tolist() == [-1, 0, 1, 1, 3, -1]
    assert forest.end.tolist() == [5, 5, 3, 5, 5, 6]
    assert forest.answers.last.tolist() == [4, 5, 2]
    assert (forest.distinct_tokens, forest.real_tokens) == (6, 8)


def test_a_prefix_of_another_sequence_adds_no_node() -> None:
    forest = build_forest([seq([5, 6, 7]), seq([5, 6]), seq([5, 6, 7])])
    assert forest.ids.tolist() == [5, 6, 7]
    assert forest.answers.last.tolist() == [2, 1, 2]


def test_an_edge_weighs_the_sum_over_the_sequences_that_pass() -> None:
    forest = build_forest([seq([1, 2, 3], [0, 0.5, 1]), seq([1, 2, 4], [0, 2, 0])])
    # node 1 (token 2): 0.5 + 2; node 2 (token 3): 1; node 3 (token 4) is context
    assert forest.edges.tolist() == [1, 2]
    assert forest.weight.tolist() == [2.5, 1.0]
    assert forest.answers.start.tolist() == [0, 2, 3]
    assert forest.answers.edge.tolist() == [0, 1, 0]
    assert forest.answers.weight.tolist() == [0.5, 1.0, 2.0]


def test_a_weight_on_the_first_token_makes_no_edge() -> None:
    forest = build_forest([seq([1], [1]), seq([2, 3], [1, 1])])
    assert forest.edges.tolist() == [2]
    assert forest.answers.start.tolist() == [0, 0, 1]


def test_without_sharing_every_sequence_is_a_tree_in_the_order_given() -> None:
    forest = build_forest([seq([5, 6]), seq([5, 6]), seq([1])], share=False)
    assert forest.ids.tolist() == [5, 6, 5, 6, 1]
    assert forest.parent.tolist() == [-1, 0, -1, 2, -1]
    assert forest.end.tolist() == [2, 2, 4, 4, 5]


def test_decoder_sequences_are_never_merged() -> None:
    forest = build_forest([seq([0, 6], encoder=[1, 2]), seq([0, 6], encoder=[3])])
    assert forest.ids.tolist() == [0, 6, 0, 6]
    assert forest.encoder_ids is not None
    assert [e.tolist() for e in forest.encoder_ids] == [[1, 2], [3]]


def test_large_ids_sort_as_numbers() -> None:
    forest = build_forest([seq([256, 1]), seq([255, 1]), seq([1 << 24])])
    assert forest.ids.tolist() == [255, 1, 256, 1, 1 << 24]


def test_no_sequences_make_an_empty_forest() -> None:
    forest = build_forest([])
    assert (forest.distinct_tokens, forest.real_tokens, len(forest.edges)) == (0, 0, 0)


def test_a_sequence_without_tokens_is_refused() -> None:
    with pytest.raises(InputError, match="no tokens") as error:
        build_forest([seq([1]), seq([])])
    assert error.value.code == "empty-sequence"


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("share", [True, False])
def test_every_sequence_is_found_again_in_the_forest(seed: int, share: bool) -> None:
    sequences = random_sequences(np.random.default_rng(seed), 12)
    forest = build_forest(sequences, share=share)
    answers = forest.answers
    for s, sequence in enumerate(sequences):
        assert path(forest, int(answers.last[s])) == sequence.ids.tolist()
        entries = slice(answers.start[s], answers.start[s + 1])
        nodes = forest.edges[answers.edge[entries]]
        trained = np.flatnonzero(sequence.weights[1:]) + 1
        assert forest.depth[nodes].tolist() == trained.tolist()
        assert answers.weight[entries].tolist() == sequence.weights[trained].tolist()
        assert all(node <= answers.last[s] < forest.end[node] for node in nodes)


@pytest.mark.parametrize("seed", range(20))
def test_a_node_lies_below_another_exactly_when_its_index_is_inside(seed: int) -> None:
    forest = build_forest(random_sequences(np.random.default_rng(seed), 10))
    for q in range(forest.distinct_tokens):
        ancestors, node = set(), q
        while node >= 0:
            ancestors.add(node)
            node = int(forest.parent[node])
        assert ancestors == {k for k in range(forest.distinct_tokens) if k <= q < forest.end[k]}


@pytest.mark.parametrize("seed", range(20))
def test_nodes_are_the_distinct_prefixes(seed: int) -> None:
    sequences = random_sequences(np.random.default_rng(seed), 15)
    prefixes = {tuple(s.ids[: n + 1].tolist()) for s in sequences for n in range(len(s.ids))}
    forest = build_forest(sequences)
    assert sorted(tuple(path(forest, n)) for n in range(forest.distinct_tokens)) == sorted(prefixes)
    assert distinct_tokens(sequences) == len(prefixes)
