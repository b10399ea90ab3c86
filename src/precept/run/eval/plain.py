"""Plain text to token ids, for models that are asked without a chat template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from precept.errors import InputError
from precept.evaluate.likelihood import text_windows
from precept.render.refused import RowRefused
from precept.render.tokens import TextEncoder, matcher
from precept.run.opened import OpenedModel, start_of
from precept.types import IntArray, Source, TokenSequence

SOURCE = Source("item", 1, "0" * 16)


@dataclass(frozen=True)
class PlainText:
    """Encodes prompts, and pairs of a prompt and what follows it. ``start_id`` opens the decoder's side of an
    encoder-decoder model and is None for any other; ``first_id`` is what a text's first token is predicted from."""

    encoder: TextEncoder
    start_id: int | None = None
    first_id: int | None = None

    def encode(self, text: str) -> IntArray:
        """Ids of a text as the tokenizer's convention opens it (BOS), and, for an encoder, closes it. What spells a
        special token is encoded as text. Raises InputError where the vocabulary has no other way."""
        closing = [] if self.start_id is None else self.encoder.suffix_ids
        return np.array([*self.encoder.prefix_ids, *self._ids(text), *closing], dtype=np.int32)

    def encode_pair(self, text: str, ending: str) -> TokenSequence:
        """A text and what follows it, with weight on the tokens of what follows.

        Both are tokenised as one text, in which blanks at the end of the first belong to the second; line feeds there
        are the first's, and a token over the border is the second's. lm-evaluation-harness counts the tokens of the
        first part alone instead.
        """
        bare = text.rstrip(" ")
        ending = text[len(bare) :] + ending
        if self.start_id is not None:
            target = self._ids(ending.lstrip())
            weights = np.repeat(np.array([0, 1], np.float32), [1, len(target)])
            written = np.array([self.start_id, *target], np.int32)
            return TokenSequence(written, weights, SOURCE, encoder_ids=self.encode(bare.rstrip()))
        tokens = self._tokens(bare + ending)
        ids = [*self.encoder.prefix_ids, *(index for index, _ in tokens)]
        before = sum(end <= len(bare) for _, end in tokens)
        border = min(len(self.encoder.prefix_ids) + before, len(ids) - 1)
        weights = np.zeros(len(ids), np.float32)
        weights[max(border, 1) :] = 1.0  # nothing stands before the first token to predict it from
        return TokenSequence(np.array(ids, np.int32), weights, SOURCE)

    def windows(self, text: str, first: int, size: int | None) -> list[TokenSequence]:
        """A whole text in pieces of at most ``size`` tokens, with weight on what each piece predicts. ``first`` is what
        the text's first token is predicted from."""
        pieces = text_windows(self.encoder.ids(text).tolist(), first, size or 2**31)
        return [weigh_last(read, predicted) for read, predicted in pieces]

    @cached_property
    def _special(self) -> Any:
        return matcher(self.encoder.special_tokens)

    def _ids(self, text: str) -> list[int]:
        return [index for index, _ in self._tokens(text)]

    def _tokens(self, text: str) -> list[tuple[int, int]]:
        """The id of each token and where it ends in the text; all tokens of one character end with it."""
        literals = [match.span() for match in self._special.finditer(text)]
        if not literals:
            (found,) = self.encoder.batch([text])
            return [(index, end) for index, (_, end) in zip(found.ids, found.offsets, strict=True)]
        try:
            return [(index, end) for index, _, end in self.encoder.encode_pieces(text, literals, [])[1]]
        except RowRefused as refused:
            raise InputError(refused.reason, code=refused.code, do="change the text") from None


def weigh_last(read: Sequence[int], predicted: Sequence[int]) -> TokenSequence:
    """Ids that are read and then ids that are predicted, with weight on the latter."""
    weights = np.repeat(np.array([0, 1], np.float32), [len(read), len(predicted)])
    return TokenSequence(np.array([*read, *predicted], np.int32), weights, SOURCE)


def plain_text(model: OpenedModel) -> PlainText:
    """The encoder of plain text for a model."""
    loaded = model.loaded
    start = start_of(loaded) if loaded.is_encoder_decoder else None
    tokenizer = loaded.tokenizer
    first = tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id
    return PlainText(TextEncoder(tokenizer), start, first)
