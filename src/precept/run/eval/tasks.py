"""The tasks of one evaluation with all their items: from task files and data files; ``suite_tasks`` has the suites."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from precept.errors import InputError
from precept.evaluate import Item, Shots, Task, family_for, items_from_rows, load_task
from precept.records import Loaded
from precept.run.console import say
from precept.run.data.rows import read_rows, refusals_document
from precept.run.eval.byte_bpe import load_byte_bpe
from precept.run.eval.shots import find_shots
from precept.run.eval.world import WORLD, world_rows
from precept.types import Conversation, Row

TASK_ENDINGS = {".yaml", ".yml"}
DROP = "--bad-rows drop (bad_rows: drop in a recipe)"


@dataclass(frozen=True)
class Asking:
    """What a command changes of every task; None leaves the task's own."""

    limit: int | None = None
    shots: int | None = None
    max_new_tokens: int | None = None
    chat: bool | None = None
    bad_rows: Literal["error", "drop"] = "error"
    rouge_tokenizer: str | None = None
    """The folder of the tokenizer of ``rouge_l_byte_bpe``."""
    loaded: dict[tuple[str, ...], Loaded] = field(default_factory=dict, compare=False)
    """What was read so far: several tasks may share data and worked examples."""

    def read(self, paths: Sequence[str]) -> Loaded:
        """The rows of files."""
        if tuple(paths) not in self.loaded:
            self.loaded[tuple(paths)] = read_rows(paths, bad_rows=self.bad_rows, do=DROP)
        return self.loaded[tuple(paths)]

    @property
    def dropped(self) -> dict[str, Any]:
        """What the document says of the rows left out of all that was read, each once; empty where none was."""
        refusals = dict.fromkeys(refusal for loaded in self.loaded.values() for refusal in loaded.refusals)
        return {"dropped": refusals_document(list(refusals))} if refusals else {}

    def changed(self, task: Task) -> Task:
        """The task as it is asked. Raises InputError for examples that no layout can hold, and for a score whose
        tokenizer is not given or cannot be read."""
        if self.shots and task.layout is None:
            raise InputError(
                "worked examples need a layout, and this task has none",
                code="shots-without-layout",
                where=f"task {task.name}",
                do="add 'layout' with question and answer to a task file, or leave --shots out",
            )
        values: dict[str, Any] = {"shots": self.shots, "max_new_tokens": self.max_new_tokens, "chat": self.chat}
        if task.needs_tokenizer:
            values["rouge_tokenizer"] = self.rouge_tokenizer
        task = replace(task, **{key: value for key, value in values.items() if value is not None})
        if task.needs_tokenizer:
            load_byte_bpe(task.rouge_tokenizer)
        return task


@dataclass(frozen=True)
class Asked:
    """A task and its items. ``guessing`` is what guessing scores; ``files`` are path and hash of its data, ``examples``
    where the worked examples come from; ``dataset`` is the data set of which the task is one of several templates."""

    task: Task
    items: list[Item]
    group: str = "all"
    guessing: float = 0.0
    files: tuple[tuple[str, str], ...] = ()
    examples: tuple[str, ...] = ()
    dataset: str | None = None


def named_tasks(paths: Sequence[str], asking: Asking) -> list[Asked]:
    """Task files and data files, each with its family's stock task."""
    return [(_task_file if Path(path).suffix in TASK_ENDINGS else _data_file)(path, asking) for path in paths]


def data_of_task(path: str) -> str | None:
    """The data that a task YAML names; None for a data file, which is its own."""
    return load_task(path).data if Path(path).suffix in TASK_ENDINGS and Path(path).is_file() else None


def _task_file(path: str, asking: Asking) -> Asked:
    task = asking.changed(load_task(path))
    if task.data is None:
        raise InputError(
            "this task names no data file", code="task-without-data", where=path, do="add 'data: FILE' to it"
        )
    rows, files = read_data([str(task.data)], asking)
    examples = [task.examples] if task.examples else []
    return make_asked(task, rows, files, asking, name=_shared_name(rows) or task.name, examples=examples)


def _data_file(path: str, asking: Asking) -> Asked:
    """A data file whose reader is known: its family's stock task, without examples unless they are asked for."""
    loaded = asking.read([path])
    families = {family_for(file.format): file.path for file in loaded.files if file.format}
    if len(families) > 1:
        raise InputError(
            "files of several kinds, which no one task asks",
            code="several-families",
            where=path,
            found=", ".join(f"{file} ({family})" for family, file in families.items()),
            do="name them apart, each with its own --task",
        )
    stock = load_task(next(iter(families)))
    task = asking.changed(replace(stock, name=Path(path.partition("#")[0]).name.split(".")[0], shots=0))
    files = tuple((file.path, file.sha256) for file in loaded.files)
    return make_asked(task, loaded.rows, files, asking, name=_shared_name(loaded.rows) or task.name, examples=[])


def _shared_name(rows: Sequence[Row]) -> str | None:
    """The task that all rows name."""
    named = {row.task if isinstance(row, Conversation) else None for row in rows}
    return named.pop() if len(named) == 1 else None


def make_asked(
    task: Task,
    rows: Sequence[Row],
    files: tuple[tuple[str, str], ...],
    asking: Asking,
    *,
    name: str,
    examples: Sequence[str],
    of_task: str | None = None,
    group: str = "all",
    dataset: str | None = None,
    guessing: float = 0.0,
) -> Asked:
    """A task with the items of its rows, and its worked examples. Raises InputError where no row is left to ask."""
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
    chances = [] if task.kind == "likelihood" else chances
    guessed = sum(chances) / len(items) if chances else guessing
    shown = tuple(examples) or (("first rows",) if task.shots else ())
    return Asked(task, items, group, guessed, files, shown, dataset)


def read_data(paths: Sequence[str], asking: Asking) -> tuple[Sequence[Row], tuple[tuple[str, str], ...]]:
    """The rows of files, or of a level of the bundled world, and the files' hashes."""
    if paths[0].startswith(WORLD):
        return world_rows(paths[0]), ((paths[0], "bundled"),)
    loaded = asking.read(paths)
    return loaded.rows, tuple((file.path, file.sha256) for file in loaded.files)
