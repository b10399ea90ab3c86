"""The frozen base in 4 bits: NF4 with double quantisation (QLoRA, arXiv 2305.14314, sections 3 and 4)."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch

from precept.errors import InputError, MissingExtra

BLOCK = 64  # weights that share one scale
HALF_STEP = 0.16  # half of NF4's widest step, 1 - 0.6962, and what rounding the result adds
PROBE_ROWS = 8


def nf4_config(empty_model: Any, *, weight_dtype: torch.dtype, compute_dtype: torch.dtype, device: torch.device) -> Any:
    """What transformers needs to load a base, read in ``weight_dtype``, in NF4.

    ``empty_model`` is the architecture on the meta device. Output head and embeddings keep their precision, and so
    do linear layers of a width that this machine's kernels do not give back (see ``survives_nf4``).
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtra("bitsandbytes", "quant", wanted_for="adapter=qlora")
    from transformers import BitsAndBytesConfig

    widths = linear_widths(empty_model)
    lost = {width for width in set(widths.values()) if not survives_nf4(width, device, weight_dtype)}
    head = empty_model.get_output_embeddings()
    heads = [name for name, module in empty_model.named_modules() if module is head]
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=compute_dtype,
        llm_int8_skip_modules=heads + [name for name, width in widths.items() if width in lost],
    )


def linear_widths(model: Any) -> dict[str, int]:
    """Number of inputs of each linear layer, by name."""
    from transformers.pytorch_utils import Conv1D

    return {
        name: module.weight.shape[0] if isinstance(module, Conv1D) else module.in_features
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D)
    }


def survives_nf4(width: int, device: torch.device, dtype: torch.dtype) -> bool:
    """True when a random weight [8, width] comes back from NF4 with no number off by more than half a step.

    The processor kernels of bitsandbytes 0.50 read the wrong scales for most widths that 64 does not divide, and
    give weights that are off by 15 to 40 % where NF4 costs 9 %, without an error.
    """
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weight = torch.randn(PROBE_ROWS, width, generator=torch.Generator().manual_seed(0))
    weight *= torch.arange(1, PROBE_ROWS + 1)[:, None]  # each row has a scale of its own, so none passes for another
    weight = weight.to(device, dtype)
    packed, state = quantize_4bit(weight, blocksize=BLOCK, compress_statistics=False, quant_type="nf4")
    off = _in_blocks(dequantize_4bit(packed, state).float() - weight.float())
    return bool((off <= HALF_STEP * _in_blocks(weight.float()).amax(dim=1, keepdim=True)).all())


def _in_blocks(weight: torch.Tensor) -> torch.Tensor:
    """Magnitudes, a row for each block of weights that share a scale."""
    return torch.nn.functional.pad(weight.abs().flatten(), (0, -weight.numel() % BLOCK)).view(-1, BLOCK)


def keep_packing(model: Any) -> None:
    """Keep bitsandbytes from repacking the weights the first time the model is evaluated.

    On processors with avx512_bf16 it would then round the scales to bfloat16 for good, so that a run with an
    evaluation ends in other weights than one without, and fail on layers whose outputs 32 does not divide.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def check_quantized(model: Any) -> str:
    """One line with the share of weights in 4 bits. InputError where there is none."""
    counts = [(scalar_count(parameter), is_four_bit(parameter)) for parameter in model.parameters()]
    share = sum(count for count, packed in counts if packed) / sum(count for count, _ in counts)
    if not share:
        raise InputError(
            "none of this model's weights can be held in 4 bits",
            code="nothing-to-quantize",
            where=model.config.model_type,
            found="linear layers of its own kind, or of widths that the kernels of this machine do not give back",
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
