"""Natural Instructions v1 (2104.08773): task files -> instruction rows in any field order, with the paper's splits."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field as Bound

from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, Seed, named_apart, naming_refused
from precept.records.instructions.splits import Placed, draw_tasks, refuse_unknown, split_by_name
from precept.records.instructions.task_files import (
    Instance,
    TaskFile,
    TaskFiles,
    TaskInstances,
    draw_instances,
    evaluated_instances,
    read_task_files,
)
from precept.records.instructions.yaml_files import read_yaml
from precept.records.problems import FileProblem
from precept.records.readers.natural_instructions import (
    EXPLAINED,
    FULL_INSTRUCTION,
    ONLY,
    Field,
    borrowed_places,
    encode_instruction,
    encode_question,
    instance_pair,
    read_instruction,
)
from precept.settings import Settings
from precept.types import Conversation, Message, Refusal

EVALUATION_TASKS = (2, 3, 5, 8, 22, 33, 34, 39, 40, 44, 45, 52)
"""Numbers of the 12 tasks that the paper evaluates on."""
NAME = re.compile(r"(?:sub)?task0*(\d+)_(.+)")
MAX_EXAMPLES = 10_000  # of each kind: more than a prompt can hold
DATASETS = ("essential_terms",)  # those whose names are two words
# What a task's name says of its category. The paper's other categories cannot be told from names.
CATEGORIES = {
    "question_generation": "question generation",
    "incorrect_answer_generation": "incorrect answer generation",
    "wrong_answer_generation": "incorrect answer generation",
    "answer_generation": "answer generation",
    "modification": "minimal modification",
    "classification": "classification",
    "binary": "classification",
}


class NaturalInstructionsSettings(Settings):
    """Which fields make up the instruction, and which tasks are held out."""

    fields: tuple[Field, ...] = FULL_INSTRUCTION
    """Fields of the instruction, in this order."""
    num_examples: Annotated[int, Bound(ge=0, le=MAX_EXAMPLES)] = 2
    """Examples of each kind; where a task has fewer positive ones, its first instances follow."""
    hold_out: Literal["none", "evaluation", "random", "category", "dataset", "task"] = "evaluation"
    """Tasks to test: the paper's 12, some drawn at random, or those of a category, a dataset or a name."""
    held_out: tuple[str, ...] = ()
    """The categories, datasets or tasks that `hold_out` is about."""
    num_test_tasks: Annotated[int, Bound(ge=1)] = 12
    """Tasks drawn with hold_out=random."""
    categories: Path | None = None
    """A YAML file of category: [task, ...]; by default what a task's name says."""
    max_num_instances_per_task: Annotated[int, Bound(ge=1)] | None = None
    """Training instances drawn of each task; by default all."""
    num_test_instances: Annotated[int, Bound(ge=1)] = 100
    """Test instances of each task, in equal strides."""
    first_test_instance: Annotated[int, Bound(ge=0)] = 60
    """Place of the first test instance, from 0; those before it may stand as examples."""
    seed: Seed = 42
    """Of the tasks, instances and references that are drawn."""


def build(
    paths: Sequence[str], settings: NaturalInstructionsSettings, *, count_tokens: CountTokens | None = None
) -> Built:
    """Rows of all tasks in order. Raises InputError where the tasks cannot be read or nothing named is held out."""
    files = read_task_files(paths)
    if not files.tasks and files.refused:
        return Built((), refused=files.refused)
    with naming_refused(files.refused):
        placed = _split(files, settings)
    train: list[Conversation] = []
    test: list[Conversation] = []
    report: dict[str, Any] = {}
    for task in files.tasks:
        where = placed[task.name]
        report[task.name] = {"part": where.part, "instances": task.listed}
        if where.part == "excluded":
            report[task.name]["reason"] = where.reason
            continue
        try:
            rows = _rows(task, files.read(task), settings, report[task.name], test=where.part == "test")
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
            continue
        (test if where.part == "test" else train).extend(rows)
    parts = {part: sum(where.part == part for where in placed.values()) for part in ("train", "test", "excluded")}
    return Built(
        train, named_apart(test), {"fields": list(settings.fields), "split": parts, "tasks": report}, files.refused
    )


def _rows(
    task: TaskFile,
    instances: TaskInstances,
    settings: NaturalInstructionsSettings,
    report: dict[str, Any],
    *,
    test: bool,
) -> list[Conversation]:
    """The rows of a task, which the task's entry of the report counts. Raises FileProblem."""
    instruction = read_instruction(task.document)
    places = borrowed_places(instruction, settings.num_examples) if {EXPLAINED, ONLY} & set(settings.fields) else []
    borrowed = [instance_pair(instances.records, place) for place in places]
    text = encode_instruction(instruction, settings.fields, count=settings.num_examples, borrowed=borrowed)
    if test:
        chosen = evaluated_instances(
            task, instances.usable, settings.num_test_instances, first=settings.first_test_instance
        )
        rows = [_row(task.name, text, instance, None) for instance in chosen]
        report["test_instances_shown_as_examples"] = sum(instance.place in places for instance in chosen)
    else:
        most = settings.max_num_instances_per_task
        drawn = draw_instances(task.name, instances.usable, most, seed=settings.seed)
        drawn = [instance for instance in drawn if instance.place not in places]
        rows = [_row(task.name, text, instance, _reference(instance, settings.seed)) for instance in drawn]
    glued = sum(example.suggestion not in (None, " ") for example in instruction.negatives[: settings.num_examples])
    report |= {"rows": len(rows), "instances_shown_as_examples": len(places), "suggestions_glued": glued}
    return rows


def _row(task: str, instruction: str, instance: Instance, answer: str | None) -> Conversation:
    asked = (Message("user", encode_question(instruction, instance.given)),)
    messages = asked if answer is None else (*asked, Message("assistant", answer))
    return Conversation(messages, instance.source, references=instance.references, task=task)


def _reference(instance: Instance, seed: int) -> str:
    return random.Random(f"{seed}:{instance.source.hash}").choice(instance.references)


def _split(files: TaskFiles, settings: NaturalInstructionsSettings) -> dict[str, Placed]:
    names = [task.name for task in files.tasks]
    how = settings.hold_out
    if how == "none":
        return split_by_name({name: name for name in names}, [])
    if how == "evaluation":
        return split_by_name({name: name for name in names}, _evaluation_tasks(names))
    if how == "random":
        return split_by_name(
            {name: name for name in names}, draw_tasks(names, settings.num_test_tasks, seed=settings.seed)
        )
    if not settings.held_out:
        raise InputError(
            f"hold_out={how} needs to know which", code="nothing-held-out", do=f"set held_out=[{how.upper()}, ...]"
        )
    groups = _groups(names, how, settings)
    known = sorted({group for group in groups.values() if group})
    refuse_unknown(settings.held_out, known, kind=how, key="held_out")
    placed = split_by_name(groups, settings.held_out)
    unknown = Placed("excluded", "its category is not told by its name: name it in the file of categories")
    return {name: placed[name] if groups[name] else unknown for name in names}


def _evaluation_tasks(names: Sequence[str]) -> list[str]:
    found = [name for name in names if (match := NAME.match(name)) and int(match[1]) in EVALUATION_TASKS]
    if not found:
        raise InputError(
            "none of the 12 tasks that the paper evaluates on is here",
            code="nothing-held-out",
            where="hold_out",
            found=f"{len(names)} tasks: {', '.join(names[:5])}",
            do="set hold_out=none, random, category, dataset or task",
        )
    return found


def _groups(names: Sequence[str], how: str, settings: NaturalInstructionsSettings) -> dict[str, str]:
    """Task name -> its dataset or category, or itself; '' where that is not known."""
    if how == "task":
        return {name: name for name in names}
    if how == "dataset":
        return {name: dataset_of(name) for name in names}
    stated = {} if settings.categories is None else _read_categories(settings.categories)
    return {name: stated.get(name) or category_of(name) for name in names}


def dataset_of(name: str) -> str:
    """The dataset that a task was made from, by the words behind its number."""
    match = NAME.match(name)
    rest = match[2] if match else name
    return next((dataset for dataset in DATASETS if rest.startswith(dataset)), rest.split("_")[0])


def category_of(name: str) -> str:
    """The category that a task's name tells, '' where it tells none."""
    return next((category for words, category in CATEGORIES.items() if words in name), "")


def _read_categories(path: Path) -> Mapping[str, str]:
    """Task name -> category, of a file that lists the tasks of each category."""
    try:
        document = read_yaml(path)
    except FileProblem as problem:
        document = problem.reason
    if not isinstance(document, dict) or not all(isinstance(tasks, list) for tasks in document.values()):
        raise InputError(
            "the file of categories does not list the tasks of each category",
            code="bad-categories",
            where=str(path),
            found=document[:200] if isinstance(document, str) else f"{document!r:.200}",
            do="write a line for each category: NAME: [TASK, ...]",
        )
    return {str(task): str(category) for category, tasks in document.items() for task in tasks}
