"""Generation that computes each distinct token of the prompts once.

Prompts that share definitions and worked examples are merged into forests. One forward over a forest gives keys
and values of every node and the first new token of every prompt; then all prompts of a batch go on together, those
that have ended no longer. What prompts share is neither computed nor read more than once: ``precept.decode.parts``.

Shapes: S sequences of a forest, U distinct ones, B rows of a batch, V vocabulary.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from precept.decode.inference import evaluation_mode
from precept.decode.paths import paths_to
from precept.decode.sampler import BatchSampler
from precept.decode.sampling import Pick
from precept.errors import MODEL_FAILURES
from precept.types import Forest, IntArray, LongArray, Source, TokenSequence

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PROMPT_SOURCE = Source("prompt", 1, "0" * 16)
STILL_GOING = 0.9  # of a batch: ended rows are dropped when fewer are left, since that copies what the others hold


class SharedPrefixSampler(BatchSampler):
    """The tokens of ``PaddedSampler``, for models that are exact on forests and of which ``goes_on_in_parts`` holds.

    ``model`` is the transformers model itself; adapters stay active in its layers. ``cut`` divides prompts into
    forests of bearable size (indices), ``build_forest`` merges each, ``attention_mask`` gives what the model takes
    as the argument of that name. Besides a batch, in which shared tokens count once, the keys and values of one forest
    are held.
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

    def _answer(
        self, prompts: Sequence[IntArray], rooms: Sequence[int], pick: Pick
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        sequences = [TokenSequence(ids, np.zeros(len(ids), np.float32), PROMPT_SOURCE) for ids in prompts]
        groups = self.cut(sequences)
        # The group of the longest prompt first, so that what does not fit memory fails at once.
        for group in sorted(groups, key=lambda group: -max(len(prompts[index]) for index in group)):
            forest = self.build_forest([sequences[index] for index in group])
            states, logits_UV, prompt = self._prefill(forest)
            for rows in self._batches(forest, [rooms[index] for index in group]):
                batch = [group[row] for row in rows]
                first_B = pick(logits_UV[prompt[rows]], batch)
                paths = paths_to(forest, forest.answers.last[rows])
                yield batch, self._go_on(states, paths, first_B, batch, [rooms[index] for index in batch], pick)

    def _prefill(self, forest: Forest) -> tuple[list[tuple[Tensor, Tensor]], Tensor, LongArray]:
        """Keys and values of a forest's nodes, [1, heads, T, D] in each layer, the logits behind each distinct prompt,
        and which of them each sequence has [S]."""
        import torch
        from transformers import DynamicCache

        device = self.model.device
        last, prompt = np.unique(forest.answers.last, return_inverse=True)
        nodes = torch.as_tensor(last, device=device)
        # A single path needs no mask: it is a causal row, and T x T is large where one prompt is long.
        branches = forest.distinct_tokens > int(forest.depth.max()) + 1
        cache = DynamicCache(config=self.model.config)
        inputs = {
            "input_ids": torch.as_tensor(forest.ids, dtype=torch.long, device=device)[None],
            "position_ids": torch.as_tensor(forest.depth, dtype=torch.long, device=device)[None],
            "attention_mask": self.attention_mask(forest) if branches else None,
            "past_key_values": cache,
            "use_cache": True,
        }
        if "logits_to_keep" in inspect.signature(self.model.forward).parameters:
            logits = self.model(**inputs, logits_to_keep=nodes).logits
        else:
            logits = self.model(**inputs).logits[:, nodes]
        return [(keys, values) for keys, values, *_ in cache], logits[0], prompt

    def _batches(self, forest: Forest, rooms: Sequence[int]) -> Iterator[list[int]]:
        """Rows of a forest, neighbours in it together."""
        last = forest.answers.last
        ordered = np.argsort(last, kind="stable")
        own = np.diff(last[ordered], prepend=-1)  # nodes that no row before has: every leaf is a row's last node
        batch: list[int] = []
        held = 0
        for row, nodes in zip(ordered.tolist(), own.tolist(), strict=True):
            if batch and held + nodes + rooms[row] > self.max_batch_tokens:
                yield batch
                batch, held = [], 0
            batch.append(row)
            held += nodes + rooms[row]
        yield batch

    def _go_on(
        self,
        states: Sequence[tuple[Tensor, Tensor]],
        paths: LongArray,
        tokens: Tensor,
        answers: Sequence[int],
        rooms: Sequence[int],
        pick: Pick,
    ) -> list[list[int]]:
        """The new tokens of each row, from its path [B, K] and its first new token [B]."""
        import torch

        from precept.decode.parts import NewTokens, Parts, attending

        new = [[token] for token in tokens.tolist()]

        def goes_on(row: int) -> bool:
            return len(new[row]) < rooms[row] and new[row][-1] not in self.stop_ids

        rows = [row for row in range(len(new)) if goes_on(row)]
        if not rows:
            return new
        parts, cache = Parts(states, paths[rows]), NewTokens(len(states))
        tokens = tokens[rows, None]
        positions = torch.as_tensor((paths[rows] >= 0).sum(axis=1), device=tokens.device)[:, None]
        with attending(self.model, parts):
            while any(going := [goes_on(row) for row in rows]):
                if sum(going) <= STILL_GOING * len(rows):
                    places = [place for place, goes in enumerate(going) if goes]
                    rows = [rows[place] for place in places]
                    parts.keep(places)
                    cache.batch_select_indices(torch.as_tensor(places, device=tokens.device))
                    tokens, positions = tokens[places], positions[places]
                logits = self.model(
                    input_ids=tokens, position_ids=positions, past_key_values=cache, use_cache=True
                ).logits
                tokens = pick(logits[:, -1], [answers[row] for row in rows])[:, None]
                positions = positions + 1
                for row, token in zip(rows, tokens[:, 0].tolist(), strict=True):
                    if goes_on(row):
                        new[row].append(token)
        return new


def goes_on_in_parts(model: Any) -> bool:
    """Whether each layer's cache is keys and values of all tokens, so that paths can be taken out of it (no window, no
    recurrent state, no encoder), and the model's attention can be exchanged: tried on a few tokens."""
    import torch
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    if model.config.is_encoder_decoder:
        return False
    if {type(layer) for layer in DynamicCache(config=model.config).layers} != {DynamicLayer}:
        return False
    return _error_in_parts(model) <= (1e-4 if model.dtype == torch.float32 else 5e-2)


def _error_in_parts(model: Any) -> float:
    """How far logits are from those of whole sequences, relative, after a prompt and after a prefix of it."""
    import torch

    from precept.decode.parts import NewTokens, Parts, attending

    def ids(*tokens: int) -> Tensor:
        return torch.tensor([tokens], device=model.device)

    try:
        with evaluation_mode(model), torch.no_grad():
            expected = [
                model(input_ids=whole, use_cache=False).logits[0, -1] for whole in (ids(1, 2, 4), ids(1, 2, 3, 4))
            ]
            states = [pair[:2] for pair in model(input_ids=ids(1, 2, 3), use_cache=True).past_key_values]
            parts = Parts(states, np.array([[0, 1, -1], [0, 1, 2]]))
            with attending(model, parts):
                found = model(
                    input_ids=ids(4, 4).T,
                    position_ids=ids(2, 3).T,
                    past_key_values=NewTokens(len(states)),
                    use_cache=True,
                ).logits[:, -1]
    except MODEL_FAILURES:
        return float("inf")
    wanted = torch.stack(expected).float()
    return float((found.float() - wanted).norm() / wanted.norm())
