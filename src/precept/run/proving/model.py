"""The model proofs of a training step, on the user's model in float32 and a few of the user's rows."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from precept.errors import ProofError
from precept.forecast.measure import free_memory
from precept.forecast.shape import read_shape, write_first_layers
from precept.forest import build_forest
from precept.models.folder import ModelFolder
from precept.models.load import LoadedModel, load_model, load_tokenizer, quiet
from precept.models.policy import evaluating
from precept.models.probe import Chosen, choose_policy
from precept.models.save import trainable_state
from precept.prove.models import (
    BETAS,
    EPS,
    LEARNING_RATE,
    accumulation_invariant,
    adapter_identity,
    documents_isolated,
    resume_exact,
    sharing_exact,
)
from precept.prove.proof import Proof, not_applicable
from precept.prove.reference import adamw_steps, take_gradient
from precept.render.store import sequence_lengths
from precept.run.proving.steps import ProofTraining
from precept.run.settings import RunSettings
from precept.run.tuning.training import OBJECTIVES
from precept.train.loop import accumulate
from precept.train.optimizer import scale_and_clip
from precept.types import TokenSequence

ROWS, LONGEST = 4, 64
"""Rows that the proofs run on, and how much of each."""
BYTES, FIRST_LAYERS = 24, 2
"""Bytes a parameter that the proofs may hold at once (weights, two gradients, the base beside an adapter, a copy), and
how many layers are looked at where that is too much."""
STEPPED = 5_000_000
"""Numbers that the proof of resuming trains, so that its checkpoints stay small."""
NAMES = ("documents_isolated", "sharing_exact", "accumulation_invariant", "resume_exact", "adapter_identity")


def model_proofs(
    folder: ModelFolder,
    sequences: Sequence[TokenSequence],
    settings: RunSettings,
    *,
    new_tokens: Sequence[str],
    method: str,
    free: int | None = None,
) -> list[Proof]:
    """All model proofs, in float32 on the device that training would take; where the model and its gradients do not
    fit into ``free`` bytes of memory (by default what is free now), on its first layers."""
    trusted = settings.model.trust_remote_code
    shape = read_shape(folder.base, trust_remote_code=trusted)
    if BYTES * shape.parameters <= (free_memory() if free is None else free):
        return _proofs(folder.path, sequences, settings, new_tokens=new_tokens, method=method)
    with tempfile.TemporaryDirectory() as name, quiet():
        first = write_first_layers(
            folder.base, Path(name), layers=FIRST_LAYERS, own_weights=True, trust_remote_code=trusted
        )
        load_tokenizer(folder.path, trust_remote_code=trusted).save_pretrained(first)
        proofs = _proofs(first, sequences, settings, new_tokens=new_tokens, method=method)
    told = f"on the first {FIRST_LAYERS} layers, since the whole model does not fit here: "
    return [replace(proof, detail=told + proof.detail) if proof.applies else proof for proof in proofs]


def _proofs(
    path: Path,
    sequences: Sequence[TokenSequence],
    settings: RunSettings,
    *,
    new_tokens: Sequence[str],
    method: str,
) -> list[Proof]:
    adapter = "lora" if settings.model.adapter == "qlora" else settings.model.adapter  # the same, on the whole base
    exact = settings.model.model_copy(update={"dtype": "float32", "adapter": adapter, "gradient_checkpointing": False})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        loaded = load_model(path, exact, train=True, new_tokens=new_tokens)
        try:
            chosen = choose_policy(loaded.model, build=build_forest, sharing=settings.model.sharing)
        except ProofError as error:
            return [Proof(name, False, str(error).replace("\n", " ")) for name in NAMES[:2]]
        rows = choose_rows(sequences, chosen)
        if not rows:
            return [not_applicable(name, "no row has two tokens, so nothing is predicted") for name in NAMES]
        with evaluating(loaded.model):
            proofs = _prove(loaded, chosen, rows, method=method)
            if adapter == "none":
                return [*proofs, not_applicable(NAMES[4], "all weights are trained: there is no adapter")]
            plain = exact.model_copy(update={"adapter": "none"})
            base = load_model(path, plain, train=False, new_tokens=new_tokens).model
            return [*proofs, _prove_adapter(loaded, base, chosen, rows)]


def choose_rows(sequences: Sequence[TokenSequence], chosen: Chosen) -> list[TokenSequence]:
    """The shortest different rows, cut to ``LONGEST`` tokens, all on one side of every length at which the model
    changes; of a row that is trained only behind the cut the last tokens count."""
    limit = min([LONGEST, *(length for length in chosen.length_switches if length > 1)])
    lengths = sequence_lengths(sequences)
    rows: list[TokenSequence] = []
    seen: set[bytes] = set()
    for place in np.argsort(lengths, kind="stable")[int((lengths < 2).sum()) :].tolist():
        sequence = sequences[place]
        if len(rows) == ROWS:
            break
        if (beginning := sequence.ids[:limit].tobytes()) in seen:
            continue
        seen.add(beginning)
        weights = sequence.weights[:limit].copy()
        if not weights[1:].any():
            weights[-8:] = 1
        encoder = None if sequence.encoder_ids is None else sequence.encoder_ids[:LONGEST]
        rows.append(replace(sequence, ids=sequence.ids[:limit], weights=weights, encoder_ids=encoder))
    return rows if len(rows) != 1 else rows * 2  # a batch that can be divided


def _prove(loaded: LoadedModel, chosen: Chosen, rows: Sequence[TokenSequence], *, method: str) -> list[Proof]:
    model, policy = loaded.model, chosen.policy

    def step_gradient(parts: Sequence[Sequence[TokenSequence]]) -> Mapping[str, Tensor]:
        totals = accumulate(policy, OBJECTIVES[method], [build_forest(part, share=chosen.share) for part in parts])
        scale_and_clip(trainable_state(model), count=totals.count, max_norm=0.0)
        return take_gradient(model)

    instead = None if chosen.share else f"prefixes are not shared: rows run as {chosen.mode}"
    return [
        documents_isolated(model, policy, rows, build=build_forest, share=chosen.share),
        sharing_exact(model, policy, rows, build=build_forest, instead=instead),
        accumulation_invariant(model, rows, step_gradient=step_gradient),
        _prove_resuming(model, chosen, rows, method=method),
    ]


def _prove_resuming(model: Any, chosen: Chosen, rows: Sequence[TokenSequence], *, method: str) -> Proof:
    """With what is trained cut down to the last tensors of ``STEPPED`` numbers."""
    trained = list(trainable_state(model).values())
    sizes = np.cumsum([parameter.numel() for parameter in reversed(trained)])
    kept = max(1, int((sizes <= STEPPED).sum()))
    frozen = trained[: len(trained) - kept]
    for parameter in frozen:
        parameter.requires_grad_(False)
    try:
        with tempfile.TemporaryDirectory() as folder:
            training = ProofTraining(model, chosen, method, Path(folder))
            half = max(1, len(rows) // 2)
            return resume_exact(model, [rows[:half], rows[half:] or rows], training=training)
    finally:
        for parameter in frozen:
            parameter.requires_grad_(True)


def _prove_adapter(loaded: LoadedModel, base: Any, chosen: Chosen, rows: Sequence[TokenSequence]) -> Proof:
    def take_step() -> None:
        adamw_steps(loaded.model, [rows], learning_rate=LEARNING_RATE, betas=BETAS, eps=EPS)

    return adapter_identity(
        rows,
        base=base,
        policy=chosen.policy,
        build=build_forest,
        take_step=take_step,
        merged=lambda: copy.deepcopy(loaded.model).merge_and_unload(safe_merge=True),
    )
