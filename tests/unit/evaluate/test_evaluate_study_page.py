"""The page of a study: the numbers of its tables, drawings inside of their frames, and safe with any text."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from precept.evaluate.interval_chart import (
    LEAST_WIDTH,
    LEFT,
    PLOT,
    RIGHT,
    TOP,
    Line,
    Mark,
    Scale,
    interval_chart,
    shorten,
    spread_out,
    text_width,
)
from precept.evaluate.study import Layout, Scored, Stratum, find_axes, find_points
from precept.evaluate.study_claims import Claim, answer, correct
from precept.evaluate.study_page import (
    Panel,
    Study,
    cell_table,
    claim_table,
    describe,
    figures,
    html_page,
    json_document,
    markdown_page,
    score_table,
    summary,
)

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "a</style><script>alert(1)</script>|b*c`d\n\u0000e\"'&<"
PAIR = {"says": "it helps", "source": "Chung et al.", "axis": "cot", "of": "with", "with": "without"}


def make_study(*, cot: tuple[str, str] = ("with", "without"), tasks: tuple[object, ...] = (4, 16, 64)) -> Study:
    """Number of tasks x chains of thought x 2 seeds on ten items; each value of an axis gets one more item right."""
    places = [{"tasks": n, "cot": c, "seed": s} for n in tasks for c in cot for s in (0, 1)]
    axes = find_axes(places)
    layout = Layout(axes, "tasks", "cot")
    keys = tuple(("t", str(n)) for n in range(10))
    cells = []
    for place in places:
        right = tasks.index(place["tasks"]) + 2 * (place["cot"] == cot[0]) + place["seed"] + 1
        scores = np.array([float(n < right) for n in range(10)])
        at = {name: str(value) for name, value in place.items()}
        cells.append(Scored(at, {"overall": Stratum(keys, scores)}, f"runs/{len(cells)}"))
    claims = [
        Claim(**{**PAIR, "of": cot[0], "with": cot[1]}, expect="higher"),
        Claim(says="rises", source="P", axis="tasks", trend="rises"),
        Claim(**{**PAIR, "of": "halfway"}, expect="higher"),
    ]
    answers = correct([answer(claim, layout, cells, group="overall", metric="exact_match") for claim in claims])
    panel = Panel("exact_match of overall", "overall", tuple(find_points(layout, cells)))
    scale = "category" if axes[0].numbers is None else "log"
    return Study("A title", "exact_match", layout, scale, {"overall": cells}, (panel,), tuple(answers), chance=0.1)


STUDY = make_study()


class Reader(HTMLParser):
    """Tags, and that each is closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def inside(drawing: str) -> int:
    """Checks that all parts of a drawing lie in its view box; returns how many there are."""
    root = ET.fromstring(drawing)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    spots: list[tuple[float, float]] = []
    for part in root.iter():
        at = {name: float(value) for name, value in part.attrib.items() if re.fullmatch(r"-?[\d.]+", value)}
        if part.tag == f"{SVG}line":
            spots += [(at["x1"], at["y1"]), (at["x2"], at["y2"])]
        elif part.tag == f"{SVG}polyline":
            spots += [tuple(map(float, pair.split(","))) for pair in part.attrib["points"].split()]
        elif part.tag == f"{SVG}path":
            x, y = map(float, re.findall(r"-?[\d.]+", part.attrib["transform"]))
            spots += [(x - 5, y - 5), (x + 5, y + 5)]
        elif part.tag == f"{SVG}text":
            long = text_width(part.text or "")
            before = {"middle": 0.5, "end": 1.0}.get(part.attrib.get("text-anchor", ""), 0.0) * long
            if "transform" in part.attrib:  # turned a quarter to the left
                spots += [(at["x"], at["y"] - before), (at["x"], at["y"] + long - before)]
            else:
                spots += [(at["x"] - before, at["y"] - 10), (at["x"] - before + long, at["y"] + 3)]
    assert all(0 <= x <= width and 0 <= y <= height for x, y in spots), [s for s in spots if not 0 <= s[0] <= width]
    return len(spots)


def test_the_table_of_scores_has_a_row_a_mean_with_both_intervals():
    table = score_table(STUDY, STUDY.panels[0])
    assert table.columns == ("cot", "tasks", "exact_match, %", "95 % interval", "over items alone", "runs", "items")
    # With chains, 4 tasks: 3 and 4 of 10 right: 35.0, and 12.7062 * 7.0711 / sqrt(2) = 63.5 to both sides.
    first = table.rows[0]
    assert first[:4] == ("with", "4", "35.0", "0.0 to 98.5") and first[5:] == ("2", "10") and len(table.rows) == 6


def test_the_table_of_claims_tells_difference_p_and_verdict():
    higher, trend, halfway = claim_table(STUDY).rows
    # With chains two more are right at every place and in every seed: the seeds agree, so items decide.
    assert higher[2:5] == ("cot with - without", "higher", "+20.0")
    assert higher[7:9] == ("+20.0, +20.0", "10")
    # From 4 to 64 tasks two more, in both seeds.
    assert trend[2:5] == ("tasks first to last", "rises", "+20.0")
    assert halfway[4:] == ("",) * 7 + ("untested: no value 'halfway' of cot",)
    assert summary(STUDY).startswith("Of 3 claims ") and summary(STUDY).endswith("1 is untested.")


def test_every_evaluation_is_listed_with_its_folder():
    table = cell_table(STUDY)
    assert table.columns == ("tasks", "cot", "seed", "overall, %", "folder") and len(table.rows) == 12
    assert table.rows[1] == ("4", "with", "1", "40.0", "runs/1")


def test_the_page_is_whole_and_needs_nothing_from_elsewhere():
    page = html_page(STUDY)
    tags = Reader(page).tags
    assert {"svg", "table", "ul", "details"} <= set(tags) and {"script", "link", "img", "iframe"}.isdisjoint(tags)
    assert (
        "Runs differ in seed (0, 1). The interval" in page
        and "Each run is the mean" not in page
        and "default-src &#x27;none&#x27;" not in page
    )
    assert not re.search(r"url\(|@import", page)


def test_one_run_each_is_told():
    layout = replace(STUDY.layout, axes=STUDY.layout.axes[:2])
    assert "does not say how far training anew" in html_page(replace(STUDY, layout=layout, answers=()))
    assert summary(replace(STUDY, answers=())) == "This page tests no claim."


def test_any_text_is_shown_and_never_markup():
    study = make_study(cot=(HOSTILE, "without"), tasks=(f"{HOSTILE}1", f"{HOSTILE}2"))
    study = replace(study, title=HOSTILE, metric=HOSTILE, panels=(replace(study.panels[0], title=HOSTILE),))
    assert "script" not in Reader(html_page(study)).tags
    for drawing in figures(study):
        assert inside(drawing) > 20
    text = markdown_page(study, ["figure-1.svg"])
    assert "<script" not in text.replace(r"\<script", "") and r"\|b\*c\`d" in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows[:6]} == {8}  # eight bars: seven columns in every row


def test_markdown_has_the_sentences_figures_and_tables():
    text = markdown_page(STUDY, ["figure-1.svg"])
    assert text.startswith("# A title\n\nOf 3 claims ") and "\n- Here, with 2 seeds and 10 items, cot 'with'" in text
    assert "](figure-1.svg)" in text and "![exact_match in per cent by tasks, a line for each cot." in text
    assert "\n| with | 4 | 35.0 | 0.0 to 98.5 | " in text and "\n| --- | --- | ---: | ---: |" in text


def test_a_figure_is_told_in_words():
    told = describe(STUDY, STUDY.panels[0])
    assert told.startswith(
        "exact_match in per cent by tasks, a line for each cot. cot with, 4: 35.0 (0.0 to 98.5), 16: "
    )


def test_the_json_document_holds_the_numbers_unrounded():
    document = json_document(STUDY)
    point, claim = document["points"][0], document["claims"][0]
    assert (point["group"], point["line"], point["x"], point["value"]) == ("overall", "with", "4", 0.35)
    assert point["runs"] == (0.3, 0.4) and point["over"] == "runs" and "p" not in point
    assert claim["with"] == "without" and claim["value"] == pytest.approx(0.2) and claim["p_holm"] <= 2 * claim["p"]
    assert document["claims"][2]["untested"] == "no value 'halfway' of cot"
    assert document["averaged_over"] == ["seed"] and document["shown"]["scale"] == "log"


def test_a_drawing_stays_in_its_frame_and_carries_its_styles():
    (drawing,) = figures(STUDY)
    assert inside(drawing) > 40
    assert "prefers-color-scheme:dark" in drawing and drawing.startswith("<svg ") and 'class="chance"' in drawing
    assert next(part.text for part in ET.fromstring(drawing).iter(f"{SVG}title")) == "exact_match of overall"


def test_marks_lie_where_their_numbers_are():
    lines = [Line("one", (Mark(0, 0.0, 0.0, 20.0), Mark(2, 100.0, 80.0, 120.0)))]
    scale = Scale("tasks", ("4", "16", "64"), spread_out([4, 16, 64], log=True), words=False)
    drawing = interval_chart(lines, scale, title="t", told="", y_label="%", reach=(0.0, 100.0))
    assert scale.places == pytest.approx((0, 0.5, 1))
    floor = TOP + PLOT
    left, right = LEFT + 22, LEAST_WIDTH - RIGHT - 22  # an inset of 22 on both sides
    assert f'points="{left:.1f},{floor:.1f} {right:.1f},{TOP:.1f}"' in drawing
    # 20 of 100 is a fifth of the height; the interval that leaves the axis ends at it, without a cap.
    assert f'y1="{floor - PLOT / 5:.6g}" y2="{floor:.6g}" class="whisker"' in drawing
    assert (
        drawing.count('class="whisker"') == 2 + 3
    )  # two intervals, both caps of the first and the lower of the second


def test_words_get_slots_and_numbers_that_would_touch_are_not_written():
    words = tuple(f"a rather long word {n}" for n in range(12))
    places = tuple((n + 0.5) / 12 for n in range(12))
    marks = tuple(Mark(n, 50.0, 40.0, 60.0) for n in range(12))
    drawing = interval_chart(
        [Line("", marks)], Scale("x", words, places, words=True), title="t", told="", y_label="%", reach=(40.0, 60.0)
    )
    assert drawing.count("a rather…") == 12 and inside(drawing) > 60
    numbers = (1000.0, 1001.0, 1002.0, 5000.0)
    scale = Scale("x", ("1000", "1001", "1002", "5000"), spread_out(numbers, log=False), words=False)
    drawing = interval_chart([Line("", marks[:4])], scale, title="t", told="", y_label="%", reach=(40.0, 60.0))
    assert ">1000<" in drawing and ">1001<" not in drawing and ">5000<" in drawing


def test_many_lines_fill_several_rows_of_the_legend_and_differ():
    lines = [Line(f"a line with a long name {n}", (Mark(0, 10.0 * n, 10.0 * n, 10.0 * n),)) for n in range(9)]
    scale = Scale("x", ("1",), spread_out([1], log=True), words=False)
    drawing = interval_chart(lines, scale, title="t", told="", y_label="%", reach=(0.0, 80.0))
    assert inside(drawing) > 40 and all(f"name {n}" in drawing for n in range(9))
    looks = re.findall(r'<path d="([^"]+)"[^>]*></path></g>', drawing)
    assert len(looks) == 9


def test_texts_are_cut_to_their_room():
    assert shorten("short", 100) == "short" and shorten("a" * 100, 70).endswith("…")
    assert text_width(shorten("界" * 100, 70)) <= 70
