"""``python -m precept.bundled.start --world DIR --out DIR``: a Llama folder with random weights, to be pretrained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from precept.bundled.tokenizer import CONTEXT
from precept.errors import InputError, PreceptError

WIDTH, LAYERS, HEADS, FEED_FORWARD = 192, 6, 4, 512


def start(world: Path, out: Path, *, seed: int = 0) -> int:
    """Write a model folder with the tokenizer of a made world; returns the number of parameters.

    The same seed gives the same weights. Raises InputError where ``world`` holds no tokenizer.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    if not (world / "tokenizer" / "tokenizer.json").is_file():
        raise InputError(
            "the folder holds no tokenizer",
            code="no-world",
            where=str(world),
            do=f"make it: python -m precept.bundled.make --out {world}",
        )
    tokenizer = AutoTokenizer.from_pretrained(world / "tokenizer")
    end = tokenizer.eos_token_id
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        intermediate_size=FEED_FORWARD,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    return sum(parameter.numel() for parameter in model.parameters())


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m precept.bundled.start", description=__doc__)
    parser.add_argument("--world", type=Path, required=True, help="folder that precept.bundled.make wrote")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights")
    given = parser.parse_args(arguments)
    try:
        count = start(given.world, given.out, seed=given.seed)
    except PreceptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{count:,} parameters -> {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
