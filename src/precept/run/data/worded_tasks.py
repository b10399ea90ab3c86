"""The data step ``worded_tasks``: task files of the bundled world -> rows in the wordings that the files hold.

How many tasks, categories, wordings and rows there are are settings, each drawn so that fewer are always among more:
what Chung et al. (2210.11416) and FLAN (2109.01652) vary. Instances in two steps may be answered with their reasons.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from precept.bundled.chains import CUE, with_reasons
from precept.bundled.wordings import Wording
from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, RowCount, Seed
from precept.records.instructions.task_files import Instance, TaskFile, read_task_files
from precept.records.mixture import counts_for
from precept.records.problems import FileProblem
from precept.settings import Settings
from precept.types import Conversation, Message, Refusal


class WordedTasksSettings(Settings):
    """Which tasks are written, how many rows of each, and in how many wordings."""

    num_tasks: Annotated[int, Field(ge=1)] | None = None
    """Tasks drawn, categories in about their shares; fewer are always among more. By default all."""
    num_categories: Annotated[int, Field(ge=1)] | None = None
    """Categories of tasks drawn; fewer are always among more. By default all."""
    first_category: Annotated[int, Field(ge=0)] = 0
    """Begin at this category, from 0, in the drawn order: two steps of one seed can divide the categories."""
    wordings_per_task: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many wordings of each task. By default all."""
    rows: RowCount | None = None
    """Rows in all, as many of each task, its instances by turns. By default each instance once."""
    reasoning_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of rows with the reasons before the answer, of tasks whose instances have some."""
    held_out: bool = False
    """Write rows to be asked, without answers, and none to train on."""
    seed: Seed = 0
    """Of the tasks, categories, instances and reasoned rows that are drawn."""


@dataclass(frozen=True)
class _Worded:
    """A task with what its rows are made of. ``reasons`` is the reasons of an instance, by its place."""

    name: str
    wordings: Sequence[Wording]
    instances: Sequence[Instance]
    placed: Mapping[int, int]
    reasons: Mapping[int, str]


def build(paths: Sequence[str], settings: WordedTasksSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Rows of all tasks that are drawn, task by task.

    Raises InputError where there are fewer tasks or categories than wanted, and where reasons are wanted of tasks that
    have none.
    """
    files = read_task_files(paths)
    if not files.tasks:
        return Built((), refused=files.refused)
    tasks: list[_Worded] = []
    chosen = _choose(files.tasks, settings)
    for task in chosen:
        try:
            found = files.read(task)
            tasks.append(_worded(task, found.usable, found.records, settings))
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
    if settings.reasoning_share and tasks and not any(task.reasons for task in tasks):
        raise InputError(
            "reasons are wanted, and no instance of these tasks has any",
            code="no-rationales",
            found=f"reasoning_share={settings.reasoning_share} and no 'rationale' in {len(tasks)} tasks",
            do="name tasks in two steps too (the folder chains of the world), or leave reasoning_share out",
        )
    usable = [task for task in tasks if task.instances]
    counts = _counts(usable, settings.rows)
    made = [row for task, count in zip(usable, counts, strict=True) for row in _rows(task, count, settings)]
    report = {
        "tasks": {task.name: count for task, count in zip(usable, counts, strict=True)},
        "categories": sorted({_category(task) for task in chosen}),
        "wordings": sum(len(task.wordings) for task in usable),
        "reasoned_rows": sum(row.messages[0].content.endswith(CUE) for row in made if row.messages[0].content),
    }
    return Built((), made, report, files.refused) if settings.held_out else Built(made, (), report, files.refused)


def _choose(tasks: Sequence[TaskFile], settings: WordedTasksSettings) -> list[TaskFile]:
    """The tasks of the drawn categories, and of these the drawn ones, in the order of the files."""
    by_category: dict[str, list[TaskFile]] = {}
    for task in tasks:
        by_category.setdefault(_category(task), []).append(task)
    order = sorted(by_category)
    random.Random(f"{settings.seed} categories").shuffle(order)
    left = order[settings.first_category :]
    _refuse_too_few("categories", settings.num_categories, len(left))
    drawn: list[tuple[float, str]] = []
    for category in left[: settings.num_categories]:
        own = sorted(task.name for task in by_category[category])
        random.Random(f"{settings.seed} {category}").shuffle(own)
        # task j of c stands at (2j + 1) / 2c of the way, so that every beginning has all categories in their shares
        drawn += [((2 * place + 1) / (2 * len(own)), name) for place, name in enumerate(own)]
    _refuse_too_few("tasks", settings.num_tasks, len(drawn))
    names = {name for _, name in sorted(drawn)[: settings.num_tasks]}
    return [task for task in tasks if task.name in names]


def _refuse_too_few(what: str, wanted: int | None, there: int) -> None:
    if there == 0 or (wanted or 0) > there:
        raise InputError(
            f"there are fewer {what} than are to be drawn",
            code="too-few-tasks",
            found=f"{there} {what}, {wanted or 'at least one'} wanted",
            do="ask for fewer, or name more task files",
        )


def _category(task: TaskFile) -> str:
    named = task.document.get("Categories")
    return str(named[0]) if isinstance(named, list) and named else str(named or "")


def _worded(
    task: TaskFile, usable: Sequence[Instance], records: Sequence[Any], settings: WordedTasksSettings
) -> _Worded:
    """Raises FileProblem for a file that is none of the bundled world's."""
    try:
        wordings = [Wording(**wording) for wording in task.document["Wordings"]]
        wordings[0].prompt("")
    except (KeyError, TypeError, IndexError):
        raise FileProblem("no-wordings", "no task of the bundled world: its 'Wordings' are none") from None
    places = [one.place for one in usable]
    placed = {at: records[at]["wording"] for at in places if "wording" in records[at]}
    reasons = {at: records[at]["rationale"] for at in places if records[at].get("rationale")}
    if not all(isinstance(at, int) for at in placed.values()) or not all(isinstance(r, str) for r in reasons.values()):
        raise FileProblem("no-wordings", "a 'wording' that is no number, or a 'rationale' that is no text")
    if settings.wordings_per_task is not None:
        wordings = wordings[: settings.wordings_per_task]
    return _Worded(task.name, wordings, usable, placed, reasons)


def _counts(tasks: Sequence[_Worded], rows: int | None) -> list[int]:
    if rows is None or not tasks:
        return [len(task.instances) for task in tasks]
    return counts_for([1 / len(tasks)] * len(tasks), rows)


def _rows(task: _Worded, count: int, settings: WordedTasksSettings) -> Iterator[Conversation]:
    """``count`` rows going round the instances, each turn in another wording."""
    order = list(task.instances)
    if not settings.held_out:
        random.Random(f"{settings.seed} {task.name}").shuffle(order)
    for number in range(count):
        turn, place = divmod(number, len(order))
        instance = order[place]
        wording = task.wordings[(task.placed.get(instance.place, place) + turn) % len(task.wordings)]
        prompt, answer = wording.prompt(instance.given), instance.references[0]
        drawn = random.Random(f"{settings.seed} {instance.source.hash} {turn}").random()
        if (reasons := task.reasons.get(instance.place)) and drawn < settings.reasoning_share:
            prompt, answer = prompt + CUE, with_reasons(reasons, answer)
        asked = (Message("user", prompt),)
        yield Conversation(
            asked if settings.held_out else (*asked, Message("assistant", answer)),
            replace(instance.source, id=f"{task.name}-{instance.place}-{turn}"),
            references=instance.references,
            task=task.name,
        )
