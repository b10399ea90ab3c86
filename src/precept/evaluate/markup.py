"""HTML and SVG as text in which only markup made here is markup: all other text is escaped on its way in."""

from __future__ import annotations

import html
import re

# Characters that HTML forbids even when escaped; model output may hold any of them.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Markup(str):
    """Text that is HTML already and goes into a page as it is."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Text as it shows itself, in contents and in attributes; forbidden characters become U+FFFD."""
    return Markup(html.escape(_FORBIDDEN.sub("�", text)))


def element(name: str, *contents: str, **attributes: str | float) -> Markup:
    """``<name attributes>contents</name>``; contents that are no Markup are escaped.

    Attribute names lose a trailing underscore, and other underscores become hyphens: ``class_``, ``stroke_width``.
    """
    given = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    return Markup(f"<{name}{given}>{join(*contents)}</{name}>")


def join(*contents: str) -> Markup:
    """Contents one after another, escaped unless they are Markup."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in contents))


def _value(value: str | float) -> str:
    return escape(value) if isinstance(value, str) else f"{value:.6g}"
