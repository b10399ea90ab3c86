"""Texts scored by their likelihood: perplexity and bits per byte, over all items together and of each by itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from precept.evaluate.metrics import LIKELIHOOD_SCORES, bits_per_byte, perplexity
from precept.evaluate.statistics import resampled_ratios


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The summed log-probability (natural logarithm) of a text's tokens, how many they are, and the text's UTF-8 bytes.
    ``refused`` says why the item was not asked; there are no numbers then."""

    logp: float = 0.0
    tokens: int = 0
    bytes: int = 0
    refused: str | None = None

    def score(self, name: str) -> float:
        """One of ``LIKELIHOOD_SCORES``."""
        if name == "perplexity":
            return perplexity(self.logp, self.tokens)
        return bits_per_byte(self.logp, self.bytes)


def corpus_score(name: str, found: Sequence[Likelihood], *, seed: int = 0) -> dict[str, float]:
    """``{value, low, high, n}`` over all texts together: exp of the mean negative log-probability of all their tokens,
    or the bits of all over the bytes of all. A long text counts by its length.

    ``low`` and ``high`` are a 95 % percentile bootstrap over texts; of one text both are the value.
    """
    whole = Likelihood(*(sum(column) for column in zip(*((f.logp, f.tokens, f.bytes) for f in found), strict=True)))
    under = [one.tokens if name == "perplexity" else one.bytes for one in found]
    ratios = resampled_ratios([-one.logp for one in found], under, np.random.default_rng(seed))
    ends = np.quantile(ratios, (0.025, 0.975))
    low, high = np.exp(ends) if name == "perplexity" else ends / math.log(2)
    return {"value": whole.score(name), "low": float(low), "high": float(high), "n": len(found)}


def show_score(metric: str, value: float, *, signed: bool = False) -> str:
    """A score as tables print it: per cent with one digit, but perplexity and bits per byte as they are."""
    sign = "+" if signed else ""
    return f"{value:{sign}.4g}" if metric in LIKELIHOOD_SCORES else f"{100 * value:{sign}.1f}"


def text_windows(ids: Sequence[int], first: int, size: int) -> Iterator[tuple[list[int], list[int]]]:
    """What is read and what is predicted, piece by piece, so that each token of a text is predicted once and no piece
    has more than ``size`` tokens. ``first`` stands before the text; the last piece reads as much as fits before it, as
    the rolling windows of lm-evaluation-harness."""
    assert size > 1, "needs room for a token and one before it"
    text = [first, *ids]
    for start in range(1, len(text), size - 1):
        end = min(start + size - 1, len(text))
        begin = start - 1 if end - start == size - 1 else max(0, end - size)
        yield text[begin:start], text[start:end]
