"""Instruction tasks about the world in the Super-NaturalInstructions schema, split into four held-out levels.

A task dictionary holds the schema's keys and ``Wordings``, the ways to put it; an instance of a held-out level names
its wording by index. ``rows`` makes zero-shot conversations of them.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from precept.bundled.instances import Instance, TaskSpec, seen_and_combined
from precept.bundled.unseen import unseen_categories
from precept.bundled.wordings import Wording, build_wordings
from precept.bundled.world import World

Task = dict[str, Any]

LEVELS = ("unseen_instances", "unseen_wordings", "unseen_combinations", "unseen_tasks")
HELD_OUT_PERCENT = 30
MOST_ALIKE = 0.4
"""No answer is right for a larger share of a task's held-out instances."""
ITEMS_PER_TASK = {"unseen_instances": 18, "unseen_wordings": 18, "unseen_combinations": 100, "unseen_tasks": 105}
ROWS_PER_TASK = 320
ROUNDS = 3
"""A training task has at most ``ROWS_PER_TASK`` rows, each instance at most so often: small tables are not drilled."""
EXAMPLES = 2


@dataclass(frozen=True, slots=True)
class Question:
    """An instance as it is asked. ``examples`` are the task's two worked ones, (prompt, answer), in the same wording.

    ``options`` are the words that the input lists, where every answer of the task is one of them; else there are none.
    """

    id: str
    task: str
    wording: str
    input: str
    prompt: str
    reference: str
    examples: tuple[tuple[str, str], ...]
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Tasks:
    """``training`` are the tasks to tune on; ``levels`` is level -> its tasks, with held-out instances only."""

    training: tuple[Task, ...]
    levels: Mapping[str, tuple[Task, ...]]


def build_tasks(world: World, *, seed: int = 0) -> Tasks:
    """All tasks of a world, the same for the same world and seed."""
    training: list[Task] = []
    levels: dict[str, list[Task]] = {level: [] for level in LEVELS}
    for spec in (*seen_and_combined(world, seed=seed), *unseen_categories(world, seed=seed)):
        rng = random.Random(f"{spec.name} {seed}")
        wordings = build_wordings(spec.parts, rng)
        seen = [wording for wording in wordings if wording.split == "seen"]
        order = rng.sample(spec.instances, len(spec.instances))
        if spec.held_out:
            examples, rest = take_examples(order)
            levels[spec.held_out].append(
                as_task(spec, seen, examples, select(rest, ITEMS_PER_TASK[spec.held_out]), placed=True)
            )
            continue
        held = [instance for instance in order if is_held_out(instance.key, seed=seed)]
        examples, kept = take_examples([instance for instance in order if not is_held_out(instance.key, seed=seed)])
        training.append(as_task(spec, seen, examples, [*examples, *kept], placed=False))
        levels["unseen_instances"].append(
            as_task(spec, seen, examples, select(held, ITEMS_PER_TASK["unseen_instances"]), placed=True)
        )
        new = [wording for wording in wordings if wording.split != "seen"]
        levels["unseen_wordings"].append(
            as_task(spec, new, examples, select(held, ITEMS_PER_TASK["unseen_wordings"]), placed=True)
        )
    return Tasks(tuple(training), {level: tuple(tasks) for level, tasks in levels.items()})


def is_held_out(key: str, *, seed: int) -> bool:
    """Whether instances of this key are kept from training: by a hash, so that no other instance matters."""
    return int(hashlib.sha256(f"{seed} {key}".encode()).hexdigest()[:8], 16) % 100 < HELD_OUT_PERCENT


def rows(task: Task, *, count: int | None = None) -> Iterator[dict[str, Any]]:
    """Zero-shot conversations in the messages format: each instance once, or ``count`` rows going round.

    An instance that names no wording gets the next one each time.
    """
    wordings = [Wording(**wording) for wording in task["Wordings"]]
    instances = task["Instances"]
    for number in range(len(instances) if count is None else count):
        turn, place = divmod(number, len(instances))
        instance = instances[place]
        wording = wordings[instance.get("wording", (place + turn) % len(wordings))]
        yield {
            "messages": [
                {"role": "user", "content": wording.prompt(instance["input"])},
                {"role": "assistant", "content": instance["output"][0]},
            ],
            "references": instance["output"],
            "task": task["Name"],
            "id": f"{instance['id']}-{number}",
            "wording": wording.split,
        }


def questions(task: Task) -> Iterator[Question]:
    """The instances of a held-out task, each in the wording that it names."""
    wordings = [Wording(**wording) for wording in task["Wordings"]]
    chosen = all(instance["output"][0] in _listed(instance["input"]) for instance in task["Instances"])
    for instance in task["Instances"]:
        wording = wordings[instance["wording"]]
        yield Question(
            id=instance["id"],
            task=task["Name"],
            wording=wording.split,
            input=instance["input"],
            prompt=wording.prompt(instance["input"]),
            reference=instance["output"][0],
            examples=tuple(
                (wording.prompt(example["input"]), example["output"]) for example in task["Positive Examples"]
            ),
            options=_listed(instance["input"]) if chosen else (),
        )


def _listed(given: str) -> tuple[str, ...]:
    """The words of a list, 'pear, plum' or 'pear and plum'; none where the text is no list."""
    words = tuple(dict.fromkeys(re.split(", | and ", given)))
    return words if len(words) > 1 and not given.endswith(".") else ()


def write_tasks(tasks: Tasks, folder: Path) -> None:
    """Write ``folder/LEVEL/TASK.json`` in the Super-NI schema and ``folder/LEVEL.jsonl`` with conversations.

    LEVEL is 'training' or one of the four levels.
    """
    for level, own in {"training": tasks.training, **tasks.levels}.items():
        (folder / level).mkdir(parents=True, exist_ok=True)
        with (folder / f"{level}.jsonl").open("w", encoding="utf-8") as out:
            for task in own:
                (folder / level / f"{task['Name']}.json").write_text(
                    json.dumps(task, indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
                )
                count = min(ROWS_PER_TASK, ROUNDS * len(task["Instances"])) if level == "training" else None
                out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(task, count=count))


def take_examples(order: Sequence[Instance]) -> tuple[list[Instance], list[Instance]]:
    """Two instances with different answers as examples, and the rest."""
    first = order[0]
    second = next(instance for instance in order if instance.output != first.output)
    return [first, second], [instance for instance in order if instance not in (first, second)]


def select(instances: Sequence[Instance], count: int) -> list[Instance]:
    """The first ``count`` instances, without those that make one answer too frequent."""
    chosen = list(instances)
    while chosen:
        counts = Counter(instance.output for instance in chosen[:count])
        answer, most = counts.most_common(1)[0]
        if most <= MOST_ALIKE * counts.total():
            return chosen[:count]
        chosen.remove(next(instance for instance in reversed(chosen) if instance.output == answer))
    return chosen


def as_task(
    spec: TaskSpec,
    wordings: Sequence[Wording],
    examples: Sequence[Instance],
    chosen: Sequence[Instance],
    *,
    placed: bool,
) -> Task:
    """The task as a document. ``placed`` gives each instance one wording; else all wordings are for all instances."""
    instances = [
        {"id": f"{spec.name}-{number}", "input": instance.input, "output": [instance.output]}
        | ({"rationale": instance.rationale} if instance.rationale else {})
        | ({"wording": number % len(wordings)} if placed else {})
        for number, instance in enumerate(chosen)
    ]
    wrong = [examples[(i + 1) % EXAMPLES].output for i in range(EXAMPLES)]
    why = [example.rationale or spec.because.format(x=example.input, y=example.output) for example in examples]
    return {
        "Name": spec.name,
        "Contributors": ["Precept"],
        "Source": ["the bundled world"],
        "Categories": [spec.category],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Instruction_language": ["English"],
        "Definition": [wordings[0].text + "."],
        "Wordings": [asdict(wording) for wording in wordings],
        "Positive Examples": [
            {"input": example.input, "output": example.output, "explanation": reason}
            for example, reason in zip(examples, why, strict=True)
        ],
        "Negative Examples": [
            {"input": example.input, "output": answer, "explanation": f"'{answer}' is wrong. {reason}"}
            for example, answer, reason in zip(examples, wrong, why, strict=True)
        ],
        "Instances": instances,
        "Instance License": ["Apache-2.0"],
    }
