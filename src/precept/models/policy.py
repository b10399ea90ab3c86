"""Policies: models that score forests through transformers' public interface.

``ScoringPolicy`` holds what all of them share; a subclass says how to get the hidden states at given nodes.
``ForestPolicy`` is the one for models whose attention follows a mask and whose positions follow
``position_ids``: it computes each distinct token once. Which one is exact for a model is found by
``precept.models.probe``.

Shapes: T nodes, E edges, S sequences, N nodes asked for, H hidden size.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from precept.models import flex
from precept.models.attention import BLOCK_ATTENTION, round_up, use_block_attention
from precept.models.head import Head, edge_logps, find_head
from precept.models.masks import attention_masks
from precept.models.transfer import to_device
from precept.types import Forest, LongArray


def transformers_model(model: Any) -> Any:
    """The transformers model inside: adapters of peft live in its layers and stay active."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode; each module gets its own mode back."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


class ScoringPolicy(ABC):
    """Edges, answers and last hidden states, from hidden states at nodes.

    ``compute_dtype`` other than float32 runs the model under autocast to it; log-probabilities are float32
    always. The head is found by comparing with the model's own logits unless it is given.
    """

    def __init__(self, model: Any, *, head: Head | None = None, compute_dtype: torch.dtype = torch.float32) -> None:
        self.model = transformers_model(model)
        self.compute_dtype = compute_dtype
        embedding = self.model.get_input_embeddings().weight
        self.device: torch.device = embedding.device
        self.dtype: torch.dtype = embedding.dtype
        self.head = head or self._find_head()

    def edge_logps(self, forest: Forest) -> Tensor:
        """Log-probability of each edge's token given its ancestors, float32 [E]."""
        nodes, row = np.unique(forest.parent[forest.edges], return_inverse=True)
        with self.autocast():
            states = self._states(forest, nodes.astype(np.int64), logits=self.head.module is None)
            return edge_logps(self.head, states, row.astype(np.int64), forest.ids[forest.edges])

    def answer_logps(self, forest: Forest, *, weighted: bool = False) -> Tensor:
        """Sum of log-probabilities over each sequence's entries with weight above 0, float32 [S].

        ``weighted`` multiplies each by the sequence's own weight.
        """
        logps = self.edge_logps(forest)
        answers = forest.answers
        entry = to_device(answers.edge, logps.device)
        weight = to_device(answers.weight, logps.device)
        sequence = to_device(np.repeat(np.arange(len(answers.last)), np.diff(answers.start)), logps.device)
        terms = logps[entry] * (weight.clamp_min(0) if weighted else (weight > 0).float())
        return torch.zeros(len(answers.last), device=logps.device).index_add(0, sequence, terms)

    def last_hidden(self, forest: Forest) -> Tensor:
        """Hidden state before the output head at each sequence's last token, float32 [S, H]."""
        nodes, row = np.unique(forest.answers.last, return_inverse=True)
        with self.autocast():
            states = self._states(forest, nodes, logits=False)
        return states[to_device(row, states.device)].float()

    @property
    def body(self) -> nn.Module:
        """The part of the model whose output the head reads; the model itself where there is no such part."""
        body: nn.Module = self.model.base_model
        if body is self.model:  # some classes name their body otherwise than their ``base_model_prefix``
            inner = [child for child in self.model.children() if hasattr(child, "get_input_embeddings")]
            body = inner[0] if len(inner) == 1 else body
        return body

    @abstractmethod
    def _states(self, forest: Forest, nodes: LongArray, *, logits: bool) -> Tensor:
        """Hidden states [N, H] at the nodes, which ascend; with ``logits`` the model's own logits [N, V].

        Rows of no meaning may follow.
        """

    def _example(self, *, logits: bool) -> Tensor:
        """Hidden states or logits of a few tokens, [1, n, H] or [1, n, V]."""
        ids = torch.arange(1, 4, device=self.device)
        return self._run(ids - 1, logits=logits, input_ids=ids[None])

    def _find_head(self) -> Head:
        if self.body is self.model:
            return Head(None)
        with evaluating(self.model), torch.no_grad():
            return find_head(self.model, self._example(logits=False), self._example(logits=True))

    def _run(self, columns: Tensor, *, logits: bool, **inputs: Any) -> Tensor:
        """Hidden states or logits of a batch at the given columns, [B, C, H] or [B, C, V]."""
        if not logits:
            hidden: Tensor = self.body(**inputs, use_cache=False)[0]
            return hidden.index_select(1, columns)
        if "logits_to_keep" in inspect.signature(self.model.forward).parameters:
            kept: Tensor = self.model(**inputs, use_cache=False, logits_to_keep=columns).logits
            return kept
        whole: Tensor = self.model(**inputs, use_cache=False).logits
        return whole[:, columns]

    def autocast(self) -> AbstractContextManager[Any]:
        """The context of the policy's precision."""
        return torch.autocast(self.device.type, dtype=self.compute_dtype, enabled=self.compute_dtype != torch.float32)


class ForestPolicy(ScoringPolicy):
    """Runs a forest as one row of T tokens whose positions are depths and whose mask lets a node see its
    ancestors.

    Needs sdpa or eager attention. Sdpa is replaced by the same attention in blocks, on a GPU by flex attention, which
    skips what no node of a block sees; a model that makes masks of its own out of the one given needs it ``dense``.
    """

    def __init__(
        self,
        model: Any,
        *,
        head: Head | None = None,
        compute_dtype: torch.dtype = torch.float32,
        dense: bool = False,
    ) -> None:
        super().__init__(model, head=head, compute_dtype=compute_dtype)
        implementation = self.model.config._attn_implementation
        if dense and implementation == BLOCK_ATTENTION:
            self.model.set_attn_implementation("sdpa")
        elif not dense and implementation == "sdpa":
            use_block_attention(self.model)

    def _states(self, forest: Forest, nodes: LongArray, *, logits: bool) -> Tensor:
        on_flex = self.device.type in flex.DEVICES and self.model.config._attn_implementation == BLOCK_ATTENTION
        forest, nodes = pruned(forest, nodes)
        size = forest.distinct_tokens
        forest = filled_up(forest, flex.padded_size(size) if on_flex else round_up(size))
        if len(nodes):
            nodes = np.pad(nodes, (0, round_up(len(nodes)) - len(nodes)), mode="edge")
        states = self._run(
            to_device(nodes, self.device),
            logits=logits,
            input_ids=to_device(forest.ids, self.device, dtype=torch.long)[None],
            position_ids=to_device(forest.depth, self.device, dtype=torch.long)[None],
            attention_mask=attention_masks(forest, self.model.config, device=self.device, dtype=self.dtype),
        )
        return states[0]


def pruned(forest: Forest, nodes: LongArray) -> tuple[Forest, LongArray]:
    """The forest without what none of the given nodes [N] sees, and where these stand in it.

    What an answer ends with is predicted but predicts nothing, so its own state is not computed. The deepest node
    stays: rotary embeddings may depend on the length of the longest sequence.
    """
    length = forest.distinct_tokens
    asked = np.zeros(length + 1, np.int64)
    asked[1 + nodes] = 1
    asked[1 + np.argmax(forest.depth)] = 1
    asked = np.cumsum(asked)
    kept = asked[forest.end] > asked[:-1]
    if kept.all():
        return forest, nodes
    before = np.concatenate([[0], np.cumsum(kept)]).astype(np.int32)
    parent = forest.parent[kept]
    smaller = replace(
        forest,
        ids=forest.ids[kept],
        depth=forest.depth[kept],
        parent=np.where(parent < 0, -1, before[parent]).astype(np.int32),
        end=before[forest.end[kept]],
    )
    return smaller, before[nodes].astype(np.int64)


def filled_up(forest: Forest, size: int) -> Forest:
    """The forest and behind it so many trees of one node that it has ``size`` nodes.

    Forests of few sizes let a device use its kernels again. Nobody asks for the nodes that are added.
    """
    added = size - forest.distinct_tokens
    if not added:
        return forest
    behind = np.arange(forest.distinct_tokens, size, dtype=np.int32)
    return replace(
        forest,
        ids=np.append(forest.ids, np.zeros(added, np.int32)),
        depth=np.append(forest.depth, np.zeros(added, np.int32)),
        parent=np.append(forest.parent, np.full(added, -1, np.int32)),
        end=np.append(forest.end, behind + 1),
    )
