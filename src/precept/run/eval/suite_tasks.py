"""The tasks of a suite with all their items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from glob import escape
from pathlib import Path

from precept.errors import InputError
from precept.evaluate import Task, load_task
from precept.evaluate.suite import Entry, Suite, find_data, missing_data
from precept.run.console import say
from precept.run.eval.tasks import TASK_ENDINGS, Asked, Asking, make_asked, read_data
from precept.run.eval.world import WORLD
from precept.types import Conversation, Row


def suite_tasks(suite: Suite, folder: Path, asking: Asking) -> list[Asked]:
    """Every task of a suite. Raises InputError naming the files looked for where none of its data is there."""
    patterns = [pattern for entry in suite.tasks for pattern in entry.data]
    if not folder.is_dir() and not all(
        pattern.startswith(WORLD) or Path(pattern).is_absolute() for pattern in patterns
    ):
        raise missing_data(suite, patterns, folder)
    found = [
        asked
        for entry in suite.tasks
        if not (entry.optional and _left_out(suite, entry, folder, asking))
        for asked in _entry(suite, entry, folder, asking)
    ]
    if not found:
        raise InputError(
            "the suite's data holds no row that its tasks take",
            code="suite-empty",
            where=f"suite {suite.name}",
            do="look at 'rows', 'only' and 'leave_out' in the suite file",
        )
    return found


def task_of(suite: Suite, entry: Entry) -> Task:
    """The stock task or the task file of an entry."""
    beside = suite.path.parent / entry.task
    return load_task(beside if beside.suffix in TASK_ENDINGS else entry.task)


def _left_out(suite: Suite, entry: Entry, folder: Path, asking: Asking) -> bool:
    """Whether an optional entry lacks what it needs. Where it lacks the tokenizer alone, one line says so."""
    if not find_data(entry.data, folder) or (entry.only and not find_data(entry.only, folder)):
        return True
    task = task_of(suite, entry)
    lacks = task.needs_tokenizer and (asking.rouge_tokenizer or task.rouge_tokenizer) is None
    if lacks:
        say(f"{entry.task} is left out: it needs GPT-2's tokenizer, --rouge-tokenizer FOLDER")
    return lacks


def _entry(suite: Suite, entry: Entry, folder: Path, asking: Asking) -> list[Asked]:
    stock = asking.changed(task_of(suite, entry))
    paths = find_data(entry.data, folder)
    if not paths:
        raise missing_data(suite, entry.data, folder)
    rows, files = read_data(paths, asking)
    wanted = {"all": (True, False), "with_options": (True,), "without_options": (False,)}[entry.rows]
    rows = [row for row in rows if (isinstance(row, Conversation) and bool(row.options)) in wanted]
    hashes = dict(files)
    pattern = _found_by(entry, folder) if "{dataset}" in entry.group else None
    asked = []
    for name, own in _divided(entry, rows, folder).items():
        examples = find_data([pattern.replace("{name}", escape(name)) for pattern in entry.examples], folder)
        if stock.shots and entry.examples and not examples and "first" not in entry.examples:
            raise missing_data(suite, [pattern.replace("{name}", name) for pattern in entry.examples], folder)
        dataset = None if pattern is None else _dataset(pattern, name, own[0])
        asked.append(
            make_asked(
                replace(stock, name=entry.name.replace("{name}", name), data=paths[0]),
                own,
                tuple((file, hashes[file]) for file in dict.fromkeys(row.source.file for row in own) if file in hashes),
                replace(asking, limit=asking.limit or entry.limit),
                name=name,
                of_task=name,
                examples=examples,
                group=entry.group.replace("{folder}", _folder(own[0])).replace("{dataset}", dataset or ""),
                dataset=dataset,
                guessing=entry.guessing.get(name, 0.0),
            )
        )
    return asked


def _divided(entry: Entry, rows: Sequence[Row], folder: Path) -> dict[str, list[Row]]:
    """Rows by task."""
    if not entry.each:
        first = [_stem(row.source.file) for row in rows[:1]]
        return {entry.name.replace("{name}", name): list(rows) for name in first}
    files = Counter(_stem(file) for file in {row.source.file for row in rows})
    groups: dict[str, list[Row]] = {}
    for row in rows:
        stem = _stem(row.source.file)
        named = row.task if isinstance(row, Conversation) else None
        alone = files[stem] == 1
        groups.setdefault(named or (stem if alone else f"{_folder(row)}/{stem}"), []).append(row)
    only = _listed(entry, groups.keys(), folder)
    return {name: own for name, own in groups.items() if name not in entry.leave_out and name in only}


def _listed(entry: Entry, found: Collection[str], folder: Path) -> set[str]:
    """The names of the tasks to take: those of the entry's list, where it is there, else all that were found."""
    if not entry.only:
        return set(found)
    lists = find_data(entry.only, folder)
    if not lists:
        say(f"{entry.task}: no {entry.only[0]} is there: all {len(found)} tasks are asked")
        return set(found)
    listed = set(Path(lists[0]).read_text(encoding="utf-8").split())
    if absent := listed - set(found):
        say(f"{entry.task}: {len(absent)} of the {len(listed)} tasks of {lists[0]} are not there: {min(absent)}, ...")
    return listed


def _found_by(entry: Entry, folder: Path) -> str:
    """The pattern that finds the entry's data."""
    return next(pattern for pattern in entry.data if find_data([pattern], folder))


def _dataset(pattern: str, name: str, row: Row) -> str:
    """The data set that a task belongs to: see ``Entry.group``."""
    before, slash, _ = name.partition("/")
    if slash:
        return before
    return _folder(row) if "*" in pattern.rpartition("/")[0] else name


def _stem(file: str) -> str:
    return Path(file).name.split(".")[0]


def _folder(row: Row) -> str:
    return Path(row.source.file).parent.name
