"""Ids and characters of texts found word by word: the tokenizer's own pattern cuts a text, each word is encoded once.

A second way to the ids of a byte-level tokenizer, several times faster than encoding whole texts, and independent of
how the tokenizers library keeps track of characters: a token's place follows from the bytes that it stands for.
"""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from precept.types import IntArray, LongArray

MOST_WORDS = 200_000  # kept at once: about 40 MB
ASCII_CLASSES = {r"\p{L}": "A-Za-z", r"\p{N}": "0-9"}
GPT2_WORDS = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


class Words:
    """Encodes texts with a byte-level BPE tokenizer."""

    def __init__(self, backend: Any, *, pattern: Any, special: Any, specials: dict[str, int], composed: bool) -> None:
        """``pattern`` matches words, ``special`` the tokens that stand outside of them, in a group; ``composed`` texts
        are those in normal form C. See ``words_of``."""
        self._pattern = pattern
        self._ascii_pattern = _of_ascii(pattern.pattern) or pattern
        self._special = special
        self._specials = specials
        self._composed = composed
        self._known = _KnownWords(backend.model)
        size = backend.get_vocab_size(with_added_tokens=True)
        self._bytes = np.zeros(size, np.int64)
        for token, index in backend.get_vocab(with_added_tokens=False).items():
            self._bytes[index] = len(token)  # each character of an entry is one byte
        for token, index in specials.items():
            self._bytes[index] = len(token.encode())

    def encode(self, texts: Sequence[str]) -> list[tuple[IntArray, LongArray] | None]:
        """Ids int32 [n] and characters int64 [n, 2] of each text, as ``matched.encode`` gives them; None for a text
        that the tokenizer would change first, or whose characters do not come out."""
        known = self._known
        if len(known) > MOST_WORDS:
            known.clear()
        flat: list[int] = []
        ends = [0]
        for text in texts:
            plain = text.isascii()
            words = (self._ascii_pattern if plain else self._pattern).findall
            if plain or not self._composed or unicodedata.is_normalized("NFC", text):
                parts = self._special.split(text)
                for word, token in itertools.zip_longest(parts[::2], parts[1::2]):
                    if word:
                        flat.extend(itertools.chain.from_iterable(map(known.__getitem__, words(word))))
                    if token is not None:
                        flat.append(self._specials[token])
            ends.append(len(flat))
        ids = np.array(flat, np.int32)
        bytes_to = np.concatenate([[0], np.cumsum(self._bytes[ids])])
        return [
            self._placed(text, ids[start:end], bytes_to[start : end + 1])
            for text, (start, end) in zip(texts, itertools.pairwise(ends), strict=True)
        ]

    def _placed(self, text: str, ids: IntArray, bytes_to: LongArray) -> tuple[IntArray, LongArray] | None:
        """``bytes_to`` [n + 1] are the bytes before each token and after the last one."""
        bounds = bytes_to - bytes_to[0]
        length = int(bounds[-1])
        if text.isascii():
            if length != len(text):
                return None
            offsets = np.empty((len(ids), 2), np.int64)
            offsets[:, 0], offsets[:, 1] = bounds[:-1], bounds[1:]
            return ids, offsets
        data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
        if length != len(data):
            return None
        character = np.cumsum((data & 0xC0) != 0x80) - 1
        return ids, np.stack([character[bounds[:-1]], character[bounds[1:] - 1] + 1], axis=1)


class _KnownWords(dict[str, list[int]]):
    """Words and their ids; a new one is given to the tokenizer's model."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self._model = model
        self._table = _printable_bytes()

    def __missing__(self, word: str) -> list[int]:
        ids = [token.id for token in self._model.tokenize(word.encode().decode("latin-1").translate(self._table))]
        self[word] = ids
        return ids


def words_of(backend: Any) -> Words | None:
    """The encoder of a tokenizer of the tokenizers library; None where it is no byte-level BPE cut by one pattern."""
    settings = json.loads(backend.to_str())
    normalizer = settings["normalizer"]
    pattern = _pattern(settings["pre_tokenizer"])
    model, added = settings["model"], settings["added_tokens"]
    plain = model["type"] == "BPE" and not any(
        model.get(key) for key in ("dropout", "continuing_subword_prefix", "end_of_word_suffix", "byte_fallback")
    )
    odd = any(token["lstrip"] or token["rstrip"] or token["single_word"] for token in added)
    if pattern is None or not plain or odd or (normalizer or {"type": "NFC"})["type"] != "NFC":
        return None
    import regex  # type: ignore[import-untyped]  # a dependency of transformers

    specials = {token["content"]: token["id"] for token in added}
    longest_first = sorted(specials, key=len, reverse=True)
    try:
        special = re.compile(f"({'|'.join(map(re.escape, longest_first)) or '(?!)'})")
        words = regex.compile(pattern)
    except regex.error:
        return None
    if words.groups:  # findall would give the groups
        return None
    return Words(backend, pattern=words, special=special, specials=specials, composed=normalizer is not None)


def _pattern(pre_tokenizer: dict[str, Any] | None) -> str | None:
    """The pattern of words of a byte-level pre-tokenizer, None for any other."""
    steps = (pre_tokenizer or {}).get("pretokenizers", [pre_tokenizer])
    last = steps[-1] or {}
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space"):
        return None
    if len(steps) == 1:
        return GPT2_WORDS if last.get("use_regex", True) else None
    first = steps[0]
    isolates = first.get("type") == "Split" and first.get("behavior") == "Isolated" and not first.get("invert")
    if len(steps) > 2 or last.get("use_regex", True) or not isolates:
        return None
    found = first["pattern"].get("Regex")
    return None if found is None else str(found)


def _of_ascii(pattern: str) -> re.Pattern[str] | None:
    """The pattern for texts of ASCII alone, in Python's own syntax, which is twice as fast; None where it has no such
    form. A text that it cuts otherwise comes out with other ids, and is encoded as a whole."""
    made, inside = [], False
    for part in re.findall(r"\\[pP]\{\w+\}|\\.|.", pattern, re.DOTALL):
        if part[:2] in (r"\p", r"\P"):
            if part not in ASCII_CLASSES:
                return None
            made.append(ASCII_CLASSES[part] if inside else f"[{ASCII_CLASSES[part]}]")
        else:
            inside = part == "[" or (inside and part != "]")
            made.append(part)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of set operations, which mean themselves in Python
            found = re.compile("".join(made), re.ASCII)
    except (re.error, FutureWarning):
        return None
    return None if found.groups else found


def _printable_bytes() -> dict[int, str]:
    """The character by which byte-level vocabularies write each byte: itself where it is printable in Latin-1, else
    the next one from U+0100 on (GPT-2, ``bytes_to_unicode``)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(others)}
