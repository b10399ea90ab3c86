"""Text to token ids and weights: the one place where rendered text is tokenised.

Special tokens that a tokenizer would add by itself are never added; what the template wrote is what is encoded.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

from precept.errors import InputError
from precept.render.refused import RowRefused
from precept.types import FloatArray, IntArray


class Span(NamedTuple):
    """Characters ``start:end`` and their loss weight."""

    start: int
    end: int
    weight: float


class Encoded(NamedTuple):
    """Token ids, their weights, where each stands in the text, and how many straddle a border of a trained span."""

    ids: IntArray
    weights: FloatArray
    straddling: int


def matcher(texts: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of the texts, longest first; it matches nothing when there are none."""
    longest_first = sorted(set(texts), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


class TextEncoder:
    """Encodes with a private copy of the tokenizer: no truncation, no padding, no added special tokens.

    The copy has no post-processor either: with ``trim_offsets`` it would take leading blanks out of spans.
    """

    def __init__(self, tokenizer: Any) -> None:
        if not tokenizer.is_fast:
            raise InputError(
                "the tokenizer gives no character offsets, so trained tokens cannot be told from context",
                found=f"{type(tokenizer).__name__}, a slow tokenizer",
                do="save the model with a fast tokenizer (a tokenizer.json file)",
                code="slow-tokenizer",
            )
        settings = json.loads(tokenizer.backend_tokenizer.to_str())
        settings.update(truncation=None, padding=None, post_processor=None)
        self._settings = settings
        self._backend = Tokenizer.from_str(json.dumps(settings))
        self._text_backend: Tokenizer | None = None
        added = tokenizer.backend_tokenizer.get_added_tokens_decoder()
        self.added_tokens = {token.content: number for number, token in added.items()}
        self.special_tokens = frozenset(tokenizer.all_special_tokens) | {
            token.content for token in added.values() if token.special
        }
        for text in self.special_tokens:  # the tokenizer's EOS may be an ordinary entry of its vocabulary
            self.added_tokens.setdefault(text, tokenizer.convert_tokens_to_ids(text))
        self.eos_token: str | None = tokenizer.eos_token
        self.eos_id: int | None = tokenizer.eos_token_id
        self.vocab_size = len(tokenizer)
        self.prefix_ids, self.suffix_ids = self._convention(tokenizer)

    def _convention(self, tokenizer: Any) -> tuple[list[int], list[int]]:
        """What the tokenizer itself would put before and after a text."""
        bare = self.ids("a").tolist()
        whole = list(tokenizer("a")["input_ids"])
        for start in range(len(whole) - len(bare) + 1):
            if whole[start : start + len(bare)] == bare:
                return whole[:start], whole[start + len(bare) :]
        return [], []

    def knows(self, token: str) -> bool:
        """Whether the text is one token of the vocabulary."""
        return self._backend.token_to_id(token) is not None

    def ids(self, text: str) -> IntArray:
        """Token ids of a text, int32 [n]."""
        return np.array(self._backend.encode(text, add_special_tokens=False).ids, dtype=np.int32)

    def decode_text(self, ids: IntArray) -> str:
        """The text of token ids without special tokens."""
        return str(self._backend.decode(ids.tolist(), skip_special_tokens=True))

    def decode_one(self, token: int) -> str:
        """The text of a single token, its vocabulary entry where it is no text by itself."""
        return str(self._backend.decode([token], skip_special_tokens=False) or self._backend.id_to_token(token))

    def batch(self, texts: Sequence[str]) -> list[Encoding]:
        """Encodings with untrimmed spans; the library spreads the work over the cores."""
        return list(self._backend.encode_batch(list(texts), add_special_tokens=False))

    def encode_pieces(
        self, text: str, literals: Sequence[tuple[int, int]], spans: Sequence[Span], *, context_weight: float = 0.0
    ) -> tuple[Encoded, list[tuple[int, int, int]]]:
        """Encode a text in which the characters of ``literals`` must not become special tokens.

        The text is cut at them; each is encoded by a copy of the tokenizer that knows no added token. Also returns
        id, start and end of each token. Raises RowRefused where the vocabulary itself holds a literal as one token.
        """
        ids: list[int] = []
        weights: list[FloatArray] = []
        places: list[tuple[int, int, int]] = []
        straddling = 0
        cuts = [0, *(cut for literal in literals for cut in literal), len(text)]
        for number, (start, end) in enumerate(itertools.pairwise(cuts)):
            if start == end:
                continue
            # A line break before the piece keeps SentencePiece from adding the blank that opens a text.
            lead = "\n" if start else ""
            backend = self._plain_backend() if number % 2 else self._backend
            encoding = backend.encode(lead + text[start:end], add_special_tokens=False)
            shift = start - len(lead)
            if number % 2 and self._backend.token_to_id(text[start:end]) in encoding.ids:
                raise RowRefused(
                    f"'{text[start:end]}' cannot be encoded as text: the vocabulary itself holds it",
                    code="special-token-in-text",
                )
            moved = [Span(span.start - shift, span.end - shift, span.weight) for span in spans]
            piece = weigh(encoding, len(lead) + end - start, moved, context_weight=context_weight)
            keep = sum(stop <= len(lead) for _, stop in encoding.offsets) if lead else 0
            ids += encoding.ids[keep:]
            weights.append(piece.weights[keep:])
            places += [
                (i, max(a + shift, start), b + shift)
                for i, (a, b) in zip(encoding.ids[keep:], encoding.offsets[keep:], strict=True)
            ]
            straddling += piece.straddling
        joined = np.concatenate(weights) if weights else np.zeros(0, dtype=np.float32)
        return Encoded(np.array(ids, dtype=np.int32), joined, straddling), places

    def _plain_backend(self) -> Tokenizer:
        if self._text_backend is None:
            self._text_backend = Tokenizer.from_str(json.dumps({**self._settings, "added_tokens": []}))
        return self._text_backend


def weigh(encoding: Encoding, length: int, spans: Sequence[Span], *, context_weight: float = 0.0) -> Encoded:
    """Weights of an encoding's tokens: that of the span they lie in, else ``context_weight``.

    ``length`` is that of the text; ``spans`` are ascending and disjoint. A character of several tokens belongs to all
    of them. A token that reaches over the border of a trained span straddles: it takes the larger weight.
    """
    weights = np.full(len(encoding), context_weight, dtype=np.float32)
    straddling = 0
    for start, end, weight in spans:
        start, end = max(start, 0), min(end, length)
        first = _token_at(encoding, start, end)
        if first is None:
            continue  # empty, or blanks that the tokenizer drops
        following = _token_at(encoding, end, length)
        past = len(encoding) if following is None else following
        over_start = _start_of(encoding, first) < start
        over_end = past < len(encoding) and _start_of(encoding, past) < end
        outside = float(weights[first]) if over_start else 0.0
        weights[first:past] = weight
        if over_start:
            weights[first] = max(outside, weight)
        if over_end:
            weights[past] = max(context_weight, weight)
        if weight > 0:
            straddling += over_start + over_end
    return Encoded(np.array(encoding.ids, dtype=np.int32), weights, straddling)


def _start_of(encoding: Encoding, token: int) -> int:
    place = encoding.token_to_chars(token)
    return int(place[0]) if place else 0


def _token_at(encoding: Encoding, start: int, end: int) -> int | None:
    """First token of the first character in ``start:end`` that has one; tokenizers may drop blanks."""
    for position in range(start, end):
        token = encoding.char_to_token(position)
        if token is not None:
            return int(token)
    return None
