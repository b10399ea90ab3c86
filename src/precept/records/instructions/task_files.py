"""Task files -> tasks with their instances, for makers of collections whose files hold one task each."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from precept.errors import InputError
from precept.records.files import DataFile, find_files, parse_file, read_bytes, split_limit
from precept.records.fingerprint import record_hash
from precept.records.problems import FileProblem, RowProblem, kind_of
from precept.records.readers.natural_instructions import evaluation_places
from precept.records.readers.reader import text_of
from precept.records.readers.super_ni import instances_of, references_of, task_licence
from precept.types import Refusal, Source


@dataclass(frozen=True)
class Instance:
    """One question of a task with all its right answers. ``place`` counts from 0 in the file's list."""

    given: str
    references: tuple[str, ...]
    source: Source
    place: int


@dataclass(frozen=True)
class TaskFile:
    """One task: where it stands, what its file says beside the instances, and how many instances there are to use.

    ``place`` is that of its object in the file, ``before`` the number of instances of the objects before it.
    """

    name: str
    file: DataFile
    document: Mapping[str, Any]
    listed: int
    place: int = 0
    before: int = 0


@dataclass(frozen=True)
class TaskInstances:
    """The instances of one task: as the file lists them, and those that can be used."""

    records: Sequence[Any]
    usable: tuple[Instance, ...]


@dataclass
class TaskFiles:
    """All tasks in order without their instances, and what cannot be used. Instances are read a task at a time: those
    of a whole collection are some gigabytes."""

    tasks: list[TaskFile] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    _last: tuple[DataFile, list[Any]] | None = None

    def read(self, task: TaskFile) -> TaskInstances:
        """Read the instances of a task. Those that cannot be used are added to ``refused``."""
        if self._last is None or self._last[0] != task.file:  # a file may hold many tasks
            self._last = (task.file, list(parse_file(task.file, read_bytes(task.file)).records))
        records = instances_of(self._last[1][task.place])[: task.listed]
        licence = task_licence(task.document)
        usable = []
        for place, record in enumerate(records):
            row = task.before + place + 1
            try:
                usable.append(_instance(record, place, task, licence))
            except RowProblem as problem:
                self.refused.append(Refusal(task.file.name, row, problem.reason, problem.code))
        return TaskInstances(records, tuple(usable))


def read_task_files(paths: Sequence[str]) -> TaskFiles:
    """The tasks of files and folders (in name order); ``path#500`` takes the first instances.

    Raises InputError for paths that are missing, for hub data, and where two files hold a task of the same name.
    """
    found = TaskFiles()
    for spec in paths:
        path, left = split_limit(spec, base=None)
        if path.startswith("hf:"):
            raise InputError(
                "this method reads task files, and hub data is rows",
                code="task-files-needed",
                where=path,
                do="download the collection's task files and name their folder",
            )
        for file in find_files(path, base=None):
            if left == 0:
                break
            listed = _read_file(file, left, found)
            left = None if left is None else left - listed
    _refuse_twins(found.tasks)
    return found


def _read_file(file: DataFile, limit: int | None, found: TaskFiles) -> int:
    """Add the tasks of a file, with at most ``limit`` instances; returns how many of its instances were looked at."""
    try:
        raw = parse_file(file, read_bytes(file))
    except FileProblem as problem:
        if problem.code != "not-data":  # a README beside the tasks
            found.refused.append(Refusal(file.name, None, problem.reason, problem.code))
        return 0
    found.refused += [Refusal(file.name, row, fault.reason, fault.code) for row, fault in raw.refused]
    looked_at = 0
    for place, document in enumerate(raw.records):
        name = file.stem if len(raw.records) == 1 else f"{file.stem}_{place + 1}"
        try:
            listed = len(_listed(document))
        except FileProblem as problem:
            found.refused.append(Refusal(file.name, None, problem.reason, problem.code))
            continue
        taken = listed if limit is None else min(listed, limit - looked_at)
        head = {key: value for key, value in document.items() if key != "Instances"}
        if taken:
            found.tasks.append(TaskFile(name, file, head, taken, place, looked_at))
        looked_at += taken
    return looked_at


def _listed(document: Any) -> list[Any]:
    """The instances that an object lists. Raises FileProblem where it is no task."""
    if not isinstance(document, dict):
        raise FileProblem("not-a-task", f"not a task file: it holds {kind_of(document)}, not an object")
    if "Instances" not in document:
        raise FileProblem("not-a-task", f"not a task file: no 'Instances' among {', '.join(document)[:200]}")
    instances = instances_of(document)
    if not instances:
        raise FileProblem("empty-task", "the task has no instances")
    return instances


def draw_instances(task: str, instances: Sequence[Instance], count: int | None, *, seed: int) -> list[Instance]:
    """Training instances of a task: shuffled, then the first so many."""
    shuffled = list(instances)
    random.Random(f"{seed}:{task}").shuffle(shuffled)
    return shuffled[:count]


def evaluated_instances(task: TaskFile, usable: Sequence[Instance], count: int, *, first: int) -> list[Instance]:
    """Those of ``evaluation_places``, in order. Raises FileProblem where there is none."""
    by_place = {instance.place: instance for instance in usable}
    chosen = [by_place[place] for place in evaluation_places(task.listed, count, first=first) if place in by_place]
    if not chosen:
        raise FileProblem(
            "too-few-instances",
            f"{task.listed} instances, and the first to be tested is number {first} from 0:"
            " set first_test_instance lower",
        )
    return chosen


def _instance(record: Any, place: int, task: TaskFile, licence: str | None) -> Instance:
    if not isinstance(record, dict):
        raise RowProblem("not-an-object", f"row is {kind_of(record)}, not an object")
    named = record.get("id")
    label = str(named) if isinstance(named, str | int) else None
    digest = record_hash(record, salt=task.name)
    source = Source(task.file.name, task.before + place + 1, digest, licence, label)
    return Instance(text_of(record, "input"), references_of(record), source, place)


def _refuse_twins(tasks: Sequence[TaskFile]) -> None:
    """Caps and splits are by task, so a task has to be in one file."""
    ordered = sorted(tasks, key=lambda task: task.name)
    twins = next((pair for pair in itertools.pairwise(ordered) if pair[0].name == pair[1].name), None)
    if twins is not None:
        raise InputError(
            f"two files hold a task named '{twins[0].name}'",
            code="task-twice",
            found=" and ".join(task.file.name for task in twins),
            do="name one of them (a file called train.json or test.json is named after its folder), or rename one",
        )
