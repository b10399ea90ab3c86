"""Items side by side: what was asked, what would be right, and what the models answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from precept.evaluate.markup import Markup, element
from precept.evaluate.page_parts import Facts, document, link, plain_table

LONGEST = 3000
"""Characters of a text on the page of the run; what is cut from a longer one is counted in its place."""
TAIL = 250
"""Characters of a longer prompt that are shown unfolded: its end, where the question stands."""
SHARED_FROM = 200
"""Characters from which a beginning that all prompts of a page share is shown once."""
PAIRED = ("worse", "both wrong", "better", "both right")
SINGLE = ("wrong", "right")
RULE = (
    "An answer is right when it has the full score in its task's first metric. Better and worse compare that score;"
    " both wrong are equal ones below the full score."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered by whom. ``right`` is None where nothing says so; ``extracted`` is what was scored, where that
    is not the text itself; ``refused`` says why it was not asked."""

    name: str
    text: str
    right: bool | None = None
    extracted: str | None = None
    scores: tuple[tuple[str, float], ...] = ()
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One item with its answers, in the order in which they are shown."""

    task: str
    prompt: str
    references: tuple[str, ...]
    answers: tuple[Answer, ...]
    id: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """Items that ended alike: how many there are, and the first ones."""

    name: str
    count: int
    examples: tuple[Example, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """The items of a level by kind. ``href`` is their own page; ``files`` are (name, address) of the whole lists."""

    level: str
    kinds: tuple[Kind, ...]
    href: str | None = None
    files: Facts = ()


def kind_of(score: float, other: float | None) -> str:
    """One of ``PAIRED``, or of ``SINGLE`` without another score; scores in 0..1."""
    if other is None:
        return "right" if score == 1 else "wrong"
    if score != other:
        return "better" if score > other else "worse"
    return "both right" if score == 1 else "both wrong"


def items_section(levels: Sequence[Items], *, title: str, anchor: str, rule: str = RULE) -> Markup | None:
    """How many items of each level are of which kind, with links to them, and the first ones; None without items."""
    if not levels:
        return None
    kinds = list(dict.fromkeys(kind.name for level in levels for kind in level.kinds))
    counts = [(link(level.level, level.href), *(_count(level, kind) for kind in kinds)) for level in levels]
    table = plain_table(("", *kinds), counts, numbers=set(range(1, len(kinds) + 1)))
    shown = [level for level in levels if any(kind.examples for kind in level.kinds)]
    folded = [
        element(
            "details",
            element("summary", f"{level.level}: the first items of each kind"),
            *(card for kind in level.kinds for card in _kind_cards(kind, level)),
            **({"open": ""} if place == 0 else {}),
        )
        for place, level in enumerate(shown)
    ]
    told = element("p", f"{rule} The names and numbers lead to the items with their whole prompts.", class_="quiet")
    return element("section", element("h2", title, id=anchor), told, table, *folded)


def items_page(items: Items, *, title: str, back: str, rule: str = RULE) -> str:
    """The page of a level's items: by kind, to be filtered by buttons that need no script. ``items.href`` is not used;
    ``back`` is the address of the page of the run."""
    shared = shared_beginning([example.prompt for kind in items.kinds for example in kind.examples])
    opening = []
    if shared:
        told = f"every prompt here begins with the same {len(shared):,} characters; each item shows what follows"
        opening = [element("details", element("summary", told), element("pre", shared, class_="prompt"))]
    sections = [_kind_section(kind, items, len(shared)) for kind in items.kinds if kind.count]
    count = sum(kind.count for kind in items.kinds)
    return document(
        f"{items.level}: {title}",
        element("p", link(f"← {title}", back)),
        element("h1", items.level),
        element("p", f"{count:,} item{'s' * (count != 1)}. {rule}", class_="quiet"),
        *opening,
        *_filters([kind.name for kind in items.kinds]),
        *sections,
    )


def shared_beginning(prompts: Sequence[str]) -> str:
    """The whole lines that all prompts begin with, where they are long enough to be worth taking out."""
    if len(prompts) < 2:
        return ""
    first, last = min(prompts), max(prompts)  # what these two share, all strings between them share
    length = next((place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    shared = first[: first.rfind("\n", 0, length) + 1]
    return shared if len(shared) >= SHARED_FROM else ""


def _filters(kinds: Sequence[str]) -> list[Markup]:
    """Radio buttons before the sections; the style sheet hides what was not chosen."""
    wishes = {PAIRED: ("all", "wrong", "better", "worse"), SINGLE: ("all", "wrong")}.get(tuple(kinds), ())
    parts = []
    for wish in wishes:
        name, chosen = f"only-{wish}", " checked" * (wish == "all")
        parts.append(Markup(f'<input type="radio" name="only" id="{name}"{chosen}>'))
        parts.append(element("label", "all" if wish == "all" else f"{wish} only", for_=name))
    return parts


def _kind_section(kind: Kind, items: Items, skip: int) -> Markup:
    rest = kind.count - len(kind.examples)
    note = []
    if rest:
        files = [part for name, address in items.files for part in (link(name, address), " ")]
        told = f"The first {len(kind.examples):,} are here. All items stand in "
        note = [element("p", told, *files, class_="quiet")]
    style = kind.name.replace(" ", "-")
    return element(
        "section",
        element("h2", f"{kind.name}: {kind.count:,}", id=style),
        *(_card(example, items.level, skip=skip) for example in kind.examples),
        *note,
        class_=style,
    )


def _count(level: Items, name: str) -> Markup:
    count = next((kind.count for kind in level.kinds if kind.name == name), 0)
    return link(f"{count:,}", f"{level.href}#{name.replace(' ', '-')}" if level.href and count else None)


def _kind_cards(kind: Kind, level: Items) -> list[Markup]:
    cards = [_card(example, level.level, longest=LONGEST) for example in kind.examples]
    return [element("h3", kind.name), *cards] if cards else []


def _card(example: Example, level: str, *, skip: int = 0, longest: int | None = None) -> Markup:
    """An item; ``skip`` characters of its prompt stand elsewhere on the page."""
    name = " ".join(part for part in (example.id, example.task if example.task != level else "") if part)
    right = "right is" if len(example.references) == 1 else f"right is any of {len(example.references)}"
    reference = [_entry([right], " | ".join(example.references), longest)] if example.references else []
    verdict = _verdict(example)
    kind = "item" if verdict is None else "item right" if verdict else "item wrong"
    return element(
        "article",
        *([element("p", name, class_="quiet")] if name else []),
        *_prompt(example.prompt[skip:], skip, longest),
        element("dl", *reference, *(_answer(answer, longest) for answer in example.answers)),
        class_=kind,
    )


def _verdict(example: Example) -> bool | None:
    """Whether the model that the page is about, whose answer stands last, was right."""
    return example.answers[-1].right if example.answers else None


def _prompt(text: str, skipped: int, longest: int | None) -> list[Markup]:
    before = "… " if skipped else ""
    if len(text) <= TAIL:
        return [element("pre", before + text, class_="prompt")]
    start = text.find("\n", len(text) - TAIL) + 1 or len(text) - TAIL
    told = f"{'all that follows' if skipped else 'the whole prompt'}, {len(text):,} characters"
    return [
        element("pre", f"… {text[start:].lstrip()}", class_="prompt"),
        element("details", element("summary", told), element("pre", before + _cut(text, longest), class_="prompt")),
    ]


def _answer(answer: Answer, longest: int | None) -> Markup:
    label: list[str] = [answer.name]
    if answer.right is not None:
        mark, kind = ("✓ right", "right") if answer.right else ("✗ wrong", "wrong")
        label += [" ", element("span", mark, class_=kind)]
    told = f"(not asked: {answer.refused})" if answer.refused else answer.text or "(empty)"
    details = [f"{name} {score:.4g}" for name, score in answer.scores]
    if answer.extracted is not None:
        details.insert(0, f"extracted: {answer.extracted or '(nothing)'}")
    return _entry(label, told, longest, note=" · ".join(details))


def _entry(label: Sequence[str], text: str, longest: int | None, *, note: str = "") -> Markup:
    below = [element("p", note, class_="quiet")] if note else []
    return element("div", element("dt", *label), element("dd", element("pre", _cut(text, longest)), *below))


def _cut(text: str, longest: int | None) -> str:
    """The start and the end of a long text, where task and question stand."""
    if longest is None or len(text) <= longest:
        return text
    half = longest // 2
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"
