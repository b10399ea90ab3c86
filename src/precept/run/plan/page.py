"""The plan of one training step as JSON."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from precept.forecast import (
    TokenCounts,
    analytic_activations,
    count_parts,
    describe_lengths,
    propose_changes,
    step_seconds,
)
from precept.forecast.calibrate import KEPT_SIZES, Load, Observed, fitted_activations, forecast_seconds, memory_figures
from precept.forecast.devices import operations
from precept.forecast.memory import MASTER, MOMENTS, Activations, Part, adapter_parameters
from precept.models.precision import NAMED
from precept.render.lengths import POLICIES
from precept.run.plan.job import Job, Machine, PlannedForests, predicted_states
from precept.run.tuning.held_out import SAMPLE_TOKENS
from precept.run.tuning.memory import Needs
from precept.types import Forest


def describe_here(
    job: Job,
    counts: TokenCounts,
    needs: Needs,
    observed: Observed,
    plan: PlannedForests,
    largest: Forest,
    *,
    available: int,
    setup_seconds: float,
    forest_seconds: float,
) -> dict[str, Any]:
    """From the measured step. ``largest`` is the planned forest that needs most."""
    shape = needs.shape
    whole = observed.shape == shape
    activations = fitted_activations(observed, shape)
    measured = whole and observed.measured.peaks[-1][0] == largest.distinct_tokens
    written = job.checkpoints * _checkpoint_bytes(needs) + _result_bytes(job, needs)
    load = Load(
        steps=counts.steps,
        distinct=counts.distinct,
        trained=counts.trained,
        context=job.context,
        setup_seconds=setup_seconds,
        forest_seconds=forest_seconds,
        evaluations=job.evaluations,
        evaluated_tokens=job.held_out_tokens(share=plan.share),
        answered_tokens=SAMPLE_TOKENS if job.settings.loop.sample_answers else 0,
        written=written,
    )
    memory = memory_figures(
        _parts(needs, activations, largest),
        needs.training,
        process=observed.process,
        loading=observed.load_peak if whole else 0,
        grown=round(observed.measured.grown * min(KEPT_SIZES, counts.sizes)),
        available=available,
        measured=measured,
    )
    told = "this model" if whole else f"its first {observed.shape.layers} layers"
    return {
        **_document(job, counts, needs, activations, plan, largest),
        "memory": memory,
        "seconds": forecast_seconds(observed, shape, load),
        "measured": told,
    }


def describe_elsewhere(
    job: Job, counts: TokenCounts, needs: Needs, machine: Machine, plan: PlannedForests, largest: Forest
) -> dict[str, Any]:
    """From counts and stated peak figures."""
    activations = analytic_activations(needs.shape, needs.training)
    work = operations(needs.shape, needs.training, tokens=counts.distinct, trained=counts.trained, context=job.context)
    updated = adapter_parameters(needs.shape, needs.training) or needs.shape.parameters
    low, value, high = step_seconds(machine.device, machine.count, work=work / counts.steps, updated=updated)
    memory = memory_figures(
        _parts(needs, activations, largest),
        needs.training,
        process=machine.process,
        loading=0,
        grown=0,
        available=machine.device.memory,
        measured=False,
    )
    return {
        **_document(job, counts, needs, activations, plan, largest),
        "memory": memory,
        "seconds": {"value": value * counts.steps, "low": low * counts.steps, "high": high * counts.steps},
        "measured": f"nothing: stated peak figures of {machine.count} x {machine.device.name}",
    }


def _document(
    job: Job, counts: TokenCounts, needs: Needs, activations: Activations, plan: PlannedForests, largest: Forest
) -> dict[str, Any]:
    """What does not depend on the machine."""
    losses = job.data.train.counts.over_length_losses
    changes = propose_changes(
        needs.shape,
        needs.training,
        activations,
        tokens=largest.distinct_tokens,
        predicted=predicted_states(largest),
        longest=job.longest,
        base_bytes=needs.base_bytes,
    )
    kept = min(job.checkpoints, job.settings.loop.save_total_limit + 1)  # one more while the newest is written
    return {
        "optimizer_steps": counts.steps,
        "tokens": {
            "real": counts.real,
            "distinct": counts.distinct,
            "trained": counts.trained,
            "distinct_low": counts.distinct_low,
            "distinct_high": counts.distinct_high,
            "counted_steps": counts.counted,
        },
        "saved_by_sharing": counts.saved_by_sharing,
        "forests": counts.forests,
        "max_tokens_per_forest": plan.budget,
        "lengths": describe_lengths(job.lengths),
        "lost": {name: dict(zip(("rows", "tokens"), losses.get(name, (0, 0)), strict=True)) for name in POLICIES},
        "refused": job.refused,
        "changes": [asdict(change) for change in changes],
        "disk_bytes": kept * _checkpoint_bytes(needs) + _result_bytes(job, needs),
        "disk_free": shutil.disk_usage(Path.cwd()).free,
    }


def _parts(needs: Needs, activations: Activations, largest: Forest) -> dict[Part, int]:
    return count_parts(
        needs.shape,
        needs.training,
        activations,
        tokens=largest.distinct_tokens,
        predicted=predicted_states(largest),
    )


def _checkpoint_bytes(needs: Needs) -> int:
    trained = adapter_parameters(needs.shape, needs.training) or needs.shape.parameters
    return trained * (MASTER + MOMENTS)


def _result_bytes(job: Job, needs: Needs) -> int:
    """The saved weights: adapters in float32, models in their own precision unless ``save_dtype`` names one."""
    added = adapter_parameters(needs.shape, needs.training)
    named = job.settings.model.save_dtype
    size = NAMED[named].itemsize if named != "auto" else MASTER if added else needs.base_bytes
    return (added or needs.shape.parameters) * size
