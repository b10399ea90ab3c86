"""Scores of one output against its references, each in 0..1, and the two measures of summed log-probabilities.

Papers call several scores "ROUGE-L" and several "exact match"; each has a name of its own here. ``rouge_l`` and
``exact_match`` are those of Super-NaturalInstructions (2204.07705), whose ROUGE-L is that of rouge-score with
``use_stemmer=True``; ``same_text`` is the rule of BIG-Bench Hard's published accuracies.
"""

from __future__ import annotations

import functools
import math
import re
import string
from collections.abc import Callable, Sequence

from rapidfuzz.distance import LCSseq

from precept.evaluate import porter
from precept.evaluate.answer_form import same_form
from precept.evaluate.gsm8k import same_number
from precept.evaluate.squad import squad_exact_match, squad_f1

Split = Callable[[str], list[str]]
"""A tokenizer: text to tokens."""

_NOT_ALPHANUMERIC = re.compile(r"[^a-z0-9]+")
_ONE_LETTER = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)


def rouge_tokens(text: str, *, stem: bool = True) -> list[str]:
    """Lower-case runs of a-z and 0-9; with ``stem`` those longer than three characters are stemmed. Text in
    other scripts has no tokens."""
    tokens = _NOT_ALPHANUMERIC.sub(" ", text.lower()).split()
    return [porter.stem(token) if len(token) > 3 else token for token in tokens] if stem else tokens


def rouge_l(prediction: str, reference: str, *, stem: bool = True) -> float:
    """ROUGE-L F1 over stemmed tokens, as Super-NaturalInstructions and Natural Instructions report it.

    L is the longest common subsequence, P = L/len(prediction), R = L/len(reference), F = 2PR/(P+R); 0 where either
    side has no tokens.
    """
    return _lcs_f1(rouge_tokens(prediction, stem=stem), rouge_tokens(reference, stem=stem))


def rouge_l_unstemmed(prediction: str, reference: str) -> float:
    """ROUGE-L F1 over tokens as they are: the novelty gate of Self-Instruct (2212.10560)."""
    return rouge_l(prediction, reference, stem=False)


def rouge_l_comma_split(prediction: str, reference: str) -> float:
    """ROUGE-L F1 against the piece of the reference between commas that fits best, as the code of Reframing
    (2109.07830) takes it: a reference that is a sentence with commas gives credit for each of its parts."""
    return max(rouge_l(prediction, piece) for piece in reference.split(","))


def rouge_l_characters(prediction: str, reference: str) -> float:
    """ROUGE-L F1 over characters, blanks included, neither stemmed nor lower-cased: the released code of SELF-GUIDE
    (2407.12874) computes it under the name ROUGE-L, and it is far higher than that of tokens."""
    return _lcs_f1(prediction, reference)


def rouge_l_byte_bpe(prediction: str, reference: str, *, split: Split) -> float:
    """ROUGE-L F1 over the tokens of a byte-level BPE, case kept, not stemmed: the cross-lingual score of
    Super-NaturalInstructions (2204.07705), whose ``split`` is GPT-2's. Of another tokenizer it is another number."""
    return _lcs_f1(split(prediction), split(reference))


def _lcs_f1(predicted: Sequence[str], expected: Sequence[str]) -> float:
    common = LCSseq.similarity(predicted, expected)
    return 2 * common / (len(predicted) + len(expected)) if common else 0.0


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
    and one final period.

    A reference that is one letter, the name of an option, is no word of a sentence: it counts in brackets, or in its
    own case with punctuation or the end behind it. "A mixture" is not "A", and "I am not sure" not "I".
    """
    expected, given = normalize_answer(reference), normalize_answer(prediction)
    if not expected:
        return float("".join(prediction.split()).removesuffix(".") == "".join(reference.split()))
    if letter := _ONE_LETTER.fullmatch(reference):
        return float(given == expected or bool(_names_letter(letter[1]).match(prediction)))
    return float(f"{given} ".startswith(f"{expected} "))


@functools.lru_cache(maxsize=64)
def _names_letter(letter: str) -> re.Pattern[str]:
    in_brackets = rf"(?i:[(\[]{letter}[)\]])"
    before_punctuation = rf"{letter}(?=[^\w\s'’/&-]|\s*$|[ \t]*\n|[ \t]+[-–—(:=])"
    return re.compile(rf"[\W_]*?(?:{in_brackets}|{before_punctuation})")


def label_match(prediction: str, reference: str, *, labels: Sequence[str]) -> float:
    """1 where the label that the prediction names last is the reference, by ``exact_match``: SELF-GUIDE (2407.12874).

    ``labels`` are all answers that the task has. Of labels that begin at the same place the longest counts, where the
    released code leaves it to the order of a set; there is no word boundary ("no" is found in "know"), as in the code.
    A prediction without any label is compared whole.
    """
    pattern = _any_of(tuple(labels))
    found = pattern.findall(prediction) if pattern else []
    return exact_match(found[-1] if found else prediction, reference)


@functools.lru_cache(maxsize=256)
def _any_of(labels: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted(filter(None, labels), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first))) if longest_first else None


SCORES: dict[str, Callable[[str, str], float]] = {
    "exact_match": exact_match,
    "rouge_l": rouge_l,
    "same_text": same_text,
    "same_start": same_start,
    "same_number": same_number,
    "squad_exact_match": squad_exact_match,
    "squad_f1": squad_f1,
    "rouge_l_unstemmed": rouge_l_unstemmed,
    "rouge_l_comma_split": rouge_l_comma_split,
    "rouge_l_characters": rouge_l_characters,
    "same_form": same_form,
}
"""The scores that need nothing beside prediction and reference."""

WITH_TOKENIZER = "rouge_l_byte_bpe"
"""The score that needs a tokenizer."""
LIKELIHOOD_SCORES = ("perplexity", "bits_per_byte")
"""The scores of a task of kind ``likelihood``: not in 0..1, and the lower the better."""
TASK_SCORES = (*SCORES, WITH_TOKENIZER)
"""The scores that a task can name. ``label_match`` is none of them: it needs the labels beside."""


def find_score(name: str, *, split: Split | None = None) -> Callable[[str, str], float]:
    """One of ``TASK_SCORES``; ``split`` is the tokenizer of the one that needs it."""
    if name != WITH_TOKENIZER:
        return SCORES[name]
    assert split is not None, f"{name} needs a tokenizer"
    return functools.partial(rouge_l_byte_bpe, split=split)


def best_score(score: Callable[[str, str], float], prediction: str, references: Sequence[str]) -> float:
    """The score against the reference that fits best, as Super-NaturalInstructions takes it."""
    return max(score(prediction, reference) for reference in references)


def perplexity(logp: float, tokens: int) -> float:
    """exp of the mean negative log-probability (natural logarithm) of ``tokens`` tokens whose sum is ``logp``.

    Comparable between models of one tokenizer only. Infinite where it exceeds a float.
    """
    assert tokens > 0, "needs tokens"
    try:
        return math.exp(-logp / tokens)
    except OverflowError:
        return math.inf


def bits_per_byte(logp: float, size: int) -> float:
    """Bits that a model with the summed log-probability ``logp`` (natural logarithm) of a text's tokens spends on each
    of its ``size`` UTF-8 bytes; comparable between tokenizers."""
    assert size > 0, "needs a text"
    return -logp / (math.log(2) * size)
