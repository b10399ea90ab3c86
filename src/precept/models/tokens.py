"""New tokens: added to the tokenizer, their rows of the embeddings set to the mean of the old rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def add_tokens(tokenizer: Any, model: Any, tokens: Sequence[str]) -> tuple[int, ...]:
    """Add the tokens that the tokenizer lacks as special tokens. Returns their ids.

    Rows of the input embedding and of the output head that belong to them are the mean of all rows that the
    tokenizer used before, so that a new token starts out neither likely nor unlikely.
    """
    vocabulary = tokenizer.get_vocab()
    fresh = [token for token in dict.fromkeys(tokens) if token not in vocabulary]
    if not fresh:
        return ()
    tokenizer.add_tokens(fresh, special_tokens=True)
    added = tuple(int(tokenizer.convert_tokens_to_ids(token)) for token in fresh)
    grow_embeddings(model, added, used=sorted(vocabulary.values()))
    return added


def grow_embeddings(model: Any, added: Sequence[int], *, used: Sequence[int]) -> None:
    """Give each id of ``added`` a row, resized where needed, and set it to the mean of the ``used`` rows."""
    rows = model.get_input_embeddings().weight.shape[0]
    known = torch.tensor([index for index in used if index < rows])
    if max(added) >= rows:
        model.resize_token_embeddings(max(added) + 1, mean_resizing=False)
    head = model.get_output_embeddings()
    tables = {id(table): table for table in (model.get_input_embeddings().weight, *_head_tables(head))}
    with torch.no_grad():
        for table in tables.values():
            mean = table[known.to(table.device)].float().mean(dim=0)
            table[torch.tensor(added, device=table.device)] = mean.to(table.dtype)


def _head_tables(head: Any) -> list[torch.Tensor]:
    """Weight [V, H] and, where there is one, bias [V] of the output head."""
    if head is None:
        return []
    bias = getattr(head, "bias", None)
    return [head.weight] if bias is None else [head.weight, bias]
