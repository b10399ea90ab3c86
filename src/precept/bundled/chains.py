"""Tasks that take two steps about the world: a relation of a relation, a fact or a form of a word of a list, an
operation on the result of another, two things compared. Each instance has its reasons, one sentence for each step.

Whole compositions are held out; each of their two steps is trained in others. The sentences are those of the running
text, which tells every step and never two of them as an answer to a question.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from precept.bundled.instances import Instance, TaskSpec
from precept.bundled.listing import OPERATIONS, PICKING, draw_list, write_list
from precept.bundled.tasks import Task, as_task, rows, select, take_examples
from precept.bundled.wordings import Parts, build_wordings
from precept.bundled.world import World, read_words

DRAWN = 300
"""Lists or pairs drawn for a task."""
HELD_OUT_ITEMS = 40
"""Of each held-out composition."""
LONG = range(4, 7)
"""Lists that still have three words when one was taken away."""
CUE = "\n\nExplain how you get to the answer."
"""Ends a prompt that asks for the reasons first."""

RELATIONS: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("person", "friend"): ("person", ("place", "job", "colour", "animal", "age", "food")),
    ("pet", "owner"): ("person", ("place", "job", "colour", "age", "food", "friend")),
    ("person", "place"): ("town", ("river", "place", "food", "colour")),
}
"""(Kind, its relation) -> the kind of what that gives, and the relations asked of it."""
LISTED = ("place", "job", "colour", "animal", "age", "food")
FORMS = ("plural", "opposite", "past", "group")
INNER, OUTER = ("reverse", "drop_first", "drop_last"), ("first", "second", "third", "last", "count")
COMPARED = (
    ("person", "age", ("older", "younger")), ("pet", "age", ("older", "younger")),
    ("object", "price", ("dearer", "cheaper")),
)  # fmt: skip
HELD_OUT = {
    "person_friend_job", "person_friend_age", "pet_owner_place", "pet_owner_food", "person_place_food",
    "first_name_job", "second_name_place", "second_name_food", "third_name_colour", "last_name_age",
    "last_name_animal", "first_word_opposite", "second_word_plural", "third_word_group", "last_word_past",
    "reverse_second", "reverse_count", "drop_first_last", "drop_last_third", "pet_younger",
}  # fmt: skip
"""The compositions that are never trained."""


@dataclass(frozen=True)
class Chains:
    """The tasks to train on, and those of held-out compositions. Their instances have a ``rationale``."""

    training: tuple[Task, ...]
    unseen: tuple[Task, ...]


def build_chains(world: World, *, seed: int = 0) -> Chains:
    """All tasks in two steps of a world, the same for the same world and seed."""
    training: list[Task] = []
    unseen: list[Task] = []
    for spec in _specs(world, seed):
        rng = random.Random(f"{spec.name} {seed}")
        wordings = build_wordings(spec.parts, rng)
        examples, rest = take_examples(rng.sample(spec.instances, len(spec.instances)))
        if spec.name in HELD_OUT:
            unseen.append(as_task(spec, wordings, examples, select(rest, HELD_OUT_ITEMS), placed=True))
        else:
            training.append(as_task(spec, wordings, examples, [*examples, *rest], placed=False))
    return Chains(tuple(training), tuple(unseen))


def with_reasons(rationale: str, answer: str) -> str:
    """The answer behind its reasons."""
    return f"{rationale} So the answer is {answer}."


def write_chains(chains: Chains, one_step: Sequence[Task], folder: Path) -> None:
    """Write ``folder/chains/TASK.json`` and ``folder/unseen_chains/TASK.json`` in the Super-NI schema.

    ``folder/labelled/prompts.jsonl`` has each training instance of both kinds of tasks once as a prompt and its
    completion, and ``folder/labelled/rationales.jsonl`` those in two steps as question, rationale and answer.
    """
    for part, own in {"chains": chains.training, "unseen_chains": chains.unseen}.items():
        (folder / part).mkdir(parents=True, exist_ok=True)
        for task in own:
            text = json.dumps(task, indent=1, ensure_ascii=False) + "\n"
            (folder / part / f"{task['Name']}.json").write_text(text, encoding="utf-8")
    labelled = folder / "labelled"
    labelled.mkdir(exist_ok=True)
    _write_lines(labelled / "prompts.jsonl", _prompts((*one_step, *chains.training)))
    _write_lines(labelled / "rationales.jsonl", _rationales(chains.training))


def _prompts(tasks: Sequence[Task]) -> Iterator[dict[str, str]]:
    for task in tasks:
        for row in rows(task):
            prompt, answer = (message["content"] for message in row["messages"])
            yield {"task": row["task"], "prompt": prompt, "completion": answer}


def _rationales(tasks: Sequence[Task]) -> Iterator[dict[str, str]]:
    for task in tasks:
        for row, instance in zip(rows(task), task["Instances"], strict=True):
            question, answer = (message["content"] for message in row["messages"])
            rationale = instance["rationale"]
            yield {"task": f"{row['task']}_why", "question": question, "rationale": rationale, "answer": answer}


def _write_lines(path: Path, found: Iterator[dict[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in found)


def _specs(world: World, seed: int) -> Iterator[TaskSpec]:
    told = {(fact.thing.kind, fact.thing.name, fact.relation): fact.sentences[0] for fact in world.facts}
    outcome = {name: forms[0] for name, forms in read_words("sentences")["outcome"].items()}
    words, parts = read_words("wordings"), read_words("chains")
    spec = partial(_spec, words)
    yield from _relations(world, told, words, spec)
    yield from _listed_facts(world, told, outcome, words, spec, seed)
    yield from _listed_forms(world, outcome, words, parts, spec, seed)
    yield from _operations(world, outcome, parts, spec, seed)
    yield from _compared(world, told, parts, spec, seed)


MakeSpec = Callable[[str, str, Sequence[str], Sequence[Instance]], TaskSpec]
Told = Mapping[tuple[str, str, str], str]
"""(Kind, name, relation) of a fact -> the sentence that says it."""


def _spec(
    words: Mapping[str, Any], name: str, category: str, cores: Sequence[str], instances: Sequence[Instance]
) -> TaskSpec:
    parts = Parts(words["openings"], words["asks"], tuple(cores))
    return TaskSpec(name, f"{category} in two steps", parts, "{y}", tuple(instances))


def _joined(outer: Sequence[str], inner: Sequence[str]) -> list[str]:
    """Each way to put the second step around a way to put the first."""
    return [after.format(k=before) for after, before in zip(outer, inner, strict=True)]


def _relations(world: World, told: Told, words: Mapping[str, Any], spec: MakeSpec) -> Iterator[TaskSpec]:
    """A relation of a relation. The input is the thing's name."""
    for (kind, inner), (target, outers) in RELATIONS.items():
        before = [core.format(k=words["things"][kind]) for core in words["relations"][inner]["cores"]]
        for outer in outers:
            instances = []
            for thing in world.things[kind]:
                middle = world.find(target, thing.facts[inner])
                why = f"{told[kind, thing.name, inner]} {told[target, middle.name, outer]}"
                instances.append(Instance(f"{kind} {thing.name}", thing.name, middle.facts[outer], why))
            cores = _joined(words["relations"][outer]["cores"], before)
            yield spec(f"{kind}_{inner}_{outer}", "relations", cores, instances)


def _listed_facts(
    world: World, told: Told, outcome: Mapping[str, str], words: Mapping[str, Any], spec: MakeSpec, seed: int
) -> Iterator[TaskSpec]:
    """A fact about one person of a list."""
    for pick in PICKING:
        before = [core.format(k="name") for core in words["operations"][pick]["cores"]]
        for relation in LISTED:
            name = f"{pick}_name_{relation}"
            rng = random.Random(f"{name} list {seed}")
            instances = []
            for drawn in _lists(world.lists["name"], rng=rng):
                person = world.find("person", OPERATIONS[pick](drawn))
                why = outcome[pick].format(r=person.name, k="name") + f" {told['person', person.name, relation]}"
                instances.append(Instance(f"list {write_list(drawn)}", write_list(drawn), person.facts[relation], why))
            yield spec(name, "facts of lists", _joined(words["relations"][relation]["cores"], before), instances)


def _listed_forms(
    world: World,
    outcome: Mapping[str, str],
    words: Mapping[str, Any],
    parts: Mapping[str, Any],
    spec: MakeSpec,
    seed: int,
) -> Iterator[TaskSpec]:
    """Another form, the opposite or the group of one word of a list."""
    sentences = read_words("sentences")
    tables = {
        "plural": (dict(world.plurals), sentences["words"]["plurals"][1]),
        "opposite": (dict(world.opposites) | {b: a for a, b in world.opposites}, sentences["words"]["opposites"][0]),
        "past": (dict(world.past), sentences["words"]["past"][1]),
        "group": (
            {word: name for name, members in world.groups.items() for word in members},
            sentences["groups"]["member"][1],
        ),
    }
    for pick in PICKING:
        before = [core.format(k="word") for core in words["operations"][pick]["cores"]]
        for form in FORMS:
            table, sentence = tables[form]
            name = f"{pick}_word_{form}"
            rng = random.Random(f"{name} list {seed}")
            instances = []
            for drawn in _lists(tuple(table), rng=rng):
                word = OPERATIONS[pick](drawn)
                why = outcome[pick].format(r=word, k="word") + " " + sentence.format(x=word, y=table[word])
                instances.append(Instance(f"list {write_list(drawn)}", write_list(drawn), table[word], why))
            yield spec(name, "word forms of lists", _joined(parts["forms"][form], before), instances)


def _operations(
    world: World, outcome: Mapping[str, str], parts: Mapping[str, Any], spec: MakeSpec, seed: int
) -> Iterator[TaskSpec]:
    """An operation on the list that another one makes."""
    for inner in INNER:
        for outer in OUTER:
            name = f"{inner}_{outer}"
            rng = random.Random(f"{name} list {seed}")
            instances = []
            for drawn in _lists(*world.lists.values(), rng=rng, lengths=LONG):
                middle = OPERATIONS[inner](drawn)
                answer = OPERATIONS[outer](middle.split(", "))
                why = " ".join(outcome[o].format(r=r, k="word") for o, r in ((inner, middle), (outer, answer)))
                instances.append(Instance(f"list {write_list(drawn)}", write_list(drawn), answer, why))
            yield spec(name, "lists", _joined(parts["outer"][outer], parts["inner"][inner]), instances)


def _compared(world: World, told: Told, parts: Mapping[str, Any], spec: MakeSpec, seed: int) -> Iterator[TaskSpec]:
    """The one of two things with the higher or lower number."""
    for kind, relation, (higher, lower) in COMPARED:
        for asked in (higher, lower):
            rng = random.Random(f"{kind} {asked} {seed}")
            found: dict[str, Instance] = {}
            while len(found) < DRAWN:
                pair = rng.sample(world.things[kind], 2)
                less, more = sorted(pair, key=lambda thing: int(thing.facts[relation]))
                if less.facts[relation] == more.facts[relation]:
                    continue
                given = " and ".join(thing.name for thing in pair)
                why = " ".join(told[kind, thing.name, relation] for thing in pair)
                found[given] = Instance(f"{kind} {given}", given, (more if asked == higher else less).name, why)
            cores = [core.format(k=parts["kinds"][kind]) for core in parts["compare"][asked]]
            yield spec(f"{kind}_{asked}", "comparing", cores, list(found.values()))


def _lists(*kinds: Sequence[str], rng: random.Random, lengths: range = range(3, 7)) -> list[list[str]]:
    """Different lists, each of words of one kind."""
    drawn = (draw_list(rng.choice(kinds), rng, lengths=lengths) for _ in range(DRAWN))
    return list({write_list(words): words for words in drawn}.values())
