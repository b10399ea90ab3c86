"""Make a tokenizer from data files, and small random Llama and Qwen3 folders in Hugging Face layout around it.

python -m bench.small_models --data ../shared/data/llama_factory ../shared/data/p3 -o .bench/models
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.byte_bpe import train_byte_bpe
from precept.records import load
from precept.types import Comparison, Conversation, Text

SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 8192
CONTEXT = 2048


def texts(paths: Sequence[str]) -> Iterator[str]:
    """Every content of every row, as the tokenizer will meet it."""
    for row in load(paths).rows:
        if isinstance(row, Text):
            yield row.text
        elif isinstance(row, Conversation | Comparison):
            messages = row.messages if isinstance(row, Conversation) else row.prompt
            yield from (message.content for message in messages if message.content)


def make_tokenizer(paths: Sequence[str], *, vocabulary: int = VOCABULARY) -> Any:
    """A byte-level BPE trained on the files."""
    return train_byte_bpe(texts(paths), vocabulary=vocabulary, specials=SPECIALS, longest=CONTEXT)


def make_models(paths: Sequence[str], output: Path, *, seed: int = 0) -> dict[str, Path]:
    """Write ``llama`` (about 8 million parameters) and ``qwen3`` (about 13 million); returns their folders."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

    tokenizer = make_tokenizer(paths)
    shared = {
        "vocab_size": len(tokenizer),
        "max_position_embeddings": CONTEXT,
        "eos_token_id": tokenizer.eos_token_id,
        "bos_token_id": None,
        "pad_token_id": tokenizer.pad_token_id,
    }
    llama = LlamaConfig(
        hidden_size=256,
        num_hidden_layers=6,
        num_attention_heads=8,
        num_key_value_heads=4,
        intermediate_size=704,
        tie_word_embeddings=False,
        **shared,
    )
    qwen3 = Qwen3Config(
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=2,
        head_dim=64,
        intermediate_size=1024,
        tie_word_embeddings=True,
        **shared,
    )
    folders = {}
    for name, cls, config in (("llama", LlamaForCausalLM, llama), ("qwen3", Qwen3ForCausalLM, qwen3)):
        torch.manual_seed(seed)
        model = cls(config)
        folders[name] = output / name
        model.save_pretrained(folders[name])
        tokenizer.save_pretrained(folders[name])
        print(f"{name}: {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters -> {folders[name]}")
    return folders


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/models"))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    make_models(arguments.data, arguments.output, seed=arguments.seed)


if __name__ == "__main__":
    main()
