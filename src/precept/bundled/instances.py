"""What tasks ask: inputs and answers, for the training tasks and for their unseen combinations."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from precept.bundled.listing import OPERATIONS, PICKING, REARRANGING, draw_list, write_list
from precept.bundled.wordings import Parts
from precept.bundled.world import World, read_words

CHOSEN_GROUPS = ("fruit", "tool", "vegetable", "vehicle", "drink")
LISTS = 420
"""Lists drawn for a task: about 300 to train on."""

UNSEEN_RELATIONS = {("colour", "pet"), ("food", "pet"), ("age", "pet"), ("place", "pet")}
UNSEEN_OPERATIONS = {
    ("first", "fruit"), ("first", "tool"), ("second", "name"), ("second", "food"), ("third", "animal"),
    ("third", "town"), ("last", "colour"), ("last", "number"), ("reverse", "fruit"), ("reverse", "town"),
    ("drop_first", "name"), ("drop_first", "tool"), ("drop_last", "animal"), ("drop_last", "food"),
    ("count", "colour"), ("count", "number"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Instance:
    """An input and its answer. Instances of one ``key`` are all trained on or all held out. ``rationale`` are the
    reasons, of tasks that have some."""

    key: str
    input: str
    output: str
    rationale: str = ""


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """A task before its wordings are drawn. ``because`` explains an answer: {x} input, {y} output.

    ``held_out`` is None for a training task, else the level that the task belongs to.
    """

    name: str
    category: str
    parts: Parts
    because: str
    instances: tuple[Instance, ...]
    held_out: str | None = None


def seen_and_combined(world: World, *, seed: int) -> Iterator[TaskSpec]:
    """The training tasks, and those of the level unseen_combinations."""
    words = read_words("wordings")
    yield from _relations(world, words)
    yield from _operations(world, words, seed)
    for name, instances in _single_tasks(world, seed):
        yield _single(words, name, name, {}, instances)
    for group in CHOSEN_GROUPS:
        instances = _choices(world, group, random.Random(f"choose {group} {seed}"))
        yield _single(words, "choose", f"choose_{group.replace(' ', '_')}", {"k": group}, instances)
    for kind, noun in words["things"].items():
        if kind != "pet":
            yield _single(words, "complete", f"complete_{kind}", {"k": noun}, _completions(world, kind))


def _parts(words: Mapping[str, Any], entry: Mapping[str, Any], values: Mapping[str, str]) -> Parts:
    return Parts(words["openings"], words["asks"], entry["cores"], entry["new"]).fill(values)


def _single(
    words: Mapping[str, Any], entry_name: str, name: str, values: Mapping[str, str], instances: Sequence[Instance]
) -> TaskSpec:
    entry = words["others"][entry_name]
    because = entry["because"].replace("{k}", values.get("k", ""))
    return TaskSpec(name, entry["category"], _parts(words, entry, values), because, tuple(instances))


def _relations(world: World, words: Mapping[str, Any]) -> Iterator[TaskSpec]:
    """Relation x kind of thing. The input is the thing's name."""
    for kind, things in world.things.items():
        for relation in things[0].facts:
            entry = words["relations"][relation]
            yield TaskSpec(
                f"{kind}_{relation}",
                f"{kind} facts",
                _parts(words, entry, {"k": words["things"][kind]}),
                entry["because"],
                tuple(Instance(f"{kind} {thing.name}", thing.name, thing.facts[relation]) for thing in things),
                "unseen_combinations" if (relation, kind) in UNSEEN_RELATIONS else None,
            )


def _operations(world: World, words: Mapping[str, Any], seed: int) -> Iterator[TaskSpec]:
    """Operation x kind of list. The input is the list."""
    for operation, apply in OPERATIONS.items():
        category = "picking" if operation in PICKING else "rearranging" if operation in REARRANGING else "counting"
        for kind, items in world.lists.items():
            rng = random.Random(f"{operation} {kind} {seed}")
            lists = {write_list(drawn): drawn for drawn in (draw_list(items, rng) for _ in range(LISTS))}
            entry = words["operations"][operation]
            yield TaskSpec(
                f"{operation}_{kind}",
                category,
                _parts(words, entry, {"k": kind}),
                entry["because"],
                tuple(Instance(f"list {text}", text, apply(drawn)) for text, drawn in lists.items()),
                "unseen_combinations" if (operation, kind) in UNSEEN_OPERATIONS else None,
            )


def _single_tasks(world: World, seed: int) -> Iterator[tuple[str, list[Instance]]]:
    # two-way tables are split by the pair, so that no answer is learned from its other direction
    yield "opposite", [Instance(f"opposite {a}", x, y) for a, b in world.opposites for x, y in ((a, b), (b, a))]
    yield "plural", [Instance(f"plural {one}", one, many) for one, many in world.plurals]
    yield "singular", [Instance(f"plural {one}", many, one) for one, many in world.plurals]
    yield "past", [Instance(f"past {now}", now, then) for now, then in world.past]
    yield "present", [Instance(f"past {now}", then, now) for now, then in world.past]
    yield "group", [Instance(f"group {word}", word, name) for name, words in world.groups.items() for word in words]
    rng = random.Random(f"sentences {seed}")
    # split by the thing, so that no answer tells a held-out fact; pets are kept for unseen combinations
    tellable = [fact for fact in world.facts if fact.thing.kind != "pet"]
    said = [(f"{fact.thing.kind} {fact.thing.name}", fact.sentences[0]) for fact in rng.sample(tellable, LISTS)]
    yield "again", [Instance(key, text, text) for key, text in said]
    yield "sentence_end", [Instance(key, text, text.rstrip(".").split()[-1]) for key, text in said]
    yield "sentence_start", [Instance(key, text, text.split()[0]) for key, text in said]
    pairs = [(a, b) for a in range(1, 20) for b in range(1, 21 - a)]
    yield "plus", [Instance(f"plus {min(a, b)} {max(a, b)}", f"{a} and {b}", str(a + b)) for a, b in pairs]
    yield "minus", [Instance(f"minus {a + b} {b}", f"{a + b} and {b}", str(a)) for a, b in pairs]


def _choices(world: World, group: str, rng: random.Random) -> list[Instance]:
    """Four words of four groups, one of which is asked for."""
    others = [name for name in world.groups if name != group]
    found = {}
    for _ in range(LISTS):
        word = rng.choice(world.groups[group])
        row = [word, *(rng.choice(world.groups[other]) for other in rng.sample(others, 3))]
        rng.shuffle(row)
        found[write_list(row)] = word
    return [Instance(f"list {text}", text, word) for text, word in found.items()]


def _completions(world: World, kind: str) -> list[Instance]:
    """Sentences that end in the value of a fact, cut before it."""
    return [
        Instance(f"{kind} {fact.thing.name}", sentence[: -len(fact.value) - 2], fact.value)
        for fact in world.facts
        if fact.thing.kind == kind
        for sentence in fact.sentences[:1]
        if sentence.endswith(f" {fact.value}.") and fact.relation != "sound"
    ]
