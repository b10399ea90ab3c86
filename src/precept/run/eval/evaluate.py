"""``precept eval``: scores of one model, or of two on the same items with their paired difference."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from precept import __version__
from precept.errors import InputError
from precept.evaluate.suite import load_suite
from precept.models.folder import check_model_folder, resolve_model
from precept.run.eval.answer import Contender, answer_all, answer_files
from precept.run.eval.document import Results, score_document
from precept.run.eval.store import make_store, open_stores
from precept.run.eval.tasks import Asked, Asking, named_tasks, suite_tasks
from precept.run.output import write_atomic

RESULT = "result.json"
DATA_DIR = Path("data")


def run_eval(
    model: str,
    tasks: Sequence[str] = (),
    *,
    against: str | None,
    chat_template: str | None,
    limit: int | None,
    output: Path,
    max_new_tokens: int | None,
    bad_rows: Literal["error", "drop"],
    suite: str | None = None,
    data_dir: Path = DATA_DIR,
    shots: int | None = None,
    chat: bool | None = None,
    seed: int = 0,
    fresh: bool = False,
) -> dict[str, Any]:
    """Answer every item of every task; returns the JSON document of ``precept eval``.

    Items go to ``output`` in blocks as they are done, and an evaluation that was killed goes on behind the last one;
    the document, as ``result.json``, comes when all are done. Raises InputError, before any model is loaded, for
    models, tasks and data that cannot be used, and for a folder with items of other settings unless ``fresh``.
    """
    assert tasks or suite, "needs a task or a suite"
    names = [name for name in (model, against) if name is not None]
    for name in names:
        check_model_folder(resolve_model(name))
    asking = Asking(limit, shots, max_new_tokens, chat, bad_rows)
    chosen = None if suite is None else load_suite(suite)
    asked = [*named_tasks(tasks, asking), *(suite_tasks(chosen, data_dir, asking) if chosen else ())]
    _refuse_same_names(asked)
    contenders = _contenders(names, chat_template, seed)
    stores = [[make_store(output, own.label, task, own.settings()) for task in asked] for own in contenders]
    with open_stores(output, [store for own in stores for store in own], fresh=fresh):
        (output / RESULT).unlink(missing_ok=True)
        results = [answer_all(own, asked, kept) for own, kept in zip(contenders, stores, strict=True)]
        files = [
            {**_files([store.name for store in kept]), **_answers(answer_files(own, found, output))}
            for own, kept, found in zip(contenders, stores, results, strict=True)
        ]
        document: dict[str, Any] = {"model": model, "model_hash": contenders[0].hash}
        document |= score_document(results[0], against=results[1] if len(names) > 1 else None, suite=chosen)
        if against is not None:
            document["against"] = _other(contenders[1], results[1], files[1])
        document["scope"] = chosen.about if chosen and chosen.about and not tasks else _scope(asked)
        document |= {"seed": seed, "date": _today(), "versions": _versions(), "items": str(output), **files[0]}
        write_atomic(output / RESULT, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return document


def _contenders(names: Sequence[str], chat_template: str | None, seed: int) -> list[Contender]:
    """The models with labels that tell them apart."""
    labels = [Path(name).name or "model" for name in names]
    first = Contender(names[0], labels[0], chat_template, seed)
    if len(names) == 1:
        return [first]
    label = labels[1] if labels[1] != labels[0] else f"{labels[0]}.against"
    return [first, Contender(names[1], label, chat_template, seed, fallback=first.template)]


def _refuse_same_names(asked: Sequence[Asked]) -> None:
    names = [task.task.name for task in asked]
    if len(set(names)) < len(names):
        raise InputError(
            "two tasks have the same name",
            code="duplicate-task",
            found=", ".join(sorted({name for name in names if names.count(name) > 1})),
            do="give each a name of its own",
        )


def _scope(asked: Sequence[Asked]) -> str:
    """What the scores speak for, where no suite says it."""
    return f"the items of {', '.join(task.task.name for task in asked)}, asked as they say, and nothing beyond"


def _other(contender: Contender, results: Results, files: dict[str, Any]) -> dict[str, Any]:
    """The entry of the model that is compared with."""
    scores = score_document(results)
    own = {key: value for key, value in scores.items() if key != "asked"}
    return {"model": contender.name, "model_hash": contender.hash, **own, **files}


def _files(names: list[str]) -> dict[str, Any]:
    return {"item_files": names}


def _answers(files: dict[str, str]) -> dict[str, Any]:
    return {"answers": files} if files else {}


def _today() -> str:
    return datetime.date.today().isoformat()


def _versions() -> dict[str, str]:
    return {"precept": __version__, **{name: importlib.metadata.version(name) for name in ("torch", "transformers")}}
