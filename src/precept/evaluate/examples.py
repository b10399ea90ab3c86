"""Items side by side: what was asked, what would be right, and what the models answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from precept.evaluate.markup import Markup, element
from precept.evaluate.page_parts import plain_table

EACH = 3
"""Items of each kind that a level shows."""
LONGEST = 3000
"""Characters of a text; what is cut from a longer one is counted in its place."""
TAIL = 250
"""Characters of a longer prompt that are shown unfolded: its end, where the question stands."""
JUDGED = (
    "An answer is right when it has the full score in exact_match, or in its task's first metric where exact_match is"
    " not measured."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered, and whether it was right. ``refused`` says why it was not asked."""

    text: str
    right: bool
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """One item with the answers of one model or of both. ``level`` is the name of the level it is scored in."""

    level: str
    task: str
    prompt: str
    references: tuple[str, ...]
    tuned: Answer
    base: Answer | None = None

    @property
    def kind(self) -> str:
        """What became of the item: ``gained``, ``lost``, ``both wrong``, ``both right``; ``right`` or ``wrong``."""
        if self.base is None:
            return "right" if self.tuned.right else "wrong"
        if self.base.right == self.tuned.right:
            return "both right" if self.tuned.right else "both wrong"
        return "gained" if self.tuned.right else "lost"


def choose_examples(examples: Sequence[Example], *, each: int = EACH) -> list[Example]:
    """The first ``each`` examples, one of every task in turn before the second of any."""
    seen: Counter[str] = Counter()
    ranked = []
    for place, example in enumerate(examples):
        ranked.append((seen[example.task], place, example))
        seen[example.task] += 1
    return [example for _, _, example in sorted(ranked, key=lambda entry: entry[:2])[:each]]


def examples_section(examples: Sequence[Example], *, title: str, names: tuple[str, str]) -> Markup | None:
    """Of each level how many items were gained and lost, and the first of each kind; None without items.

    ``names`` are what the base and the tuned model are called.
    """
    if not examples:
        return None
    paired = examples[0].base is not None
    kinds = ("gained", "lost", "both wrong", "both right") if paired else ("right", "wrong")
    shown = kinds[:3] if paired else kinds
    levels = list(dict.fromkeys(example.level for example in examples))
    groups = {name: [e for e in examples if e.level == name] for name in levels}
    counts = [(name, *(f"{_count(group, kind):,}" for kind in kinds)) for name, group in groups.items()]
    table = plain_table(("", *kinds), counts, numbers=set(range(1, len(kinds) + 1)))
    folded = [
        element(
            "details",
            element("summary", f"{name}: the first items of each kind"),
            *(card for kind in shown for card in _kind_cards(group, kind, names)),
            **({"open": ""} if place == 0 else {}),
        )
        for place, (name, group) in enumerate(groups.items())
    ]
    heading = f"Items before and after: {title}" if paired else f"Items: {title}"
    return element("section", element("h2", heading), element("p", JUDGED, class_="quiet"), table, *folded)


def _count(group: Sequence[Example], kind: str) -> int:
    return sum(example.kind == kind for example in group)


def _kind_cards(group: Sequence[Example], kind: str, names: tuple[str, str]) -> list[Markup]:
    chosen = choose_examples([example for example in group if example.kind == kind])
    return [element("h3", kind), *(_card(example, names) for example in chosen)] if chosen else []


def _card(example: Example, names: tuple[str, str]) -> Markup:
    answers = [(name, answer) for name, answer in zip(names, (example.base, example.tuned), strict=True) if answer]
    task = [] if example.task == example.level else [element("p", example.task, class_="quiet")]
    right = "right is" if len(example.references) == 1 else f"right is any of {len(example.references)}"
    return element(
        "article",
        *task,
        *_prompt(example.prompt),
        element(
            "dl",
            _answer(right, " | ".join(example.references), "reference"),
            *(_answer(name, _told(answer), "right" if answer.right else "wrong") for name, answer in answers),
        ),
        class_="item",
    )


def _prompt(text: str) -> list[Markup]:
    if len(text) <= TAIL:
        return [element("pre", text, class_="prompt")]
    start = text.find("\n", len(text) - TAIL) + 1 or len(text) - TAIL
    whole = element("summary", f"the whole prompt, {len(text):,} characters")
    return [
        element("pre", f"… {text[start:].lstrip()}", class_="prompt"),
        element("details", whole, element("pre", _cut(text), class_="prompt")),
    ]


def _answer(label: str, text: str, style: str) -> Markup:
    mark = {"right": " ✓ right", "wrong": " ✗ wrong"}.get(style, "")
    name = element("dt", label, element("span", mark, class_=style)) if mark else element("dt", label)
    return element("div", name, element("dd", element("pre", _cut(text))))


def _told(answer: Answer) -> str:
    return f"(not asked: {answer.refused})" if answer.refused else answer.text or "(empty)"


def _cut(text: str) -> str:
    """The start and the end of a long text, where task and question stand."""
    half = LONGEST // 2
    if len(text) <= 2 * half:
        return text
    return f"{text[:half]}\n[... {len(text) - 2 * half:,} characters ...]\n{text[-half:]}"
