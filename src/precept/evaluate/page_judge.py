"""What a judge found: rates or grades with their intervals, what was counted, and every judgment with its prompt."""

from __future__ import annotations

from dataclasses import dataclass

from precept.evaluate.markup import Markup, element
from precept.evaluate.page_items import Items, items_section
from precept.evaluate.page_parts import Facts, facts_list, plain_table
from precept.evaluate.score_tables import Score

RULE = "Each judgment is shown with the judge's whole prompt and reply. Unparsable: no verdict could be read from it."


@dataclass(frozen=True, slots=True)
class Rating:
    """A rate in 0..1 or a grade in 0..10 of the judged answers, with its interval over questions."""

    name: str
    score: Score
    is_grade: bool = False
    standard_error: float | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """``told`` says who was judged by whom, in one sentence. ``parts`` are ratings by category or turn, under a title;
    ``counts`` what became of the comparisons."""

    name: str
    told: str
    ratings: tuple[Rating, ...] = ()
    parts: tuple[tuple[str, tuple[Rating, ...]], ...] = ()
    counts: Facts = ()
    notes: tuple[str, ...] = ()
    items: tuple[Items, ...] = ()


def judging_sections(judging: Judging, *, anchor: str) -> list[Markup]:
    """The numbers, then the judgments."""
    numbers = element(
        "section",
        element("h2", f"Judged: {judging.name}", id=anchor),
        element("p", judging.told),
        *(element("p", note, class_="quiet") for note in judging.notes),
        *([_ratings_table(judging.ratings)] if judging.ratings else []),
        *([facts_list(judging.counts)] if judging.counts else []),
        *(part for title, ratings in judging.parts for part in (element("h3", title), _ratings_table(ratings))),
    )
    judgments = items_section(judging.items, title=f"Judgments: {judging.name}", anchor=f"{anchor}-items", rule=RULE)
    return [numbers, *([judgments] if judgments else [])]


def _ratings_table(ratings: tuple[Rating, ...]) -> Markup:
    rows = [
        (
            rating.name,
            show_rating(rating, rating.score.value),
            "" if rating.standard_error is None else show_rating(rating, rating.standard_error),
            f"{show_rating(rating, rating.score.low)} to {show_rating(rating, rating.score.high)}",
            f"{rating.score.n:,}",
        )
        for rating in ratings
    ]
    return plain_table(("", "", "standard error", "95 % interval", "n"), rows, numbers={1, 2, 3, 4}, stacked=True)


def show_rating(rating: Rating, value: float) -> str:
    """A value of the rating's kind: per cent of a rate, or points of a grade."""
    return f"{value:.2f}" if rating.is_grade else f"{100 * value:.1f} %"
