"""Fold an adapter into the full-precision base, and measure what that does to the logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from precept.errors import InputError, WorkError
from precept.models.folder import check_adapter
from precept.models.load import LoadedModel, load_model
from precept.models.precision import NAMED
from precept.models.save import save_model
from precept.models.settings import ModelSettings

ROWS, ROW_LENGTH = 8, 64
# Folding in float32 moves logits by about 1e-6 of their size. A tensor left out would move them by a part of what
# the adapter does, so either bound is far from both.
MAX_SHARE_OF_LOGITS = 1e-4
MAX_SHARE_OF_EFFECT = 1e-2


class Difference(NamedTuple):
    """Between two models on the same rows: largest change of a logit, mean KL in nats, share of equal argmax."""

    max_abs: float
    mean_kl: float
    top1_agreement: float


@dataclass(frozen=True, slots=True)
class MergeReport:
    """Base with adapter against the merged model, on ``tokens`` predictions.

    The first three compare in float32; the ``saved_`` ones compare with the merged weights rounded to ``dtype``.
    ``adapter_effect`` is the largest change of a logit that the adapter itself makes, for scale.
    """

    max_abs_logit_difference: float
    mean_kl: float
    top1_agreement: float
    bound: float
    adapter_effect: float
    saved_max_abs_logit_difference: float
    saved_mean_kl: float
    saved_top1_agreement: float
    dtype: str
    tokens: int


def merge(
    adapter_folder: Path,
    out: Path,
    *,
    prompts: Sequence[Sequence[int]] | None = None,
    save_dtype: str = "auto",
    device: str | None = None,
    trust_remote_code: bool = False,
) -> MergeReport:
    """Write base and adapter as one model to ``out``: folded in float32, saved in the base's dtype.

    ``prompts`` are token ids of rows to measure on; without them, random ones. WorkError, and nothing written,
    where the folded model is not the same function.
    """
    settings = ModelSettings(dtype="float32", trust_remote_code=trust_remote_code)
    check_adapter(adapter_folder, trust_remote_code=trust_remote_code)
    loaded = load_model(adapter_folder, settings, train=False, device=device)
    _check_foldable(loaded.model, adapter_folder)
    rows = prompts or _random_rows(loaded)
    with torch.no_grad():
        with loaded.model.disable_adapter():
            base = _logits(loaded.model, rows, loaded.device)
        before = _logits(loaded.model, rows, loaded.device)
        effect = compare(base, before).max_abs
        folded = replace(loaded, model=_fold(loaded.model, adapter_folder), adapter="none")
        difference = compare(before, _logits(folded.model, rows, loaded.device))
        largest = max(float(logits.abs().max()) for logits in before)
        bound = max(MAX_SHARE_OF_LOGITS * max(1.0, largest), MAX_SHARE_OF_EFFECT * effect)
        if not difference.max_abs <= bound:
            told = f"logits differ by up to {difference.max_abs:.2e}, and {bound:.2e} is allowed"
            raise _differs(adapter_folder, told)
        saved = _save(folded, out, save_dtype)
        for parameter in folded.model.parameters():
            parameter.copy_(parameter.to(NAMED[saved]))
        rounded = compare(before, _logits(folded.model, rows, loaded.device))
    return MergeReport(
        max_abs_logit_difference=difference.max_abs,
        mean_kl=difference.mean_kl,
        top1_agreement=difference.top1_agreement,
        bound=bound,
        adapter_effect=effect,
        saved_max_abs_logit_difference=rounded.max_abs,
        saved_mean_kl=rounded.mean_kl,
        saved_top1_agreement=rounded.top1_agreement,
        dtype=saved,
        tokens=sum(len(logits) for logits in before),
    )


def compare(before: Sequence[Tensor], after: Sequence[Tensor]) -> Difference:
    """Difference of two lists of logits [n, V]; KL is of the first distribution from the second."""
    pairs = list(zip(before, after, strict=True))
    divergences, agreements = [], []
    for first, second in pairs:
        logps, other = first.double().log_softmax(-1), second.double().log_softmax(-1)
        divergences.append((logps.exp() * (logps - other)).sum(-1))
        agreements.append((first.argmax(-1) == second.argmax(-1)).double())
    return Difference(
        max_abs=max(float((first - second).abs().max()) for first, second in pairs),
        mean_kl=float(torch.cat(divergences).mean()),
        top1_agreement=float(torch.cat(agreements).mean()),
    )


def _fold(model: Any, adapter_folder: Path) -> Any:
    try:
        return model.merge_and_unload(safe_merge=True)
    except ValueError as error:  # peft's own look at the sum: weights that are not finite
        raise _differs(adapter_folder, str(error)) from error


def _differs(adapter_folder: Path, found: str) -> WorkError:
    return WorkError(
        "the merged model is not the same function as base and adapter",
        code="merge-differs",
        where=str(adapter_folder),
        found=found,
        do="keep using the adapter unmerged, and report this model type",
    )


def _check_foldable(model: Any, adapter_folder: Path) -> None:
    if not hasattr(model, "merge_and_unload"):
        raise InputError(
            "this kind of adapter has no form in the base's own weights",
            code="merge-unsupported",
            where=str(adapter_folder),
            found=str(model.active_peft_config.peft_type),
            do="use the adapter unmerged: eval and chat take its folder",
        )


def _save(folded: LoadedModel, out: Path, save_dtype: str) -> str:
    """Save with the end tokens and the template of the adapter folder; returns the dtype."""
    ends = folded.model.generation_config.eos_token_id
    report = save_model(
        folded,
        out,
        save_dtype=save_dtype,
        stop_ids=ends if isinstance(ends, list) else [] if ends is None else [ends],
        chat_template=folded.tokenizer.chat_template,
        tokenizer=folded.tokenizer,
    )
    return report.dtype


def _random_rows(loaded: LoadedModel) -> list[list[int]]:
    generator = torch.Generator().manual_seed(0)
    length = min(ROW_LENGTH, loaded.max_positions or ROW_LENGTH)
    vocabulary = loaded.model.get_input_embeddings().weight.shape[0]
    rows: list[list[int]] = torch.randint(vocabulary, (ROWS, length), generator=generator).tolist()
    trained = _trained_rows(loaded.model)[:length]
    rows[0][: len(trained)] = trained
    return rows


def _trained_rows(model: Any) -> list[int]:
    """Ids of the tokens whose embedding rows the adapter holds."""
    indices = getattr(model.active_peft_config, "trainable_token_indices", None) or []
    lists = indices.values() if isinstance(indices, dict) else [indices]
    return sorted({int(index) for one in lists for index in one})


def _logits(model: Any, rows: Sequence[Sequence[int]], device: torch.device) -> list[Tensor]:
    """Logits [n, V] of each row, on the processor. An encoder-decoder reads the row on both sides."""
    found = []
    for row in rows:
        ids = torch.tensor([row], device=device)
        inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
        if model.config.is_encoder_decoder:
            inputs["decoder_input_ids"] = ids
        found.append(model(**inputs, use_cache=False).logits[0].float().cpu())
    return found
