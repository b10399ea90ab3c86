from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest
from bench.svg import Panel, figure, linear_ticks, log_ticks, number

SVG = "{http://www.w3.org/2000/svg}"


def drawn(panel: Panel, *x_values: str) -> ET.Element:
    return ET.fromstring(figure([panel], title="Rows & time", x_label="rows", x_values=x_values))


def line(document: ET.Element, style: str) -> list[tuple[float, float]]:
    """The points of a line, in pixels."""
    (group,) = (g for g in document.iter(f"{SVG}g") if g.get("class") == style)
    (polyline,) = group.iter(f"{SVG}polyline")
    return [(float(x), float(y)) for x, y in (point.split(",") for point in polyline.get("points", "").split())]


def test_ticks_from_zero_are_round_and_reach_the_highest_value() -> None:
    assert linear_ticks(9.0) == [0, 2, 4, 6, 8, 10]
    assert linear_ticks(1200) == [0, 500, 1000, 1500]


def test_ticks_of_ratios_enclose_the_values() -> None:
    assert log_ticks(0.3, 7) == pytest.approx([0.2, 0.5, 1, 2, 5, 10])
    assert log_ticks(1, 1) == [1, 2]
    assert log_ticks(0.02, 90) == pytest.approx([0.01, 0.1, 1, 10, 100])  # the powers alone


def test_numbers_have_three_digits() -> None:
    assert [number(value) for value in (0, 0.05, 1.0, 12.34, 1234.5, 2000)] == [
        "0",
        "0.05",
        "1",
        "12.3",
        "1,234",
        "2,000",
    ]


def test_equal_ratios_are_equal_distances_on_a_log_axis() -> None:
    points = line(drawn(Panel("seconds", {"A": (1, 10, 100)}, log=True), "4", "8", "16"), "ours")
    (x0, y0), (x1, y1), (x2, y2) = points
    assert y0 - y1 == pytest.approx(y1 - y2) and y0 > y1
    assert x1 - x0 == pytest.approx(x2 - x1)


def test_the_other_axis_begins_at_zero() -> None:
    # floor 270; 100 and 200 are 1 and 2 of the same height above it
    (_, low), (_, high) = line(drawn(Panel("MiB", {"A": (100, 200)}), "1", "2"), "ours")
    assert 270 - high == pytest.approx(2 * (270 - low))


def test_a_value_that_is_not_there_leaves_its_place_empty() -> None:
    document = drawn(Panel("seconds", {"A": (1, 2, 3), "B": (4, None, 6)}), "1", "2", "3")
    assert len(line(document, "ours")) == 3 and len(line(document, "theirs")) == 2
    assert line(document, "theirs")[1][0] == line(document, "ours")[2][0]


def test_the_figure_names_what_it_shows() -> None:
    texts = {element.text for element in drawn(Panel("seconds", {"A": (1,), "B & C": (2,)}), "64").iter()}
    assert {"Rows & time", "seconds", "rows", "64", "A", "B & C", "A, 64: 1"} <= texts
