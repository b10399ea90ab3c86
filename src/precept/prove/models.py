"""What is proven of a model and of the machinery that trains it: losses, gradients and steps of shared, packed, split
and resumed work are those of transformers' own forward of single rows.

The machinery comes in as arguments. Shapes: S sequences, n tokens of a row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from precept.errors import MODEL_FAILURES
from precept.ports import BuildForest, Policy
from precept.prove.proof import Proof, not_applicable, within
from precept.prove.reference import adamw_steps, mean_gradient, own_attention, relative_error, row_logps, take_gradient
from precept.types import TokenSequence

BOUND = 1e-4
"""Of log-probabilities and whole gradients in float32, relative; exact work is seen at 1e-7 to 1e-5."""
STEP_BOUND = 1e-2
"""Of two AdamW steps, relative: a first step is the sign of the gradient, and the sign of what is nearly 0 is noise."""
LEARNING_RATE, BETAS, EPS = 1e-3, (0.9, 0.999), 1e-8


Weights = Mapping[str, Tensor]
StepGradient = Callable[[Sequence[Sequence[TokenSequence]]], Weights]
"""Micro-batches of one optimizer step to the gradient that the optimizer sees."""
Training = Callable[[Sequence[Sequence[TokenSequence]], bool], Weights]
"""Batches, one a step, to the weights after them; True stops after the first and goes on from what was saved."""


def documents_isolated(
    model: Any, policy: Policy, rows: Sequence[TokenSequence], *, build: BuildForest, share: bool
) -> Proof:
    """Each token's log-probability in a forest of all rows is that of its row alone."""
    whole = [replace(row, weights=np.ones_like(row.weights)) for row in rows]
    try:
        with torch.no_grad():
            forest = build(whole, share=share)
            logps = policy.edge_logps(forest)
            with own_attention(model):
                alone = [row_logps(model, row) for row in rows]
    except MODEL_FAILURES as failure:
        return Proof("documents_isolated", False, f"the model cannot run: {_first_line(failure)}", float("inf"), BOUND)
    answers = forest.answers
    inside = [
        logps[torch.as_tensor(answers.edge[a:b])] for a, b in zip(answers.start[:-1], answers.start[1:], strict=True)
    ]
    found, expected = torch.cat(inside).double(), torch.cat(alone).double()
    error = float((found - expected).norm() / expected.norm())
    detail = f"{len(rows)} rows, {len(expected):,} log-probabilities in one forest of {forest.distinct_tokens:,} tokens"
    return within("documents_isolated", error, BOUND, detail)


def sharing_exact(
    model: Any, policy: Policy, rows: Sequence[TokenSequence], *, build: BuildForest, instead: str | None = None
) -> Proof:
    """Loss and gradient of all rows with their prefixes shared are those of the rows one by one.

    ``instead`` says how rows are run where prefixes are not shared.
    """
    if instead:
        return not_applicable("sharing_exact", instead)
    with own_attention(model):
        loss, gradient = mean_gradient(model, rows)
    try:
        forest = build(rows)
        logps = policy.edge_logps(forest)
        shared = -(logps * logps.new_tensor(forest.weight)).sum() / float(forest.weight.sum())
        shared.backward()  # type: ignore[no-untyped-call]
    except MODEL_FAILURES as failure:
        return Proof("sharing_exact", False, f"the model cannot run: {_first_line(failure)}", float("inf"), BOUND)
    error = _largest(abs(float(shared.detach()) - loss) / abs(loss), relative_error(take_gradient(model), gradient))
    detail = (
        f"loss {loss:.4f} and gradient of {forest.real_tokens:,} tokens, {forest.distinct_tokens:,} of them distinct"
    )
    return within("sharing_exact", error, BOUND, detail)


def accumulation_invariant(model: Any, rows: Sequence[TokenSequence], *, step_gradient: StepGradient) -> Proof:
    """The gradient of a batch is the same whole and in ragged micro-batches: that of its mean over all tokens."""
    with own_attention(model):
        _, expected = mean_gradient(model, rows)
    ragged = [rows[:1], rows[1:]] if len(rows) < 4 else [rows[:1], rows[1:3], rows[3:]]
    errors = [relative_error(step_gradient(parts), expected) for parts in ([rows], ragged)]
    detail = f"{len(rows)} rows at once and as {', '.join(str(len(part)) for part in ragged)}"
    return within("accumulation_invariant", _largest(*errors), BOUND, detail)


def resume_exact(model: Any, batches: Sequence[Sequence[TokenSequence]], *, training: Training) -> Proof:
    """Two steps are one step, saving, loading, one step, bit for bit; and they are two AdamW steps on single rows.

    ``training`` runs with ``LEARNING_RATE``, constant, without decay or clipping, from the weights as they are, and
    puts them back.
    """
    start = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    through, resumed = training(batches, False), training(batches, True)
    unequal = [name for name in through if not torch.equal(through[name], resumed[name])]
    with own_attention(model):
        adamw_steps(model, batches, learning_rate=LEARNING_RATE, betas=BETAS, eps=EPS)
    moved = {name: p.detach() - start[name] for name, p in model.named_parameters() if name in start}
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in start:
                parameter.copy_(start[name])
    error = relative_error({name: through[name] - start[name] for name in start}, moved)
    detail = f"{len(through)} tensors after 2 steps: {len(unequal)} differ once resumed; against plain AdamW"
    return Proof("resume_exact", not unequal and error <= STEP_BOUND, detail, error, STEP_BOUND)


def adapter_identity(
    rows: Sequence[TokenSequence],
    *,
    base: Any,
    policy: Policy,
    build: BuildForest,
    take_step: Callable[[], None],
    merged: Callable[[], Any],
) -> Proof:
    """A fresh adapter changes nothing, and after a step the merged model is the one with the adapter.

    ``base`` is the model without it; ``merged`` gives the model with the adapter folded in.
    """

    def adapted() -> list[Tensor]:
        return [policy.edge_logps(build([_all(row)], share=False)) for row in rows]

    with torch.no_grad():
        with own_attention(base):
            expected = [row_logps(base, row) for row in rows]
        fresh = _distance(adapted(), expected)
    take_step()
    with torch.no_grad():
        stepped = adapted()
        moved = _distance(stepped, expected)
        folded = merged()
        with own_attention(folded):
            after = _distance([row_logps(folded, row) for row in rows], stepped)
    detail = f"step 0 against the base {fresh:.1e}; a step moves log-probabilities by {moved:.1e}; merged {after:.1e}"
    return Proof(
        "adapter_identity", fresh <= BOUND and after <= BOUND and moved > 0, detail, _largest(fresh, after), BOUND
    )


def _all(row: TokenSequence) -> TokenSequence:
    return replace(row, weights=np.ones_like(row.weights))


def _distance(found: Sequence[Tensor], expected: Sequence[Tensor]) -> float:
    one, other = torch.cat(list(found)).double(), torch.cat(list(expected)).double()
    return float((one - other).norm() / other.norm())


def _largest(*errors: float) -> float:
    """The largest error, NaN where one is: Python's own ``max`` may pass over it."""
    return float(np.max(errors))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
