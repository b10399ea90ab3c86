"""The language of a text, by script and function words: no model, no data, the same answer everywhere.

Most scripts name their language. Han without kana is Chinese; Cyrillic, Arabic and Latin languages are told apart by
letters of their own and by the share of their most frequent short words. Texts too short or too mixed to tell are
``und``, the tag that BCP 47 has for this.
"""

from __future__ import annotations

import re
from collections import Counter
from importlib import resources

import yaml

UNKNOWN = "und"
FENCED = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`|https?://\S+", re.DOTALL)
WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
MIN_SHARE = 0.12  # of the words that are a language's function words: running text has 0.25 to 0.5
LOOKED_AT = 5000  # characters: the language is plain by then
SEARCHED = 20 * LOOKED_AT  # characters in which so many that are no code are looked for
DENSE = 4  # a Han, kana or Hangul character says about as much as four letters

SCRIPTS = {
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "ja": "\u3040-\u30ff",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "ru": "\u0400-\u04ff",
    "ar": "\u0600-\u06ff",
    "he": "\u0590-\u05ff",
    "el": "\u0370-\u03ff",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f",
    "gu": "\u0a80-\u0aff",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "th": "\u0e00-\u0e7f",
    "lo": "\u0e80-\u0eff",
    "my": "\u1000-\u109f",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "am": "\u1200-\u137f",
    "km": "\u1780-\u17ff",
    "latin": "A-Za-z\u00c0-\u024f\u1e00-\u1eff",
}
"""Script -> its letters, named by the one language that it mostly stands for."""
COUNTED = {script: re.compile(f"[{letters}]") for script, letters in SCRIPTS.items()}
OWN_LETTERS = {
    "ru": (("uk", "іїєґ"), ("be", "ў"), ("sr", "ђћџљњ"), ("mk", "ѓќѕ")),
    "ar": (("ur", "ٹڈڑےں"), ("fa", "پچژگ")),
}
"""Script -> languages beside its own, with letters that only they have."""

FUNCTION_WORDS: dict[str, frozenset[str]] = {
    language: frozenset(words.split())
    for language, words in yaml.safe_load(
        resources.files("precept.records.instructions").joinpath("function_words.yaml").read_text("utf-8")
    ).items()
}
LANGUAGES_OF: dict[str, list[str]] = {}
for _language, _words in FUNCTION_WORDS.items():
    for _word in _words:
        LANGUAGES_OF.setdefault(_word, []).append(_language)
OWN_LANGUAGES = {language for own in OWN_LETTERS.values() for language, _ in own}
LANGUAGES = (*sorted({*FUNCTION_WORDS, *OWN_LANGUAGES, *(SCRIPTS.keys() - {"latin"})}), UNKNOWN)
"""All answers that ``detect_language`` can give."""


def detect_language(text: str) -> str:
    """Two-letter code of the language that most of the text is in, or ``und``.

    Code in backticks does not count, and of long texts only the first characters do.
    """
    text = FENCED.sub(" ", text[:SEARCHED])[:LOOKED_AT]
    if text.isascii():
        return _by_function_words(text)
    letters = Counter({script: len(pattern.findall(text)) for script, pattern in COUNTED.items()})
    if letters["ja"] * 20 > letters["zh"]:  # kana are about half of a Japanese text
        letters["ja"] += letters.pop("zh", 0)
    for script in ("zh", "ja", "ko"):
        letters[script] *= DENSE
    script, count = letters.most_common(1)[0]
    if count == 0:
        return UNKNOWN
    if script == "latin":
        return _by_function_words(text)
    lower = text.lower()
    for language, own in OWN_LETTERS.get(script, ()):
        if sum(map(lower.count, own)) * 100 > count:
            return language
    return script


def _by_function_words(text: str) -> str:
    words = [word.lower().replace("’", "'") for word in WORD.findall(text)]
    hits = Counter(language for word in words for language in LANGUAGES_OF.get(word, ()))
    (best, most), (_, second) = [*hits.most_common(2), (UNKNOWN, 0), (UNKNOWN, 0)][:2]
    return best if most > second and most >= MIN_SHARE * len(words) else UNKNOWN
