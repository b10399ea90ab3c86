"""The length-controlled win rate of AlpacaEval (Dubois et al., 2404.04475): what the judge would say at equal lengths.

A logistic model of one candidate against one baseline, fitted to the judge's preferences:

    P(candidate wins | instruction i) = sigmoid(w_len * tanh(d_i / std(d)) + w_x * g_i + w_m)

``d`` is characters of the baseline's output minus the candidate's, not centred, std with ddof 1; ``g`` the difficulty
of each instruction, from a joint fit over many models. The win rate is the mean of sigmoid(w_x * g_i + w_m). The code
of AlpacaEval writes the length difference with this sign, its paper with the other.

Three fits. ``minimal`` has no ``g`` and ``noreg`` has it, both by maximum likelihood; ``full`` adds judgments of the
baseline when it is told to be verbose and to be concise, which keep ``w_len`` from absorbing quality, and an L1 penalty
whose strength five folds choose. Deviations: AlpacaEval penalises all three; without the added judgments the maximum of
the likelihood is the better-defined number (its mean fitted probability is the raw win rate). Row i lies in fold
i mod 5, where scikit-learn's folds hang on the order of a sort among equals; and the penalised fit runs to convergence,
where liblinear stops early.

Shapes: N rows, P features, R weightings of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from precept.errors import WorkError
from precept.evaluate.statistics import RESAMPLES

Values = npt.NDArray[np.float64]

FOLDS = 5
INVERSE_PENALTIES = np.logspace(-4, 4, 10)
GAMED_WEIGHT = 0.2 / 2  # lambda 0.2 over two gamed baselines
PENALIZED_RESAMPLES = 500
MAX_ITERATIONS = 40
"""Newton's method needs about ten; without a finite maximum the weights grow by about one in each."""
SMALLEST_STEP = 1e-9
_BLOCK = 1 << 22  # numbers of a block of resamples, 32 MiB


@dataclass(frozen=True, slots=True)
class LengthWeights:
    """The three weights of a candidate. Those of the baseline itself are 0."""

    w_len: float = 0.0
    w_x: float = 0.0
    w_m: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class GamedRows:
    """Judgments of the baseline under prompts for long and for short answers: ``delta`` is d / std(d) of each row,
    ``difficulty`` its instruction's, ``labels`` the judge's preference for the gamed output, 0..1. All [N]."""

    delta: Values
    difficulty: Values
    labels: Values


@dataclass(frozen=True, slots=True)
class LengthControlled:
    """A length-controlled win rate in 0..1 with its 95 % bootstrap interval over rows, refitted for each resample.

    ``mean_fitted`` is the mean probability with the lengths as they are; ``std_difference`` is in characters.
    """

    value: float
    low: float
    high: float
    n: int
    method: Literal["minimal", "noreg", "full"]
    weights: LengthWeights
    mean_fitted: float
    std_difference: float


def length_controlled(
    labels: Sequence[float],
    len_1: Sequence[int],
    len_2: Sequence[int],
    *,
    difficulty: Sequence[float] | None = None,
    gamed: GamedRows | None = None,
    seed: int = 0,
) -> LengthControlled:
    """The win rate of output 2 over output 1 at equal lengths. ``labels`` in 0..1, lengths in characters, all [N].

    ``difficulty`` [N] makes it ``noreg``, with ``gamed`` ``full``. Raises WorkError where the likelihood has no finite
    maximum: a judge that always prefers one side, or the longer answer, and is never in doubt.
    """
    assert len(labels) == len(len_1) == len(len_2) >= 2, "needs two rows or more, each with both lengths"
    assert gamed is None or difficulty is not None, "the full fit needs difficulties"
    labels_N = np.asarray(labels, np.float64)
    delta_N, deviation = standardized_difference(len_1, len_2)
    difficulty_N = np.zeros(len(labels_N)) if difficulty is None else np.asarray(difficulty, np.float64)
    features_NP = np.stack([np.tanh(delta_N), difficulty_N, np.ones(len(labels_N))], axis=1)
    rng = np.random.default_rng(seed)
    if gamed is not None:
        fitted_P, resampled_RP, counts_RN = _fit_full(features_NP, labels_N, gamed, rng)
    else:
        fitted_P, resampled_RP, counts_RN = _fit_plain(features_NP, labels_N, rng)
    rates_R = (_sigmoid(resampled_RP[:, 1:] @ features_NP[:, 1:].T) * counts_RN).sum(axis=1) / len(labels_N)
    low, high = np.quantile(rates_R, (0.025, 0.975))
    weights = LengthWeights(*map(float, fitted_P))
    return LengthControlled(
        value=lc_from_weights(weights, difficulty_N),
        low=float(low),
        high=float(high),
        n=len(labels_N),
        method="full" if gamed is not None else "minimal" if difficulty is None else "noreg",
        weights=weights,
        mean_fitted=float(_sigmoid(features_NP @ fitted_P).mean()),
        std_difference=deviation,
    )


def lc_from_weights(
    weights: LengthWeights,
    difficulty: Sequence[float] | Values,
    *,
    against: LengthWeights = LengthWeights(),
) -> float:
    """The share of instructions that one candidate wins over another at equal lengths, in 0..1, from saved weights.

    All pairs follow from fits against one baseline; ``against`` is the baseline itself where none is given.
    """
    difficulty_N = np.asarray(difficulty, np.float64)
    assert difficulty_N.size, "needs the difficulty of each instruction"
    return float(_sigmoid((weights.w_m - against.w_m) + (weights.w_x - against.w_x) * difficulty_N).mean())


def standardized_difference(len_1: Sequence[int], len_2: Sequence[int]) -> tuple[Values, float]:
    """d / std(d) and std(d) for d = len_1 - len_2; 0 where all differences are equal: lengths tell nothing there."""
    difference_N = np.asarray(len_1, np.float64) - np.asarray(len_2, np.float64)
    deviation = float(difference_N.std(ddof=1))
    return (difference_N / deviation if deviation else np.zeros_like(difference_N)), deviation


def fit_logistic(features_NP: Values, labels_N: Values, counts_RN: Values) -> tuple[Values, npt.NDArray[np.bool_]]:
    """Maximum-likelihood weights [R, P] for soft labels under each weighting of the rows, and which have converged [R].

    Newton's method with halved steps, all weightings side by side. Without a finite maximum it does not converge.
    """
    size = features_NP.shape[1]
    weights_RP: Values = np.zeros((len(counts_RN), size))
    products = (features_NP[:, :, None] * features_NP[:, None, :]).reshape(len(features_NP), -1)
    step_RP: Values = np.ones_like(weights_RP)
    for _ in range(MAX_ITERATIONS):
        probability_RN = _sigmoid(weights_RP @ features_NP.T)
        gradient_RP = (counts_RN * (labels_N - probability_RN)) @ features_NP
        curvature = ((counts_RN * probability_RN * (1 - probability_RN)) @ products).reshape(-1, size, size)
        # Keeps a feature that is 0 or collinear solvable; where the gradient is 0 it changes nothing.
        ridge_R = 1e-9 * curvature.max(axis=(1, 2)) + 1e-300
        curvature += ridge_R[:, None, None] * np.eye(size)
        step_RP = np.asarray(np.linalg.solve(curvature, gradient_RP[..., None])[..., 0], np.float64)
        weights_RP = _climb(weights_RP, step_RP, features_NP, labels_N, counts_RN)
        if abs(step_RP).max() < SMALLEST_STEP:
            break
    return weights_RP, abs(step_RP).max(axis=1) < SMALLEST_STEP


def fit_penalized(
    features_NP: Values, labels_N: Values, row_weights_N: Values, *, inverse_penalty: float, start: Values | None = None
) -> Values:
    """The weights [P] that minimise ``sum(abs(w)) + inverse_penalty * loss``, the loss summed over weighted rows.

    Proximal Newton: each step minimises the quadratic model with the penalty as it is, coordinate by coordinate.
    """
    weights_P = np.zeros(features_NP.shape[1]) if start is None else start.copy()

    def cost(candidate_P: Values) -> float:
        loss = -_log_likelihood(candidate_P[None], features_NP, labels_N, row_weights_N[None])[0]
        return float(abs(candidate_P).sum() + inverse_penalty * loss)

    for _ in range(200):
        probability_N = _sigmoid(features_NP @ weights_P)
        gradient_P = -inverse_penalty * (row_weights_N * (labels_N - probability_N)) @ features_NP
        spread_N = row_weights_N * probability_N * (1 - probability_N)
        curvature_PP = inverse_penalty * (features_NP * spread_N[:, None]).T @ features_NP
        curvature_PP += 1e-12 * (curvature_PP.max() + 1) * np.eye(len(weights_P))
        step_P = _penalized_step(weights_P, gradient_P, curvature_PP)
        before, length = cost(weights_P), 1.0
        while length > 1e-6 and cost(weights_P + length * step_P) > before:
            length /= 2
        if abs(length * step_P).max() < SMALLEST_STEP:
            break
        weights_P = weights_P + length * step_P
    return weights_P


def _penalized_step(weights_P: Values, gradient_P: Values, curvature_PP: Values) -> Values:
    """The step s that minimises ``g s + s H s / 2 + sum(abs(w + s))``."""
    step_P = np.zeros_like(weights_P)
    for _ in range(500):
        before_P = step_P.copy()
        for j, curvature in enumerate(curvature_PP.diagonal()):
            slope = gradient_P[j] + curvature_PP[j] @ step_P - curvature * step_P[j]
            centre = curvature * weights_P[j] - slope
            step_P[j] = np.sign(centre) * max(abs(centre) - 1, 0) / curvature - weights_P[j]
        if abs(step_P - before_P).max() < SMALLEST_STEP / 100:
            break
    return step_P


def _fit_plain(features_NP: Values, labels_N: Values, rng: np.random.Generator) -> tuple[Values, Values, Values]:
    fitted_RP, converged_R = fit_logistic(features_NP, labels_N, np.ones((1, len(labels_N))))
    if not converged_R[0]:
        raise WorkError(
            "the length-controlled win rate has no finite fit: the judge is never in doubt",
            code="length-control-unbounded",
            found=f"{len(labels_N)} rows, mean preference for the candidate {labels_N.mean():.4g}",
            do="report the raw win rate, or judge more rows",
        )
    counts_RN = _resample(len(labels_N), RESAMPLES, rng)
    rows = max(1, _BLOCK // len(labels_N))
    # A resample without a finite fit has gone far enough for its rate to be 0 or 1.
    parts = [fit_logistic(features_NP, labels_N, counts_RN[i : i + rows])[0] for i in range(0, len(counts_RN), rows)]
    return fitted_RP[0], np.concatenate(parts), counts_RN


def _fit_full(
    features_NP: Values, labels_N: Values, gamed: GamedRows, rng: np.random.Generator
) -> tuple[Values, Values, Values]:
    gamed_features = np.stack([np.tanh(gamed.delta), gamed.difficulty, np.zeros(len(gamed.delta))], axis=1)
    features = np.concatenate([gamed_features, features_NP])  # in AlpacaEval's order, which the folds hang on
    labels = np.concatenate([gamed.labels, labels_N])
    row_weights = np.concatenate([np.full(len(gamed_features), GAMED_WEIGHT), np.ones(len(labels_N))])
    strength = _choose_strength(features, labels, row_weights)
    fitted_P = fit_penalized(features, labels, row_weights, inverse_penalty=strength)
    counts_RN = _resample(len(labels_N), PENALIZED_RESAMPLES, rng)
    resampled = []
    for counts_N in counts_RN:
        weighted = np.concatenate([row_weights[: len(gamed_features)], counts_N])
        resampled.append(fit_penalized(features, labels, weighted, inverse_penalty=strength, start=fitted_P))
    return fitted_P, np.array(resampled), counts_RN


def _choose_strength(features: Values, labels: Values, row_weights: Values) -> float:
    """The inverse penalty with the smallest mean loss on rows left out; the smaller one of equals."""
    fold = np.arange(len(labels)) % FOLDS
    losses = []
    for strength in INVERSE_PENALTIES:
        loss = 0.0
        for left_out in range(min(FOLDS, len(labels))):  # of fewer rows than folds some folds are empty
            rows, others = fold == left_out, fold != left_out
            fitted = fit_penalized(features[others], labels[others], row_weights[others], inverse_penalty=strength)
            loss -= _log_likelihood(fitted[None], features[rows], labels[rows], row_weights[rows][None])[0] / rows.sum()
        losses.append(loss)
    return float(INVERSE_PENALTIES[int(np.argmin(losses))])


def _climb(weights_RP: Values, step_RP: Values, features_NP: Values, labels_N: Values, counts_RN: Values) -> Values:
    """A step, halved for those weightings whose likelihood it would lower."""
    before_R = _log_likelihood(weights_RP, features_NP, labels_N, counts_RN)
    length_R = np.ones(len(weights_RP))
    for _ in range(20):
        after_R = _log_likelihood(weights_RP + length_R[:, None] * step_RP, features_NP, labels_N, counts_RN)
        lower_R = after_R < before_R - 1e-12 * abs(before_R)
        if not lower_R.any():
            break
        length_R[lower_R] /= 2
    return weights_RP + length_R[:, None] * step_RP


def _log_likelihood(weights_RP: Values, features_NP: Values, labels_N: Values, counts_RN: Values) -> Values:
    logits_RN = weights_RP @ features_NP.T
    total_R: Values = (counts_RN * (labels_N * logits_RN - np.logaddexp(0, logits_RN))).sum(axis=1)
    return total_R


def _resample(rows: int, times: int, rng: np.random.Generator) -> Values:
    """How often each of N rows is drawn when N are drawn with replacement, [R, N]."""
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=times).astype(np.float64)


def _sigmoid(values: Values) -> Values:
    probability: Values = np.exp(-np.logaddexp(0, -values))
    return probability
