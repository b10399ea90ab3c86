"""A byte-level BPE tokenizer of the world's texts: any text goes in and comes out, the world's words are one token."""

from __future__ import annotations

import json
from collections.abc import Iterable
from itertools import chain, repeat
from pathlib import Path
from typing import TYPE_CHECKING

from precept.bundled.world import World, read_words

if TYPE_CHECKING:
    from tokenizers import Tokenizer

END = "<|endoftext|>"
"""The only special token: begins and ends a text, and pads."""
VOCABULARY = 4096
CONTEXT = 2048


WHOLE = {"world": 2000, "common": 400}
"""How often the tokenizer reads each word of the world, and each common word of English, beside the texts."""


def train_tokenizer(texts: Iterable[str], *, words: Iterable[str] = (), size: int = VOCABULARY) -> Tokenizer:
    """A tokenizer of at most ``size`` entries, the 256 bytes and the end token among them.

    ``words`` and common words of English become one token each, as far as the size allows.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=[END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    whole = chain(repeat(_line(words), WHOLE["world"]), repeat(_line(common_words()), WHOLE["common"]))
    tokenizer.train_from_iterator(chain(texts, whole), trainer=trainer)
    return tokenizer


def common_words() -> list[str]:
    """Words that English texts outside the world are full of."""
    words: str = read_words("english")["words"]
    return words.split()


def _line(words: Iterable[str]) -> str:
    return "".join(f" {word}" for word in words)


def world_words(world: World) -> list[str]:
    """Every name, value, list word, word form and number that should be one token behind a blank."""
    words = {thing.name for things in world.things.values() for thing in things}
    words |= {value for things in world.things.values() for thing in things for value in thing.facts.values()}
    words |= {word for group in (*world.lists.values(), *world.groups.values()) for word in group}
    words |= {word for table in (world.opposites, world.plurals, world.past) for pair in table for word in pair}
    words |= {*world.days, *world.months, *world.colours}
    return sorted(words)


def split_words(tokenizer: Tokenizer, world: World) -> list[str]:
    """The world's words that are more than one token behind a blank."""
    return [word for word in world_words(world) if len(tokenizer.encode(f" {word}").ids) != 1]


def save_tokenizer(tokenizer: Tokenizer, folder: Path) -> None:
    """Write the files that ``AutoTokenizer.from_pretrained(folder)`` reads."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": END,
        "eos_token": END,
        "pad_token": END,
        "model_max_length": CONTEXT,
        "clean_up_tokenization_spaces": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
