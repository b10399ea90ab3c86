"""Random models of several sizes around one tokenizer, written once under ``.bench/sft``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.byte_bpe import train_byte_bpe
from bench.workloads import FOR_TOKENIZER, HOME, MAX_LENGTH, ROWS, draw_rows

VOCABULARY = 16_384
SPECIALS = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
SHAPES: dict[str, dict[str, Any]] = {
    # Llamas; 8.9, 23.2, 58.7 and 124.3 million weights, of these 2.7, 10.6, 39.8 and 99.1 million in the layers.
    "9m": {"hidden_size": 192, "num_hidden_layers": 6, "num_attention_heads": 3, "intermediate_size": 512},
    "20m": {"hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 6, "intermediate_size": 1024},
    "60m": {"hidden_size": 576, "num_hidden_layers": 10, "num_attention_heads": 9, "intermediate_size": 1536},
    "125m": {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 2560},
    # For a GPU, the shapes of Llama 3.2 1B and Qwen3 0.6B: 1,040 and 474 million weights, 973 and 440 in the layers.
    "llama-1b": {
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "intermediate_size": 8192,
    },
    "qwen3-0.6b": {
        "model_type": "qwen3",
        "hidden_size": 1024,
        "num_hidden_layers": 28,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "intermediate_size": 3072,
    },
}
INITIALIZER_RANGE = 0.02


def make_tokenizer_folder(home: Path = HOME) -> Path:
    """A byte-level BPE of 16,384 tokens trained on the workloads' texts; made once."""
    folder = home / "tokenizer"
    if not (folder / "tokenizer.json").is_file():
        tokenizer = train_byte_bpe(_texts(), vocabulary=VOCABULARY, specials=SPECIALS, longest=MAX_LENGTH)
        tokenizer.save_pretrained(folder)
    return folder


def _texts() -> Iterator[str]:
    for name in ROWS:
        rows, _ = draw_rows(name, FOR_TOKENIZER)
        yield from {message.content: None for row in rows for message in row.messages if message.content}


def make_model(size: str, home: Path = HOME) -> Path:
    """The model's folder in Hugging Face layout, float32, with tokenizer; made once, the same everywhere."""
    folder = home / "models" / size
    tokenizer = make_tokenizer_folder(home)
    key = hashlib.sha256((tokenizer / "tokenizer.json").read_bytes() + json.dumps(SHAPES[size]).encode()).hexdigest()
    stamp = folder / "made_from"
    if stamp.is_file() and stamp.read_text() == key:
        return folder
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(tokenizer)
    config = AutoConfig.for_model(
        **{"model_type": "llama", **SHAPES[size]},
        vocab_size=VOCABULARY,
        max_position_embeddings=MAX_LENGTH,
        tie_word_embeddings=False,
        initializer_range=INITIALIZER_RANGE,
        eos_token_id=loaded.eos_token_id,
        bos_token_id=None,
        pad_token_id=loaded.pad_token_id,
    )
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    loaded.save_pretrained(folder)
    stamp.write_text(key)
    return folder
