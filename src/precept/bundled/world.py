"""A small closed world, drawn from a seed: things of five kinds with their facts, and the word tables of its language.

The word lists are data files in ``words/``. Which person lives where, what an object is made of and the like is drawn
with the seed; what animals do and how words are formed stands in the lists.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

PEOPLE = 200
PRICES = range(3, 51)
AGES = range(5, 51)
PET_AGES = range(1, 21)


@dataclass(frozen=True, slots=True)
class Thing:
    """A person, animal, object, town or pet. ``facts`` is relation -> value."""

    kind: str
    name: str
    facts: Mapping[str, str]

    @property
    def mention(self) -> str:
        """The thing as named inside a sentence: 'the fox', 'Anna'."""
        return f"the {self.name}" if self.kind in ("animal", "object") else self.name


@dataclass(frozen=True, slots=True)
class Fact:
    """One value of one thing, and the sentences that say so in running text."""

    thing: Thing
    relation: str
    value: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class World:
    """Everything that texts and tasks speak of."""

    things: Mapping[str, tuple[Thing, ...]]
    """Kind -> its things."""
    facts: tuple[Fact, ...]
    lists: Mapping[str, tuple[str, ...]]
    """Kind of list -> the words such lists are made of."""
    groups: Mapping[str, tuple[str, ...]]
    opposites: tuple[tuple[str, str], ...]
    plurals: tuple[tuple[str, str], ...]
    past: tuple[tuple[str, str], ...]
    days: tuple[str, ...]
    months: tuple[str, ...]
    colours: tuple[str, ...]
    actions: tuple[tuple[str, str, str], ...]
    """Third person now, third person past, object."""

    def find(self, kind: str, name: str) -> Thing:
        """The thing of that name. Raises KeyError when there is none."""
        for thing in self.things[kind]:
            if thing.name == name:
                return thing
        raise KeyError(f"no {kind} called {name}")


def read_words(name: str) -> dict[str, Any]:
    """The word list ``words/NAME.yaml``."""
    text = resources.files("precept.bundled").joinpath("words", f"{name}.yaml").read_text(encoding="utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def capitalise(sentence: str) -> str:
    """The sentence with a capital first letter; the rest stays."""
    return sentence[0].upper() + sentence[1:]


def build_world(seed: int = 0) -> World:
    """The world of a seed: equal seeds give equal worlds on every machine."""
    rng = random.Random(f"world {seed}")
    people, stuff, language = read_words("people"), read_words("things"), read_words("language")
    persons = _people(people, stuff, language, rng)
    things = {
        "person": persons,
        "animal": _animals(stuff),
        "object": _objects(stuff, rng),
        "town": _towns(stuff, language, rng),
        "pet": _pets(people, stuff, language, persons, rng),
    }
    groups = {name: tuple(words) for name, words in language["groups"].items()}
    return World(
        things=things,
        facts=_facts(things, read_words("facts")),
        lists={
            "number": tuple(str(n) for n in range(1, 51)),
            "animal": tuple(stuff["animals"]),
            "name": tuple(person.name for person in persons),
            "fruit": groups["fruit"],
            "colour": tuple(stuff["colours"]),
            "tool": groups["tool"],
            "town": tuple(stuff["towns"]),
            "food": tuple(language["foods"]),
        },
        groups=groups,
        opposites=tuple(language["opposites"].items()),
        plurals=tuple(language["plurals"].items()),
        past=tuple(language["past"].items()),
        days=tuple(language["days"]),
        months=tuple(language["months"]),
        colours=tuple(stuff["colours"]),
        actions=tuple((now, then, what) for now, then, what in language["actions"]),
    )


def _spread(values: Sequence[str], count: int, rng: random.Random) -> list[str]:
    """``count`` values, each about equally often, in random order."""
    drawn = [values[i % len(values)] for i in range(count)]
    rng.shuffle(drawn)
    return drawn


def _people(
    people: Mapping[str, Any], stuff: Mapping[str, Any], language: Mapping[str, Any], rng: random.Random
) -> tuple[Thing, ...]:
    names = sorted(rng.sample(people["names"], PEOPLE))
    circle = rng.sample(names, PEOPLE)
    friend = {name: circle[(i + 1) % PEOPLE] for i, name in enumerate(circle)}
    columns = {
        "place": _spread(stuff["towns"], PEOPLE, rng),
        "job": _spread(people["jobs"], PEOPLE, rng),
        "colour": _spread(stuff["colours"], PEOPLE, rng),
        "animal": _spread(people["pets"], PEOPLE, rng),
        "age": _spread([str(n) for n in AGES], PEOPLE, rng),
        "food": _spread(language["foods"], PEOPLE, rng),
        "friend": [friend[name] for name in names],
    }
    return _rows("person", names, columns)


def _animals(stuff: Mapping[str, Any]) -> tuple[Thing, ...]:
    relations = ("sound", "legs", "place", "kind", "food", "colour", "age")
    return tuple(
        Thing("animal", name, dict(zip(relations, map(str, values), strict=True)))
        for name, values in stuff["animals"].items()
    )


def _objects(stuff: Mapping[str, Any], rng: random.Random) -> tuple[Thing, ...]:
    names = list(stuff["objects"])
    columns = {
        "material": _spread(stuff["materials"], len(names), rng),
        "use": list(stuff["objects"].values()),
        "colour": _spread(stuff["colours"], len(names), rng),
        "place": _spread(stuff["rooms"], len(names), rng),
        "price": _spread(rng.sample([str(n) for n in PRICES], len(PRICES)), len(names), rng),
    }
    return _rows("object", names, columns)


def _towns(stuff: Mapping[str, Any], language: Mapping[str, Any], rng: random.Random) -> tuple[Thing, ...]:
    names = list(stuff["towns"])
    columns = {
        "river": _spread(stuff["rivers"], len(names), rng),
        "place": _spread(stuff["regions"], len(names), rng),
        "food": _spread(rng.sample(language["foods"], len(language["foods"])), len(names), rng),
        "colour": _spread(stuff["colours"], len(names), rng),
    }
    return _rows("town", names, columns)


def _pets(
    people: Mapping[str, Any],
    stuff: Mapping[str, Any],
    language: Mapping[str, Any],
    persons: Sequence[Thing],
    rng: random.Random,
) -> tuple[Thing, ...]:
    """Pets with names. Each belongs to another person, and is the animal that this person keeps."""
    names = list(people["pet_names"])
    owners = rng.sample(list(persons), len(names))
    columns = {
        "animal": [owner.facts["animal"] for owner in owners],
        "owner": [owner.name for owner in owners],
        "colour": _spread(stuff["colours"], len(names), rng),
        "food": _spread(language["foods"], len(names), rng),
        "age": _spread([str(n) for n in PET_AGES], len(names), rng),
        "place": _spread(stuff["rooms"], len(names), rng),
    }
    return _rows("pet", names, columns)


def _rows(kind: str, names: Sequence[str], columns: Mapping[str, Sequence[str]]) -> tuple[Thing, ...]:
    return tuple(
        Thing(kind, name, {relation: values[i] for relation, values in columns.items()}) for i, name in enumerate(names)
    )


def _facts(
    things: Mapping[str, tuple[Thing, ...]], forms: Mapping[str, Mapping[str, Sequence[str]]]
) -> tuple[Fact, ...]:
    return tuple(
        Fact(
            thing,
            relation,
            value,
            tuple(capitalise(form.format(x=thing.mention, y=value)) for form in forms[thing.kind][relation]),
        )
        for same_kind in things.values()
        for thing in same_kind
        for relation, value in thing.facts.items()
    )
