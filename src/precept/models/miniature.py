"""A small random model of the same class as the user's, on which every behaviour is cheap to reach.

How a model attends and where it takes positions from depends on its class and configuration, not on its width
or weights. So the copy keeps the kinds of layer, the RoPE type and the kinds of attention, and has fewer
layers, heads and tokens, and lengths at which behaviour changes (windows, chunks, context limits) scaled down
to a few tokens.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from precept.errors import MODEL_FAILURES

VOCABULARY = 128
MAX_PARAMETERS = 30_000_000
_LENGTH = re.compile(r"window|chunk|max_position|max_seq|n_positions|context_length|block_size|index_topk|floor_scale")
_NOT_LENGTH = re.compile(r"pattern|layers|feed_forward|use_")
_WIDTH = re.compile(r"(intermediate|ffn|inner|d_ff|mlp)(?!.*act).*|.*(_dim|_size|_width)$")
_PERIOD = re.compile(r"interval|period|pattern|freq$|sparse_step|first_k_dense")


@dataclass(frozen=True)
class Miniature:
    """The small model, float32 on the processor, and its lengths mapped to those of the user's model."""

    model: Any
    lengths: dict[int, int]


def build_miniature(model: Any, *, seed: int) -> Miniature | None:
    """A small random copy of the model, or None when its class cannot be built small.

    Takes the smallest of a few reductions that its class accepts. Leaves the random state of torch alone.
    """
    with torch.random.fork_rng([]), _quiet_transformers():
        torch.manual_seed(seed)
        for shrink in REDUCTIONS:
            config = copy.deepcopy(model.config)
            try:
                text = config.get_text_config()
                for reduce in shrink:
                    reduce(text)
                lengths = _scale_lengths(text)
                small = _build(type(model), config)
            except MODEL_FAILURES:
                continue
            if small is not None:
                return Miniature(small, lengths)
    return None


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Hide warnings about the scaled configuration, which is not the user's."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)


def _build(model_class: Any, config: Any) -> Any:
    """The model with weights large enough for every part to matter, or None if it is too large or does not run."""
    with torch.device("meta"):
        parameters = sum(p.numel() for p in model_class(copy.deepcopy(config)).parameters())
    if parameters > MAX_PARAMETERS:
        return None
    model = model_class(config).float()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=0.5 * parameter.shape[-1] ** -0.5)
        else:
            parameter.data += 0.1 * torch.randn_like(parameter)
    ids = torch.arange(1, 4)[None]
    inputs = {"decoder_input_ids": ids} if config.is_encoder_decoder else {}
    with torch.no_grad():
        model(input_ids=ids, **inputs, use_cache=False)
    return model


def _scale_lengths(config: Any) -> dict[int, int]:
    """Scale lengths in place to 8, 12, 16, ... in their order; returns scaled -> original, ascending."""
    places = list(_lengths(vars(config)))
    originals = sorted({holder[key] for holder, key in places})
    scaled = {original: min(original, 4 * (i + 2)) for i, original in enumerate(originals)}
    for holder, key in places:
        holder[key] = scaled[holder[key]]
    return {small: original for original, small in scaled.items()}


def _lengths(values: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _lengths(value)
        elif type(value) is int and value > 1 and _LENGTH.search(key) and not _NOT_LENGTH.search(key):
            yield values, key


def _shrink_vocabulary(config: Any) -> None:
    for key, value in vars(config).items():
        if key.endswith("vocab_size") and type(value) is int:
            setattr(config, key, min(value, VOCABULARY))
        elif key.endswith("_token_id") and type(value) is int:
            setattr(config, key, min(value, VOCABULARY - 1))
        elif key.endswith("_token_id") and isinstance(value, list):
            setattr(config, key, [min(v, VOCABULARY - 1) for v in value])


def _shrink_depth(config: Any) -> None:
    """Keep the first layers, as many as show every kind of layer once, but no fewer than two."""
    n = config.num_hidden_layers
    lists = {key: value for key, value in vars(config).items() if isinstance(value, list) and value}
    indices = {k: v for k, v in lists.items() if type(v[0]) is int and v == sorted(set(v)) and v[-1] < n}
    per_layer = {k: v for k, v in lists.items() if len(v) == n and k not in indices}
    kinds = list(zip(*([str(item) for item in v] for v in per_layer.values()), strict=True)) or [()] * n
    periods = [v for k, v in vars(config).items() if type(v) is int and _PERIOD.search(k)]
    covering = max(kinds.index(kind) for kind in set(kinds)) + 1
    keep = min(n, max(2, covering, *(min(p + 1, 12) for p in periods)))
    for key, value in per_layer.items():
        setattr(config, key, value[:keep])
    for key, value in indices.items():
        setattr(config, key, [i for i in value if i < keep])
    config.num_hidden_layers = keep
    if type(getattr(config, "num_decoder_layers", None)) is int:
        config.num_decoder_layers = min(config.num_decoder_layers, 2)


def _shrink_widths(config: Any) -> None:
    """Two query heads of the same size, one or two key heads, up to four experts, and what follows from them."""
    hidden, heads = config.hidden_size, config.num_attention_heads
    if hidden <= 128:
        return
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    small = 2 * (getattr(config, "head_dim", None) or hidden // heads)
    for key, value in list(vars(config).items()):
        if type(value) is not int:
            continue
        if re.search(r"experts?_per_tok|moe_topk|top_k_experts", key):
            setattr(config, key, min(value, 2))
        elif re.search(r"num_.*experts$|n_routed_experts", key):
            setattr(config, key, min(value, 4))
        elif re.fullmatch(r"linear_num_\w+_heads", key):
            setattr(config, key, max(1, value // 8))
        elif key in {"n_group", "topk_group"}:
            setattr(config, key, 1)
        elif value == hidden and _WIDTH.fullmatch(key):
            setattr(config, key, small)
        elif value > hidden // 4 and re.match(r".*(intermediate|ffn|n_inner|d_ff)", key):
            setattr(config, key, 2 * small)
    config.hidden_size = small
    config.num_attention_heads = 2
    if hasattr(config, "num_key_value_heads"):
        config.num_key_value_heads = 2 if key_heads == heads else 1


REDUCTIONS = (
    (_shrink_vocabulary, _shrink_widths, _shrink_depth),
    (_shrink_vocabulary, _shrink_widths),
    (_shrink_vocabulary, _shrink_depth),
    (),
)
"""Tried in order: the first that the class accepts is taken."""
