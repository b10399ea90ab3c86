"""What the pages of a run are made of: the document around them, tables, lists and links."""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TypeAlias

from precept import __version__
from precept.evaluate.markup import Markup, element, join
from precept.evaluate.page_style import STYLE

Facts: TypeAlias = tuple[tuple[str, str], ...]
NONE: frozenset[int] = frozenset()


def document(title: str, *contents: Markup) -> str:
    """A whole HTML document. It loads nothing: styles and drawings stand in it, and there are no scripts."""
    head = join(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        # Nothing can be loaded or run even if a text had come in unescaped.
        Markup(
            """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
        ),
        element("title", title),
        element("style", Markup(STYLE)),
    )
    made = element("footer", f"Made by precept {__version__} from the files of the run.")
    body = element("main", *contents, made)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'


def link(text: str, href: str | None) -> Markup:
    """Text that leads to another place, or the text alone."""
    return element("a", text, href=href) if href else join(text)


def plain_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numbers: Set[int] = NONE,
    code: Set[int] = NONE,
    stacked: bool = False,
) -> Markup:
    """A table of texts, escaped unless they are Markup; columns in ``numbers`` are set right, those in ``code`` as
    code. A column that is empty in every row is left out. On a phone a ``stacked`` table shows the cells of a row below
    one another."""
    shown = [i for i in range(len(columns)) if any(row[i] for row in rows)]
    style = {i: {"class_": "number"} if i in numbers else {} for i in shown}
    head = element("tr", *(element("th", columns[i], scope="col", **style[i]) for i in shown))
    body = [
        element(
            "tr",
            *(
                element("td", element("code", row[i]) if i in code else row[i], data_label=columns[i], **style[i])
                for i in shown
            ),
        )
        for row in rows
    ]
    kind = {"class_": "stacked"} if stacked else {}
    return scrolled(element("table", element("thead", head), element("tbody", *body), **kind))


def scrolled(table: Markup) -> Markup:
    """A table that scrolls by itself where the screen is narrower."""
    return element("div", table, class_="scroll")


def facts_list(facts: Facts) -> Markup:
    """Names with their values."""
    pairs = [element("div", element("dt", name), element("dd", value)) for name, value in facts]
    return element("dl", *pairs, class_="facts")


def card_list(card: Sequence[tuple[str, Sequence[str]]]) -> Markup:
    """The lists of a model card under their headings."""
    parts = [
        element("div", element("h3", heading), element("ul", *(element("li", line) for line in lines)))
        for heading, lines in card
    ]
    return element("div", *parts, class_="card")
