"""The tasks of one evaluation with all their items: from suites, task files and data files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from precept.errors import InputError
from precept.evaluate import Item, Shots, Task, family_for, items_from_rows, load_task
from precept.evaluate.suite import Entry, Suite, find_data, missing_data
from precept.records import Loaded
from precept.run.console import say
from precept.run.data.rows import read_rows
from precept.run.eval.shots import find_shots
from precept.run.eval.world import WORLD, world_rows
from precept.types import Conversation, Row

TASK_ENDINGS = {".yaml", ".yml"}


@dataclass(frozen=True)
class Asking:
    """What a command changes of every task; None leaves the task's own."""

    limit: int | None = None
    shots: int | None = None
    max_new_tokens: int | None = None
    chat: bool | None = None
    bad_rows: Literal["error", "drop"] = "error"
    loaded: dict[tuple[str, ...], Loaded] = field(default_factory=dict, compare=False)
    """What was read so far: several tasks may share data and worked examples."""

    def read(self, paths: Sequence[str]) -> Loaded:
        """The rows of files."""
        if tuple(paths) not in self.loaded:
            self.loaded[tuple(paths)] = read_rows(paths, bad_rows=self.bad_rows)
        return self.loaded[tuple(paths)]

    def changed(self, task: Task) -> Task:
        """The task as it is asked. Raises InputError for examples that no layout can hold."""
        if self.shots and task.layout is None:
            raise InputError(
                "worked examples need a layout, and this task has none",
                code="shots-without-layout",
                where=f"task {task.name}",
                do="add 'layout' with question and answer to a task file, or leave --shots out",
            )
        values: dict[str, Any] = {"shots": self.shots, "max_new_tokens": self.max_new_tokens, "chat": self.chat}
        return replace(task, **{key: value for key, value in values.items() if value is not None})


@dataclass(frozen=True)
class Asked:
    """A task and its items. ``guessing`` is what guessing scores; ``files`` are path and hash of its data, ``examples``
    where the worked examples come from."""

    task: Task
    items: list[Item]
    group: str = "all"
    guessing: float = 0.0
    files: tuple[tuple[str, str], ...] = ()
    examples: tuple[str, ...] = ()


def named_tasks(paths: Sequence[str], asking: Asking) -> list[Asked]:
    """Task files and data files, each with its family's stock task."""
    return [(_task_file if Path(path).suffix in TASK_ENDINGS else _data_file)(path, asking) for path in paths]


def suite_tasks(suite: Suite, folder: Path, asking: Asking) -> list[Asked]:
    """Every task of a suite. Raises InputError naming the files looked for where none of its data is there."""
    if not folder.is_dir() and not all(pattern.startswith(WORLD) for entry in suite.tasks for pattern in entry.data):
        raise missing_data(suite, [pattern for entry in suite.tasks for pattern in entry.data], folder)
    found = [asked for entry in suite.tasks for asked in _entry(suite, entry, folder, asking)]
    if not found:
        raise InputError(
            "the suite's data holds no row that its tasks take",
            code="suite-empty",
            where=f"suite {suite.name}",
            do="look at 'rows', 'only' and 'leave_out' in the suite file",
        )
    return found


def data_of_task(path: str) -> str | None:
    """The data that a task YAML names; None for a data file, which is its own."""
    return load_task(path).data if Path(path).suffix in TASK_ENDINGS and Path(path).is_file() else None


def _task_file(path: str, asking: Asking) -> Asked:
    task = asking.changed(load_task(path))
    if task.data is None:
        raise InputError(
            "this task names no data file", code="task-without-data", where=path, do="add 'data: FILE' to it"
        )
    rows, files = _read([str(task.data)], asking)
    examples = [task.examples] if task.examples else []
    return _asked(task, rows, files, asking, name=_shared_name(rows) or task.name, examples=examples)


def _data_file(path: str, asking: Asking) -> Asked:
    """A data file whose reader is known: its family's stock task, without examples unless they are asked for."""
    loaded = asking.read([path])
    formats = {file.format for file in loaded.files if file.format}
    stock = load_task(family_for(sorted(formats)[0]))
    task = asking.changed(replace(stock, name=Path(path.partition("#")[0]).name.split(".")[0], shots=0))
    files = tuple((file.path, file.sha256) for file in loaded.files)
    return _asked(task, loaded.rows, files, asking, name=_shared_name(loaded.rows) or task.name, examples=[])


def _entry(suite: Suite, entry: Entry, folder: Path, asking: Asking) -> list[Asked]:
    beside = suite.path.parent / entry.task
    stock = asking.changed(load_task(beside if beside.suffix in TASK_ENDINGS else entry.task))
    paths = find_data(entry.data, folder)
    if not paths:
        raise missing_data(suite, entry.data, folder)
    rows, files = _read(paths, asking)
    wanted = {"all": (True, False), "with_options": (True,), "without_options": (False,)}[entry.rows]
    rows = [row for row in rows if (isinstance(row, Conversation) and bool(row.options)) in wanted]
    asked = []
    for name, own in _divided(entry, rows, folder).items():
        examples = find_data([pattern.replace("{name}", name) for pattern in entry.examples], folder)
        if stock.shots and entry.examples and not examples and "first" not in entry.examples:
            raise missing_data(suite, [pattern.replace("{name}", name) for pattern in entry.examples], folder)
        asked.append(
            _asked(
                replace(stock, name=entry.name.replace("{name}", name), data=paths[0]),
                own,
                tuple(file for file in files if file[0] in {row.source.file for row in own}),
                replace(asking, limit=asking.limit or entry.limit),
                name=name,
                of_task=name,
                examples=examples,
                group=entry.group.replace("{folder}", Path(own[0].source.file).parent.name),
                guessing=entry.guessing.get(name, 0.0),
            )
        )
    return asked


def _divided(entry: Entry, rows: Sequence[Row], folder: Path) -> dict[str, list[Row]]:
    """Rows by task."""
    if not entry.each:
        return {entry.name: list(rows)} if rows else {}
    listed = find_data([entry.only], folder) if entry.only else []
    only = set(Path(listed[0]).read_text(encoding="utf-8").split()) if listed else None
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(_own_name(row), []).append(row)
    return {name: own for name, own in groups.items() if name not in entry.leave_out and (only is None or name in only)}


def _own_name(row: Row) -> str:
    named = row.task if isinstance(row, Conversation) else None
    return named or Path(row.source.file).name.split(".")[0]


def _shared_name(rows: Sequence[Row]) -> str | None:
    """The task that all rows name."""
    named = {row.task if isinstance(row, Conversation) else None for row in rows}
    return named.pop() if len(named) == 1 else None


def _asked(
    task: Task,
    rows: Sequence[Row],
    files: tuple[tuple[str, str], ...],
    asking: Asking,
    *,
    name: str,
    examples: Sequence[str],
    of_task: str | None = None,
    group: str = "all",
    guessing: float = 0.0,
) -> Asked:
    found, rest = find_shots(task, rows, examples, of_task=of_task, read=lambda files: asking.read(files).rows)
    if task.shots and not examples:
        say(f"{task.name}: its {task.shots} worked examples are its first rows, which are not asked")
    items = items_from_rows(rest[: asking.limit], task, Shots(name, *found))
    if not items:
        raise InputError(
            "no row is left to ask",
            code="nothing-to-ask",
            where=f"task {task.name}",
            found=f"{len(rows)} rows, {task.shots} of them worked examples",
            do="ask for fewer examples with --shots, or give more rows",
        )
    chances = [len(set(item.references) & set(item.options)) / len(item.options) for item in items if item.options]
    guessed = sum(chances) / len(items) if chances else guessing
    return Asked(task, items, group, guessed, files, tuple(examples) or (("first rows",) if task.shots else ()))


def _read(paths: Sequence[str], asking: Asking) -> tuple[Sequence[Row], tuple[tuple[str, str], ...]]:
    """The rows of files, or of a level of the bundled world, and the files' hashes."""
    if paths[0].startswith(WORLD):
        return world_rows(paths[0]), ((paths[0], "bundled"),)
    loaded = asking.read(paths)
    return loaded.rows, tuple((file.path, file.sha256) for file in loaded.files)
