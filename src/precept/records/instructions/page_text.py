"""Answers that were saved as the HTML of a chat page -> Markdown, as models write it.

Knows what such pages hold: paragraphs, headings, lists, quotes, tables, links, emphasis and code with its language.
Buttons ("Copy code") and drawings go; text of other elements stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

PAGE = re.compile(r'\s*<(?:div class="[^"]*\bmarkdown\b|(?:p|ol|ul|pre|h[1-6])>)')
VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "wbr"})
DROPPED = frozenset({"button", "svg", "script", "style", "input", "meta", "link", "col"})
BLOCKS = frozenset(
    {"div", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "pre", "blockquote", "table", "hr", "section"}
)
CLOSED_BY_ITSELF = frozenset({"p", "li", "tr", "td", "th"})
TABLE_PARTS = frozenset({"thead", "tbody", "tfoot", "tr", "colgroup"})
EMPHASIS = {"strong": "**", "b": "**", "em": "*", "i": "*", "del": "~~", "s": "~~"}
LANGUAGE = re.compile(r"\blang(?:uage)?-([\w+#.-]+)")
MAX_DEPTH = 60  # elements inside one another; deeper ones stand beside each other


def is_page(text: str) -> bool:
    """Whether an answer is a saved page: it starts with the page's frame, or with a bare block element, and ends in a
    tag. Answers that only talk about HTML start otherwise."""
    return PAGE.match(text) is not None and text.rstrip().endswith(">")


def to_markdown(text: str) -> str:
    """The page's text as Markdown, without blank lines at its ends."""
    tree = _Tree()
    tree.feed(text)
    tree.close()
    return _blocks(tree.root.children)


@dataclass
class _Element:
    tag: str
    attributes: dict[str, str] = field(default_factory=dict)
    children: list[_Element | str] = field(default_factory=list)


class _Tree(HTMLParser):
    """Elements as they stand in one another; end tags that fit nothing are passed over."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = _Element("div")
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in CLOSED_BY_ITSELF and self._open[-1].tag == tag:
            self._open.pop()
        element = _Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID and len(self._open) < MAX_DEPTH:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        place = next((i for i in range(len(self._open) - 1, 0, -1) if self._open[i].tag == tag), None)
        if place is not None:
            del self._open[place:]

    def handle_data(self, data: str) -> None:
        self._open[-1].children.append(data)


def _blocks(children: list[_Element | str]) -> str:
    """Blocks apart by a blank line; what stands between them is a paragraph."""
    made: list[str] = []
    inline: list[_Element | str] = []
    for child in [*children, _Element("hr")]:  # the last one closes the paragraph
        if isinstance(child, str) or child.tag not in BLOCKS:
            inline.append(child)
            continue
        made.append(_inline(inline).strip())
        inline = []
        made.append(_block(child))
    return "\n\n".join(filter(None, made[:-1]))


def _block(element: _Element) -> str:
    tag = element.tag
    if tag == "pre":
        return _code(element)
    if tag in ("ul", "ol"):
        return _list(element)
    if tag == "table":
        return _table(element)
    if tag == "blockquote":
        return "\n".join(f"> {line}".rstrip() for line in _blocks(element.children).split("\n"))
    if tag == "hr":
        return "---"
    if tag[0] == "h":
        return f"{'#' * int(tag[1])} {_inline(element.children).strip()}"
    return _blocks(element.children)


def _inline(children: list[_Element | str]) -> str:
    made = []
    for child in children:
        if isinstance(child, str):
            made.append(re.sub(r"[ \t\r\n]+", " ", child))
        elif child.tag == "br":
            made.append("\n")
        elif child.tag == "code":
            made.append(f"`{_text(child)}`")
        elif child.tag == "img":
            made.append(f"![{child.attributes.get('alt', '')}]({child.attributes.get('src', '')})")
        elif child.tag not in DROPPED:
            text = _inline(child.children)
            mark = EMPHASIS.get(child.tag, "") if text.strip() else ""
            link = child.attributes.get("href") if child.tag == "a" else None
            made.append(f"[{text}]({link})" if link else f"{mark}{text}{mark}")
    return "".join(made)


def _text(element: _Element) -> str:
    """All text inside, as it stands."""
    parts = [
        child if isinstance(child, str) else "" if child.tag in DROPPED else _text(child) for child in element.children
    ]
    return "".join(parts)


def _code(element: _Element) -> str:
    """A fenced block. The page names its language in the code's class, or in a heading above it."""
    code = _find(element, "code")
    body = _text(element if code is None else code).strip("\n")
    language = "" if code is None else next(iter(LANGUAGE.findall(code.attributes.get("class", ""))), "")
    if code is not None and not language:
        label = _text(element).partition(_text(code))[0].strip()
        language = label if label and not re.search(r"\s", label) else ""
    fence = "```"
    while fence in body:
        fence += "`"
    return f"{fence}{language}\n{body}\n{fence}"


def _find(element: _Element, tag: str) -> _Element | None:
    for child in element.children:
        if isinstance(child, _Element):
            found = child if child.tag == tag else _find(child, tag)
            if found is not None:
                return found
    return None


def _list(element: _Element) -> str:
    """The items, each a line with its mark. What stands between items belongs to the one before, and what stands before
    all items is a paragraph above them."""
    start = element.attributes.get("start", "1")
    number = int(start) if start.isascii() and start.isdigit() else 1
    above, items = _items(element)
    lines = []
    for item in items:
        mark = f"{number}. " if element.tag == "ol" else "- "
        number += 1
        body = re.sub(r"\n\n(?= *(?:-|\d+\.) )", "\n", _blocks(item))  # a list inside an item stays close
        lines.append(mark + body.replace("\n", "\n" + " " * len(mark)))
    return "\n\n".join(filter(None, [_blocks(above), re.sub(r"(?m)^ +$", "", "\n".join(lines))]))


def _items(element: _Element) -> tuple[list[_Element | str], list[list[_Element | str]]]:
    """What stands before a list's items, and what is in each."""
    above: list[_Element | str] = []
    items: list[list[_Element | str]] = []
    held, between = above, _Element("div")
    for child in element.children:
        if isinstance(child, _Element) and child.tag == "li":
            held, between = list(child.children), _Element("div")
            items.append(held)
        elif isinstance(child, _Element) and child.tag in BLOCKS:
            held.append(child)
            between = _Element("div")
        else:
            if not between.children:
                held.append(between)
            between.children.append(child)
    return above, items


def _table(element: _Element) -> str:
    """The table; its caption and what stands in no cell come before it, as browsers show the latter."""
    above: list[_Element | str] = []
    cells: list[list[_Element]] = []
    _sort_table(element, cells, above)
    rows = [[_inline(cell.children).strip().replace("|", "\\|") for cell in row] for row in cells]
    if not rows:
        return _blocks(above)
    width = max(map(len, rows))
    lines = ["| " + " | ".join([*row, *[""] * (width - len(row))]) + " |" for row in rows]
    table = "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])
    return "\n\n".join(filter(None, [_blocks(above), table]))


def _sort_table(element: _Element, rows: list[list[_Element]], above: list[_Element | str]) -> None:
    """Sort what is in a table, a part of it or a row into the cells of ``rows`` and what is ``above``."""
    loose: list[_Element] = []  # cells side by side in no row
    for child in element.children:
        if isinstance(child, str):
            above += [child] if child.strip() else []
        elif child.tag in ("td", "th"):
            if not loose:
                rows.append(loose)
            loose.append(child)
        elif child.tag == "caption":
            above.append(_Element("div", children=child.children))
        elif child.tag != "table" and (child.tag in TABLE_PARTS or _find(child, "tr") or _find(child, "td")):
            loose = []
            _sort_table(child, rows, above)
        else:
            above.append(child)
