"""An HTML document that needs nothing else: styles stand in it, and nothing is loaded or run."""

from __future__ import annotations

from precept.evaluate.markup import Markup, element, join
from precept.evaluate.page_style import STYLE


def html_page(title: str, body: Markup, *, style: str = "") -> str:
    """The document. ``style`` is added to the style sheet of all pages."""
    head = join(
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<meta name="color-scheme" content="light dark">'),
        # Nothing can be loaded or run even if a text had come in unescaped.
        Markup(
            """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
        ),
        element("title", title),
        element("style", Markup(STYLE + style)),
    )
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{body}</body></html>\n'
