"""One answer, token by token: the text of a chat as it is written."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from precept.decode.inference import decoder_start_id, evaluation_mode, forward_only
from precept.decode.sampling import draw_tokens
from precept.types import IntArray

if TYPE_CHECKING:
    import torch

REPLACEMENT = "\ufffd"


def stream(
    model: Any,
    tokenizer: Any,
    prompt_ids: IntArray,
    *,
    stop_ids: Sequence[int],
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    seed: int | None = None,
    compute_dtype: torch.dtype | None = None,
) -> Iterator[str]:
    """Pieces of the answer's text. Joined they are the text of all its tokens, special ones left out; no
    piece ends inside a character.

    ``temperature`` 0 takes the likeliest token. Above 0 a token is drawn from the smallest set of tokens
    whose probability reaches ``top_p``, by a generator of its own: the same ``seed`` gives the same text, and
    no global random state is used. Closing the iterator early leaves the model as it was.
    """
    import torch

    assert len(prompt_ids), "needs a prompt"
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)

    def pick(logits_V: torch.Tensor) -> int:
        return _pick(logits_V, temperature=temperature, top_p=top_p, generator=generator)

    with evaluation_mode(model):
        tokens = _next_tokens(model, prompt_ids, pick, set(stop_ids), max_new_tokens, compute_dtype)
        yield from text_pieces(tokenizer, tokens)


def text_pieces(tokenizer: Any, tokens: Iterable[int]) -> Iterator[str]:
    """The text of ``tokens`` in pieces, each held back while it ends inside a multi-byte character."""
    window: list[int] = []  # tokens of the last piece, then those not yet shown
    shown = 0  # how many of them were shown

    def decode(ids: Sequence[int]) -> str:
        text: str = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text

    for token in tokens:
        window.append(token)
        # The last piece is decoded again: some tokenizers drop a blank at the start of what they decode.
        piece = decode(window)[len(decode(window[:shown])) :]
        if piece and not piece.endswith(REPLACEMENT):
            yield piece
            window, shown = window[shown:], len(window) - shown
    if rest := decode(window)[len(decode(window[:shown])) :]:
        yield rest


def _next_tokens(
    model: Any,
    prompt_ids: IntArray,
    pick: Callable[[torch.Tensor], int],
    stop_ids: set[int],
    max_new_tokens: int,
    compute_dtype: torch.dtype | None,
) -> Iterator[int]:
    """New tokens up to the first stop token, which is left out."""
    name = "input_ids"
    tokens = [int(token) for token in prompt_ids]
    fixed: dict[str, Any] = {"use_cache": True, **_last_logits_only(model)}
    if model.config.is_encoder_decoder:
        with forward_only(model, compute_dtype):
            fixed["encoder_outputs"] = model.get_encoder()(input_ids=_batch_of_one(model, tokens))
        name, tokens = "decoder_input_ids", [decoder_start_id(model)]
    step, cache = tokens, None
    for _ in range(max_new_tokens):
        with forward_only(model, compute_dtype):
            output = model(**fixed, **{name: _batch_of_one(model, step)}, past_key_values=cache)
        token = pick(output.logits[0, -1])
        if token in stop_ids:
            return
        yield token
        tokens.append(token)
        cache = output.get("past_key_values")
        step = tokens if cache is None else [token]  # models without a KV cache read all of it again


def _batch_of_one(model: Any, tokens: Sequence[int]) -> torch.Tensor:
    import torch

    return torch.tensor([tokens], device=model.device)


def _last_logits_only(model: Any) -> dict[str, int]:
    """Leaves out the logits of the prompt where the model can: for a large vocabulary they need more memory
    than the rest of the forward pass."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return {"logits_to_keep": 1} if "logits_to_keep" in inspect.signature(inner.forward).parameters else {}


def _pick(logits_V: torch.Tensor, *, temperature: float, top_p: float, generator: torch.Generator) -> int:
    import torch

    logits_V = logits_V.float().cpu()
    if temperature == 0:
        return int(logits_V.argmax())
    return int(draw_tokens(logits_V[None], torch.rand(1, generator=generator), temperature=temperature, top_p=top_p))
