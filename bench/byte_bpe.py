"""The tokenizer of every bench: a byte-level BPE trained on the texts at hand; any text goes in and comes out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


def train_byte_bpe(texts: Iterable[str], *, vocabulary: int, specials: Sequence[str], longest: int) -> Any:
    """A fast tokenizer of ``vocabulary`` entries. The first of ``specials`` ends a text and pads it; ``longest`` is
    the context that it names."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=specials[0],
        pad_token=specials[0],
        additional_special_tokens=list(specials[1:]),
        model_max_length=longest,
    )
