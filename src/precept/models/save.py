"""A model folder that plain transformers (or peft, for an adapter) opens, written so that a kill leaves no half.

Everything is written to a folder inside the target, then moved; the configuration, without which no folder
counts as a model, leaves first and arrives last.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from precept.errors import WorkError
from precept.models.folder import ADAPTER_CONFIG, ADAPTER_WEIGHTS, INDEX, portable_name
from precept.models.load import LoadedModel, quiet
from precept.models.precision import NAMED
from precept.models.quantize import scalar_count

PARTIAL = ".saving"
MARKERS = ("config.json", ADAPTER_CONFIG)


@dataclass(frozen=True, slots=True)
class SaveReport:
    """What was written: the weights' dtype, the files by name and their size in bytes."""

    dtype: str
    files: tuple[str, ...]
    size: int


class ParameterCounts(NamedTuple):
    """Numbers of scalars; tied weights count once, and a 4-bit weight counts as the numbers it stands for."""

    trainable: int
    total: int


def count_parameters(model: Any) -> ParameterCounts:
    """Trainable and all parameters of a model, adapters included."""
    counts = [(scalar_count(parameter), parameter.requires_grad) for parameter in model.parameters()]
    return ParameterCounts(
        trainable=sum(count for count, trained in counts if trained), total=sum(count for count, _ in counts)
    )


def trainable_state(model: Any) -> dict[str, Tensor]:
    """The parameters that require a gradient, by name, tied ones once: what a checkpoint holds."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def save_model(
    loaded: LoadedModel,
    folder: Path,
    *,
    save_dtype: str,
    stop_ids: Sequence[int],
    chat_template: str | None,
    tokenizer: Any,
    max_shard_size: str = "5GB",
) -> SaveReport:
    """Write the model, or its adapter, with tokenizer, template and end tokens into ``folder``.

    ``save_dtype`` auto is the base's own for a full model and float32 for an adapter, where rounding would save
    nothing worth having. WorkError where a weight is not finite in that dtype.
    """
    is_adapter = loaded.adapter != "none"
    dtype = NAMED[save_dtype] if save_dtype != "auto" else torch.float32 if is_adapter else loaded.base_dtype
    partial = folder / PARTIAL
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    with quiet():
        if is_adapter:
            _write_adapter(loaded, partial, dtype)
        else:
            _write_weights(loaded.model, partial, dtype, max_shard_size)
        _write_generation_config(loaded.model, tokenizer, stop_ids, partial)
        saved_tokenizer = copy.deepcopy(tokenizer)
        saved_tokenizer.chat_template = chat_template or tokenizer.chat_template
        saved_tokenizer.save_pretrained(str(partial))
    files = sorted(item for item in partial.rglob("*") if item.is_file())
    report = SaveReport(
        dtype=_name(dtype),
        files=tuple(str(item.relative_to(partial)) for item in files),
        size=sum(item.stat().st_size for item in files),
    )
    _publish(partial, folder)
    return report


def cast_state(model: Any, dtype: torch.dtype) -> dict[str, Tensor]:
    """The state of a model with floating-point tensors in ``dtype``; tensors that were one stay one.

    What the model class keeps in float32 at any precision stays so.
    """
    kept = tuple(getattr(model, "_keep_in_fp32_modules_strict", None) or ())
    cast: dict[tuple[int, torch.Size], Tensor] = {}
    state = {}
    for name, tensor in model.state_dict().items():
        if not tensor.is_floating_point() or any(part in name.split(".") for part in kept):
            state[name] = tensor
            continue
        key = (tensor.data_ptr(), tensor.shape)
        if key not in cast:
            cast[key] = _to_finite(name, tensor, dtype)
        state[name] = cast[key]
    return state


def _to_finite(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    cast = tensor.detach().to(dtype)
    if not torch.isfinite(cast).all():
        raise WorkError(
            f"weights are not finite in {_name(dtype)}",
            code="weights-not-finite",
            where=name,
            found=f"largest value {tensor.abs().max().item():g}",
            do="save with save_dtype=float32, or go back to a checkpoint before the loss diverged",
        )
    return cast


def _write_weights(model: Any, partial: Path, dtype: torch.dtype, max_shard_size: str) -> None:
    model.save_pretrained(str(partial), state_dict=cast_state(model, dtype), max_shard_size=max_shard_size)
    # transformers names the dtype in memory, which is that of the float32 masters
    path = partial / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    for part in (config, *(value for value in config.values() if isinstance(value, dict))):
        if "dtype" in part:
            part["dtype"] = _name(dtype)
    path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _write_adapter(loaded: LoadedModel, partial: Path, dtype: torch.dtype) -> None:
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    # embeddings are not saved whole: the rows that were added lie in the adapter
    state = get_peft_model_state_dict(loaded.model, save_embedding_layers=False)
    cast = {name: _to_finite(name, tensor, dtype).contiguous().cpu() for name, tensor in state.items()}
    save_file(cast, str(partial / ADAPTER_WEIGHTS), metadata={"format": "pt"})
    config = copy.copy(loaded.model.peft_config[loaded.model.active_adapter])
    config.base_model_name_or_path = portable_name(loaded.path)
    config.inference_mode = True
    config.save_pretrained(str(partial))


def _write_generation_config(model: Any, tokenizer: Any, stop_ids: Sequence[int], partial: Path) -> None:
    """The base's sampling settings with the end tokens that were trained, and a padding token."""
    config = copy.deepcopy(model.generation_config)
    ends = sorted(set(map(int, stop_ids)))
    if ends:
        config.eos_token_id = ends if len(ends) > 1 else ends[0]
    if tokenizer.pad_token_id is not None:
        config.pad_token_id = int(tokenizer.pad_token_id)
    elif config.pad_token_id is None and ends:
        config.pad_token_id = ends[0]
    config.save_pretrained(str(partial))


def _publish(partial: Path, folder: Path) -> None:
    """Move what was written into ``folder``, in place of an earlier model there."""
    for path in partial.rglob("*"):
        if path.is_file():
            _sync(path)
    for marker in MARKERS:
        (folder / marker).unlink(missing_ok=True)
    _sync(folder)
    for old in [*folder.glob("*.safetensors"), folder / INDEX]:
        old.unlink(missing_ok=True)
    for path in sorted(partial.iterdir(), key=lambda item: item.name in MARKERS):
        if path.name in MARKERS:
            _sync(folder)
        if path.is_dir():
            shutil.rmtree(folder / path.name, ignore_errors=True)
        os.replace(path, folder / path.name)
    _sync(folder)
    partial.rmdir()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(dtype: torch.dtype) -> str:
    return re.sub(r"^torch\.", "", str(dtype))
