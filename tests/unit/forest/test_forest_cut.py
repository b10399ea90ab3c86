from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from precept.forest import cut, distinct_tokens
from precept.types import Source, TokenSequence


def seq(ids: list[int]) -> TokenSequence:
    return TokenSequence(np.array(ids, np.int32), np.ones(len(ids), np.float32), Source("rows", 1, "0" * 16))


def tokens(sequences: list[TokenSequence], forests: list[list[int]]) -> int:
    return sum(distinct_tokens([sequences[i] for i in forest]) for forest in forests)


def partitions(items: list[int]) -> Iterator[list[list[int]]]:
    """All ways to split the items into groups."""
    if not items:
        yield []
        return
    for rest in partitions(items[1:]):
        yield [[items[0]], *rest]
        for i, group in enumerate(rest):
            yield [*rest[:i], [items[0], *group], *rest[i + 1 :]]


def test_a_step_that_fits_is_one_forest() -> None:
    assert cut([seq([1, 2]), seq([3]), seq([1, 4])], max_tokens=4) == [[0, 1, 2]]


def test_trees_are_kept_whole_where_that_repeats_nothing() -> None:
    # two prompts of four tokens with two answers each, shuffled: 6 distinct tokens a prompt
    rows = [seq([1, 1, 1, 1, 5]), seq([2, 2, 2, 2, 5]), seq([1, 1, 1, 1, 6]), seq([2, 2, 2, 2, 6])]
    assert cut(rows, max_tokens=7) == [[0, 2], [1, 3]]


def test_a_tree_is_cut_where_its_rows_share_least() -> None:
    # all share one token; the pairs share three: cutting between the pairs repeats 1 token, elsewhere 3
    rows = [seq([1, 2, 3, 4]), seq([1, 2, 3, 5]), seq([1, 6, 7, 8]), seq([1, 6, 7, 9])]
    assert cut(rows, max_tokens=6) == [[0, 1], [2, 3]]


def test_a_sequence_longer_than_the_limit_is_a_forest_of_its_own() -> None:
    assert cut([seq([1, 2, 3]), seq([4]), seq([5, 6, 7, 8])], max_tokens=2) == [[0], [1], [2]]


def test_without_sharing_every_token_counts() -> None:
    rows = [seq([1, 2, 3])] * 4
    assert cut(rows, max_tokens=6) == [[0, 1, 2, 3]]
    assert len(cut(rows, max_tokens=6, share=False)) == 2


def test_a_forest_holds_one_side_of_a_switch_only() -> None:
    rows = [seq([1] * 3), seq([1] * 4), seq([1] * 5), seq([1] * 9)]
    # a model that changes beyond 4 tokens
    assert cut(rows, max_tokens=100, switches=(4,)) == [[0, 1], [2, 3]]


def test_no_sequences_make_no_forests() -> None:
    assert cut([], max_tokens=8) == []


@pytest.mark.parametrize("seed", range(40))
def test_every_sequence_comes_once_and_every_forest_fits(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = [seq(rng.integers(0, 2, n).tolist()) for n in rng.integers(1, 12, 30)]
    forests = cut(rows, max_tokens=20)
    assert sorted(i for forest in forests for i in forest) == list(range(30))
    assert all(distinct_tokens([rows[i] for i in forest]) <= 20 for forest in forests)


@pytest.mark.parametrize("seed", range(60))
def test_the_cut_is_as_good_as_the_best_of_all_partitions(seed: int) -> None:
    # 6 rows have 203 partitions. The best has the fewest tokens, then the fewest forests.
    rng = np.random.default_rng(seed)
    rows = [seq(rng.integers(0, 2, n).tolist()) for n in rng.integers(2, 7, 6)]
    feasible = [
        p
        for p in partitions(list(range(6)))
        if all(len(g) == 1 or distinct_tokens([rows[i] for i in g]) <= 8 for g in p)
    ]
    best = min(tokens(rows, p) for p in feasible)
    found = cut(rows, max_tokens=8)
    # neighbours in token order are not always the best company: one repeated token is allowed
    assert best <= tokens(rows, found) <= best + 1
    assert len(found) <= min(len(p) for p in feasible if tokens(rows, p) == best) + 1
