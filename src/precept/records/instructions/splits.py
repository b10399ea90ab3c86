"""Which tasks are trained on and which are held out: the split rules of Natural Instructions, old and new."""

from __future__ import annotations

import difflib
import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from precept.errors import InputError

Part = Literal["train", "test", "excluded"]
Track = Literal["english", "xlingual", "all"]

HELD_OUT_CATEGORIES = (
    "Textual Entailment",
    "Cause Effect Classification",
    "Coreference Resolution",
    "Dialogue Act Recognition",
    "Answerability Classification",
    "Overlap Extraction",
    "Word Analogy",
    "Keyword Tagging",
    "Question Rewriting",
    "Title Generation",
    "Data to Text",
    "Grammar Error Correction",
)
"""The 12 categories that Super-NaturalInstructions holds out."""
BAD_TASK = "task1415_"  # its data is bad, and the released split leaves it out


@dataclass(frozen=True)
class TaskFacts:
    """What the split goes by. ``languages`` are those of inputs and outputs."""

    name: str
    categories: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()

    @property
    def english(self) -> bool:
        """Whether English is its only language; a task that states none counts as English."""
        return {language.lower() for language in self.languages} <= {"english"}


@dataclass(frozen=True)
class Placed:
    """Where a task goes, and why it is excluded."""

    part: Part
    reason: str = ""


def split_by_category(
    tasks: Sequence[TaskFacts],
    *,
    track: Track = "english",
    categories: Sequence[str] = HELD_OUT_CATEGORIES,
    names: Sequence[str] = (),
) -> dict[str, Placed]:
    """The split of Super-NaturalInstructions (its released script), by task name.

    A task with one of the ``categories``, or named in ``names``, is a candidate for the test. Any other task that
    shares a source with a candidate is excluded, so that no text of a test task is trained on. The English track
    tests the candidates whose languages are English alone and excludes everything else that is not; the cross-lingual
    one tests the others and trains on all languages; ``all`` looks at no language.
    """
    held = set(categories)
    candidates = {task.name for task in tasks if held & set(task.categories) or task.name in set(names)}
    sources = {source for task in tasks if task.name in candidates for source in task.sources}
    return {task.name: _place(task, task.name in candidates, sources, track) for task in tasks}


def _place(task: TaskFacts, candidate: bool, sources: set[str], track: Track) -> Placed:
    if task.name.startswith(BAD_TASK):
        return Placed("excluded", "its data is bad")
    if not candidate:
        if shared := sorted(sources & set(task.sources)):
            return Placed("excluded", f"shares the source {shared[0]} with a test task")
        if track == "english" and not task.english:
            return Placed("excluded", "not English")
        return Placed("train")
    if track == "english" and not task.english:
        return Placed("excluded", "of a test category, not English")
    if track == "xlingual" and task.english:
        return Placed("excluded", "of a test category, English")
    return Placed("test")


def balanced_places(labels: Sequence[str], count: int, *, rng: random.Random) -> list[int]:
    """Places of ``count`` instances with their labels as even as the supply allows: label by label in the order of
    first appearance, one instance drawn at random each round, until there are enough.

    So the first 100 instances of the released test tasks were chosen, with seed 123 (2204.07705).
    """
    left: dict[str, list[int]] = defaultdict(list)
    for place, label in enumerate(labels):
        left[label].append(place)
    chosen: list[int] = []
    while len(chosen) < min(count, len(labels)):
        for places in left.values():
            if places and len(chosen) < count:
                chosen.append(places.pop(rng.randrange(len(places))))
    return chosen


def refuse_unknown(wanted: Sequence[str], known: Sequence[str], *, kind: str, key: str) -> None:
    """Raise InputError for the first name that none of the tasks has: a slip would hold out nothing."""
    for name in wanted:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
            listed = ", ".join(sorted(known)[:12]) or "none"
            raise InputError(
                f"no task here has the {kind} '{name}'",
                code="nothing-held-out",
                where=key,
                found=f"{len(known)} of that kind: {listed}",
                do=f"did you mean '{near[0]}'?" if near else f"name one of them, or leave {key} out",
            )


def split_by_name(groups: Mapping[str, str], held_out: Sequence[str]) -> dict[str, Placed]:
    """Tasks of the named groups are tested, all others trained on. ``groups`` is task name -> group."""
    return {name: Placed("test" if group in held_out else "train") for name, group in groups.items()}


def draw_tasks(names: Sequence[str], count: int, *, seed: int) -> list[str]:
    """``count`` tasks drawn at random, in name order. Raises InputError where that leaves nothing to train on."""
    if count >= len(names):
        raise InputError(
            f"holding out {count} of {len(names)} tasks leaves nothing to train on",
            code="too-few-tasks",
            do="hold out fewer, or name more task files",
        )
    return sorted(random.Random(seed).sample(sorted(names), count))
