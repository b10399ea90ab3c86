"""The page of a run: what is shown is handed in as the structures below; what comes out is one HTML document.

The document needs nothing else: styles and drawings stand in it, there are no scripts, and its only addresses are those
of places on it and of the pages of items beside it. A structure that is empty or None leaves its part of the page out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from precept.evaluate.likelihood import show_score
from precept.evaluate.markup import Markup, element
from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.page_items import items_section
from precept.evaluate.page_judge import Judging, judging_sections
from precept.evaluate.page_parts import Facts, card_list, document, facts_list, link, plain_table
from precept.evaluate.score_tables import Evaluation, Score, scores_section, units
from precept.evaluate.svg import Dot, DotRow, Line, Points, dot_plots, line_chart

__all__ = ["DataFile", "Evaluation", "Judging", "Page", "Training", "make_page"]

FOLDED_FROM = 4
"""Steps of a kind from which each is folded, below a table of all: the cells of a grid."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """A file that rows were read from; ``kept`` are the rows that its reader could use."""

    path: str
    format: str
    rows: int
    kept: int
    licence: str | None
    sha256: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Training:
    """A training step. Curves are (step, value); ``settings`` are (key, value, default) where the two differ;
    ``samples`` are (end of a prompt, first answer, last answer); ``card`` holds the model card's lists by heading."""

    name: str
    loss: Points = ()
    eval_loss: Points = ()
    learning_rate: Points = ()
    tokens: Mapping[str, int] = field(default_factory=dict)
    files: tuple[DataFile, ...] = ()
    rows: Facts = ()
    left_out: tuple[tuple[str, int], ...] = ()
    settings: tuple[tuple[str, str, str], ...] = ()
    samples: tuple[tuple[str, str, str], ...] = ()
    machine: Facts = ()
    card: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Everything on the page. ``summary`` is one sentence, ``chat`` the command that talks to the model, ``missing``
    what the run has not left (yet), ``studies`` are (sentence, name, address of its page), ``others`` the facts of
    further steps."""

    title: str
    summary: str
    chat: str | None = None
    missing: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    judgings: tuple[Judging, ...] = ()
    studies: tuple[tuple[str, str, str], ...] = ()
    others: tuple[tuple[str, Facts], ...] = ()


def make_page(page: Page) -> str:
    """The HTML document: what came out first, then how, then on what data, settings and machine."""
    return document(
        page.title,
        _head(page),
        *_studies(page),
        *_evaluations(page),
        *(part for n, judging in enumerate(page.judgings) for part in judging_sections(judging, anchor=f"judged-{n}")),
        *_trainings(page),
        *(element("section", element("h2", name), facts_list(facts)) for name, facts in page.others),
    )


def _head(page: Page) -> Markup:
    parts = [element("h1", page.title), element("p", page.summary, class_="summary")]
    if page.chat:
        parts.append(element("p", "Talk to it: ", element("code", page.chat), class_="chat"))
    if page.missing:
        items = [element("li", name) for name in page.missing]
        told = element("strong", "Not in this run's folder, and so not on this page:")
        parts.append(element("div", told, element("ul", *items), class_="missing"))
    return element("header", *parts)


def _studies(page: Page) -> Iterator[Markup]:
    for told, name, href in page.studies:
        yield element("section", element("h2", f"Study: {name}"), element("p", told), element("p", link(href, href)))


def _evaluations(page: Page) -> Iterator[Markup]:
    """The sections of each evaluation; of several first a table of all."""
    several = len(page.evaluations)
    if several > 1 and any(evaluation.first for evaluation in page.evaluations):
        yield _all_evaluations(page.evaluations)
    for number, evaluation in enumerate(page.evaluations):
        anchor = scores_anchor(number)
        items = items_section(
            evaluation.items,
            title=f"Items{' before and after' if evaluation.base else ''}: {evaluation.name}",
            anchor=items_anchor(number),
        )
        sections = [part for part in (scores_section(evaluation, anchor=anchor), items) if part]
        yield from _folded(evaluation.name, sections) if several >= FOLDED_FROM else sections


def scores_anchor(number: int) -> str:
    """Where the scores of the page's evaluation of that number stand."""
    return f"evaluation-{number}"


def items_anchor(number: int) -> str:
    """Where its items stand."""
    return f"items-{number}"


def _all_evaluations(evaluations: tuple[Evaluation, ...]) -> Markup:
    """Each with its first score over all items, as dots too where all have the same metric."""
    firsts = [(n, own, *next(iter(own.first.tuned.items()))) for n, own in enumerate(evaluations) if own.first]
    rows = [
        (link(own.name, f"#{scores_anchor(number)}"), own.tuned, metric, f"{score.n:,}", *_shown(metric, score))
        for number, own, metric, score in firsts
    ]
    metrics = {metric for _, _, metric, _ in firsts}
    note = element("p", units(metrics), class_="quiet")
    table = plain_table(("", "model", "metric", "n", "score", "95 % interval"), rows, numbers={3, 4, 5}, stacked=True)
    dots = [DotRow(own.name, (Dot(own.tuned, s.value, s.low, s.high, "tuned"),)) for _, own, _, s in firsts]
    same = len(firsts) > 1 and len(metrics) == 1 and metrics.isdisjoint(LIKELIHOOD_SCORES)
    plots = dot_plots(dots, title="scores of all evaluations with 95 % intervals") if same else []
    return element("section", element("h2", "All evaluations"), note, element("div", *plots, class_="charts"), table)


def _shown(metric: str, score: Score) -> tuple[str, str]:
    value, low, high = (show_score(metric, number) for number in (score.value, score.low, score.high))
    return value, f"{low} to {high}"


def _trainings(page: Page) -> Iterator[Markup]:
    several = len(page.trainings)
    for training in page.trainings:
        sections = _training(training, several=several > 1)
        yield from _folded(f"Training: {training.name}", sections) if several >= FOLDED_FROM else sections


def _folded(name: str, sections: list[Markup]) -> list[Markup]:
    return [element("details", element("summary", name), *sections)] if sections else []


def _training(training: Training, *, several: bool) -> list[Markup]:
    """The sections of one training step, each with the step's name where there are several."""
    suffix = f": {training.name}" if several else ""
    sections: list[tuple[str, list[Markup]]] = [
        ("Training", [*_curves(training), *_tokens(training.tokens), *_samples(training)]),
        ("Data", _data(training)),
        ("Settings that differ from the defaults", _settings(training)),
        ("Machine and versions", [facts_list(training.machine)] if training.machine else []),
        ("From the model card", [card_list(training.card)] if training.card else []),
    ]
    return [element("section", element("h2", title + suffix), *parts) for title, parts in sections if parts]


def _curves(training: Training) -> list[Markup]:
    losses = [
        Line("training loss", training.loss, "series-1"),
        Line("evaluation loss", training.eval_loss, "series-2", dots=True),
    ]
    rate = Line("learning rate", training.learning_rate, "series-1")
    charts = []
    if training.loss or training.eval_loss:
        charts.append(line_chart(losses, title="Loss, mean over trained tokens", x_label="optimizer step"))
    if rate.points:
        charts.append(line_chart([rate], title="Learning rate", x_label="optimizer step", from_zero=True))
    return [element("div", *charts, class_="charts")] if charts else []


def _tokens(tokens: Mapping[str, int]) -> list[Markup]:
    if not tokens:
        return []
    real, distinct = tokens["real"], tokens["distinct"]
    tiles = [
        (f"{real:,}", "real tokens: all sequences, counted with repetition"),
        (f"{distinct:,}", "distinct tokens: what was computed, shared prefixes once"),
        (f"{tokens['trained']:,}", "trained tokens: those that the loss is over"),
    ]
    if distinct:
        told = f"of the computation saved by sharing: {real / distinct:.2f} real tokens for each distinct one"
        tiles.append((f"{100 * (1 - distinct / real):.1f} %", told))
    shown = [element("div", element("b", value), element("span", told)) for value, told in tiles]
    return [element("h3", "Tokens over the run"), element("div", *shown, class_="tiles")]


def _samples(training: Training) -> list[Markup]:
    if not training.samples:
        return []
    rows = [(prompt, before or "(empty)", after or "(empty)") for prompt, before, after in training.samples]
    table = plain_table(("end of the prompt", "before training", "last answer"), rows, stacked=True)
    return [element("h3", "Held-out prompts answered on the way"), table]


def _data(training: Training) -> list[Markup]:
    parts = []
    if training.files:
        rows = [
            (
                f.path,
                f.format,
                f"{f.rows:,}",
                f"{f.kept:,}",
                f.licence or "none named",
                f.sha256[:16],
                "; ".join(f.notes),
            )
            for f in training.files
        ]
        columns = ("file", "format", "rows", "kept", "licence", "sha256", "notes")
        parts.append(plain_table(columns, rows, numbers={2, 3}, code={0, 5}, stacked=True))
    if training.rows:
        parts.append(facts_list(training.rows))
    if training.left_out:
        counts = [(reason, f"{count:,}") for reason, count in training.left_out]
        parts.append(element("h3", "Rows left out"))
        parts.append(plain_table(("reason", "rows"), counts, numbers={1}))
    return parts


def _settings(training: Training) -> list[Markup]:
    if not training.settings:
        return []
    return [plain_table(("key", "value", "default"), training.settings, code={0})]
