"""The frozen base in 4 bits: NF4 with double quantisation (QLoRA, arXiv 2305.14314, sections 3 and 4)."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from precept.errors import InputError, MissingExtra


def nf4_config(compute_dtype: torch.dtype) -> Any:
    """What transformers needs to load a base in NF4. Output head and embeddings keep their precision."""
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtra("bitsandbytes", "quant", wanted_for="adapter=qlora")
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
    )


def check_quantized(model: Any) -> str:
    """One line with the share of weights in 4 bits. InputError where there is none (Falcon's own linears)."""
    counts = [(scalar_count(parameter), is_four_bit(parameter)) for parameter in model.parameters()]
    share = sum(count for count, packed in counts if packed) / sum(count for count, _ in counts)
    if not share:
        raise InputError(
            "none of this model's weights can be held in 4 bits",
            code="nothing-to-quantize",
            where=model.config.model_type,
            do="use adapter=lora",
        )
    return f"{share:.0%} of the base's weights are held in 4 bits (NF4)"


def is_four_bit(parameter: torch.Tensor) -> bool:
    """True for the packed weights of bitsandbytes, which need not be installed to ask."""
    return type(parameter).__name__ == "Params4bit"


def scalar_count(parameter: torch.Tensor) -> int:
    """How many numbers a weight stands for: two in a byte where it is packed."""
    if is_four_bit(parameter):
        return parameter.numel() * parameter.element_size() * 2
    return parameter.numel()
