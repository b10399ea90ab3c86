"""Low-rank adapters through peft: LoRA (arXiv 2106.09685), DoRA (2402.09353), and LoRA on a 4-bit base."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.models.folder import ADAPTER_WEIGHTS, check_safetensors
from precept.models.settings import ALL_LINEAR, ModelSettings


def add_adapter(model: Any, settings: ModelSettings, *, added: Sequence[int] = ()) -> Any:
    """The model with a fresh float32 adapter, all else frozen; outputs change only once it is trained.

    ``all-linear`` is every linear layer but the output head. Rows of ``added`` token ids are trained in the
    input embedding and the output head, once where these are tied. The matrices are drawn from torch's
    random state.
    """
    from peft import LoraConfig, TaskType, get_peft_model

    _check_targets(model, settings)
    encoder_decoder = model.config.is_encoder_decoder
    targets = settings.lora_target_modules
    config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=targets if targets == ALL_LINEAR else list(targets),
        use_dora=settings.adapter == "dora",
        fan_in_fan_out=_has_transposed_linears(model),
        trainable_token_indices=_token_rows(model, added),
        task_type=TaskType.SEQ_2_SEQ_LM if encoder_decoder else TaskType.CAUSAL_LM,
    )
    with _without_known_warnings():
        try:
            return get_peft_model(model, config)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise InputError(
                f"adapter={settings.adapter} cannot be put on this model",
                code="adapter-unsupported",
                where=model.config.model_type,
                found=str(error),
                do="choose another adapter, lora_dropout=0, or other lora_target_modules",
            ) from error


def open_adapter(model: Any, path: Path) -> Any:
    """The base with a folder's adapter, for inference. InputError where tensors are missing or left over."""
    from peft import PeftModel, get_peft_model_state_dict

    try:
        with _without_known_warnings():
            opened = PeftModel.from_pretrained(model, str(path), is_trainable=False)
    except (ValueError, TypeError, KeyError, RuntimeError) as error:
        raise InputError(
            "the adapter does not fit its base model",
            code="adapter-mismatch",
            where=str(path),
            found=str(error).strip().splitlines()[-1],
            do="check base_model_name_or_path in adapter_config.json",
        ) from error
    held = check_safetensors(path / ADAPTER_WEIGHTS).keys()
    expected = get_peft_model_state_dict(opened, save_embedding_layers=False).keys()
    missing = sorted(expected - held)
    surplus = sorted(held - expected - opened.state_dict().keys())
    if missing or surplus:
        raise InputError(
            f"the adapter lacks {len(missing)} tensors and holds {len(surplus)} that fit nowhere",
            code="adapter-mismatch",
            where=str(path / ADAPTER_WEIGHTS),
            found=", ".join([*missing, *surplus][:5]),
            do="check base_model_name_or_path in adapter_config.json, or copy the adapter again",
        )
    return opened


def _check_targets(model: Any, settings: ModelSettings) -> None:
    """Refuse matrices on a weight that input embedding and output head share: merging would change both."""
    targets = settings.lora_target_modules
    if targets == ALL_LINEAR or not model.config.tie_word_embeddings:
        return
    ends = {_module_name(model, part()) for part in (model.get_input_embeddings, model.get_output_embeddings)}
    ends = {name for name in ends if name}
    tied = sorted(target for target in targets if any(f".{name}".endswith(f".{target}") for name in ends))
    if tied:
        raise InputError(
            "input embedding and output head share one weight, so neither can get matrices of its own",
            code="adapter-on-tied-weights",
            where="lora_target_modules",
            found=", ".join(tied),
            do=f"leave them out, or use {ALL_LINEAR}",
        )


def _token_rows(model: Any, added: Sequence[int]) -> dict[str, list[int]] | None:
    if not added:
        return None
    rows = {_module_name(model, model.get_input_embeddings()): list(added)}
    head = model.get_output_embeddings()
    if head is not None and head.weight is not model.get_input_embeddings().weight:
        if getattr(head, "bias", None) is not None:
            # peft's wrapper of single rows computes the head without its bias
            raise InputError(
                "tokens cannot be added under an adapter: this model's output head has a bias",
                code="added-tokens-head-bias",
                where=model.config.model_type,
                do="use adapter=none, or a chat template whose tokens the tokenizer has",
            )
        rows[_module_name(model, head)] = list(added)
    return rows


def _module_name(model: Any, wanted: Any) -> str:
    return next((name for name, module in model.named_modules() if module is wanted), "")


def _has_transposed_linears(model: Any) -> bool:
    """GPT-2's Conv1D keeps its weight as [in, out]."""
    from transformers.pytorch_utils import Conv1D

    return any(isinstance(module, Conv1D) for module in model.modules())


@contextlib.contextmanager
def _without_known_warnings() -> Iterator[None]:
    """peft warns of missing keys, which are errors here, and of ranks for fused experts that it sets itself."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Found missing adapter keys")
        warnings.filterwarnings("ignore", message="The following (rank|alpha)_pattern keys did not match")
        yield
