"""Plain running text about the world, for pretraining: statements, lists read out and changed, sums, small stories.

A document is a chain of short passages, about 128 tokens long; one in forty is a chapter of several such pages, so that
a model meets positions up to its context. No text gives an instruction or puts a question.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import orjson

from precept.bundled.passages import Passages
from precept.bundled.world import Fact, World

CHARACTERS = 520
"""A page ends after the passage that reaches this length: about 128 tokens of 4.2 characters."""

CHAPTER_EVERY = 40
CHAPTER_PAGES = range(4, 13)
"""Twelve pages are at most 1,900 tokens."""

REPLAYED = 6000
"""Passages of the pretraining text beside the training rows of the tasks: about a fifth of both."""

MIX: Mapping[str, int] = {
    "facts": 8,
    "portraits": 9,
    "echoes": 17,
    "lists": 18,
    "words": 10,
    "groups": 7,
    "comparisons": 8,
    "sums": 6,
    "stories": 8,
    "changes": 5,
    "talk": 4,
}
"""Kind of page -> parts in a hundred."""

Item = TypeVar("Item")


def documents(world: World, *, seed: int, count: int) -> Iterator[str]:
    """``count`` documents, the same for the same world, seed and count.

    Pages come in the exact shares of ``MIX``, and facts from shuffled decks, so that each is said about equally often.
    """
    rng = random.Random(f"corpus {seed}")
    passages = Passages(world, rng)
    makers = _makers(world, passages, rng)
    order = [kind for kind, parts in MIX.items() for _ in range(parts)]
    kinds = _deck(order, rng)
    for number in range(count):
        pages = rng.choice(CHAPTER_PAGES) if number % CHAPTER_EVERY == CHAPTER_EVERY - 1 else 1
        yield "\n\n".join(_page(makers[next(kinds)]) for _ in range(pages))


def replay(world: World, *, seed: int, count: int) -> Iterator[str]:
    """``count`` single passages in about the shares of ``MIX``: a little of what a base was pretrained on.

    Mixed into tuning it keeps the base from forgetting its small tables, which instances alone do not hold.
    """
    rng = random.Random(f"replay {seed}")
    makers = _makers(world, Passages(world, rng), rng)
    for kind in rng.choices(list(MIX), weights=list(MIX.values()), k=count):
        yield makers[kind]()


def write_replay(world: World, path: Path, *, seed: int = 0) -> None:
    """Write ``REPLAYED`` passages, one ``{"text"}`` a line."""
    path.write_bytes(
        b"".join(orjson.dumps({"text": text}) + b"\n" for text in replay(world, seed=seed, count=REPLAYED))
    )


def _page(make: Callable[[], str]) -> str:
    parts = []
    length = 0
    while length < CHARACTERS:
        part = make()
        parts.append(part)
        length += len(part) + 1
    return " ".join(parts)


def _makers(world: World, passages: Passages, rng: random.Random) -> dict[str, Callable[[], str]]:
    facts = _deck(world.facts, rng)
    portraits = _deck(_by_thing(world.facts), rng)
    return {
        "facts": lambda: passages.choose(next(facts).sentences),
        "portraits": lambda: passages.portrait(next(portraits)),
        "echoes": passages.echo,
        "lists": passages.list_passage,
        "words": passages.word_forms,
        "groups": passages.group,
        "comparisons": passages.comparison,
        "sums": passages.total,
        "stories": passages.story,
        "changes": passages.change,
        "talk": passages.talk,
    }


def _by_thing(facts: Sequence[Fact]) -> list[tuple[Fact, ...]]:
    things: dict[tuple[str, str], list[Fact]] = {}
    for fact in facts:
        things.setdefault((fact.thing.kind, fact.thing.name), []).append(fact)
    return [tuple(own) for own in things.values()]


def _deck(items: Sequence[Item], rng: random.Random) -> Iterator[Item]:
    """The items in random order, for ever; each comes once before any comes again."""
    order = list(items)
    while True:
        rng.shuffle(order)
        yield from order
