"""The page of a run, from literal structures: well formed, self-contained, and safe with any text on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from precept.evaluate.markup import element, escape
from precept.evaluate.page import DataFile, Page, Training, make_page
from precept.evaluate.page_items import Answer, Example, Items, Kind, items_page, kind_of, shared_beginning
from precept.evaluate.page_judge import Judging, Rating
from precept.evaluate.score_tables import Evaluation, Level, Part, Score, Table, read_level

HOSTILE = "</pre></style><script>alert('1')</script><img src=//x.test onerror=\"alert(1)\"> & &amp; ${x}"
VOID = {"meta", "input"}


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
    answers = [] if base is None else [Answer("base", f"base answer {number}", base)]
    last = Answer("tuned", f"tuned {number}", tuned, f"extracted {number}", (("rouge_l", 1.0 if tuned else 0.5),))
    return Example(task, f"prompt {number}", (f"right {number}",), (*answers, last), f"id-{number}")


ITEMS = Items(
    "unseen_tasks",
    (
        Kind("worse", 1, (example(2, tuned=False, base=True),)),
        Kind("both wrong", 300, (example(3, tuned=False),)),
        Kind("better", 1, (example(1),)),
        Kind("both right", 0),
    ),
    href="report-items/1-unseen_tasks.html",
    files=(("tuned.items.jsonl", "../tuned.items.jsonl"),),
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
            overall=(read_level("all items", UNSEEN_WORDINGS, href="#items-0"),),
            groups=(Level("direct, mean of 23 tasks", {"exact_match": Score(0.4, 0.3, 0.5, 90)}),),
            parts=(Part("By length", "By words.", (Level("0-2 words", {"exact_match": Score(0.4, 0.3, 0.5, 90)}),)),),
            items=(ITEMS,),
            facts=(("model", "runs/tuned"),),
            tables=(
                Table("Repeated runs", "3 runs.", ("task", "mean"), (("unseen_tasks", "50.0"),)),
                Table("How each task was asked", "", ("task", "shots"), (("unseen_tasks", "3"),), folded=True),
            ),
        ),
    ),
    judgings=(
        Judging(
            "judged",
            "pairwise: a against b, judged by c.",
            ratings=(Rating("win rate", Score(0.25, 0.2, 0.3, 80), standard_error=0.05),),
            parts=(("By turn", (Rating("1", Score(7.5, 7.0, 8.0, 80), is_grade=True),)),),
            counts=(("wins", "20"),),
            notes=("Both orders were asked.",),
            items=(Items("all judgments", (Kind("read", 1, (Example("j", "Which?", (), (Answer("c", "[[A]]"),)),)),)),),
        ),
    ),
    studies=(("More tasks raise it.", "page", "page/study.html"),),
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

    def values(self, name: str) -> list[str]:
        """All values of an attribute."""
        return [value for key, value in self.attributes if key == name and value is not None]


def test_the_page_is_well_formed_and_needs_nothing_from_elsewhere() -> None:
    page = make_page(PAGE)
    reader = Reader(page)
    assert reader.tags.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    names = {name for name, _ in reader.attributes}
    assert names.isdisjoint({"src", "srcset", "style", "action"})
    assert not any(name.startswith("on") for name in names)
    assert not re.search(r"https?:|url\(|@import", page)


def test_links_lead_to_places_on_the_page_or_beside_it() -> None:
    reader = Reader(make_page(PAGE))
    ids = reader.values("id")
    assert len(ids) == len(set(ids))
    leading = set(reader.values("href"))
    assert {href.removeprefix("#") for href in leading if href.startswith("#")} <= set(ids)
    beside = {href for href in leading if not href.startswith("#")}
    page = "report-items/1-unseen_tasks.html"
    assert beside == {page, f"{page}#worse", f"{page}#both-wrong", f"{page}#better", "page/study.html"}


def test_every_text_on_the_page_is_escaped() -> None:
    def hostile(thing: object) -> object:
        """The same structure with the text in place of every text, and in every name of a metric."""
        if isinstance(thing, str):
            return HOSTILE
        if isinstance(thing, tuple):
            return tuple(hostile(part) for part in thing)
        if isinstance(thing, STRUCTURES):
            return replace(thing, **{name: hostile(value) for name, value in fields_of(thing).items()})
        if isinstance(thing, dict) and not {"real"} & set(thing):
            return {HOSTILE + key: hostile(value) for key, value in thing.items()}
        return thing

    plain, attacked = Reader(make_page(PAGE)), Reader(make_page(hostile(PAGE)))  # type: ignore[arg-type]
    assert attacked.tags <= plain.tags
    assert {name for name, _ in attacked.attributes} <= {name for name, _ in plain.attributes}
    assert "".join(attacked.text).count(HOSTILE) > 40
    attacked = Reader(items_page(hostile(ITEMS), title=HOSTILE, back=HOSTILE, rule=HOSTILE))  # type: ignore[arg-type]
    assert attacked.tags <= Reader(items_page(ITEMS, title="", back="")).tags
    assert "".join(attacked.text).count(HOSTILE) > 10


STRUCTURES = Page, Training, DataFile, Evaluation, Level, Part, Table, Items, Kind, Example, Answer, Judging, Rating


def fields_of(thing: object) -> dict[str, object]:
    return {name: getattr(thing, name) for name in thing.__dataclass_fields__}  # type: ignore[attr-defined]


def test_each_level_shows_baselines_base_tuned_and_their_paired_difference_with_all_metrics_side_by_side() -> None:
    rows = Reader(make_page(PAGE)).rows
    assert ["", "n", "exact_match", "rouge_l"] in rows
    for name in LEVELS:
        start = rows.index([name, "1,500", "", ""])
        assert rows[start + 1 : start + 6] == [
            ["copy the input", "", "2.0 1.0 to 3.0", "30.0 28.0 to 32.0"],
            ["base", "", "10.0 8.5 to 11.5", "20.0 18.0 to 22.0"],
            ["tuned", "", "66.0 64.0 to 68.0", "70.0 68.0 to 72.0"],
            ["difference", "", "+56.0 +53.0 to +59.0, p = 0.0001 better", "+50.0 +47.0 to +53.0, p < 0.0001 better"],
            [f"Note on {name}."],
        ]


def test_one_model_is_shown_in_one_row_without_a_base() -> None:
    level = Level("sort", {"accuracy": Score(0.5, 0.4, 0.6, 1), "instructions": Score(0.6, 0.5, 0.7, 3)})
    kinds = Kind("wrong", 1, (example(2, base=None, tuned=False),)), Kind("right", 1, (example(1, base=None),))
    own = Evaluation("eval", "mine", levels=(level,), items=(Items("sort", kinds),))
    reader = Reader(make_page(Page("run", "It ran.", evaluations=(own,))))
    assert ["sort", "1", "50.0 40.0 to 60.0", "60.0 50.0 to 70.0, n 3"] in reader.rows
    assert ["", "wrong", "right"] in reader.rows and ["sort", "1", "1"] in reader.rows
    assert not [row for row in reader.rows if row[0].startswith("difference")]
    assert not reader.values("cx")  # one task is no plot


def test_tasks_are_drawn_from_the_highest_score_down() -> None:
    levels = [Level(f"task {n}", {"accuracy": Score(n / 10, n / 10, n / 10, 9)}) for n in (2, 7, 5)]
    page = make_page(Page("run", "", evaluations=(Evaluation("eval", "mine", levels=tuple(levels)),)))
    assert re.findall(r">(task \d)</text>", page) == ["task 7", "task 5", "task 2"]


def test_perplexity_is_no_share_of_a_hundred_and_is_not_drawn() -> None:
    def own(n: int) -> Evaluation:
        levels = [Level(f"texts {n}", {"perplexity": Score(12.5, 11.25, 14, 9)}) for n in range(2)]
        return Evaluation(f"ask {n}", "tune", levels=tuple(levels))

    reader = Reader(make_page(Page("run", "", evaluations=(own(0), own(1)))))
    assert ["ask 1", "tune", "perplexity", "9", "12.5", "11.25 to 14"] in reader.rows
    assert not reader.values("cx")
    assert (
        "Scores in per cent, perplexity and bits per byte as they are, with 95 % intervals over items." in reader.text
    )


def test_of_many_comparisons_the_page_says_what_chance_does() -> None:
    def level(n: int, p: float, p_holm: float) -> Level:
        difference = {"a": Score(0.1, 0.05, 0.2, 9, p, p_holm)}
        return Level(f"t{n}", {"a": Score(0.5, 0, 1, 9)}, difference=difference)

    levels = (level(1, 0.03, 0.06), level(2, 0.01, 0.03), level(3, 0.5, 0.5))
    texts = Reader(make_page(Page("run", "", evaluations=(Evaluation("e", "m", levels=levels),)))).text
    (note,) = [text for text in texts if "Holm" in text]
    assert note == (
        "3 comparisons: of as many without any difference about 0.15 would have p < 0.05, 2 have."
        " After Holm's correction 1 remain: t2 (a)."
    )


def test_of_several_evaluations_the_page_begins_with_all_of_them_and_folds_a_grid() -> None:
    def own(n: int) -> Evaluation:
        return Evaluation(f"ask/seed={n}", "tune", levels=(Level("sort", {"accuracy": Score(0.5, 0.4, 0.6, 10 + n)}),))

    two = make_page(Page("run", "", evaluations=(own(0), own(1))))
    assert ["ask/seed=1", "tune", "accuracy", "11", "50.0", "40.0 to 60.0"] in Reader(two).rows
    assert "#evaluation-1" in Reader(two).values("href") and "<details>" not in two
    grid = make_page(Page("run", "", evaluations=tuple(map(own, range(4)))))
    assert grid.count("<details><summary>ask/seed=") == 4


def test_a_judging_shows_rates_with_standard_errors_grades_counts_and_judgments() -> None:
    reader = Reader(make_page(PAGE))
    assert ["win rate", "25.0 %", "5.0 %", "20.0 % to 30.0 %", "80"] in reader.rows
    assert ["1", "7.50", "7.00 to 8.00", "80"] in reader.rows
    assert {"wins", "20", "Both orders were asked.", "Which?", "[[A]]"} <= set(reader.text)


@pytest.mark.parametrize(
    ("score", "other", "kind"),
    [
        (1.0, None, "right"),
        (0.9, None, "wrong"),
        (0.9, 0.5, "better"),  # of graded scores any more is better
        (0.5, 1.0, "worse"),
        (1.0, 1.0, "both right"),
        (0.5, 0.5, "both wrong"),
    ],
)
def test_an_item_is_of_the_kind_that_its_scores_say(score: float, other: float | None, kind: str) -> None:
    assert kind_of(score, other) == kind


def test_items_are_counted_by_what_became_of_them() -> None:
    rows = Reader(make_page(PAGE)).rows
    place = rows.index(["", "worse", "both wrong", "better", "both right"])
    assert rows[place + 1] == ["unseen_tasks", "1", "300", "1", "0"]


def test_a_page_of_items_shows_answers_side_by_side_and_can_be_filtered_without_a_script() -> None:
    page = items_page(ITEMS, title="eval", back="../report.html#items-0")
    reader = Reader(page)
    assert reader.values("id") == [f"only-{n}" for n in ("all", "wrong", "better", "worse")] + [
        *("worse", "both-wrong", "better"),
    ]
    assert {
        "base answer 1",
        "tuned 1",
        "extracted: extracted 1 · rouge_l 1",
        "prompt 1",
        "right 1",
        "id-1 sort",
    } <= set(reader.text)
    assert reader.values("class").count("item wrong") == 2 and reader.values("class").count("item right") == 1
    assert "script" not in reader.tags


def test_a_page_of_items_says_where_those_are_that_it_leaves_out() -> None:
    reader = Reader(items_page(ITEMS, title="eval", back="../report.html#items-0"))
    assert "The first 1 are here. All items stand in " in reader.text
    assert reader.values("href") == ["../report.html#items-0", "../tuned.items.jsonl"]


def test_a_beginning_that_all_prompts_share_is_shown_once() -> None:
    shots = "Question: 1 + 1\nAnswer: 2\n\n" * 10  # 10 times 27 characters
    items = Items(
        "add", (Kind("right", 2, tuple(replace(example(n), prompt=f"{shots}Question: {n}") for n in (1, 2))),)
    )
    texts = Reader(items_page(items, title="eval", back="")).text
    assert [text for text in texts if text.startswith("Question: 1 + 1")] == [shots]
    assert "… Question: 1" in texts and "… Question: 2" in texts
    assert shared_beginning([shots, shots]) == shots and shared_beginning([shots]) == ""
    assert shared_beginning(["a\n" * 99 + "b", "a\n" * 99 + "c"]) == ""  # 198 characters are not worth it
    assert shared_beginning(["", shots]) == ""


def test_a_long_prompt_shows_its_end_and_folds_the_whole() -> None:
    prompt = "Definition: sort.\n" * 50 + "Input: b, a"
    item = replace(example(1), prompt=prompt)
    texts = Reader(items_page(Items("sort", (Kind("better", 1, (item,)),)), title="", back="")).text
    assert prompt in texts and "the whole prompt, 911 characters" in texts  # 50 lines of 18 characters, then 11
    (tail,) = [text for text in texts if text.startswith("… ")]
    assert tail.endswith("Input: b, a") and len(tail) < 260
    assert tail.startswith("… Definition: sort.\n")  # a whole line


def test_the_page_of_the_run_cuts_what_the_page_of_items_shows_whole() -> None:
    item = replace(example(1), answers=(Answer("tuned", "a" * 5000, False),))
    items = Items("sort", (Kind("wrong", 1, (item,)),))
    run = make_page(Page("run", "", evaluations=(Evaluation("eval", "tuned", items=(items,)),)))
    assert "[... 2,000 characters ...]" in run and "a" * 5000 not in run
    assert "a" * 5000 in items_page(items, title="", back="")


def test_a_question_that_was_not_asked_says_why() -> None:
    item = replace(
        example(1), answers=(Answer("tuned", "", False, refused="prompt of 900 tokens exceeds the context"),)
    )
    texts = Reader(items_page(Items("sort", (Kind("wrong", 1, (item,)),)), title="", back="")).text
    assert "(not asked: prompt of 900 tokens exceeds the context)" in texts


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
    assert {"main", "table", "svg", "polyline", "circle"} <= shown.tags and "script" not in shown.tags
    written = Reader(path.read_text())
    assert shown.rows == written.rows and len(shown.rows) > 40
