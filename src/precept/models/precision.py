"""Where a model computes, and in which precision its weights and its arithmetic are."""

from __future__ import annotations

import torch

from precept.errors import InputError

STORED = {"F32": torch.float32, "F64": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
NAMED = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(device: str | None = None) -> torch.device:
    """The one CUDA device, else the processor. Several visible devices are refused."""
    if device is not None:
        return torch.device(device)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if count > 1:
        raise InputError(
            "one CUDA device is used, and several are visible",
            code="several-devices",
            found=f"{count} devices",
            do="choose one: CUDA_VISIBLE_DEVICES=0 precept ...",
        )
    return torch.device("cuda" if count else "cpu")


def choose_compute_dtype(wanted: str, device: torch.device, *, base_dtype: torch.dtype, train: bool) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32; never float16.

    Outside training a model that is stored in float32 is computed in float32.
    """
    if wanted != "auto":
        return NAMED[wanted]
    if not computes_in_bfloat16(device) or (not train and base_dtype == torch.float32):
        return torch.float32
    return torch.bfloat16


def choose_weight_dtype(
    adapter: str, *, base_dtype: torch.dtype, compute_dtype: torch.dtype, train: bool
) -> torch.dtype:
    """Float32 masters for full tuning; a frozen base keeps bfloat16 where that is computed in.

    A float16 base becomes float32: its residual stream would overflow in float16 and lose bits in bfloat16.
    """
    if not train:
        return compute_dtype
    keeps = adapter != "none" and base_dtype == compute_dtype == torch.bfloat16
    return torch.bfloat16 if keeps else torch.float32


def computes_in_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 products run in hardware: emulation is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or "mkldnn" not in torch.__config__.show().lower():
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # older torch
        return bool(torch.cpu._is_avx512_bf16_supported())
    found = torch.cpu.get_capabilities()
    return any(bool(found.get(name)) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))
