"""From what one step showed to what the planned steps will need."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from precept.forecast.devices import operations
from precept.forecast.memory import (
    Activations,
    Part,
    Training,
    adapter_parameters,
    analytic_activations,
    count_parts,
    fit_activations,
    peak_bytes,
)
from precept.forecast.shape import ModelShape

if TYPE_CHECKING:
    from precept.forecast.measure import Measured

MEASURED_MARGIN = (0.05, 0.1)  # below and above a peak that was measured: allocators differ from run to run
COUNTED_MARGIN = (0.25, 0.25)  # ... and one that was only counted, or measured on the first layers
KEPT_SIZES = 8  # of forests: oneDNN keeps 64 kernels (precept/__init__.py), about a dozen for each size
LEAST_SPREAD = 0.1  # of seconds: machines are shared
FORWARD = 1 / 3  # of both passes
WRITTEN = 400e6  # bytes a second to disk, checksums included


@dataclass(frozen=True, slots=True)
class Observed:
    """One measured step of a model of ``shape``, which may be the first layers of the planned one.

    ``after_load`` is what the process held with the model in memory, ``load_peak`` the most it held until then.
    ``predicted`` are the states that met the output head in each forest of ``measured.peaks``.
    """

    shape: ModelShape
    training: Training
    after_load: int
    load_peak: int
    measured: Measured
    predicted: tuple[int, ...]

    @property
    def process(self) -> int:
        """What the process holds beside the model: imports, tokenizer, rows."""
        parts = count_parts(self.shape, self.training, Activations(0, 0, 0), tokens=0, predicted=0)
        return max(0, self.after_load - parts["weights"] - parts["adapter"])


def fitted_activations(observed: Observed, shape: ModelShape) -> Activations:
    """Activations of a model of ``shape``: those that were measured, scaled where only its first layers were."""
    nothing, training = Activations(0, 0, 0), observed.training
    points = []
    for (tokens, peak), predicted in zip(observed.measured.peaks, observed.predicted, strict=True):
        parts = count_parts(observed.shape, training, nothing, tokens=tokens, predicted=predicted)
        gradients = 0 if training.accumulates else parts["gradients"]
        points.append((tokens, peak - observed.process - sum(parts.values()) + gradients))
    analytic = analytic_activations(observed.shape, training)
    fitted = fit_activations(points, analytic=analytic)
    if shape == observed.shape:
        return fitted
    tokens = max(points)[0]
    return fitted.scaled(analytic_activations(shape, training).at(tokens) / max(1, analytic.at(tokens)))


def memory_figures(
    parts: Mapping[Part, int],
    training: Training,
    *,
    process: int,
    loading: int,
    grown: int,
    available: int,
    measured: bool,
) -> dict[str, Any]:
    """The memory entry of the plan, in bytes. ``loading`` is the peak until the model was in memory, ``grown`` what
    kernels and gaps of the allocator add over the steps, the least certain part."""
    peak = max(process + peak_bytes(parts, training), loading) + grown
    below, above = MEASURED_MARGIN if measured else COUNTED_MARGIN
    return {
        "parts": {"process": process, **parts, "growth": grown},
        "peak": peak,
        "low": round(peak * (1 - below)),
        "high": round(peak * (1 + above)) + grown,
        "available": available,
        "fits": peak <= available,
    }


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done: steps, distinct and trained tokens of all of them, mean ancestors of a token, seconds before
    the first step and to make a step's forests, evaluations with the tokens of each and the answers' tokens, bytes
    written in all."""

    steps: int
    distinct: int
    trained: int
    context: float
    setup_seconds: float
    forest_seconds: float
    evaluations: int
    evaluated_tokens: int
    answered_tokens: int
    written: int


def forecast_seconds(observed: Observed, shape: ModelShape, load: Load) -> dict[str, float]:
    """Seconds of the whole step with an interval: the spread of the timed forests, a tenth at least."""
    passes = observed.measured.passes
    rates = [seconds / tokens for tokens, seconds in passes]
    rate = sum(seconds for _, seconds in passes) / sum(tokens for tokens, _ in passes)
    spread = min(0.5, max(LEAST_SPREAD, (max(rates) - min(rates)) / (2 * rate)))
    rate *= _work(shape, observed.training, load) / _work(observed.shape, observed.training, load)
    update = observed.measured.update_seconds * _trained(shape, observed) / _trained(observed.shape, observed)
    token = observed.measured.token_seconds * shape.layers / observed.shape.layers
    value = (
        load.setup_seconds
        + load.steps * (load.forest_seconds + update)
        + load.distinct * rate
        + load.evaluations * (load.evaluated_tokens * rate * FORWARD + load.answered_tokens * token)
        + load.written / WRITTEN
    )
    return {"value": value, "low": value * (1 - spread), "high": value * (1 + spread)}


def _work(shape: ModelShape, training: Training, load: Load) -> float:
    return operations(shape, training, tokens=load.distinct, trained=load.trained, context=load.context)


def _trained(shape: ModelShape, observed: Observed) -> int:
    return adapter_parameters(shape, observed.training) or shape.parameters
