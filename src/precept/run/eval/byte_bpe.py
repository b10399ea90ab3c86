"""Texts as the tokens of a byte-level BPE, as GPT-2's tokenizer makes them. The tokenizer is a folder of the user's."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from precept.errors import InputError
from precept.evaluate.metrics import Split

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILES = ("tokenizer.json", "vocab.json", "merges.txt")
BLANK = "\u0120"
"""How the alphabet of bytes writes a blank."""


@cache
def load_byte_bpe(folder: str | None) -> Split:
    """The tokens of a text without the marks of leading blanks: a word is the same at a text's start and inside it.

    A token that was nothing but blanks stays, empty, as in the released code. Raises InputError where ``folder`` is
    not given or holds no byte-level BPE.
    """
    if folder is None:
        raise InputError(
            "rouge_l_byte_bpe compares the tokens of a byte-level BPE, and no tokenizer is given",
            code="rouge-tokenizer-missing",
            do="name a folder with GPT-2's tokenizer.json (or vocab.json and merges.txt): --rouge-tokenizer FOLDER, or"
            " 'rouge_tokenizer' in the task file",
        )
    tokenizer = _open(Path(folder))

    def split(text: str) -> list[str]:
        return [token.lstrip(BLANK) for token in tokenizer.encode(text, add_special_tokens=False).tokens]

    return split


def refuse_unused(folder: str | None, *, used: bool) -> None:
    """Raise InputError for a tokenizer that no score needs."""
    if folder is not None and not used:
        raise InputError(
            "nothing that is scored compares tokens of a byte-level BPE",
            code="rouge-tokenizer-unused",
            where="--rouge-tokenizer",
            found=folder,
            do="leave it out, or ask for the score rouge_l_byte_bpe",
        )


def hash_byte_bpe(folder: str) -> str:
    """A hash of the files that make the tokens."""
    digest = hashlib.sha256()
    for name in _files(Path(folder)):
        digest.update((Path(folder) / name).read_bytes())
    return digest.hexdigest()


def _files(folder: Path) -> tuple[str, ...]:
    """Those that the tokenizer is read from; none where it cannot be."""
    there = [name for name in FILES if (folder / name).is_file()]
    return FILES[:1] if FILES[0] in there else FILES[1:] if there == [*FILES[1:]] else ()


def _open(folder: Path) -> Tokenizer:
    from tokenizers import Tokenizer, models, pre_tokenizers

    files = _files(folder)
    if not files:
        raise _no_tokenizer(folder, f"none of {', '.join(FILES)}")
    try:
        if len(files) == 1:
            tokenizer = Tokenizer.from_file(str(folder / files[0]))
        else:
            tokenizer = Tokenizer(models.BPE.from_file(*(str(folder / name) for name in files)))
            tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    except Exception as error:  # noqa: BLE001 - the library raises nothing narrower
        raise _no_tokenizer(folder, str(error)) from None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    layout = orjson.loads(tokenizer.to_str())
    kinds = {layout["model"]["type"], *_kinds(layout["pre_tokenizer"])}
    if not {"BPE", "ByteLevel"} <= kinds:
        raise _no_tokenizer(folder, f"a tokenizer of {', '.join(sorted(kinds))}")
    return tokenizer


def _kinds(pre_tokenizer: object) -> list[str]:
    """The types of a pre-tokenizer and of those inside it."""
    if not isinstance(pre_tokenizer, dict):
        return []
    return [
        pre_tokenizer["type"],
        *(kind for inner in pre_tokenizer.get("pretokenizers", ()) for kind in _kinds(inner)),
    ]


def _no_tokenizer(folder: Path, found: str) -> InputError:
    return InputError(
        "no byte-level BPE tokenizer",
        code="rouge-tokenizer",
        where=str(folder),
        found=found,
        do="name a folder with GPT-2's tokenizer.json, or its vocab.json and merges.txt",
    )
