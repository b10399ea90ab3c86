"""Plain text to token ids, for models that are asked without a chat template."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from precept.errors import InputError
from precept.render.refused import RowRefused
from precept.render.tokens import TextEncoder, matcher
from precept.run.opened import OpenedModel
from precept.run.tuning.prepare import decoder_start
from precept.types import IntArray, Source, TokenSequence

SOURCE = Source("item", 1, "0" * 16)


@dataclass(frozen=True)
class PlainText:
    """Encodes prompts, and pairs of a prompt and what follows it. ``start_id`` opens the decoder's side of an
    encoder-decoder model and is None for any other."""

    encoder: TextEncoder
    start_id: int | None = None

    def encode(self, text: str) -> IntArray:
        """Ids of a text as the tokenizer's convention opens it (BOS), and, for an encoder, closes it. What spells a
        special token is encoded as text. Raises InputError where the vocabulary has no other way."""
        closing = [] if self.start_id is None else self.encoder.suffix_ids
        return np.array([*self.encoder.prefix_ids, *self._ids(text), *closing], dtype=np.int32)

    def encode_pair(self, text: str, ending: str) -> TokenSequence:
        """A text and what follows it, with weight on the tokens of what follows.

        Both are tokenised as one text, in which blanks at the end of the first belong to the second; a token over the
        border is the second's. lm-evaluation-harness does the same, but for tokens over the border.
        """
        bare = text.rstrip(" ")
        ending = text[len(bare) :] + ending
        if self.start_id is not None:
            target = self._ids(ending.lstrip())
            weights = np.repeat(np.array([0, 1], np.float32), [1, len(target)])
            ids = np.array([self.start_id, *target], np.int32)
            return TokenSequence(ids, weights, SOURCE, encoder_ids=self.encode(bare))
        whole, first = self.encode(bare + ending), self.encode(bare)
        shared = min(len(first), len(whole) - 1)
        border = next((place for place in range(shared) if whole[place] != first[place]), shared)
        weights = np.zeros(len(whole), np.float32)
        weights[max(border, 1) :] = 1.0  # nothing stands before the first token to predict it from
        return TokenSequence(whole, weights, SOURCE)

    @cached_property
    def _special(self) -> Any:
        return matcher(self.encoder.special_tokens)

    def _ids(self, text: str) -> list[int]:
        literals = [match.span() for match in self._special.finditer(text)]
        if not literals:
            return [int(index) for index in self.encoder.ids(text)]
        try:
            return [int(index) for index in self.encoder.encode_pieces(text, literals, [])[0].ids]
        except RowRefused as refused:
            raise InputError(refused.reason, code=refused.code, do="change the text") from None


def plain_text(model: OpenedModel) -> PlainText:
    """The encoder of plain text for a model."""
    loaded = model.loaded
    start = decoder_start(loaded.model.config.to_dict()) if loaded.is_encoder_decoder else None
    return PlainText(TextEncoder(loaded.tokenizer), start)
