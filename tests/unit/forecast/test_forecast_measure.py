"""One measured step, with passes and a meter whose figures are known, and what is forecast from it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.forecast.test_forecast_memory import FULL, NOTHING, SHAPE

from precept.forecast import DEVICES, count_parts, peak_bytes, step_seconds
from precept.forecast.calibrate import Load, Observed, fitted_activations, forecast_seconds, memory_figures
from precept.forecast.devices import operations
from precept.forecast.measure import Measured, ResidentMemory, measure
from precept.types import Answers, Forest

PROCESS = 5000


def forest(tokens: int) -> Forest:
    """A path without edges."""
    nodes = np.arange(tokens, dtype=np.int32)
    none = np.empty(0, np.int64)
    answers = Answers(np.zeros(2, np.int64), none, np.empty(0, np.float32), np.array([tokens - 1]))
    empty = np.empty(0, np.int32)
    ends = np.full(tokens, tokens, np.int32)
    return Forest(nodes, nodes, nodes - 1, ends, empty, np.empty(0, np.float32), answers)


class Run:
    """A run whose forests take a second and hold ten bytes a token, and whose gradients take 700 bytes."""

    def __init__(self) -> None:
        self.seconds, self.held, self.most = 0.0, 1000, 0
        self.done: list[str] = []

    def backward(self, forest: Forest) -> None:
        self.done.append(f"backward {forest.distinct_tokens}")
        self.seconds += forest.distinct_tokens
        self.most = max(self.most, self.held + 10 * forest.distinct_tokens)
        self.held = 1700

    def forward(self, forest: Forest) -> None:
        self.seconds += 0.5

    def update(self) -> None:
        self.done.append("update")
        self.seconds += 3
        self.held = 1000

    def now(self) -> int:
        return self.held

    def peak(self) -> int:
        return self.most

    def reset(self) -> None:
        self.most = 0

    def free(self) -> int:
        return 10**6

    def measured(self, *, accumulates: bool, most_seconds: float = 1000) -> Measured:
        return measure(
            backward=self.backward,
            forward=self.forward,
            update=self.update,
            sized=[forest(4), forest(8)],
            typical=[forest(6), forest(7), forest(1)],
            one_token=forest(1),
            accumulates=accumulates,
            meter=self,
            most_seconds=most_seconds,
            clock=lambda: self.seconds,
        )


def test_memory_is_measured_after_a_warm_up_and_beside_gradients_where_steps_have_several_forests() -> None:
    run = Run()
    assert run.measured(accumulates=True).peaks == ((4, 1700 + 40), (8, 1700 + 80))
    assert run.done[:2] == ["backward 4", "update"]


def test_a_step_of_one_forest_is_measured_without_gradients() -> None:
    assert Run().measured(accumulates=False).peaks == ((4, 1040), (8, 1080))


def test_forests_of_a_typical_step_are_timed_and_the_update_apart() -> None:
    found = Run().measured(accumulates=True)
    assert found.passes == ((6, 6.0), (7, 7.0), (1, 1.0))
    assert (found.update_seconds, found.token_seconds) == (3.0, 0.5)


def test_timing_stops_when_its_time_is_used() -> None:
    assert Run().measured(accumulates=True, most_seconds=5).passes == ((6, 6.0),)


def test_growth_is_told_for_each_further_size_of_forest() -> None:
    run = Run()
    kept = run.backward

    def backward(forest: Forest) -> None:
        kept(forest)
        run.held += 300 * (forest.distinct_tokens > 5)

    run.backward = backward  # type: ignore[method-assign]
    # the largest forest peaks at 1,700 + 80; of the typical three the second finds 1,700 + 300 held and adds 70
    assert run.measured(accumulates=True).grown == (2070 - 1780) / 3


def test_growth_counts_in_the_peak() -> None:
    parts = count_parts(SHAPE, FULL, NOTHING, tokens=1, predicted=0)
    figures = memory_figures(parts, FULL, process=10, loading=0, grown=70, available=10**5, measured=True)
    assert figures["peak"] == 10 + sum(parts.values()) + 70 == sum(figures["parts"].values())


EAGER = replace(FULL, eager=True)


def observed(**changes: object) -> Observed:
    """The model's states and 100 + 20 bytes a token and 35 a square, measured at 10 and 20 tokens.

    Eager attention counts 3 + 2 heads x 2 layers x 8 bytes = 35 a square; of one layer 19.
    """
    parts = count_parts(SHAPE, EAGER, NOTHING, tokens=0, predicted=0)
    base = PROCESS + sum(parts.values())
    measured = Measured(
        ((10, base + 300 + 35 * 100), (20, base + 500 + 35 * 400)), ((10, 1.0), (30, 3.0)), 0.0, 0.5, 0.01
    )
    after = PROCESS + parts["weights"]
    return replace(Observed(SHAPE, EAGER, after, after + 10, measured, (0, 0)), **changes)  # type: ignore[arg-type]


def test_activations_are_what_is_left_of_the_peak() -> None:
    found = fitted_activations(observed(), SHAPE)
    assert (found.fixed, found.per_token, found.per_square) == (100, 20, 35)
    assert observed().process == PROCESS


def test_activations_of_first_layers_are_scaled_to_all() -> None:
    half = replace(SHAPE, linears=SHAPE.linears[:2], layers=1)
    small = fitted_activations(observed(shape=half), half)
    whole = fitted_activations(observed(shape=half), SHAPE)
    # counted at 20 tokens: 240 x 20 + 19 x 400 = 12,400 and 480 x 20 + 35 x 400 = 23,600
    assert whole.at(20) == pytest.approx(small.at(20) * 23600 / 12400, abs=1)


def test_the_peak_of_the_measured_forest_is_the_measured_one() -> None:
    seen = observed()
    parts = count_parts(SHAPE, FULL, fitted_activations(seen, SHAPE), tokens=20, predicted=0)
    figures = memory_figures(parts, FULL, process=seen.process, loading=0, grown=0, available=10**5, measured=True)
    assert figures["peak"] == seen.measured.peaks[1][1] == PROCESS + peak_bytes(parts, FULL)
    assert figures["fits"] and figures["low"] < figures["peak"] < figures["high"]


def test_a_peak_while_loading_counts_where_it_is_higher() -> None:
    parts = count_parts(SHAPE, FULL, NOTHING, tokens=1, predicted=0)
    figures = memory_figures(parts, FULL, process=0, loading=10**6, grown=0, available=10**5, measured=True)
    assert figures["peak"] == 10**6 and not figures["fits"]


LOAD = Load(
    steps=10,
    distinct=400,
    trained=100,
    context=5.0,
    setup_seconds=7.0,
    forest_seconds=0.25,
    evaluations=2,
    evaluated_tokens=30,
    answered_tokens=48,
    written=400_000_000,
)


def test_seconds_are_passes_updates_evaluations_and_writing() -> None:
    # 7 + 10 x (0.25 + 0.5) + 400 x 0.1 + 2 x (30 x 0.1 / 3 + 48 x 0.01) + 1 = 7 + 7.5 + 40 + 2.96 + 1
    found = forecast_seconds(observed(), SHAPE, LOAD)
    assert found["value"] == pytest.approx(58.46)
    assert found["low"] == pytest.approx(0.9 * 58.46) and found["high"] == pytest.approx(1.1 * 58.46)


def test_operations_follow_the_rule_of_six() -> None:
    # 3 passes x (100 x (2 x 96 + 4 x 2 layers x 4 hidden x 5 ancestors) + 2 x 50 x 40)
    assert operations(SHAPE, FULL, tokens=100, trained=50, context=5) == 3 * (100 * (192 + 160) + 4000)
    # an adapter needs no gradient of the base's weights: 2 passes; 120 numbers of its own
    lora = replace(FULL, adapter="lora", rank=3)
    assert operations(SHAPE, lora, tokens=100, trained=0, context=0) == 2 * 100 * 2 * (96 + 120)


def test_devices_divide_the_passes_and_not_the_update() -> None:
    h100 = DEVICES["h100"]
    # 40 % of 989 TFLOP/s do 395.6e12 operations in a second
    low, one, high = step_seconds(h100, 1, work=395.6e12, updated=0)
    assert one == pytest.approx(1.0) and low < one < high
    assert step_seconds(h100, 8, work=395.6e12, updated=0)[1] == pytest.approx(1 / 8)
    # 16 bytes a number read and written: 3,350e9 / 32 numbers a second
    assert step_seconds(h100, 8, work=0, updated=3350 * 10**9 // 32)[1] == pytest.approx(1.0)


def test_resident_memory_sees_what_was_held_and_freed() -> None:
    resident = ResidentMemory()
    resident.reset()
    before = resident.now()
    block = np.ones(64 << 20, np.uint8)
    assert resident.now() - before > 50 << 20
    del block
    assert resident.peak() - before > 50 << 20
    assert resident.free() > 0
