"""``precept eval``: scores of one model, or of two on the same items with their paired difference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from precept.errors import InputError
from precept.evaluate import (
    Item,
    ItemResult,
    Task,
    by_task,
    evaluate,
    family_for,
    items_from_rows,
    load_task,
    summarize,
    write_items,
)
from precept.models.folder import check_model_folder, resolve_model
from precept.run.console import progress_line, say
from precept.run.output import write_atomic
from precept.run.rows import read_rows

if TYPE_CHECKING:
    from precept.run.opened import OpenedModel

TASK_ENDINGS = {".yaml", ".yml"}
RESULT = "result.json"


def run_eval(
    model: str,
    tasks: Sequence[str],
    *,
    against: str | None,
    chat_template: str | None,
    limit: int | None,
    output: Path,
    max_new_tokens: int | None,
    bad_rows: Literal["error", "drop"],
) -> dict[str, Any]:
    """Answer every item of every task; returns the JSON document of ``precept eval``.

    Items go to ``output`` task by task; the document, as ``result.json``, when all are done.
    """
    for name in (model, against):
        if name is not None:
            check_model_folder(resolve_model(name))
    loaded_tasks = [_load(path, limit=limit, max_new_tokens=max_new_tokens, bad_rows=bad_rows) for path in tasks]
    if len({task.name for task, _ in loaded_tasks}) < len(loaded_tasks):
        raise InputError(
            "two tasks have the same name",
            code="duplicate-task",
            found=", ".join(tasks),
            do="give each a name of its own",
        )

    from precept.run.opened import open_model

    ours = open_model(model, chat_template=chat_template)
    label = Path(model).name or "model"
    (output / RESULT).unlink(missing_ok=True)
    results = _answer(ours, loaded_tasks, output, label=label)
    kept = {"items": str(output), "item_files": [_item_file(label, task) for task, _ in loaded_tasks]}
    if against is None:
        return _keep({"model": model, **summarize(results), **kept}, output)
    template = ours.renderer.chat_template
    del ours  # two models need not fit into memory together
    theirs = open_model(against, chat_template=chat_template, fallback_template=template)
    other_label = Path(against).name or "model"
    other_label = other_label if other_label != label else f"{label}.against"
    others = _answer(theirs, loaded_tasks, output, label=other_label)
    other_files = [_item_file(other_label, task) for task, _ in loaded_tasks]
    other = {"model": against, **summarize(others), "item_files": other_files}
    return _keep({"model": model, **summarize(results, against=others), "against": other, **kept}, output)


def _item_file(label: str, task: Task) -> str:
    return f"{label}.{task.name}.items.jsonl"


def _keep(document: dict[str, Any], output: Path) -> dict[str, Any]:
    """Store the document beside its items."""
    write_atomic(output / RESULT, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return document


def _load(
    path: str, *, limit: int | None, max_new_tokens: int | None, bad_rows: Literal["error", "drop"]
) -> tuple[Task, list[Item]]:
    """A task and its items: from a task YAML that names its data, or a data file with its family's stock task."""
    if Path(path).suffix in TASK_ENDINGS:
        task = load_task(path)
        if task.data is None:
            raise InputError(
                "this task names no data file",
                code="task-without-data",
                where=path,
                do="add 'data: FILE' to it",
            )
        rows = read_rows([str(task.data)], bad_rows=bad_rows).rows
    else:
        loaded = read_rows([path], bad_rows=bad_rows)
        formats = {file.format for file in loaded.files if file.format}
        task = replace(load_task(family_for(sorted(formats)[0])), name=_task_name(path))
        rows = loaded.rows
    if max_new_tokens is not None:
        task = replace(task, max_new_tokens=max_new_tokens)
    return task, items_from_rows(rows[:limit], task)


def data_of_task(path: str) -> str | None:
    """The data that a task YAML names; None for a data file, which is its own."""
    return load_task(path).data if Path(path).suffix in TASK_ENDINGS and Path(path).is_file() else None


def _task_name(path: str) -> str:
    """The file's name without its endings and without ``#500``."""
    return Path(path.partition("#")[0]).name.split(".")[0]


def _answer(
    model: OpenedModel, tasks: Sequence[tuple[Task, list[Item]]], output: Path, *, label: str
) -> dict[str, list[ItemResult]]:
    """Every task's results, written to disk as soon as a task is done."""
    output.mkdir(parents=True, exist_ok=True)
    from precept.run.opened import make_chooser

    results: dict[str, list[ItemResult]] = {}
    for task, items in tasks:
        with progress_line(f"{label}: {task.name}", total=len(items)) as progress:
            answers = evaluate(
                items,
                task,
                prompt_ids=lambda item: model.renderer.prompt_ids(item.messages, item.tools),
                prompt_text=lambda item: model.renderer.prompt_text(item.messages, item.tools),
                sampler=model.sampler() if task.kind == "generate" else None,
                choose=make_chooser(model) if task.kind == "choice" else None,
                progress=progress,
            )
        path = output / _item_file(label, task)
        write_items(answers, path)
        refused = sum(answer.refused is not None for answer in answers)
        too_long = f", {refused} longer than the context, scored wrong" if refused else ""
        say(f"{label}: {task.name}: {len(answers)} items{too_long} -> {path}")
        for name, group in by_task(answers).items():
            results.setdefault(name, []).extend(group)  # two folders may hold parts of one task
    return results
