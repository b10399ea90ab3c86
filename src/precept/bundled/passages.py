"""The passages that documents are chained of. Each method returns one to four sentences of one kind."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

from precept.bundled.listing import OPERATIONS, draw_list, write_list
from precept.bundled.world import Fact, World, capitalise, read_words

Item = TypeVar("Item")


class Passages:
    """Draws passages about a world with one random generator."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self.world = world
        self.rng = rng
        self.forms: dict[str, dict[str, list[str]]] = read_words("sentences")
        self.kinds = list(world.lists.items())
        self.kinds += [(name, words) for name, words in world.groups.items() if name not in world.lists]
        self.people = [person.name for person in world.things["person"]]
        self.group_names = list(world.groups)
        self.sentences = [sentence for fact in world.facts for sentence in fact.sentences]

    def choose(self, items: Sequence[Item]) -> Item:
        """One of the items. (``random.choice`` takes twice as long.)"""
        return items[int(self.rng.random() * len(items))]

    def form(self, kind: str, name: str, **values: object) -> str:
        """A sentence of ``words/sentences.yaml`` with its values put in."""
        return capitalise(self.choose(self.forms[kind][name]).format(**values))

    def portrait(self, facts: Sequence[Fact]) -> str:
        """Every fact of one thing, in random order."""
        return " ".join(self.choose(fact.sentences) for fact in self.rng.sample(facts, len(facts)))

    def echo(self) -> str:
        """Words or a sentence said again: the same, back to front, shortened."""
        if self.rng.random() < 0.3:
            sentence = self.choose(self.sentences)
            words = sentence.rstrip(".").split()
            name = self.choose(("again", "again", "ends", "begins"))
            return f"{sentence} " + self.form("echo", name, s=sentence, first=words[0], last=words[-1])
        kind, words = self._list()
        operation = self.choose(("again", "reverse", "reverse", "drop_first", "drop_last"))
        result = write_list(words) if operation == "again" else OPERATIONS[operation](words)
        return self.form("say", "list", l=write_list(words), k=kind) + " " + self._outcome(operation, kind, result)

    def list_passage(self) -> str:
        """A list, and two things about it; numbers also have a biggest, a smallest and an order."""
        if self.rng.random() < 0.2:
            return self._numbers()
        if self.rng.random() < 0.1:
            return self._odd_one_out()
        kind, words = self._list()
        operations = self.rng.sample(("first", "second", "third", "last", "count", "first", "last"), 3)
        said = [self._outcome(operation, kind, OPERATIONS[operation](words)) for operation in dict.fromkeys(operations)]
        return " ".join([self.form("say", "list", l=write_list(words), k=kind), *said])

    def word_forms(self) -> str:
        """An opposite, a plural or a past form."""
        name = self.choose(("opposites", "opposites", "plurals", "past"))
        table = {"opposites": self.world.opposites, "plurals": self.world.plurals, "past": self.world.past}[name]
        x, y = self.choose(table)
        if name == "opposites" and self.rng.random() < 0.5:
            x, y = y, x
        return self.form("words", name, x=x, y=y)

    def group(self) -> str:
        """A word and its group, or the one word of a group among others."""
        name = self.choose(self.group_names)
        word = self.choose(self.world.groups[name])
        if self.rng.random() < 0.6:
            return self.form("groups", "member", x=word, y=name)
        others = [group for group in self.rng.sample(self.group_names, 4) if group != name][:3]
        words = [word, *(self.choose(self.world.groups[other]) for other in others)]
        self.rng.shuffle(words)
        return self.form("groups", "among", l=write_list(words), x=word, y=name)

    def comparison(self) -> str:
        """Two numbers, people or objects compared."""
        name = self.choose(("numbers", "people", "objects"))
        if name == "numbers":
            small, big = sorted(self.rng.sample(range(1, 51), 2))
            return self.form("compare", name, a=small, b=big)
        kind, relation = ("person", "age") if name == "people" else ("object", "price")
        pair = self.rng.sample(self.world.things[kind], 2)
        less, more = sorted(pair, key=lambda thing: int(thing.facts[relation]))
        if less.facts[relation] == more.facts[relation]:
            return self.form("compare", f"{name}_equal", a=less.mention, b=more.mention)
        return self.form(
            "compare", name, a=less.mention, b=more.mention, m=less.facts[relation], n=more.facts[relation]
        )

    def total(self) -> str:
        """A sum or a difference up to 20, or the number, day or month that comes next."""
        if self.rng.random() < 0.2:
            row = self.choose((self.world.lists["number"], self.world.days, self.world.months))
            place = int(self.rng.random() * (len(row) - 1))
            return self.form("sums", "next", a=row[place], b=row[place + 1])
        whole = self.rng.randint(2, 20)
        part = self.rng.randint(1, whole - 1)
        if self.rng.random() < 0.5:
            return self.form("sums", "plus", a=part, b=whole - part, c=whole)
        return self.form("sums", "minus", a=whole, b=part, c=whole - part)

    def story(self) -> str:
        """Somebody does something somewhere; the end says it again, a part at a time."""
        world = self.world
        values = {
            "who": self.choose(self.people),
            "where": self.choose(world.lists["town"]),
            "when": self.choose(world.days),
            "what": self.choose(world.things["object"]).name,
            "price": str(self.rng.randint(2, 50)),
            "friend": self.choose(self.people),
        }
        told = [self.form("stories", "open", **values), self.form("stories", "buy", **values)]
        told.append(self.form("stories", "meet", **values))
        ends = self.rng.sample(("who", "where", "when", "what", "price", "friend"), 3)
        return " ".join([*told, *(self.form("stories", f"end_{end}", **values) for end in ends)])

    def change(self) -> str:
        """A sentence, and the same as of yesterday, denied, with names changed over or another word."""
        now, then, what = self.choose(self.world.actions)
        a, b = self.rng.sample(self.people, 2)
        first, second = self.rng.sample(self.world.colours, 2)
        noun = self.choose(self.world.things["object"]).name
        name = self.choose(("past", "denied", "swapped", "replaced"))
        return self.form("changes", name, now=now, then=then, what=what, a=a, b=b, c=first, d=second, x=noun)

    def talk(self) -> str:
        """A sentence of everyday language that says nothing about the world."""
        a, b = self.rng.sample(self.people, 2)
        noun = self.choose(self.world.things["object"]).name
        return self.form("talk", "any", a=a, b=b, x=noun, t=self.choose(self.world.lists["town"]))

    def _list(self) -> tuple[str, list[str]]:
        kind, words = self.choose(self.kinds)
        return kind, draw_list(words, self.rng)

    def _outcome(self, operation: str, kind: str, result: str) -> str:
        return self.form("outcome", operation, r=result, k=kind)

    def _numbers(self) -> str:
        words = draw_list(self.world.lists["number"], self.rng)
        ordered = sorted(words, key=int)
        results = {"biggest": ordered[-1], "smallest": ordered[0], "sorted": write_list(ordered)}
        said = [self.form("outcome", name, r=results[name], k="number") for name in self.rng.sample(tuple(results), 2)]
        return " ".join([self.form("say", "list", l=write_list(words), k="number"), *said])

    def _odd_one_out(self) -> str:
        same, other = self.rng.sample(self.group_names, 2)
        odd = self.choose(self.world.groups[other])
        words = [odd, *self.rng.sample(self.world.groups[same], 3)]
        self.rng.shuffle(words)
        return self.form("say", "list", l=write_list(words), k="word") + " " + self._outcome("odd", same, odd)
