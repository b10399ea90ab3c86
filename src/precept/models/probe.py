"""Finds the policy that is exact for a model by trying it, not by knowing the model's name.

A small random model of the same class (``precept.models.miniature``) scores random rows that share prefixes,
branch, repeat and stand apart, on both sides of every length at which the model changes behaviour. Each
candidate policy is compared, loss and whole gradient in float32, with transformers' own forward of one row at
a time; one that attends by flex attention on a GPU is compared there too. The first exact candidate is taken: a
forest, padded batches, one row at a time. It is then checked on the user's own weights.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from precept.errors import MODEL_FAILURES, ProofError
from precept.models import flex
from precept.models.miniature import Miniature, build_miniature
from precept.models.padded import EncoderDecoderPolicy, PaddedPolicy
from precept.models.policy import ForestPolicy, ScoringPolicy, transformers_model
from precept.models.trial import Trial, own_error
from precept.ports import BuildForest

BOUND = 1e-5  # of loss and whole gradient in float32; exact policies are seen at 1e-7 to 1e-6
OWN_BOUND = {torch.float32: 1e-4, torch.bfloat16: 5e-2, torch.float16: 5e-2}  # of log-probabilities
LONGEST_UNKNOWN = 2**17

Mode = Literal["forest", "packed", "padded", "encoder_decoder"]
Sharing = Literal["auto", "on", "off"]


@dataclass(frozen=True)
class Chosen:
    """A policy and how to feed it.

    Prefixes are merged in mode "forest" only, see ``share``; the other modes count every token of every row.
    ``length_switches`` are lengths whose sides must not meet in one forest. ``relative_error`` is the larger
    of loss and gradient in float32 against separate rows, NaN where no small model of the class could be
    built. ``notices`` are lines for the user.
    """

    policy: ScoringPolicy
    mode: Mode
    length_switches: Sequence[int]
    relative_error: float
    notices: tuple[str, ...]

    @property
    def share(self) -> bool:
        """The argument of the same name when forests are cut and built."""
        return self.mode == "forest"


@dataclass(frozen=True)
class _Way:
    """A way to run rows; ``name`` says it in a notice."""

    name: str
    mode: Mode
    make: Callable[..., ScoringPolicy]


@dataclass(frozen=True)
class _Exact:
    """How a way is exact. Rows on two sides of ``switch`` must not meet, nor, with ``each_length_beyond``,
    rows of two lengths above it; None lets any rows meet."""

    error: float
    switch: int | None = None
    each_length_beyond: bool = False


def _one_by_one(policy: type[PaddedPolicy]) -> Callable[..., ScoringPolicy]:
    return lambda model, **options: policy(model, one_by_one=True, **options)


FOREST = _Way("shared prefixes", "forest", ForestPolicy)
CAUSAL = (
    FOREST,
    _Way("shared prefixes under a dense mask", "forest", partial(ForestPolicy, dense=True)),
    _Way("padded batches", "padded", PaddedPolicy),
    _Way("one row at a time", "padded", _one_by_one(PaddedPolicy)),
)
ENCODER_DECODER = (
    _Way("padded batches", "encoder_decoder", EncoderDecoderPolicy),
    _Way("one row at a time", "encoder_decoder", _one_by_one(EncoderDecoderPolicy)),
)


def choose_policy(
    model: Any,
    *,
    build: BuildForest,
    sharing: Sharing = "auto",
    compute_dtype: torch.dtype = torch.float32,
    longest: int | None = None,
    tokens: tuple[int, int] | None = None,
    seed: int = 0,
) -> Chosen:
    """The fastest policy that is exact for this model.

    ``build`` is ``precept.forest.build_forest``. ``longest`` is the data's longest sequence in tokens:
    behaviour beyond it is not tried. ``tokens`` are real and distinct tokens of the data, to say what going
    without sharing costs. Raises ProofError when ``sharing`` is "on" and sharing is not exact, and when no
    policy is exact.
    """
    own = transformers_model(model)
    small = build_miniature(own, seed=seed)
    trial = None if small is None else _prepare(small, build, longest=longest, seed=seed)
    ways = ENCODER_DECODER if own.config.is_encoder_decoder else CAUSAL
    refused: list[tuple[_Way, float]] = []
    way, exact, policy = _first_exact(own, ways, trial, refused, build, compute_dtype, seed)
    dropout = _dropout(model, trial)
    mode: Mode = "packed" if way.mode == "forest" and (dropout or sharing == "off") else way.mode
    if sharing == "on" and mode != "forest":
        raise ProofError(
            "prefixes cannot be shared",
            code="sharing-not-exact",
            where=type(own).__name__,
            found=f"dropout ({dropout})" if dropout else f"exact is only: {way.name}",
            do="set sharing to auto" + (", or dropout to 0" if dropout else ""),
        )
    notices = [*_notices(way, exact, refused, trial), *_router_notice(own)]
    if dropout and sharing == "auto" and mode == "packed":
        notices.append(f"sharing: off, since dropout is on ({dropout}){_cost(tokens)}")
    return Chosen(policy, mode, _switches(exact, longest), exact.error, tuple(notices))


def _prepare(small: Miniature, build: BuildForest, *, longest: int | None, seed: int) -> Trial | None:
    """The trial, or None where the small model runs no row."""
    try:
        trial = Trial(small, build, longest=longest, seed=seed)
    except MODEL_FAILURES:
        return None
    return trial if trial.rows else None


def _first_exact(
    own: Any,
    ways: Sequence[_Way],
    trial: Trial | None,
    refused: list[tuple[_Way, float]],
    build: BuildForest,
    compute_dtype: torch.dtype,
    seed: int,
) -> tuple[_Way, _Exact, ScoringPolicy]:
    """The first way that is exact on the small model and holds on the own weights; others go to ``refused``.

    Without a small model only the last way is tried: rows one at a time are the reference itself.
    """
    for way in ways if trial else ways[-1:]:
        exact = _try(way, trial, own.get_input_embeddings().weight.device) if trial else _Exact(math.nan)
        if exact.error > BOUND:
            refused.append((way, exact.error))
            continue
        try:
            policy = way.make(own, compute_dtype=compute_dtype)
        except MODEL_FAILURES:
            refused.append((way, math.inf))
            continue
        error = own_error(own, policy, build, seed=seed)
        if error <= _own_bound(own, compute_dtype):
            return way, exact, policy
        refused.append((way, error))
    raise ProofError(
        "no way to run this model gives the losses and gradients of its own forward",
        code="policy-not-exact",
        where=type(own).__name__,
        found="; ".join(f"{way.name}: relative error {error:.1e}" for way, error in refused),
        do="report the model's config.json",
    )


def _try(way: _Way, trial: Trial, device: torch.device) -> _Exact:
    """The weakest condition under which the way is exact, else its error without any."""
    free = _Exact(_error(way, trial, device))
    if free.error <= BOUND or math.isinf(free.error):
        return free
    for each_length_beyond in (False, True):
        for small, original in trial.lengths.items():
            switches = range(small, trial.longest + 1) if each_length_beyond else (small,)
            error = _error(way, trial, device, switches=switches)
            if error <= BOUND:
                return _Exact(error, original, each_length_beyond)
    return free


def _error(way: _Way, trial: Trial, device: torch.device, *, switches: Sequence[int] = ()) -> float:
    """The error on a processor, or on the model's device where the way has a kernel of its own there and errs more."""
    error = trial.error(way.make, switches=switches)
    if error <= BOUND and way is FOREST and device.type in flex.DEVICES:
        error = max(error, trial.error(way.make, switches=switches, device=device))
    return error


def _switches(exact: _Exact, longest: int | None) -> Sequence[int]:
    if exact.switch is None:
        return ()
    if exact.each_length_beyond:
        return range(exact.switch, max(exact.switch, longest or LONGEST_UNKNOWN) + 1)
    return (exact.switch,)


def _own_bound(own: Any, compute_dtype: torch.dtype) -> float:
    """The bound of the coarsest precision that the model computes in."""
    dtypes = {compute_dtype} | {p.dtype for p in own.parameters() if p.is_floating_point()}
    return max(OWN_BOUND.get(dtype, 0.0) for dtype in dtypes)


def _dropout(model: nn.Module, trial: Trial | None) -> str:
    """What makes a training forward random, or an empty string. Adapters bring dropout of their own."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout) and module.p > 0:
            return f"lora_dropout {module.p:g}" if "lora_dropout" in name else f"{name} {module.p:g}"
    return "in the model's config" if trial and trial.stochastic else ""


def _cost(tokens: tuple[int, int] | None) -> str:
    return f", {tokens[0] / tokens[1]:.2f} times the tokens" if tokens and tokens[1] else ""


def _notices(way: _Way, exact: _Exact, refused: Sequence[tuple[_Way, float]], trial: Trial | None) -> list[str]:
    notices = []
    if refused or trial is None:
        tried = "; ".join(
            f"{other.name} " + ("cannot run" if math.isinf(error) else f"is off by {error:.0e}")
            for other, error in refused
        )
        why = tried if trial else "no small model of this class could be built to try more"
        notices.append(f"sequences: {way.name} ({why})")
    if exact.switch is not None:
        notices.append(
            f"forests: rows of up to {exact.switch} tokens and longer ones are kept apart (RoPE changes there)"
        )
    if exact.each_length_beyond:
        notices.append(
            f"max_length: beyond {exact.switch} tokens this model's RoPE stretches to the longest row so far, in "
            f"transformers too, so losses depend on the order of rows"
        )
    return notices


def _router_notice(own: Any) -> list[str]:
    if not getattr(own.config.get_text_config(), "output_router_logits", False):
        return []
    return ["objective: the router's auxiliary loss (output_router_logits) is not part of it"]
