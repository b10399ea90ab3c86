"""A model folder in memory: weights, tokenizer, precision and device, ready to train or to answer."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from precept.errors import InputError
from precept.models.adapters import add_adapter, open_adapter
from precept.models.folder import check_model_folder, context_length, stored_dtype, tokenizer_folder
from precept.models.precision import STORED, choose_compute_dtype, choose_device, choose_weight_dtype
from precept.models.quantize import check_quantized, keep_packing, nf4_config
from precept.models.settings import ModelSettings
from precept.models.tokens import add_tokens, grow_embeddings

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
    """The folder's tokenizer, or its base's where an adapter has none.

    One without character offsets (a slow one) is refused: what is trained is found by them.
    """
    from huggingface_hub.errors import StrictDataclassError
    from transformers import AutoTokenizer

    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(
                str(tokenizer_folder(path)), trust_remote_code=trust_remote_code, local_files_only=True
            )
    except (ValueError, OSError, ImportError, LookupError, TypeError, AttributeError, StrictDataclassError) as error:
        raise InputError(
            "the tokenizer cannot be loaded",
            code="tokenizer-unreadable",
            where=str(path),
            found=_first_line(error),
            do="copy tokenizer.json and tokenizer_config.json of the same model again",
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
) -> LoadedModel:
    """Load a folder's weights exactly, or refuse it.

    To train: float32 weights, or a frozen base with a fresh adapter drawn from torch's random state, in train
    mode, with ``new_tokens`` added. Else: weights in the compute dtype, in eval mode, and an adapter folder
    on its base. InputError where a tensor is missing, left over or of another shape: nothing is initialised in silence.
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
    base_dtype = STORED.get(stored_dtype(folder.base), torch.float32)
    compute_dtype = choose_compute_dtype(settings.dtype, place, base_dtype=base_dtype, train=train)
    tokenizer = load_tokenizer(path, trust_remote_code=settings.trust_remote_code)
    adapter = settings.adapter if train else "none"
    weight_dtype = choose_weight_dtype(adapter, base_dtype=base_dtype, compute_dtype=compute_dtype, train=train)
    model = _load_weights(folder.base, settings, weight_dtype, compute_dtype, place, adapter)
    if folder.is_adapter:
        _fit_vocabulary(model, tokenizer)
    notices = _check_vocabulary(model, tokenizer, path)
    if adapter == "qlora":
        keep_packing(model)
        notices.append(check_quantized(model))
    added = add_tokens(tokenizer, model, new_tokens)
    with quiet():
        if adapter != "none":
            model = add_adapter(model, settings, added=added)
        elif folder.is_adapter:
            model = open_adapter(model, path)
            _read_generation_config(model, path)
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
        max_positions=context_length(model.config.to_dict()),
        adapter="saved" if folder.is_adapter else adapter,
        added_ids=added,
        notices=tuple(notices),
    )


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
        with quiet():
            config = AutoConfig.from_pretrained(str(path), **options)
            _refuse_encoders(config, path)
            if settings.attn_implementation != "auto":
                options["attn_implementation"] = settings.attn_implementation
            auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
            if adapter == "qlora":
                with torch.device("meta"):
                    empty = auto.from_config(config, trust_remote_code=settings.trust_remote_code)
                packed = nf4_config(empty, weight_dtype=weight_dtype, compute_dtype=compute_dtype, device=device)
                options |= {"quantization_config": packed, "device_map": {"": device}}
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
            do="check config.json against the model's own, or copy the folder again",
        ) from error
    _refuse_other_weights(report, path)
    _note_untied_weights(model)
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


def _note_untied_weights(model: Any) -> None:
    """A file may hold a head of its own where config.json says it is tied: the weights decide, as in transformers."""
    head = model.get_output_embeddings()
    if head is not None and head.weight is not model.get_input_embeddings().weight:
        model.config.tie_word_embeddings = False


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
    return [f"{len(beyond)} special tokens have no row in the embedding and must not occur: {sorted(beyond)[:3]}"]


def _repair_generation_config(model: Any) -> None:
    """Make it savable: sampling values beside do_sample=false, as Llama 2 was published with, mean sampling."""
    from transformers import GenerationConfig

    if not _is_valid(model.generation_config):
        model.generation_config.do_sample = True
    if not _is_valid(model.generation_config):
        model.generation_config = GenerationConfig.from_model_config(model.config)


def _is_valid(generation_config: Any) -> bool:
    try:
        generation_config.validate(strict=True)
    except ValueError:
        return False
    return True


def _read_generation_config(model: Any, path: Path) -> None:
    """An adapter folder brings the end tokens that were trained."""
    from transformers import GenerationConfig

    if (path / "generation_config.json").is_file():
        model.get_base_model().generation_config = GenerationConfig.from_pretrained(str(path))


def _checkpoint_activations(model: Any) -> None:
    options = {"use_reentrant": False}
    if hasattr(model, "activation_checkpointing_enable"):  # the name since transformers 5.20
        model.activation_checkpointing_enable(options)
    else:
        model.gradient_checkpointing_enable(options)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the bars, tables and deprecations that the libraries print: faults are raised, not logged."""
    from transformers.utils import logging as transformers_logging

    quantizer_log = logging.getLogger("bitsandbytes")
    level, quantizer_level = transformers_logging.get_verbosity(), quantizer_log.level
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity(logging.CRITICAL)
    transformers_logging.disable_progress_bar()
    quantizer_log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        transformers_logging.set_verbosity(level)
        quantizer_log.setLevel(quantizer_level)
        if bars:
            transformers_logging.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
