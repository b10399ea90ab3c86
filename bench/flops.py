"""Arithmetic that a workload needs at least, and what share of the machine's matrix rate a time is.

Counted by distinct tokens of the whole global batch: what is computed twice, padded or thrown away counts for nobody.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from precept.forest import build_forest
from precept.types import Forest, TokenSequence

PASSES = 3
"""Forward, and twice as much backward: for the gradients of inputs and of weights."""


@dataclass(frozen=True)
class LlamaShape:
    """Sizes of a Llama or Qwen3: hidden H, layers L, intermediate M, vocabulary V; Q and K are the widths of all
    queries and of all keys together."""

    hidden: int
    layers: int
    intermediate: int
    vocabulary: int
    queries: int
    keys: int

    @classmethod
    def read(cls, folder: Path) -> LlamaShape:
        config = json.loads((folder / "config.json").read_text())
        heads = config["num_attention_heads"]
        head_size = config.get("head_dim") or config["hidden_size"] // heads
        return cls(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
            queries=heads * head_size,
            keys=(config.get("num_key_value_heads") or heads) * head_size,
        )

    @property
    def body_weights(self) -> int:
        """Weights of the layers' matrices: two H x Q, two H x K and three H x M each."""
        return self.layers * sum(inputs * outputs * count for inputs, outputs, count in self.matrices())

    @property
    def head_weights(self) -> int:
        return self.hidden * self.vocabulary

    def matrices(self) -> list[tuple[int, int, int]]:
        """(inputs, outputs, how many) of the matrices of one layer."""
        return [
            (self.hidden, self.queries, 1),
            (self.hidden, self.keys, 2),
            (self.queries, self.hidden, 1),
            (self.hidden, self.intermediate, 2),
            (self.intermediate, self.hidden, 1),
        ]


def step_flops(shape: LlamaShape, forest: Forest) -> int:
    """Floating-point operations of forward and backward over one forest.

    ``6 x body weights`` a node, ``6 x head weights`` a position that predicts, and for attention 4 Q a pair of a node
    and one it sees (products of queries with keys, and of weights with values), layer by layer, three times.
    """
    nodes = forest.distinct_tokens
    predicting = len(np.unique(forest.parent[forest.edges]))
    pairs = int(forest.depth.astype(np.int64).sum()) + nodes  # ancestors, and the node itself
    return PASSES * (
        2 * shape.body_weights * nodes + 2 * shape.head_weights * predicting + 4 * shape.queries * shape.layers * pairs
    )


def workload_flops(shape: LlamaShape, batches: Iterable[Sequence[TokenSequence]]) -> int:
    """Of all optimizer steps of a workload, each over one uncut forest."""
    return sum(step_flops(shape, build_forest(batch)) for batch in batches)
