"""Policies for models that need separate sequences: padded batches of sequences of similar length.

A causal model runs the forest's leaf sequences (every other sequence is a prefix of one), each node being
read from the first sequence that holds it; an encoder-decoder model runs each sequence with what its encoder
reads.

Shapes: B sequences of a batch, L their padded length, N nodes asked for, H hidden size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from precept.models.head import Head
from precept.models.policy import ScoringPolicy
from precept.models.transfer import to_device
from precept.types import Forest, IntArray, LongArray

SHORTEST_IN_BATCH = 0.75  # of the longest: padding wastes less than a quarter of a batch


class PaddedPolicy(ScoringPolicy):
    """A causal model on right-padded batches with a plain attention mask of ones and zeros.

    ``max_area`` bounds the padded tokens of a batch; ``one_by_one`` runs every sequence alone and without a
    mask.
    """

    def __init__(
        self,
        model: Any,
        *,
        head: Head | None = None,
        compute_dtype: torch.dtype = torch.float32,
        max_area: int = 8192,
        one_by_one: bool = False,
    ) -> None:
        super().__init__(model, head=head, compute_dtype=compute_dtype)
        self.max_area = max_area
        self.one_by_one = one_by_one

    def _states(self, forest: Forest, nodes: LongArray, *, logits: bool) -> Tensor:
        paths = leaf_sequences(forest)
        holder = np.searchsorted([path[-1] for path in paths], nodes)  # the first leaf at or below each node
        used = np.unique(holder) if len(nodes) else np.zeros(1, np.int64)
        lengths = np.array([len(paths[i]) for i in used])
        pieces, order = [], []
        for batch in length_batches(lengths, max_area=0 if self.one_by_one else self.max_area):
            members = used[batch]
            states = self._batch(forest, members, [paths[i] for i in members], logits=logits)
            mine = np.flatnonzero(np.isin(holder, members))
            row = np.argsort(members)[np.searchsorted(np.sort(members), holder[mine])]
            pieces.append(states[self._index(row), self._index(forest.depth[nodes[mine]])])
            order.append(mine)
        return torch.cat(pieces)[self._index(np.argsort(np.concatenate(order)))]

    def _batch(self, forest: Forest, members: LongArray, paths: Sequence[LongArray], *, logits: bool) -> Tensor:
        """Hidden states [B, L, H] or logits [B, L, V] of the sequences."""
        inputs = self._pad([forest.ids[path] for path in paths])
        columns = torch.arange(inputs["input_ids"].shape[1], device=self.device)
        return self._run(columns, logits=logits, **inputs)

    def _pad(self, rows: Sequence[IntArray]) -> dict[str, Tensor]:
        """``input_ids`` and, where anything is padded, ``attention_mask``, int64 [B, L]."""
        lengths = np.array([len(row) for row in rows])
        mask = np.arange(lengths.max()) < lengths[:, None]
        ids = np.zeros(mask.shape, np.int64)
        ids[mask] = np.concatenate(rows)
        inputs = {"input_ids": self._index(ids)}
        if not mask.all():
            inputs["attention_mask"] = self._index(mask.astype(np.int64))
        return inputs

    def _index(self, array: LongArray | IntArray) -> Tensor:
        return to_device(array, self.device, dtype=torch.long)


class EncoderDecoderPolicy(PaddedPolicy):
    """An encoder-decoder model: sequences of the forest are decoder inputs, ``encoder_ids`` what the encoder reads."""

    @property
    def body(self) -> nn.Module:
        body: nn.Module = self.model.get_decoder()
        return body

    def _example(self, *, logits: bool) -> Tensor:
        ids = {"input_ids": torch.arange(1, 4, device=self.device)[None]}
        return self._decode(ids, ids, logits=logits)

    def _batch(self, forest: Forest, members: LongArray, paths: Sequence[LongArray], *, logits: bool) -> Tensor:
        assert forest.encoder_ids is not None, "an encoder-decoder model needs sequences with encoder_ids"
        encoder = self._pad([forest.encoder_ids[i] for i in members])
        return self._decode(encoder, self._pad([forest.ids[path] for path in paths]), logits=logits)

    def _decode(self, encoder: dict[str, Tensor], decoder: dict[str, Tensor], *, logits: bool) -> Tensor:
        if logits:
            inputs = encoder | {f"decoder_{name}": value for name, value in decoder.items()}
            whole: Tensor = self.model(**inputs, use_cache=False).logits
            return whole
        read = self.model.get_encoder()(**encoder)[0]
        hidden: Tensor = self.body(
            **decoder,
            encoder_hidden_states=read,
            encoder_attention_mask=encoder.get("attention_mask"),
            use_cache=False,
        )[0]
        return hidden


def leaf_sequences(forest: Forest) -> list[LongArray]:
    """The nodes from root to leaf of each leaf, leaves in node order."""
    leaves = np.flatnonzero(forest.end == np.arange(1, forest.distinct_tokens + 1))
    path = np.empty(int(forest.depth.max(initial=0)) + 1, np.int64)
    paths, start = [], 0
    for leaf in leaves.tolist():
        # Between two leaves the nodes form one chain, which hangs on the path that is there already.
        path[forest.depth[start] : forest.depth[leaf] + 1] = np.arange(start, leaf + 1)
        paths.append(path[: forest.depth[leaf] + 1].copy())
        start = leaf + 1
    return paths


def length_batches(lengths: LongArray, *, max_area: int) -> Iterator[LongArray]:
    """Indices of each batch, longest sequences first; a batch has one sequence at least."""
    order = np.argsort(-lengths, kind="stable")
    start = 0
    while start < len(order):
        longest = int(lengths[order[start]])
        stop = start + max(1, max_area // longest)
        alike = int((lengths[order[start:stop]] >= SHORTEST_IN_BATCH * longest).sum())
        yield order[start : start + alike]
        start += alike
