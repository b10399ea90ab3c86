"""A model folder in memory: weights, tokenizer, precision and device, ready to train or to answer."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from precept.errors import InputError
from precept.models.adapters import add_adapter, open_adapter
from precept.models.folder import TOKENIZER_FILES, check_model_folder, stored_dtype
from precept.models.quantize import check_quantized, nf4_config
from precept.models.settings import ModelSettings
from precept.models.tokens import add_tokens, grow_embeddings

_DTYPES = {"F32": torch.float32, "F64": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16}
_NAMED_TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id")


@dataclass(frozen=True, eq=False)
class LoadedModel:
    """A model with what the other stages ask about it.

    ``path`` is the full model's folder, also when an adapter lies on it; ``base_dtype`` is the precision it
    is stored in, ``compute_dtype`` that of the arithmetic: autocast to it wherever it is not float32.
    ``max_positions`` is None for models whose positions are relative. ``added_ids`` are the tokens that
    loading added. ``notices`` are lines that the user should see.
    """

    model: Any
    tokenizer: Any
    path: Path
    base_dtype: torch.dtype
    compute_dtype: torch.dtype
    device: torch.device
    is_encoder_decoder: bool
    max_positions: int | None
    adapter: str
    added_ids: tuple[int, ...] = ()
    notices: tuple[str, ...] = ()


def load_tokenizer(path: Path, *, trust_remote_code: bool = False) -> Any:
    """The folder's tokenizer. One without character offsets (a slow one) is refused: masks need them."""
    from transformers import AutoTokenizer

    try:
        with _quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(path), trust_remote_code=trust_remote_code, local_files_only=True
            )
    except (ValueError, OSError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            "the tokenizer cannot be loaded",
            code="tokenizer-unreadable",
            where=str(path),
            found=_first_line(error),
        ) from error
    if not tokenizer.is_fast:
        raise InputError(
            "the tokenizer gives no character offsets, so what is trained cannot be told from context",
            code="slow-tokenizer",
            where=str(path),
            found=type(tokenizer).__name__,
            do="save a fast one beside it: tokenizer.json of the same model",
        )
    return tokenizer


def load_model(
    path: Path,
    settings: ModelSettings,
    *,
    train: bool,
    device: str | None = None,
    new_tokens: Sequence[str] = (),
    seed: int = 0,
) -> LoadedModel:
    """Load a folder's weights exactly, or refuse it.

    To train: float32 weights, or a frozen base with a fresh adapter drawn from ``seed``, in train mode, with
    ``new_tokens`` added. Else: weights in the compute dtype, in eval mode, and an adapter folder on its base.
    InputError where a tensor is missing, left over or of another shape: nothing is initialised in silence.
    """
    folder = check_model_folder(path, trust_remote_code=settings.trust_remote_code)
    if folder.is_adapter and train:
        raise InputError(
            "an adapter cannot be trained further",
            code="train-on-adapter",
            where=str(path),
            do="fold it into its base with 'precept merge', and train the result",
        )
    place = choose_device(device)
    base_dtype = _DTYPES.get(stored_dtype(folder.base), torch.float32)
    compute_dtype = choose_compute_dtype(settings.dtype, place, base_dtype=base_dtype, train=train)
    own_tokenizer = any((path / name).is_file() for name in TOKENIZER_FILES)
    tokenizer = load_tokenizer(
        path if own_tokenizer else folder.base, trust_remote_code=settings.trust_remote_code
    )
    adapter = settings.adapter if train else "none"
    weight_dtype = _weight_dtype(adapter, base_dtype, compute_dtype, train=train)
    model = _load_weights(folder.base, settings, weight_dtype, compute_dtype, place, adapter)
    if folder.is_adapter:
        _fit_vocabulary(model, tokenizer)
    notices = _check_vocabulary(model, tokenizer, path)
    if adapter == "qlora":
        notices.append(check_quantized(model))
    added = add_tokens(tokenizer, model, new_tokens)
    if adapter != "none":
        model = add_adapter(model, settings, added=added, seed=seed)
    elif folder.is_adapter:
        model = open_adapter(model, path)
    if not train:
        model.requires_grad_(False)
    model = model.to(place).train(train)
    if train and settings.gradient_checkpointing:
        _checkpoint_activations(model)
    return LoadedModel(
        model=model,
        tokenizer=tokenizer,
        path=folder.base,
        base_dtype=base_dtype,
        compute_dtype=compute_dtype,
        device=place,
        is_encoder_decoder=bool(model.config.is_encoder_decoder),
        max_positions=max_positions(model.config),
        adapter="saved" if folder.is_adapter else adapter,
        added_ids=added,
        notices=tuple(notices),
    )


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


def choose_compute_dtype(
    wanted: str, device: torch.device, *, base_dtype: torch.dtype, train: bool
) -> torch.dtype:
    """bfloat16 where the device computes in it, else float32; never float16.

    Outside training a model that is stored in float32 is computed in float32.
    """
    if wanted != "auto":
        return torch.bfloat16 if wanted == "bfloat16" else torch.float32
    if not computes_in_bfloat16(device) or (not train and base_dtype == torch.float32):
        return torch.float32
    return torch.bfloat16


def computes_in_bfloat16(device: torch.device) -> bool:
    """True where bfloat16 products run in hardware: emulation is slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not hasattr(torch.cpu, "get_capabilities"):  # torch before 2.10
        return bool(torch.cpu._is_avx512_bf16_supported())
    found = torch.cpu.get_capabilities()
    return any(found.get(name, False) for name in ("avx512_bf16", "amx_bf16", "sve_bf16"))


def max_positions(config: Any) -> int | None:
    """Most tokens a sequence may have, or None where positions are relative (ALiBi, T5's buckets)."""
    text = config.get_text_config(decoder=True)
    if text.model_type in {"t5", "mt5", "umt5", "bloom", "mpt"} or getattr(text, "alibi", False):
        return None
    limit = getattr(text, "max_position_embeddings", None)
    return int(limit) if limit else None


def _weight_dtype(
    adapter: str, base_dtype: torch.dtype, compute_dtype: torch.dtype, *, train: bool
) -> torch.dtype:
    """Float32 masters for full tuning; a frozen base keeps bfloat16 where that is computed in.

    A float16 base becomes float32: its residual stream would overflow in float16 and lose bits in bfloat16.
    """
    if not train:
        return compute_dtype
    keeps = adapter != "none" and base_dtype == compute_dtype == torch.bfloat16
    return torch.bfloat16 if keeps else torch.float32


def _load_weights(
    path: Path,
    settings: ModelSettings,
    weight_dtype: torch.dtype,
    compute_dtype: torch.dtype,
    device: torch.device,
    adapter: str,
) -> Any:
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    options: dict[str, Any] = {"trust_remote_code": settings.trust_remote_code, "local_files_only": True}
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(str(path), **options)
            _refuse_encoders(config, path)
            if settings.attn_implementation != "auto":
                options["attn_implementation"] = settings.attn_implementation
            if adapter == "qlora":
                options |= {"quantization_config": nf4_config(compute_dtype), "device_map": {"": device}}
            auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            model, report = auto.from_pretrained(
                str(path),
                config=config,
                dtype=weight_dtype,
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported below, all of them at once
                **options,
            )
    except (
        ValueError,
        OSError,
        ImportError,
        KeyError,
        TypeError,
        AttributeError,
        StrictDataclassError,
    ) as error:
        raise InputError(
            "transformers cannot open the model",
            code="model-unreadable",
            where=str(path),
            found=_first_line(error),
        ) from error
    _refuse_other_weights(report, path)
    _repair_generation_config(model)
    return model


def _refuse_encoders(config: Any, path: Path) -> None:
    masked = [name for name in config.architectures or [] if name.endswith("ForMaskedLM")]
    if masked:
        raise InputError(
            "the model fills in masked words and does not continue text",
            code="not-a-language-model",
            where=str(path / "config.json"),
            found=f"architectures = {masked}",
            do="choose a causal or an encoder-decoder model",
        )


def _refuse_other_weights(report: dict[str, Any], path: Path) -> None:
    """Weights that are not exactly the model's would leave random numbers in it."""
    mismatched = [str(entry[0]) for entry in report.get("mismatched_keys") or ()]
    kinds = {
        "missing": sorted(map(str, report.get("missing_keys") or ())),
        "of another shape": sorted(mismatched),
        "left over": sorted(map(str, report.get("unexpected_keys") or ())),
    }
    faults = [
        f"{len(names)} {kind}: " + ", ".join(names[:4]) + (" ..." if len(names) > 4 else "")
        for kind, names in kinds.items()
        if names
    ]
    if faults:
        raise InputError(
            "the weights are not those that config.json describes",
            code="weights-mismatch",
            where=str(path),
            found="; ".join(faults),
            do="check that config.json and the weights come from the same model",
        )


def _fit_vocabulary(model: Any, tokenizer: Any) -> None:
    """Rows for the tokens that an adapter brought: the adapter holds their values."""
    rows = model.get_input_embeddings().weight.shape[0]
    brought = [index for index in sorted(tokenizer.get_vocab().values()) if index >= rows]
    if brought:
        grow_embeddings(model, brought, used=range(rows))


def _check_vocabulary(model: Any, tokenizer: Any, path: Path) -> list[str]:
    """Every token that text can become needs a row. Special tokens beyond are tolerated while unused.

    Gemma 3 1B is such a model: its tokenizer ends with an image token that the text-only weights lack.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    beyond = {token: index for token, index in tokenizer.get_vocab().items() if index >= rows}
    if not beyond:
        return []
    named = {getattr(tokenizer, name) for name in _NAMED_TOKENS}
    special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    used = [token for token, index in beyond.items() if index in named or index not in special]
    if used:
        raise InputError(
            f"the embedding has {rows} rows, and {len(used)} tokens lie beyond them",
            code="vocabulary-too-large",
            where=str(path),
            found=", ".join(f"{token!r} = {beyond[token]}" for token in used[:5]),
            do="use the tokenizer that the model was trained with",
        )
    return [
        f"{len(beyond)} special tokens have no row in the embedding and must not occur: {sorted(beyond)[:3]}"
    ]


def _repair_generation_config(model: Any) -> None:
    """Sampling values beside do_sample=false (as in Llama 2) mean sampling, and could not be saved else."""
    config = getattr(model, "generation_config", None)
    if config is None or config.do_sample:
        return
    sampling = (config.temperature, config.top_p, config.top_k, config.min_p, config.typical_p)
    neutral = ((None, 1.0), (None, 1.0), (None, 50, 0), (None,), (None, 1.0))
    if any(value not in allowed for value, allowed in zip(sampling, neutral, strict=True)):
        config.do_sample = True


def _checkpoint_activations(model: Any) -> None:
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the name since transformers 5.20
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the bars and tables that transformers prints while loading: faults are raised, not logged."""
    from transformers.utils import logging as transformers_logging

    quantizer_log = logging.getLogger("bitsandbytes")
    level, quantizer_level = transformers_logging.get_verbosity(), quantizer_log.level
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    quantizer_log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        quantizer_log.setLevel(quantizer_level)
        if bars:
            transformers_logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
