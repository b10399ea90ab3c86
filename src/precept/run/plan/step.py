"""The forecast of one training step: the plan counted, one step measured where the model runs here."""

from __future__ import annotations

import datetime
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from precept.forecast import count_parts, peak_bytes
from precept.forecast.calibrate import Observed
from precept.forecast.measure import measure, meter_of
from precept.forecast.shape import read_shape, write_first_layers
from precept.forest import build_forest
from precept.models.folder import ModelFolder, check_model_folder
from precept.models.load import LoadedModel, load_tokenizer
from precept.models.precision import choose_device
from precept.models.probe import Chosen
from precept.models.save import trainable_state
from precept.run.console import say
from precept.run.data.rows import read_data
from precept.run.plan.job import Job, Machine, PlannedForests, count_plan, expected_activations, predicted_states
from precept.run.plan.page import describe_elsewhere, describe_here
from precept.run.proving.rows import row_proofs
from precept.run.settings import RunSettings
from precept.run.tuning.memory import Needs, automatic_budget, memory_needs, tokens_per_forest
from precept.run.tuning.prepare import load_for_training, render_data
from precept.run.tuning.row_order import make_schedule
from precept.run.tuning.training import OBJECTIVES
from precept.train.optimizer import make_optimizer, scale_and_clip
from precept.train.settings import total_steps
from precept.types import Forest, TokenSequence

MOST_SECONDS = 20.0  # of timed passes
FIRST_LAYERS = 2


def forecast_step(path: Path, settings: RunSettings, *, method: str, machine: Machine | None) -> dict[str, Any]:
    """The entry of one training step, without its name and kind."""
    began = time.perf_counter()
    folder = check_model_folder(path, trust_remote_code=settings.model.trust_remote_code)
    raw = read_data(settings, method=method)
    data = render_data(raw, folder, _keep_going(settings), date=_day(settings))
    row_proofs(raw, data)  # for the time that they take; what they find is for check to tell
    schedule = make_schedule(data.train.sequences, settings.loop, data_hash=raw.hash)
    job = Job(folder, settings, method, data, schedule, total_steps(settings.loop, schedule.steps_per_epoch), began)
    return _here(job) if machine is None else _elsewhere(job, machine)


def _here(job: Job) -> dict[str, Any]:
    """By one measured step of the model, or of its first layers where the whole does not fit."""
    settings, sequences = job.settings, job.data.train.sequences
    device = choose_device()
    meter = meter_of(device)
    before = meter.now()
    available = meter.free() + before
    needs = memory_needs(job.folder.base, settings, device=device)
    least = count_parts(
        needs.shape, needs.training, expected_activations(needs), tokens=job.longest, predicted=job.longest
    )
    whole = before + peak_bytes(least, needs.training) <= available
    with _to_measure(job, whole=whole) as folder:
        loaded, chosen = load_for_training(folder, job.data, settings)
        shape = needs.shape if whole else read_shape(folder.base)
    ready, after_load, load_peak = time.perf_counter(), meter.now(), meter.peak()
    eager = loaded.model.config._attn_implementation == "eager"
    needs = memory_needs(job.folder.base, settings, device=device, eager=eager)
    if whole or settings.loop.max_tokens_per_forest != "auto":
        budget = tokens_per_forest(settings, sequences, loaded)
    else:
        room = available - before
        budget = automatic_budget(*needs[:2], sequences, device=device, room=room, holds_weights=False)
    plan = PlannedForests(sequences, chosen.share, chosen.length_switches, budget)
    counts = count_plan(job, plan, needs)
    training = replace(needs.training, accumulates=counts.most_forests > 1)
    step, place = counts.heaviest
    heaviest = plan.groups(job.schedule.rows(step))[place]
    sized = _sizes(plan, heaviest, room=meter.free(), needs=needs._replace(shape=shape, training=training))
    typical_rows = job.schedule.rows(counts.typical)
    making = time.perf_counter()
    typical = [plan.build(group) for group in plan.groups(typical_rows)]
    forest_seconds = time.perf_counter() - making
    measured = measure(
        **_passes(job, loaded, chosen),
        sized=sized,
        typical=typical,
        one_token=build_forest(
            [TokenSequence(s.ids[:1], s.weights[:1], s.source, s.encoder_ids) for s in sequences[:1]]
        ),
        accumulates=training.accumulates,
        meter=meter,
        most_seconds=MOST_SECONDS,
    )
    observed = Observed(shape, training, after_load, load_peak, measured, tuple(map(predicted_states, sized)))
    return describe_here(
        job,
        counts,
        needs._replace(training=training),
        observed,
        plan,
        plan.build(heaviest),
        available=available,
        setup_seconds=ready - job.began,
        forest_seconds=forest_seconds,
    )


def _elsewhere(job: Job, machine: Machine) -> dict[str, Any]:
    """By counts and stated peak figures alone: nothing runs."""
    settings, sequences = job.settings, job.data.train.sequences
    needs = memory_needs(job.folder.base, settings, device=torch.device("cuda"), compute=torch.bfloat16)
    room = machine.device.memory - machine.process
    if settings.loop.max_tokens_per_forest == "auto":
        budget = automatic_budget(*needs[:2], sequences, device=torch.device("cuda"), room=room, holds_weights=False)
    else:
        budget = max(job.longest, settings.loop.max_tokens_per_forest)
    share = settings.model.sharing != "off" and not job.folder.config.get("is_encoder_decoder")
    if settings.model.adapter != "none":
        share = share and settings.model.lora_dropout == 0
    plan = PlannedForests(sequences, share, (), budget)
    counts = count_plan(job, plan, needs)
    step, place = counts.heaviest
    largest = plan.build(plan.groups(job.schedule.rows(step))[place])
    needs = needs._replace(training=replace(needs.training, accumulates=counts.most_forests > 1))
    return describe_elsewhere(job, counts, needs, machine, plan, largest)


def _sizes(plan: PlannedForests, rows: Sequence[int], *, room: int, needs: Needs) -> list[Forest]:
    """The heaviest planned forest and one of about half its rows, ascending; smaller ones where memory is short."""
    activations = expected_activations(needs)
    found: list[Forest] = []
    while rows and len(found) < 2:
        forest = plan.build(rows)
        parts = count_parts(
            needs.shape, needs.training, activations, tokens=forest.distinct_tokens, predicted=predicted_states(forest)
        )
        held = parts["weights"] + parts["adapter"]
        if peak_bytes(parts, needs.training) - held <= room or len(rows) == 1:
            found.append(forest)
        rows = rows[: len(rows) // 2]
    return found[::-1]


def _passes(job: Job, loaded: LoadedModel, chosen: Chosen) -> dict[str, Any]:
    """The passes and the update of the training loop, at a learning rate of 0."""
    parameters = trainable_state(loaded.model)
    optimizer = make_optimizer(parameters, job.settings.optimizer, learning_rate=0.0)
    objective = OBJECTIVES[job.method]

    def backward(forest: Forest) -> None:
        objective(chosen.policy, forest).sum.backward()  # type: ignore[no-untyped-call]

    def forward(forest: Forest) -> None:
        with torch.no_grad():
            chosen.policy.last_hidden(forest)

    def update() -> None:
        scale_and_clip(parameters, count=1.0, max_norm=job.settings.optimizer.max_grad_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return {"backward": backward, "forward": forward, "update": update}


@contextmanager
def _to_measure(job: Job, *, whole: bool) -> Iterator[ModelFolder]:
    """The model's folder, or one of random weights with its first layers."""
    if whole:
        yield job.folder
        return
    say(f"the model does not fit into the free memory: its first {FIRST_LAYERS} layers are measured")
    trusted = job.settings.model.trust_remote_code
    with tempfile.TemporaryDirectory(prefix="precept-plan-") as name:
        path = write_first_layers(job.folder.base, Path(name), layers=FIRST_LAYERS, trust_remote_code=trusted)
        load_tokenizer(job.folder.path, trust_remote_code=trusted).save_pretrained(name)
        yield check_model_folder(path, trust_remote_code=trusted)


def _keep_going(settings: RunSettings) -> RunSettings:
    """Rows that are too long are told as lost and not refused: a plan shows what each policy costs."""
    if settings.render.over_length != "error":
        return settings
    return replace(settings, render=settings.render.model_copy(update={"over_length": "drop"}))


def _day(settings: RunSettings) -> datetime.date:
    """The day that templates print."""
    chosen = settings.render.template_date
    return datetime.date.fromisoformat(str(chosen)) if chosen else datetime.date.today()
