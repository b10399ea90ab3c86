"""Charts as text: where ticks, points and bars lie."""

from __future__ import annotations

import re

import pytest

from precept.evaluate.svg import HEIGHT, LEFT, RIGHT, WIDTH, Axis, Line, interval_bar, line_chart, round_ticks, thin


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.0, 10.0, (0, 2, 4, 6, 8, 10)),
        (4.3, 7.2, (4, 5, 6, 7, 8)),  # 2.9 / 5 = 0.58: the next round step is 1
        (1.0, 3.0, (1, 1.5, 2, 2.5, 3)),  # 0.4 -> 0.5
        (0.0, 2e-5, (0, 5e-6, 1e-5, 1.5e-5, 2e-5)),
        (5.0, 5.0, (2, 3, 4, 5, 6, 7, 8)),  # a flat line has half its value on both sides: 2.5 to 7.5
        (0.0, 0.0, (0, 0.2, 0.4, 0.6, 0.8, 1)),
    ],
)
def test_ticks_are_round_and_hold_all_values(low: float, high: float, ticks: tuple[float, ...]) -> None:
    assert round_ticks(low, high) == pytest.approx(ticks)


@pytest.mark.parametrize(
    ("ticks", "value", "label"),
    [
        ((0, 2000, 4000), 2000.0, "2,000"),
        ((1, 1.5, 2), 1.5, "1.5"),
        ((0, 5e-6, 1e-5), 5e-6, "5e-06"),
        ((0, 0.25), 0.0, "0"),
    ],
)
def test_labels_have_the_digits_that_they_need(ticks: tuple[float, ...], value: float, label: str) -> None:
    assert Axis(ticks, 0, 100).label(value) == label


def test_points_lie_between_the_axes_and_ends_at_the_edges() -> None:
    chart = line_chart([Line("loss", ((0.0, 0.0), (10.0, 10.0)), "s")], title="Loss", x_label="step")
    (points,) = re.findall(r'points="([^"]+)"', chart)
    # x runs over the drawing; y is turned round: 0 is at the bottom margin of 44, 10 at the top margin of 14.
    assert points == f"{LEFT:.1f},{HEIGHT - 44:.1f} {WIDTH - RIGHT:.1f},14.0"
    assert "loss: 0 → 10" in chart


def test_a_learning_rate_is_drawn_from_zero() -> None:
    lines = [Line("learning rate", ((1.0, 2e-5), (2.0, 1e-5)), "s")]
    assert ">0</text>" in line_chart(lines, title="", x_label="", from_zero=True)
    assert ">0</text>" not in line_chart(lines, title="", x_label="")


def test_one_point_is_drawn_as_a_dot() -> None:
    chart = line_chart([Line("loss", ((1.0, 7.0),), "s")], title="Loss", x_label="step")
    assert chart.count("<circle") == 1 and "loss, step 1: 7.0000" in chart


def test_a_long_curve_is_thinned_to_means_and_says_so() -> None:
    points = tuple((float(step), float(step % 2)) for step in range(1000))
    thinned, size = thin(points, most=400)
    assert size == 3 and len(thinned) == 334  # 1000 / 400 rounded up; 1000 / 3 rounded up
    assert thinned[0] == (1.0, pytest.approx(1 / 3))  # steps 0, 1, 2 with 0, 1, 0
    assert "each point the mean of 3 steps" in line_chart([Line("loss", points, "s")], title="", x_label="")


def test_a_bar_reaches_its_value_and_its_line_the_interval() -> None:
    bar = interval_bar(0.5, 0.4, 0.7, style="tuned")
    assert '<rect x="0" y="1" width="50" height="10" class="tuned">' in bar
    assert 'x1="40" x2="70"' in bar


def test_the_bar_of_a_loss_goes_left_from_the_middle() -> None:
    bar = interval_bar(-0.5, -0.6, -0.2, style="difference", axis=(-1, 1))
    assert '<rect x="25" y="1" width="25" height="10" class="difference">' in bar  # -0.5 is at 25, zero at 50
