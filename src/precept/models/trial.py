"""Compares a policy with transformers' own forward of one row at a time, loss and whole gradient.

Shapes: n tokens of a row, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from precept.errors import MODEL_FAILURES
from precept.models.miniature import VOCABULARY, Miniature
from precept.models.policy import ScoringPolicy, evaluating
from precept.ports import BuildForest
from precept.types import Source, TokenSequence

ROW_SOURCE = Source("probe", 1, "0" * 16)


class Trial:
    """Random rows on a small model, and the loss and gradient that they have one by one.

    Rows that the model itself cannot run (beyond its learned positions) are left out. ``longest`` leaves out
    rows that lie beyond the first length that no row of the data exceeds.
    """

    def __init__(self, small: Miniature, build: BuildForest, *, longest: int | None, seed: int) -> None:
        self.model = small.model
        self.lengths = small.lengths
        self.build = build
        self.stochastic = _is_stochastic(self.model)
        # Dropout hides what is exact; nothing else is known to differ between the modes.
        self.model.train(not self.stochastic)
        beyond = [small for small, original in small.lengths.items() if longest is not None and original >= longest]
        rows = random_rows(
            np.random.default_rng(seed),
            lengths=list(small.lengths),
            vocabulary=vocabulary_size(self.model),
            limit=min(beyond, default=None),
            encoder_decoder=bool(self.model.config.is_encoder_decoder),
        )
        self.rows: list[TokenSequence] = []
        self.loss = 0.0
        self.model.zero_grad()
        # Shortest first: a RoPE that stretches to the longest input so far then stretches to each row itself.
        for row in sorted(rows, key=lambda row: len(row.ids)):
            try:
                loss = row_loss(self.model, row)
            except MODEL_FAILURES:
                continue
            if loss.requires_grad:
                torch.autograd.backward(loss)
            self.loss += float(loss.detach())
            self.rows.append(row)
        self.longest = max((len(row.ids) for row in self.rows), default=0)
        self.gradient = self._take_gradient()

    def error(
        self, make: Callable[[Any], ScoringPolicy], *, switches: Sequence[int] = (), device: torch.device | None = None
    ) -> float:
        """Relative error of a policy with shared prefixes, the larger of loss and whole gradient.

        Rows on two sides of a switch go into separate forests. With ``device`` the policy runs there; what it is
        compared with was computed on the processor. Infinite where the policy cannot run.
        """
        if device is not None:
            self.model.to(device)
            try:
                return self.error(make, switches=switches)
            finally:
                self.model.to("cpu")
        sides = np.searchsorted(np.asarray(switches), [len(row.ids) for row in self.rows])
        loss = 0.0
        try:
            policy = make(self.model)
            for side in np.unique(sides):
                forest = self.build([self.rows[i] for i in np.flatnonzero(sides == side)])
                logps = policy.edge_logps(forest)
                part = -(logps * logps.new_tensor(forest.weight)).sum()
                torch.autograd.backward(part)
                loss += float(part.detach())
        except MODEL_FAILURES:
            self.model.zero_grad()
            return float("inf")
        found = self._take_gradient()
        squares = sum(float((found[name] - self.gradient[name]).square().sum()) for name in found)
        norm = sum(float(gradient.square().sum()) for gradient in self.gradient.values())
        error = max(abs(loss - self.loss) / abs(self.loss), (squares / norm) ** 0.5)
        return error if np.isfinite(error) else float("inf")

    def _take_gradient(self) -> dict[str, Tensor]:
        """Gradient of each parameter in float64, zero where it took no part; clears them."""
        gradient = {
            name: torch.zeros(p.shape, dtype=torch.float64) if p.grad is None else p.grad.double().cpu()
            for name, p in self.model.named_parameters()
        }
        self.model.zero_grad()
        return gradient


def own_error(model: Any, policy: ScoringPolicy, build: BuildForest, *, seed: int) -> float:
    """Relative error of log-probabilities on the user's own weights, for a few short rows, without gradients.

    Runs in evaluation mode and in the policy's precision; leaves the model's mode and torch's random state
    alone.
    """
    rows = random_rows(
        np.random.default_rng(seed),
        lengths=[3],
        vocabulary=vocabulary_size(model),
        limit=None,
        encoder_decoder=bool(model.config.is_encoder_decoder),
    )
    forest = build(rows)
    with evaluating(model), torch.no_grad(), policy.autocast():
        try:
            found = policy.answer_logps(forest, weighted=True)
            expected = torch.stack([-row_loss(model, row) for row in rows]).to(found.device)
        except MODEL_FAILURES:
            return float("inf")
    error = float((found - expected).norm() / expected.norm())
    return error if np.isfinite(error) else float("inf")


def row_loss(model: Any, row: TokenSequence) -> Tensor:
    """Weighted negative log-likelihood of one row through transformers' own forward, without a mask."""
    device = model.get_input_embeddings().weight.device
    ids = torch.as_tensor(row.ids, dtype=torch.long, device=device)[None]
    inputs = {"input_ids": ids}
    if row.encoder_ids is not None:
        encoder = torch.as_tensor(row.encoder_ids, dtype=torch.long, device=device)[None]
        inputs = {"input_ids": encoder, "decoder_input_ids": ids}
    logits = model(**inputs, use_cache=False).logits[0, :-1].float()
    logps = logits.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0]
    weighted: Tensor = logps * logps.new_tensor(row.weights[1:])
    return -weighted.sum()


def random_rows(
    rng: np.random.Generator,
    *,
    lengths: Sequence[int],
    vocabulary: int,
    limit: int | None,
    encoder_decoder: bool,
) -> list[TokenSequence]:
    """Rows just below, at and above each length and twice as long, at most ``limit`` tokens.

    Of each size one continues a common trunk and one leaves it half way; besides them a duplicate, a row of
    another root and a single token. Weights are 0, 0.5, 1 or 2.
    """
    sizes = {1, 3, 6, *(n + d for n in lengths for d in (-1, 0, 1)), *(2 * n + 1 for n in lengths)}
    sizes = {size for size in sizes if 1 <= size <= (limit or size)}

    def draw(n: int) -> np.ndarray[Any, np.dtype[np.int32]]:
        return rng.integers(1, vocabulary - 1, n, dtype=np.int32)

    ids = [draw(max(sizes))]
    for trunk in (draw(max(sizes)), draw(max(sizes))):
        for size in sorted(sizes):
            ids += [trunk[:size], np.concatenate([trunk[: size // 2], draw(size - size // 2)])]
    ids.append(ids[-1])
    return [
        TokenSequence(
            row,
            rng.choice(np.array([0, 0.5, 1, 2], np.float32), len(row)),
            ROW_SOURCE,
            draw(int(rng.integers(1, 9))) if encoder_decoder else None,
        )
        for row in ids
    ]


def vocabulary_size(model: Any) -> int:
    """Number of token ids to draw from."""
    return min(VOCABULARY, int(model.get_input_embeddings().weight.shape[0]))


def _is_stochastic(model: Any) -> bool:
    """True when a training forward gives another result each time: dropout, dropped layers, router noise."""
    model.train()
    with torch.no_grad(), torch.random.fork_rng([]):
        torch.manual_seed(0)
        ids = torch.randint(1, vocabulary_size(model) - 1, (32, 4))  # many, since noise may show in few tokens only
        inputs = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
        runs = [model(input_ids=ids, **inputs, use_cache=False).logits for _ in range(4)]
    return any(not torch.equal(run, runs[0]) for run in runs[1:])
