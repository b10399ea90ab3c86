"""The page of a run: what is shown is handed in as the structures below; what comes out is one HTML document.

The document needs nothing else: styles and drawings stand in it, there are no scripts and no addresses. A structure
that is empty or None leaves its part of the page out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from precept import __version__
from precept.evaluate.examples import Example, examples_section
from precept.evaluate.markup import Markup, element, join
from precept.evaluate.page_parts import Facts, card_list, facts_list, plain_table
from precept.evaluate.page_style import STYLE
from precept.evaluate.score_tables import Evaluation, scores_section
from precept.evaluate.svg import Line, Points, line_chart

__all__ = ["DataFile", "Evaluation", "Example", "Page", "Training", "make_page"]


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
    what the run has not left (yet), ``others`` the facts of steps that neither train nor evaluate."""

    title: str
    summary: str
    chat: str | None = None
    missing: tuple[str, ...] = ()
    trainings: tuple[Training, ...] = ()
    evaluations: tuple[Evaluation, ...] = ()
    others: tuple[tuple[str, Facts], ...] = ()


def make_page(page: Page) -> str:
    """The HTML document: what came out first, then how, then on what data, settings and machine."""
    evaluations = [
        part for evaluation in page.evaluations for part in (scores_section(evaluation), _examples(evaluation)) if part
    ]
    body = element(
        "main",
        _head(page),
        *evaluations,
        *(section for training in page.trainings for section in _training(training, several=len(page.trainings) > 1)),
        *(element("section", element("h2", name), facts_list(facts)) for name, facts in page.others),
        element("footer", f"Made by precept {__version__} from the files of the run."),
    )
    head = join(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        # Nothing can be loaded or run even if a text had come in unescaped.
        Markup(
            """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
        ),
        element("title", page.title),
        element("style", Markup(STYLE)),
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def _head(page: Page) -> Markup:
    parts = [element("h1", page.title), element("p", page.summary, class_="summary")]
    if page.chat:
        parts.append(element("p", "Talk to it: ", element("code", page.chat), class_="chat"))
    if page.missing:
        items = [element("li", name) for name in page.missing]
        told = element("strong", "Not in this run's folder, and so not on this page:")
        parts.append(element("div", told, element("ul", *items), class_="missing"))
    return element("header", *parts)


def _examples(evaluation: Evaluation) -> Markup | None:
    names = (evaluation.base or "base", evaluation.tuned)
    return examples_section(evaluation.examples, title=evaluation.name, names=names)


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
