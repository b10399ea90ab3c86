"""Greedy generation that computes each distinct token of the prompts once.

Prompts that share definitions and worked examples are merged into forests. One forward over a forest gives keys
and values of every node and the first new token of every prompt; each prompt's path is then gathered out of it,
and all prompts of a batch go on together, those that have ended no longer.

Shapes: T nodes of a forest, B rows of a batch, K cached tokens of its longest row.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from precept.decode.sampler import BatchSampler
from precept.types import Forest, IntArray, LongArray, Source, TokenSequence

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PROMPT_SOURCE = Source("prompt", 1, "0" * 16)


class SharedPrefixSampler(BatchSampler):
    """The tokens of ``GreedySampler``, for models that are exact on forests and whose cache ``keeps_every_token``.

    ``model`` is the transformers model itself; adapters stay active in its layers. ``cut`` divides prompts into
    forests of bearable size (indices), ``build_forest`` merges each, ``attention_mask`` gives what the model takes
    as the argument of that name. Besides a batch, the keys and values of one forest are held.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        cut: Callable[[Sequence[TokenSequence]], list[list[int]]],
        build_forest: Callable[[Sequence[TokenSequence]], Forest],
        attention_mask: Callable[[Forest], Any],
        stop_ids: Sequence[int],
        max_context: int | None,
        max_batch_tokens: int = 16_384,
        compute_dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            model,
            tokenizer,
            stop_ids=stop_ids,
            max_context=max_context,
            max_batch_tokens=max_batch_tokens,
            compute_dtype=compute_dtype,
        )
        self.cut = cut
        self.build_forest = build_forest
        self.attention_mask = attention_mask

    def _answer(self, prompts: Sequence[IntArray], rooms: Sequence[int]) -> Iterator[tuple[list[int], list[list[int]]]]:
        sequences = [TokenSequence(ids, np.zeros(len(ids), np.float32), PROMPT_SOURCE) for ids in prompts]
        groups = self.cut(sequences)
        # The group of the longest prompt first, so that what does not fit memory fails at once.
        for group in sorted(groups, key=lambda group: -max(len(prompts[index]) for index in group)):
            forest = self.build_forest([sequences[index] for index in group])
            cache, first = self._prefill(forest)
            lengths = [len(prompts[index]) for index in group]
            for rows in self._batches(lengths, [rooms[index] for index in group]):
                paths = paths_to(forest, forest.answers.last[rows])
                batch = [group[row] for row in rows]
                yield batch, self._go_on(cache, paths, first[rows], [rooms[index] for index in batch])

    def _prefill(self, forest: Forest) -> tuple[Any, Tensor]:
        """The cache of a forest's nodes, keys and values [1, heads, T, D] in each layer, and the first new token of
        each prompt [S]."""
        import torch
        from transformers import DynamicCache

        device = self.model.device
        last, prompt = np.unique(forest.answers.last, return_inverse=True)
        nodes = torch.as_tensor(last, device=device)
        # A single path needs no mask: it is a causal row, and T x T is large where one prompt is long.
        branches = forest.distinct_tokens > int(forest.depth.max()) + 1
        inputs = {
            "input_ids": torch.as_tensor(forest.ids, dtype=torch.long, device=device)[None],
            "position_ids": torch.as_tensor(forest.depth, dtype=torch.long, device=device)[None],
            "attention_mask": self.attention_mask(forest) if branches else None,
            "past_key_values": DynamicCache(config=self.model.config),
            "use_cache": True,
        }
        if "logits_to_keep" in inspect.signature(self.model.forward).parameters:
            logits = self.model(**inputs, logits_to_keep=nodes).logits
        else:
            logits = self.model(**inputs).logits[:, nodes]
        return inputs["past_key_values"], logits[0].argmax(-1)[torch.as_tensor(prompt, device=device)]

    def _batches(self, lengths: Sequence[int], rooms: Sequence[int]) -> Iterator[list[int]]:
        """Rows of similar length, longest first."""
        ordered = sorted(range(len(lengths)), key=lambda row: -lengths[row])
        start = 0
        while start < len(ordered):
            size = max(1, self.max_batch_tokens // (lengths[ordered[start]] + max(rooms)))
            yield ordered[start : start + size]
            start += size

    def _go_on(self, forest_cache: Any, paths: LongArray, tokens: Tensor, rooms: Sequence[int]) -> list[list[int]]:
        """The new tokens of each row, from its path [B, K] and its first new token [B]."""
        import torch

        new = [[token] for token in tokens.tolist()]
        rows = list(range(len(new)))  # of the cache
        cache = None
        mask = torch.as_tensor(paths >= 0, dtype=torch.long, device=tokens.device)
        while going := [
            place for place, row in enumerate(rows) if len(new[row]) < rooms[row] and new[row][-1] not in self.stop_ids
        ]:
            rows = [rows[place] for place in going]
            kept = torch.as_tensor(going, device=tokens.device)
            if cache is None:
                cache = gather_paths(forest_cache, paths[rows])
            elif len(going) < len(tokens):
                cache.batch_select_indices(kept)
            mask = torch.nn.functional.pad(mask[kept], (0, 1), value=1)
            logits = self.model(
                input_ids=tokens[kept, None],
                attention_mask=mask,
                position_ids=mask.sum(dim=1, keepdim=True) - 1,
                past_key_values=cache,
                use_cache=True,
            ).logits
            tokens = logits[:, -1].argmax(-1)
            for row, token in zip(rows, tokens.tolist(), strict=True):
                new[row].append(token)
        return new


def keeps_every_token(model: Any) -> bool:
    """Whether each layer's cache is keys and values of all tokens, so that paths can be gathered out of it: no window,
    no recurrent state, no encoder."""
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if model.config.is_encoder_decoder:
        return False
    return {type(layer) for layer in DynamicCache(config=model.config).layers} == {DynamicLayer}


def paths_to(forest: Forest, nodes: LongArray) -> LongArray:
    """The nodes from the root to each of the nodes [B], root first and padded with -1 on the left, [B, K]."""
    paths = np.full((len(nodes), int(forest.depth[nodes].max()) + 1), -1, np.int64)
    for column in reversed(range(paths.shape[1])):
        paths[:, column] = nodes
        nodes = np.where(nodes < 0, -1, forest.parent[nodes])
    return paths


def gather_paths(cache: Any, paths: LongArray) -> Any:
    """A cache of B rows out of a forest's, whose rows are the paths [B, K]; padding holds any node."""
    import torch
    from transformers import DynamicCache

    index = torch.as_tensor(paths.clip(0))

    def gather(states: Tensor) -> Tensor:
        """[1, heads, T, D] to [B, heads, K, D]; by whole rows, which is a plain copy."""
        nodes = states[0].transpose(0, 1).contiguous()
        chosen = nodes.index_select(0, index.flatten().to(states.device))
        return chosen.view(*index.shape, *nodes.shape[1:]).transpose(1, 2)

    return DynamicCache([(gather(keys), gather(values)) for keys, values, _ in cache])
