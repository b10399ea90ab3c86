"""Pairs of times to ratios and rates."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, Any]:
    """How many times faster we are, pair by pair: median, lowest and highest, and the pairs themselves.

    Both are seconds for the same work; pair i was timed back to back.
    """
    pairs = [their / our for our, their in zip(ours, theirs, strict=True)]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs), "pairs": pairs}


def rates(seconds: Sequence[float], *, real_tokens: int, trained_tokens: int, flops: int) -> dict[str, Any]:
    """What the median repetition reached, for tokens and operations of one repetition."""
    middle = statistics.median(seconds)
    return {
        "seconds": list(seconds),
        "real_tokens_per_second": real_tokens / middle,
        "trained_tokens_per_second": trained_tokens / middle,
        "flops_per_second": flops / middle,
    }
