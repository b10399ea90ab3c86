"""Drafts, plain texts and ready-made ids to token sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from tokenizers import Encoding

from precept.errors import InputError
from precept.render.conversation import special_token_in_text
from precept.render.drafts import Draft
from precept.render.refused import RowRefused
from precept.render.settings import RenderSettings
from precept.render.tokens import Encoded, Span, TextEncoder, matcher, weigh
from precept.types import IntArray, Text, TokenSequence


class Made(NamedTuple):
    """A sequence, how many of its tokens straddle, and whether the tokenizer gives its text back."""

    sequence: TokenSequence
    straddling: int
    given_back: bool


class SequenceEncoder:
    """Makes token sequences for one model."""

    def __init__(
        self,
        encoder: TextEncoder,
        settings: RenderSettings,
        *,
        encoder_decoder: bool,
        decoder_start_id: int | None,
    ) -> None:
        if encoder_decoder and (decoder_start_id is None or encoder.eos_id is None):
            raise InputError(
                "an encoder-decoder model needs a decoder start token and an EOS token",
                found=f"decoder_start_token_id {decoder_start_id}, eos_token_id {encoder.eos_id}",
                do="set them in the model's config.json and tokenizer",
                code="no-decoder-start",
            )
        self._encoder = encoder
        self._settings = settings
        self._start_id = decoder_start_id if encoder_decoder else None
        self._special = matcher(encoder.special_tokens)

    @property
    def closes_with_eos(self) -> bool:
        """Whether EOS is added after every trained turn, whatever the template ends it with."""
        return self._start_id is not None

    def _in_batch(self, draft: Draft) -> bool:
        return self._start_id is None and not draft.literals

    def made(self, drafts: Sequence[Draft]) -> list[Made | RowRefused]:
        """One result a draft; those that one batch of the tokenizer can encode are encoded in one."""
        if self._start_id is not None:
            return [self._pair(draft) for draft in drafts]
        following = iter(self._encoder.batch([draft.text for draft in drafts if self._in_batch(draft)]))
        return [self._one(draft, next(following) if self._in_batch(draft) else None) for draft in drafts]

    def _one(self, draft: Draft, encoding: Encoding | None) -> Made | RowRefused:
        weight = self._settings.prompt_weight
        try:
            if encoding is None:
                encoded, _ = self._encoder.encode_pieces(draft.text, draft.literals, draft.spans, context_weight=weight)
            else:
                encoded = weigh(encoding, len(draft.text), draft.spans, context_weight=weight)
        except RowRefused as refused:
            return refused
        return Made(TokenSequence(encoded.ids, encoded.weights, draft.plan.source), encoded.straddling, True)

    def _pair(self, draft: Draft) -> Made | RowRefused:
        """What the encoder reads up to the last trained turn, and that turn with EOS for the decoder."""
        start, end = draft.target
        weight = max((span.weight for span in draft.spans if span.start == start), default=0.0)
        try:
            read = self.prompt_ids(draft.text[:start], [span for span in draft.literals if span[1] <= start])
            inside = [(a - start, b - start) for a, b in draft.literals if a >= start and b <= end]
            target = self._ids(draft.text[start:end], inside)
        except RowRefused as refused:
            return refused
        given_back = self._gives_back(read, draft.text[:start]) and self._gives_back(target, draft.text[start:end])
        eos = self._encoder.eos_id
        closing = [] if len(target) and target[-1] == eos else [eos]
        ids = np.concatenate([[self._start_id], target, closing]).astype(np.int32)
        weights = np.full(len(ids), weight, dtype=np.float32)
        weights[0] = 0.0
        return Made(TokenSequence(ids, weights, draft.plan.source, encoder_ids=read), 0, given_back)

    def prompt_ids(self, text: str, literals: Sequence[tuple[int, int]]) -> IntArray:
        """Ids of a rendered prompt. Encoders also get what their tokenizer's convention puts after a text."""
        ids = self._ids(text, literals)
        if self._start_id is None:
            return ids
        return np.concatenate([ids, self._encoder.suffix_ids]).astype(np.int32)

    def _ids(self, text: str, literals: Sequence[tuple[int, int]]) -> IntArray:
        if not literals:
            return self._encoder.ids(text)
        return self._encoder.encode_pieces(text, literals, [])[0].ids

    def _gives_back(self, ids: IntArray, text: str) -> bool:
        return self._encoder.decode_text(ids).strip() == self._special.sub("", text).strip()

    def text(self, row: Text) -> Made:
        """A document: the tokenizer's own opening (BOS), the text, EOS. All but the first token is trained."""
        if self._start_id is not None:
            raise RowRefused("plain text trains decoder-only models", code="text-needs-decoder")
        literals = self._literals(row.text)
        if literals:
            encoded, _ = self._encoder.encode_pieces(row.text, literals, [Span(0, len(row.text), 1.0)])
        else:
            encoded = Encoded(self._encoder.ids(row.text), np.zeros(0, dtype=np.float32), 0)
        ids = [*self._encoder.prefix_ids, *encoded.ids.tolist()]
        if self._encoder.eos_id is not None and ids[-1:] != [self._encoder.eos_id]:
            ids.append(self._encoder.eos_id)
        weights = np.ones(len(ids), dtype=np.float32)
        # Nothing stands before the first token to predict it from.
        weights[: max(1, len(self._encoder.prefix_ids))] = 0.0
        return Made(TokenSequence(np.array(ids, dtype=np.int32), weights, row.source), 0, True)

    def _literals(self, text: str) -> list[tuple[int, int]]:
        if self._settings.special_tokens_in_text == "allow":
            return []
        found = [match.span() for match in self._special.finditer(text)]
        if found and self._settings.special_tokens_in_text == "error":
            raise special_token_in_text(text[slice(*found[0])])
        return found

    def ready(self, row: TokenSequence) -> Made:
        """A pre-tokenised row, checked against the vocabulary. Its first token is never predicted, so it is context."""
        if len(row.ids) != len(row.weights):
            raise RowRefused(f"{len(row.ids)} ids but {len(row.weights)} weights", code="lengths-differ")
        largest = self._encoder.vocab_size
        for ids in (row.ids, row.encoder_ids):
            if ids is not None and len(ids) and not 0 <= int(ids.min()) <= int(ids.max()) < largest:
                raise RowRefused(
                    f"ids reach {int(ids.max())} (lowest {int(ids.min())}), the vocabulary has {largest}",
                    code="id-outside-vocabulary",
                )
        if len(row.weights) and row.weights[0]:
            row = replace(row, weights=np.concatenate([np.zeros(1, np.float32), row.weights[1:]]))
        return Made(row, 0, True)
