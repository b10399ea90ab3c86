"""Suites: named lists of tasks with patterns for their data, as YAML files. Stock ones stand in ``suites/``."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, fields
from pathlib import Path, PurePath
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from precept.errors import InputError
from precept.evaluate.run import ItemResult
from precept.evaluate.statistics import grouped_interval
from precept.evaluate.task_file import Place, TaskFile, nearest

STOCK = Path(__file__).with_name("suites")
SUITES = tuple(sorted(path.stem for path in STOCK.glob("*.yaml")))
NOT_FILES = ("hf:", "bundled:")
"""How data begins that no folder holds: data sets of the hub, and levels of the bundled world."""

_BRACED = re.compile(r"\{(.*?)\}")
_KNOWN_KEYS_ONLY = ConfigDict(extra="forbid")
Patterns = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Entry:
    """One line of a suite: a task on some data, or on each of several tasks that the data holds."""

    task: str
    """A stock task, or a task file relative to the suite's."""
    data: Patterns
    """Patterns below the data folder; the first that finds files counts."""
    group: str = "all"
    """Scores of a group are averaged over its tasks. ``{folder}`` is the folder of a task's file; ``{dataset}`` the
    data set that the tasks of a group put by several templates: of a task that rows call DATASET/TEMPLATE what stands
    before the slash, else the folder where a pattern has a wildcard for it, else the task's own name."""
    each: bool = False
    """Whether rows are divided into tasks: by the task that they name, else by file."""
    name: str = "{name}"
    """The name of a task; ``{name}`` is what the rows or their file call it."""
    examples: Patterns = field(default_factory=list)
    """Patterns of files with worked examples: rows, or .txt prompts with ``{name}`` in the pattern."""
    only: Patterns = field(default_factory=list)
    """Patterns of a text file with the names of the tasks to take, one a line; all where it is not there."""
    optional: bool = False
    """Whether it is left out where its data, its list of tasks or the tokenizer of its score is not there."""
    leave_out: list[str] = field(default_factory=list)
    """Names of tasks that are not taken."""
    limit: Annotated[int, Field(strict=True, ge=1)] | None = None
    """Items of each task."""
    rows: Literal["all", "with_options", "without_options"] = "all"
    """Which rows are taken."""
    guessing: dict[str, Annotated[float, Field(ge=0, lt=1)]] = field(default_factory=dict)
    """What guessing scores, by ``{name}``, where the rows list no options."""


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Suite:
    """A named list of tasks."""

    name: str
    about: str
    """What it measures and by which protocol, in a sentence or two."""
    source: str
    """Where its data comes from, told when it is missing."""
    tasks: list[Entry]
    path: Path
    """The file that it was read from."""


def load_suite(path_or_name: str) -> Suite:
    """A stock suite by name, or a suite file. Raises InputError naming file, line and key."""
    path = STOCK / f"{path_or_name}.yaml" if path_or_name in SUITES else Path(path_or_name)
    if not path.is_file():
        raise InputError(
            "no such suite",
            code="suite-unknown",
            where=path_or_name,
            do=f"name a suite file, or one of {', '.join(SUITES)}{nearest(path_or_name, SUITES)}",
        )
    file = TaskFile.read(path, kind="suite")
    values: dict[str, Any] = {"name": path.stem, "about": "", "source": "name the folder that holds it"}
    try:
        suite = TypeAdapter(Suite).validate_python({**values, **file.values, "path": path})
    except ValidationError as error:
        raise file.invalid(error.errors(), keys=_keys_at) from None
    for number, entry in enumerate(suite.tasks):
        _check_entry(file, ("tasks", number), entry)
    if not suite.tasks:
        raise InputError("the suite is empty", code="suite-empty", where=str(path), do="list a task under 'tasks'")
    return suite


def _check_entry(file: TaskFile, place: Place, entry: Entry) -> None:
    """Raise InputError for patterns that cannot find a file, and for fields that nobody fills in."""
    for key, patterns in (("data", entry.data), ("examples", entry.examples), ("only", entry.only)):
        for pattern in patterns:
            try:
                next(_glob(Path("no such folder"), pattern.replace("{name}", "name")), None)
            except (ValueError, NotImplementedError) as error:
                raise file.error(
                    (*place, key),
                    "no pattern of files",
                    found=f"'{pattern}': {error}",
                    do="write the path of a file below the data folder; '*' stands for any name, '**/' for any folders",
                ) from None
    for key, text, known in (("name", entry.name, ("name",)), ("group", entry.group, ("folder", "dataset"))):
        unknown = [field for field in _BRACED.findall(text) if field not in known]
        if unknown:
            raise file.error(
                (*place, key),
                "no such field",
                found="{" + unknown[0] + "}",
                do=f"use {' or '.join(f'{{{field}}}' for field in known)}, or leave the braces out",
            )


def _keys_at(place: Place) -> Sequence[str]:
    found = fields(Entry if len(place) > 1 else Suite)
    return [field.name for field in found if field.name != "path"]


def find_data(patterns: Sequence[str], folder: Path) -> list[str]:
    """The files of the first pattern that finds some, in name order; none where no pattern does.

    In a folder that has the name of a pattern's first part the rest of the pattern counts: of the folder ``mmlu`` the
    pattern ``mmlu/test/*.csv`` finds the files in ``test``. An absolute pattern is looked for where it says.
    """
    for pattern in patterns:
        if pattern.startswith(NOT_FILES):
            return [pattern]
        first, _, rest = pattern.partition("/")
        for tried in (pattern, rest) if rest and folder.resolve().name.lower() == first.lower() else (pattern,):
            if found := sorted(path for path in _glob(folder, tried) if path.is_file()):
                return [str(path) for path in found]
    return []


def _glob(folder: Path, pattern: str) -> Iterator[Path]:
    """What a pattern finds below a folder, or below its own root. Raises ValueError for one that is no pattern."""
    root = Path(pattern).anchor
    rest = pattern.removeprefix(root)
    if not PurePath(rest).parts:
        raise ValueError("it names no file")
    return (Path(root) if root else folder).glob(rest)


def suite_files(name: str | None, folder: Path) -> list[str]:
    """The data files that a suite finds in a folder; none without a suite."""
    entries = load_suite(name).tasks if name else []
    return [path for entry in entries for path in find_data(entry.data, folder) if not path.startswith(NOT_FILES)]


def missing_data(suite: Suite, patterns: Sequence[str], folder: Path) -> InputError:
    """The error for data that is not there."""
    return InputError(
        "the suite's data is not there",
        code="suite-data-missing",
        where=f"suite {suite.name}",
        found=f"none of {', '.join(str(folder / pattern) for pattern in patterns)}",
        do=f"name the folder that holds it with --data-dir. Source: {suite.source}",
    )


class GroupScore(NamedTuple):
    """The unweighted mean of a metric over the tasks of a group."""

    value: float
    low: float
    high: float
    n: int
    tasks: int


def group_scores(results: Mapping[str, Sequence[ItemResult]], *, seed: int = 0) -> dict[str, dict[str, float]]:
    """``{METRIC: {value, low, high, n, tasks}}``: the unweighted mean over tasks of the mean over a task's items.

    ``low`` and ``high`` are a 95 % percentile bootstrap over the items within each task, the tasks kept as they are:
    how far the mean would move with other items of the same tasks, not with other tasks. Where no task's items
    differ, it is the interval of all items together.
    """
    metrics = dict.fromkeys(name for task in results.values() for result in task for name in result.scores)
    scores = {}
    for metric in metrics:
        strata = [[found for result in task if (found := result.values(metric))] for task in results.values()]
        strata = [task for task in strata if task]
        values = [[score for item in task for score in item] for task in strata]
        value = float(np.mean([np.mean(task) for task in values]))
        low, high = grouped_interval(strata, seed=seed)
        scores[metric] = GroupScore(value, low, high, sum(map(len, values)), len(values))._asdict()
    return scores
