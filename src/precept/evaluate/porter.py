"""The Porter stemmer as rouge-score uses it: Porter (1980), "An algorithm for suffix stripping", with the
changes that NLTK's default mode makes. Each change is marked "NLTK".

A word is C(VC)^m V: runs of consonants C and vowels V; m is its measure. A rule is (suffix, replacement,
condition on the stem before the suffix). In each step the first rule whose suffix fits decides, whether its
condition holds or not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

Rule = tuple[str, str, Callable[[str], bool]]

# NLTK: forms that the rules would confuse.
IRREGULAR = {
    "skies": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "innings": "inning",
    "outings": "outing",
    "cannings": "canning",
} | {word: word for word in ("sky", "news", "inning", "outing", "canning", "howe", "proceed", "exceed", "succeed")}


@lru_cache(maxsize=1 << 16)
def stem(word: str) -> str:
    """The stem of a lower-case word."""
    if word in IRREGULAR:
        return IRREGULAR[word]
    if len(word) <= 2:
        return word
    for step in (
        _plurals,
        _past_and_participle,
        _final_y,
        _double_suffixes,
        _single_suffixes,
        _bare_suffixes,
    ):
        word = step(word)
    return _final_l(_final_e(word))


def _is_consonant(word: str, i: int) -> bool:
    if word[i] == "y":
        return i == 0 or not _is_consonant(word, i - 1)
    return word[i] not in "aeiou"


def _measure(stem: str) -> int:
    kinds = [_is_consonant(stem, i) for i in range(len(stem))]
    return sum(not before and after for before, after in pairwise(kinds))


def _any(_: str) -> bool:
    return True


def _measure_above_0(stem: str) -> bool:
    return _measure(stem) > 0


def _measure_above_1(stem: str) -> bool:
    return _measure(stem) > 1


def _has_vowel(stem: str) -> bool:
    return not all(_is_consonant(stem, i) for i in range(len(stem)))


def _ends_double_consonant(word: str) -> bool:
    return len(word) >= 2 and word[-1] == word[-2] and _is_consonant(word, len(word) - 1)


def _ends_short(word: str) -> bool:
    """Consonant, vowel, consonant other than w, x, y; NLTK: also a word of just vowel, consonant."""
    n = len(word)
    if n == 2:
        return not _is_consonant(word, 0) and _is_consonant(word, 1)
    if n < 3 or word[-1] in "wxy":
        return False
    return _is_consonant(word, n - 3) and not _is_consonant(word, n - 2) and _is_consonant(word, n - 1)


def _apply(word: str, rules: Sequence[Rule]) -> str:
    for suffix, replacement, condition in rules:
        if word.endswith(suffix):
            stem = word[: len(word) - len(suffix)]
            return stem + replacement if condition(stem) else word
    return word


def _plurals(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies") and len(word) == 4:  # NLTK: dies -> die
        return word[:-1]
    return _apply(word, [("sses", "ss", _any), ("ies", "i", _any), ("ss", "ss", _any), ("s", "", _any)])


def _past_and_participle(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):  # NLTK: died -> die, spied -> spi
        return word[:-1] if len(word) == 4 else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        stem = word.removesuffix(suffix)
        if stem != word and _has_vowel(stem):
            return _restore_ending(stem)
    return word


def _restore_ending(stem: str) -> str:
    """What "-ed" and "-ing" leave: conflat -> conflate, hopp -> hop, fil -> file."""
    if stem.endswith(("at", "bl", "iz")):
        return stem + "e"
    if _ends_double_consonant(stem):
        return stem if stem[-1] in "lsz" else stem[:-1]
    return stem + "e" if _measure(stem) == 1 and _ends_short(stem) else stem


def _final_y(word: str) -> str:
    """Step 1c. NLTK: after a consonant that is not the first letter (original: if the stem has a vowel)."""
    return _apply(word, [("y", "i", lambda stem: len(stem) > 1 and _is_consonant(stem, len(stem) - 1))])


def _double_suffixes(word: str) -> str:
    """Step 2."""
    if word.endswith("alli") and _measure(word[:-4]) > 0:  # NLTK: what "-alli" leaves goes through the step again
        return _double_suffixes(word[:-2])
    return _apply(word, _STEP_2)


def _single_suffixes(word: str) -> str:
    """Step 3."""
    return _apply(word, _STEP_3)


def _bare_suffixes(word: str) -> str:
    """Step 4."""
    return _apply(word, _STEP_4)


def _final_e(word: str) -> str:
    """Step 5a."""
    if not word.endswith("e"):
        return word
    stem = word[:-1]
    measure = _measure(stem)
    return stem if measure > 1 or (measure == 1 and not _ends_short(stem)) else word


def _final_l(word: str) -> str:
    """Step 5b."""
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word


def _rules(condition: Callable[[str], bool], pairs: str) -> list[Rule]:
    return [(suffix, replacement, condition) for suffix, _, replacement in (p.partition(":") for p in pairs.split())]


_STEP_2: list[Rule] = [
    *_rules(
        _measure_above_0,
        "ational:ate tional:tion enci:ence anci:ance izer:ize bli:ble entli:ent eli:e ousli:ous ization:ize"
        " ation:ate ator:ate alism:al iveness:ive fulness:ful ousness:ous aliti:al iviti:ive biliti:ble"
        " fulli:ful",
    ),  # bli and fulli are NLTK's (original: abli)
    ("logi", "log", lambda stem: _measure(stem + "l") > 0),  # NLTK: theologi -> theolog, and geologi too
]
_STEP_3 = _rules(_measure_above_0, "icate:ic ative: alize:al iciti:ic ical:ic ful: ness:")
_STEP_4: list[Rule] = [
    *_rules(_measure_above_1, "al ance ence er ic able ible ant ement ment ent"),
    ("ion", "", lambda stem: _measure(stem) > 1 and stem[-1] in "st"),
    *_rules(_measure_above_1, "ou ism ate iti ous ive ize"),
]
