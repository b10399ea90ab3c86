"""Scores of one output against its references, each in 0..1.

``rouge_l`` and ``exact_match`` are those of Super-NaturalInstructions (2204.07705), whose ROUGE-L is that of
rouge-score with ``use_stemmer=True``; ``same_text`` is the rule of BIG-Bench Hard's published accuracies.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence

from rapidfuzz.distance import LCSseq

from precept.evaluate import porter

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def rouge_tokens(text: str, *, stem: bool = True) -> list[str]:
    """Lower-case runs of a-z and 0-9; with ``stem`` those longer than three characters are stemmed. Text in
    other scripts has no tokens."""
    tokens = _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()
    return [porter.stem(token) if len(token) > 3 else token for token in tokens] if stem else tokens


def rouge_l(prediction: str, reference: str, *, stem: bool = True) -> float:
    """ROUGE-L F1 over tokens: L is the longest common subsequence, P = L/len(prediction),
    R = L/len(reference), F = 2PR/(P+R); 0 where either side has no tokens."""
    predicted, expected = rouge_tokens(prediction, stem=stem), rouge_tokens(reference, stem=stem)
    common = LCSseq.similarity(predicted, expected)
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(expected)
    return 2 * precision * recall / (precision + recall)


def normalize_answer(text: str) -> str:
    """Lower case, ASCII punctuation deleted, runs of blanks collapsed. Articles and curly quotes stay."""
    return " ".join(text.lower().translate(_NO_PUNCTUATION).split())


def exact_match(prediction: str, reference: str) -> float:
    """1 where both normalise to the same text."""
    return float(normalize_answer(prediction) == normalize_answer(reference))


def same_text(prediction: str, reference: str) -> float:
    """1 where both are the same characters, outer blanks aside."""
    return float(prediction.strip() == reference.strip())


def same_start(prediction: str, reference: str) -> float:
    """1 where the normalised prediction is the reference or goes on after it: "(A) the red book" for "(A)",
    "Yes, because ..." for "yes". A reference of punctuation alone is compared as it is, without blanks
    and one final period."""
    expected = normalize_answer(reference)
    if not expected:
        return float("".join(prediction.split()).removesuffix(".") == "".join(reference.split()))
    return float(f"{normalize_answer(prediction)} ".startswith(f"{expected} "))


SCORES: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "rouge_l": rouge_l,
    "same_text": same_text,
    "same_start": same_start,
}
"""The scores that a task can name."""


def best_score(score: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    """The score against the reference that fits best, as Super-NaturalInstructions takes it."""
    return max(score(prediction, reference) for reference in references)
