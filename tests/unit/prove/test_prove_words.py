"""Texts encoded word by word have the ids and characters that the tokenizers library gives them."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import regex
from tests.tiny import EOS, IM_END, IM_START, tiny_tokenizer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from precept.prove.matched import encode
from precept.prove.words import GPT2_WORDS, _of_ascii, words_of

TEXTS = [
    "",
    "The cat sat on the mat.",
    f"{IM_START}user\nIt's  42,000   o'clock?\n\n\tso{IM_END}\n{IM_START}assistant\n日本 naïve 😀🏽 \u00a0{IM_END}\n",
    f"   {EOS}{EOS} {IM_END} <|im_",
    "\n\n\n",
    "\u200d\u0301e",
]


def backend(**changed: Any) -> Tokenizer:
    made: Tokenizer = tiny_tokenizer().backend_tokenizer
    for name, value in changed.items():
        setattr(made, name, value)
    return made


LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BY_PATTERN = pre_tokenizers.Sequence(
    [
        pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ]
)


@pytest.mark.parametrize("changed", [{}, {"pre_tokenizer": BY_PATTERN}, {"normalizer": normalizers.NFC()}])
def test_ids_and_characters_are_the_librarys(changed: dict[str, Any]) -> None:
    made = backend(**changed)
    words = words_of(made)
    assert words is not None
    found = words.encode(TEXTS)
    for text, one, (ids, offsets) in zip(TEXTS, found, encode(made, TEXTS), strict=True):
        if one is None:  # left to the library, as it would change the text first
            assert changed.get("normalizer") and text == TEXTS[-1]
            continue
        assert np.array_equal(one[0], ids), text
        assert np.array_equal(one[1], offsets), text


@pytest.mark.parametrize("pattern", [GPT2_WORDS, LLAMA3], ids=["gpt2", "llama3"])
def test_the_pattern_for_ascii_cuts_such_texts_alike(pattern: str) -> None:
    quick, whole = _of_ascii(pattern), regex.compile(pattern)
    assert quick is not None
    rng = random.Random(0)
    signs = [chr(code) for code in range(128) if not 0x1C <= code <= 0x1F] + [*" \n\t'sStdl09_.-"] * 10
    for _ in range(2000):
        text = "".join(rng.choices(signs, k=30))
        assert quick.findall(text) == whole.findall(text), text


@pytest.mark.parametrize("pattern", [r"\p{Lu}+", r"\P{L}", r"(a)|b", r"[a-z&&[^b]]", r"a++("])
def test_a_pattern_that_has_no_form_for_ascii_serves_as_it_is(pattern: str) -> None:
    assert _of_ascii(pattern) is None


def test_a_token_that_holds_part_of_a_character_has_the_whole_of_it() -> None:
    words = words_of(backend())
    assert words is not None
    one = words.encode(["a😀"])[0]
    assert one is not None
    # 😀 is four bytes, none of which the vocabulary joins: each of their tokens stands for character 1.
    assert one[1].tolist() == [[0, 1], [1, 2], [1, 2], [1, 2], [1, 2]]


@pytest.mark.parametrize(
    "changed",
    [
        {"pre_tokenizer": pre_tokenizers.Metaspace()},
        {"pre_tokenizer": pre_tokenizers.ByteLevel(add_prefix_space=True)},
        {"normalizer": normalizers.Lowercase()},
        {"model": models.WordLevel({"a": 0}, unk_token="a")},
    ],
    ids=["metaspace", "prefix space", "lower case", "word level"],
)
def test_other_tokenizers_are_left_to_the_library(changed: dict[str, Any]) -> None:
    assert words_of(backend(**changed)) is None
