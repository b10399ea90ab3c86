"""The page of a run, from literal structures: well formed, self-contained, and safe with any text on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from precept.evaluate.examples import Answer, Example, choose_examples
from precept.evaluate.markup import element, escape
from precept.evaluate.page import DataFile, Page, Training, make_page
from precept.evaluate.score_tables import Evaluation, Level, Score, read_level

HOSTILE = "</pre></style><script>alert('1')</script><img src=//x.test onerror=\"alert(1)\"> & &amp; ${x}"
VOID = {"meta"}


def score(value: float, low: float, high: float, p: float | None = None) -> dict[str, float]:
    return {"value": value, "low": low, "high": high, "n": 1500} | ({} if p is None else {"p": p})


# A level as `precept quickstart` prints it.
UNSEEN_WORDINGS = {
    "base": {"exact_match": score(0.1, 0.085, 0.115), "rouge_l": score(0.2, 0.18, 0.22)},
    "tuned": {"exact_match": score(0.66, 0.64, 0.68), "rouge_l": score(0.7, 0.68, 0.72)},
    "baselines": {"copy the input": {"exact_match": score(0.02, 0.01, 0.03), "rouge_l": score(0.3, 0.28, 0.32)}},
    "difference": {"exact_match": score(0.56, 0.53, 0.59, 0.0001), "rouge_l": score(0.5, 0.47, 0.53, 0.00005)},
}
LEVELS = ("unseen_instances", "unseen_wordings", "unseen_combinations", "unseen_tasks")


def example(number: int, *, task: str = "sort", tuned: bool = True, base: bool | None = False) -> Example:
    before = None if base is None else Answer(f"base answer {number}", base)
    return Example(
        "unseen_tasks", task, f"prompt {number}", (f"right {number}",), Answer(f"tuned {number}", tuned), before
    )


PAGE = Page(
    "first-run",
    "base was tuned.",
    chat="precept chat first-run/tune",
    missing=("first-run/tune/COMPLETED (not done)",),
    trainings=(
        Training(
            "tune",
            loss=((1.0, 7.25), (2.0, 5.5), (3.0, 4.125)),
            eval_loss=((0.0, 7.0), (3.0, 5.0)),
            learning_rate=((1.0, 1e-4), (2.0, 2e-4), (3.0, 0.0)),
            tokens={"real": 1000, "distinct": 400, "trained": 90},
            files=(DataFile("rows.jsonl", "messages", 60, 58, "CC0-1.0", "0123456789abcdef" * 4),),
            rows=(("rows read", "60"),),
            left_out=(("# tokens are more than max_length", 2),),
            settings=(("learning_rate", "0.001", "not set"),),
            samples=(("...the last ferry?", "owl owl", "At nine."),),
            machine=(("processor", "AMD EPYC"), ("torch", "2.13.0")),
            card=(("Measured", ("training loss 7.25 at the first step",)),),
        ),
    ),
    evaluations=(
        Evaluation(
            "quickstart",
            "tuned",
            base="base",
            levels=tuple(read_level(name, UNSEEN_WORDINGS, note=f"Note on {name}.") for name in LEVELS),
            examples=(example(1), example(2, tuned=False), example(3, tuned=False, base=True), example(4, base=True)),
        ),
    ),
    others=(("Merge: merged", (("difference", "0.001"),)),),
)


class Reader(HTMLParser):
    """Checks that every element is closed where it should be, and keeps tags, attributes, tables and text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.rows: list[list[str]] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if {"td", "th"} & set(self.open):
            self.rows[-1][-1] += data


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    page = make_page(PAGE)
    reader = Reader(page)
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base", "a", "form"})
    names = {name for name, _ in reader.attributes}
    assert names.isdisjoint({"src", "href", "srcset", "style", "action"})
    assert not any(name.startswith("on") for name in names)
    assert not re.search(r"https?:|url\(|@import", page)


def test_every_text_on_the_page_is_escaped() -> None:
    def hostile(thing: object) -> object:
        """The same structure with the text in place of every text, and in every name of a metric."""
        if isinstance(thing, str):
            return HOSTILE
        if isinstance(thing, tuple):
            return tuple(hostile(part) for part in thing)
        if isinstance(thing, Page | Training | Evaluation | Level | Example | Answer | DataFile):
            return replace(thing, **{name: hostile(value) for name, value in fields_of(thing).items()})
        if isinstance(thing, dict) and not {"real"} & set(thing):
            return {HOSTILE + key: hostile(value) for key, value in thing.items()}
        return thing

    plain, attacked = Reader(make_page(PAGE)), Reader(make_page(hostile(PAGE)))  # type: ignore[arg-type]
    assert attacked.tags <= plain.tags
    assert {name for name, _ in attacked.attributes} <= {name for name, _ in plain.attributes}
    assert "".join(attacked.text).count(HOSTILE) > 40


def fields_of(thing: object) -> dict[str, object]:
    return {name: getattr(thing, name) for name in thing.__dataclass_fields__}  # type: ignore[attr-defined]


def test_each_level_shows_baselines_base_tuned_and_their_paired_difference() -> None:
    rows = Reader(make_page(PAGE)).rows
    for name in LEVELS:
        start = rows.index([f"{name} 1,500 items"])
        assert rows[start + 1 : start + 6] == [
            ["copy the input", "", "2.0", "1.0 to 3.0"],
            ["base", "", "10.0", "8.5 to 11.5"],
            ["tuned", "", "66.0", "64.0 to 68.0"],
            ["difference p = 0.0001", "", "+56.0", "+53.0 to +59.0"],
            [f"Note on {name}."],
        ]
    assert ["difference p < 0.0001", "", "+50.0", "+47.0 to +53.0"] in rows  # rouge_l, in its own table


def test_one_model_is_shown_without_a_base() -> None:
    level = Level("overall", {"accuracy": Score(0.5, 0.4, 0.6, 1)})
    items = (example(1, base=None), example(2, base=None, tuned=False))
    reader = Reader(
        make_page(Page("run", "It ran.", evaluations=(Evaluation("eval", "mine", levels=(level,), examples=items),)))
    )
    assert ["overall 1 item"] in reader.rows and ["mine", "", "50.0", "40.0 to 60.0"] in reader.rows
    assert ["", "right", "wrong"] in reader.rows and ["unseen_tasks", "1", "1"] in reader.rows
    assert not [row for row in reader.rows if row[0].startswith("difference")]


def test_items_are_counted_by_what_became_of_them() -> None:
    rows = Reader(make_page(PAGE)).rows
    place = rows.index(["", "gained", "lost", "both wrong", "both right"])
    assert rows[place + 1] == ["unseen_tasks", "1", "1", "1", "1"]


def test_the_first_items_of_every_task_come_before_second_ones() -> None:
    items = [example(1), example(2), example(3, task="count"), example(4, task="odd one out")]
    assert [item.prompt for item in choose_examples(items, each=3)] == ["prompt 1", "prompt 3", "prompt 4"]


def test_a_long_prompt_shows_its_end_and_folds_the_whole() -> None:
    prompt = "Definition: sort.\n" * 50 + "Input: b, a"
    item = replace(example(1), prompt=prompt)
    page = make_page(Page("run", "", evaluations=(Evaluation("eval", "tuned", base="base", examples=(item,)),)))
    texts = Reader(page).text
    assert prompt in texts and "the whole prompt, 911 characters" in texts  # 50 lines of 18 characters, then 11
    (tail,) = [text for text in texts if text.startswith("… ")]
    assert tail.endswith("Input: b, a") and len(tail) < 260


def test_a_question_that_was_not_asked_says_why() -> None:
    item = replace(example(1), tuned=Answer("", False, "prompt of 900 tokens exceeds the context"))
    page = make_page(Page("run", "", evaluations=(Evaluation("eval", "tuned", base="base", examples=(item,)),)))
    assert "(not asked: prompt of 900 tokens exceeds the context)" in Reader(page).text


def test_what_sharing_saved_is_the_part_of_real_tokens_that_was_not_computed() -> None:
    texts = Reader(make_page(PAGE)).text
    assert "60.0 %" in texts  # 1 - 400/1000
    assert any("2.50 real tokens for each distinct one" in text for text in texts)


def test_parts_without_content_are_left_out() -> None:
    texts = Reader(make_page(Page("run", "Nothing yet.", trainings=(Training("tune"),)))).text
    assert {"Training", "Data", "Machine and versions"}.isdisjoint(texts)


def test_an_empty_answer_is_told_as_empty() -> None:
    training = Training("tune", samples=(("...the last ferry?", "owl", ""),))
    rows = Reader(make_page(Page("run", "", trainings=(training,)))).rows
    assert rows[-1] == ["...the last ferry?", "owl", "(empty)"]


def test_what_is_missing_is_named() -> None:
    assert "first-run/tune/COMPLETED (not done)" in Reader(make_page(PAGE)).text


def test_characters_that_html_forbids_become_the_replacement_character() -> None:
    assert escape("a\x00b\x12c\ud800d\x9b\n\t") == "a\ufffdb\ufffdc\ufffdd\ufffd\n\t"


def test_an_attribute_cannot_be_closed_from_inside() -> None:
    assert element("p", "a<b", class_='x" onclick="y', data_label="'") == (
        '<p class="x&quot; onclick=&quot;y" data-label="&#x27;">a&lt;b</p>'
    )


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("no chromium is installed: the page is not opened in a browser here")
    return found


@pytest.mark.parametrize("width", [390, 1280])
def test_a_browser_shows_tables_and_drawings(chromium: str, tmp_path: Path, width: int) -> None:
    path = tmp_path / "page.html"
    path.write_text(make_page(replace(PAGE, title=HOSTILE)))
    options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    command = [chromium, *options, f"--window-size={width},900", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    shown = Reader(done.stdout)
    assert {"main", "table", "svg", "polyline", "rect"} <= shown.tags and "script" not in shown.tags
    written = Reader(path.read_text())
    assert shown.rows == written.rows and len(shown.rows) > 40
