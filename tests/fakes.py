"""Small stand-ins that keep a protocol's promises: a policy that is a table of bigrams, a monitor that is a list."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from precept.types import Forest, Source, TokenSequence


class BigramPolicy:
    """A policy whose logits for the next token are a row of a table, chosen by the parent's token."""

    def __init__(self, vocabulary: int, *, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.table = torch.nn.Parameter(torch.randn(vocabulary, vocabulary, generator=generator))

    def parameters(self) -> dict[str, Tensor]:
        return {"table": self.table}

    def edge_logps(self, forest: Forest) -> Tensor:
        edges = torch.from_numpy(forest.edges.astype(np.int64))
        ids = torch.from_numpy(forest.ids.astype(np.int64))
        parents = ids[torch.from_numpy(forest.parent.astype(np.int64))[edges]]
        return torch.log_softmax(self.table[parents], dim=-1)[torch.arange(len(edges)), ids[edges]]

    def answer_logps(self, forest: Forest, *, weighted: bool = False) -> Tensor:
        raise NotImplementedError

    def last_hidden(self, forest: Forest) -> Tensor:
        raise NotImplementedError


class ListMonitor:
    """Keeps every record."""

    def __init__(self) -> None:
        self.records: list[dict[str, Any]] = []

    def log(self, record: dict[str, Any]) -> None:
        self.records.append(record)

    def close(self) -> None:
        pass

    def losses(self) -> list[tuple[int, float]]:
        return [(r["step"], r["loss"]) for r in self.records if "loss" in r]


def sequence(*ids: int, weights: list[float] | None = None, row: int = 1) -> TokenSequence:
    """A token sequence; every token but the first is trained unless weights say otherwise."""
    trained = [0.0] + [1.0] * (len(ids) - 1) if weights is None else weights
    return TokenSequence(np.array(ids, np.int32), np.array(trained, np.float32), Source("memory", row, f"{row:016x}"))
