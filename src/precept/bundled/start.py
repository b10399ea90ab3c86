"""``python -m precept.bundled.start --world DIR --out DIR``: a Llama folder with random weights, to be pretrained."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from precept.bundled.tokenizer import CONTEXT
from precept.errors import InputError, PreceptError
from precept.settings import Settings

Size = Annotated[int, Field(ge=1)]


class StartSettings(Settings):
    """The shape and seed of a model to be pretrained; the defaults are those of the bundled model."""

    world: str
    """The folder of a made world: its tokenizer is the model's."""
    num_hidden_layers: Size = 6
    """Number of layers."""
    num_attention_heads: Size = 4
    """Attention heads of a layer."""
    hidden_size: Annotated[int, Field(ge=1, validate_default=True)] = 192
    """Width of the hidden states, a multiple of twice the number of heads."""
    intermediate_size: Size = 512
    """Width of the feed-forward parts."""
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    """Seed of the weights."""

    @field_validator("hidden_size")
    @classmethod
    def _heads_are_whole_and_even(cls, width: int, given: ValidationInfo) -> int:
        heads = given.data.get("num_attention_heads", 1)  # missing where it is wrong itself, which is told first
        if width % (2 * heads):
            raise ValueError(
                f"{width} is no multiple of {2 * heads}: the width of each of {heads} heads must be whole and even,"
                " since rotary positions turn pairs of numbers"
            )
        return width


def start(settings: StartSettings, out: Path) -> int:
    """Write a model folder with the tokenizer of a made world; returns the number of parameters.

    The same settings give the same weights, and the global seed stays as it was. Raises InputError where ``world``
    holds no tokenizer.
    """
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    world = Path(settings.world)
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
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_attention_heads=settings.num_attention_heads,
        num_key_value_heads=settings.num_attention_heads,
        intermediate_size=settings.intermediate_size,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=True,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
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
        count = start(StartSettings(world=str(given.world), seed=given.seed), given.out)
    except PreceptError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(f"{count:,} parameters -> {given.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
