"""Charts as text: where ticks, points and dots lie."""

from __future__ import annotations

import re

import pytest

from precept.evaluate.svg import (
    HEIGHT,
    LEFT,
    RIGHT,
    WIDTH,
    Axis,
    Dot,
    DotRow,
    Line,
    dot_plots,
    line_chart,
    round_ticks,
    shorten_name,
    thin,
)


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


def dots(drawing: str) -> list[tuple[float, float]]:
    return [(float(x), float(y)) for x, y in re.findall(r'cx="([^"]+)" cy="([^"]+)"', drawing)]


def test_dots_lie_on_one_axis_below_the_names_of_their_rows() -> None:
    base, tuned = Dot("base", 0.2, 0.1, 0.3, "base"), Dot("tuned", 0.5, 0.4, 0.6, "tuned")
    (drawing,) = dot_plots([DotRow("sort", (base, tuned)), DotRow("count", (tuned,))], title="scores")
    # The axis runs from 0 to 60 % over 18 to 422: 20 % is at 18 + 404 / 3 and 50 % at 18 + 404 * 5 / 6.
    # The first row's name takes 22 to 46, its dots are 10 apart; the second row begins at 66.
    assert dots(drawing) == [(152.667, 46), (354.667, 56), (354.667, 90)]
    assert '<path d="M85.3 46H220.0">' in drawing  # 10 to 30 %
    assert '<path d="M287.3 56H422.0M287.3 90H422.0">' in drawing  # both of tuned in one
    assert "tuned: 50.0 % (40.0 to 60.0)" in drawing


def test_hundreds_of_rows_come_in_plots_over_the_same_axis() -> None:
    rows = [DotRow(f"task {n}", (Dot("m", n / 100, n / 100, n / 100, "tuned"),)) for n in range(100)]
    drawings = dot_plots(rows, title="scores")
    assert [drawing.count("<circle") for drawing in drawings] == [40, 40, 20]
    assert all(">0</text>" in drawing and ">100</text>" in drawing for drawing in drawings)
    assert len("".join(drawings)) < 250 * len(rows)


def test_a_long_name_keeps_its_beginning_and_its_end() -> None:
    name = "task1344_" + "glue_" * 20 + "classification"
    assert shorten_name("sort") == "sort"
    assert (
        len(shorten_name(name)) == 56
        and shorten_name(name).startswith("task1344_glue")
        and name.endswith(shorten_name(name)[-12:])
    )
