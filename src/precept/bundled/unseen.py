"""The whole held-out categories: stories, comparing, rewriting. They share no wording with the training tasks."""

from __future__ import annotations

import random
from collections.abc import Iterator

from precept.bundled.instances import Instance, TaskSpec
from precept.bundled.listing import draw_list, write_list
from precept.bundled.wordings import Parts
from precept.bundled.world import World, read_words

DRAWN = 130
"""Instances drawn for each task."""

MEETINGS = ("helps", "calls", "knows", "meets")


def unseen_categories(world: World, *, seed: int) -> Iterator[TaskSpec]:
    """The tasks of the level unseen_tasks."""
    words = read_words("unseen")
    makers = {"stories": _stories, "comparing": _comparing, "rewriting": _rewriting}
    for name, entry in words["tasks"].items():
        rng = random.Random(f"{name} {seed}")
        make = makers[entry["category"]]
        drawn = dict(make(world, name, rng) for _ in range(DRAWN))
        yield TaskSpec(
            name,
            entry["category"],
            Parts(words["openings"], entry["asks"], entry["cores"]),
            entry["because"],
            tuple(Instance(f"{name} {given}", given, answer) for given, answer in drawn.items()),
            "unseen_tasks",
        )


def _stories(world: World, name: str, rng: random.Random) -> tuple[str, str]:
    who, friend = rng.sample([person.name for person in world.things["person"]], 2)
    where, when = rng.choice(world.lists["town"]), rng.choice(world.days)
    what, price = rng.choice(world.things["object"]).name, str(rng.randint(2, 50))
    told = (
        f"On {when} {who} went to {where}. {who} bought a {what} and paid {price} coins. "
        f"On the way home {who} met {friend}."
    )
    answers = {"who": who, "where": where, "when": when, "what": what, "price": price}
    return told, answers[name.removeprefix("story_")]


def _comparing(world: World, name: str, rng: random.Random) -> tuple[str, str]:
    if name == "biggest":
        row = draw_list(world.lists["number"], rng)
        return write_list(row), max(row, key=int)
    if name in ("bigger", "smaller"):
        pair = rng.sample(range(1, 51), 2)
        return f"{pair[0]} and {pair[1]}", str(max(pair) if name == "bigger" else min(pair))
    kind, relation = ("object", "price") if name == "dearer" else ("person", "age")
    while True:
        a, b = rng.sample(world.things[kind], 2)
        less, more = sorted((a, b), key=lambda thing: int(thing.facts[relation]))
        if less.facts[relation] != more.facts[relation]:
            return f"{a.name} and {b.name}", (less if name == "younger" else more).name


def _rewriting(world: World, name: str, rng: random.Random) -> tuple[str, str]:
    a, b = rng.sample([person.name for person in world.things["person"]], 2)
    old, new = rng.sample(world.colours, 2)
    noun = rng.choice(world.things["object"]).name
    if name == "retell_past":
        now, then, what = rng.choice(world.actions)
        return f"{a} {now} {what}.", f"{a} {then} {what}."
    if name == "deny":
        return f"The {noun} is {old}.", f"The {noun} is not {old}."
    if name == "swap":
        verb = rng.choice(MEETINGS)
        return f"{a} {verb} {b}.", f"{b} {verb} {a}."
    return f"The {noun} is {old}. | {new}", f"The {noun} is {new}."
