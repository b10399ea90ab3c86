"""``precept eval``: scores of one model, or of two on the same items with their paired difference."""

from __future__ import annotations

import datetime
import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import orjson

from precept import __version__
from precept.errors import InputError
from precept.evaluate.suite import load_suite
from precept.models.folder import check_model_folder, resolve_model
from precept.run.eval.answer import Contender, answer_all, own_template
from precept.run.eval.byte_bpe import refuse_unused
from precept.run.eval.complete import refuse_incomplete, remove_result
from precept.run.eval.contamination import search_training
from precept.run.eval.detectable import tell_detectable
from precept.run.eval.folder import RESULT as RESULT
from precept.run.eval.rounds import plan_rounds
from precept.run.eval.store import item_file, kept_template_date, make_store, open_stores
from precept.run.eval.suite_tasks import suite_tasks
from precept.run.eval.tasks import Asked, Asking, named_tasks
from precept.run.eval.training_files import find_training
from precept.run.eval.whole import Answered, whole_document
from precept.run.output import write_atomic
from precept.run.template_date import stored_template_date

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
    training: Sequence[str] = (),
    variants: Sequence[str] = (),
    repeats: int = 1,
    rouge_tokenizer: str | None = None,
    fresh: bool = False,
) -> dict[str, Any]:
    """Answer every item of every task; returns the JSON document of ``precept eval``.

    Items go to ``output`` in blocks as they are done, and an evaluation that was killed goes on behind the last one;
    the document, as ``result.json``, comes when all are done. Raises InputError, before any model is loaded, for
    models, tasks and data that cannot be used, and for a folder with items of other settings unless ``fresh``;
    WorkError where the document lacks what must stand beside a score.
    """
    assert tasks or suite, "needs a task or a suite"
    names = [name for name in (model, against) if name is not None]
    for name in names:
        check_model_folder(resolve_model(name))
    asking = Asking(limit, shots, max_new_tokens, chat, bad_rows, rouge_tokenizer)
    chosen = None if suite is None else load_suite(suite)
    asked = [*named_tasks(tasks, asking), *(suite_tasks(chosen, data_dir, asking) if chosen else ())]
    refuse_unused(rouge_tokenizer, used=any(entry.task.needs_tokenizer for entry in asked))
    _refuse_likelihoods(asked, beside={"--against": against, "--suite": suite, "--training": training})
    plan = plan_rounds(asked, variants=variants, repeats=repeats, seed=seed)
    sources = find_training(training)
    files = [item_file(label, round_) for label in _labels(names) for round_ in plan.rounds]
    contenders = _contenders(names, chat_template, None if fresh else kept_template_date(output, files))
    stores = [
        [make_store(output, own.label, round_, own.settings(chat=round_.asked.task.chat)) for round_ in plan.rounds]
        for own in contenders
    ]
    with open_stores(output, [store for own in stores for store in own], fresh=fresh):
        remove_result(output, [store.name for own in stores for store in own])
        searched = search_training([item for entry in asked for item in entry.items], sources) if sources else None
        detectable = tell_detectable(asked)
        answered = [
            Answered(own, plan, answer_all(own, plan.rounds, kept), [store.name for store in kept])
            for own, kept in zip(contenders, stores, strict=True)
        ]
        scope = chosen.about if chosen and chosen.about and not tasks else _scope(asked)
        document = whole_document(answered, suite=chosen, searched=searched, output=output)
        document |= ({"detectable": detectable} if detectable else {}) | asking.dropped
        document |= {"scope": scope, "seed": seed, "date": _today(), "versions": _versions(), "items": str(output)}
        refuse_incomplete(document, [result for own in answered for results in own.found for result in results])
        write_atomic(output / RESULT, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return document


def _labels(names: Sequence[str]) -> list[str]:
    """What the models' files begin with; it tells them apart."""
    labels = [Path(name).name or "model" for name in names]
    return [labels[0], f"{labels[0]}.against"] if len(labels) == 2 and labels[0] == labels[1] else labels


def _contenders(names: Sequence[str], chat_template: str | None, kept: datetime.date | None) -> list[Contender]:
    """The models. Of two, one without a template takes the other's, and templates print one day: that ``kept`` by an
    evaluation that goes on, else that of the runs that made the models, the first's before the second's, else today."""
    folders = [resolve_model(name) for name in names]
    stored = [day for day in map(stored_template_date, folders) if day is not None]
    day = kept or next(iter(stored), datetime.date.today())
    fallbacks = [own_template(folder) for folder in reversed(folders)] if len(folders) == 2 else [None]
    return [
        Contender(name, label, chat_template, day, fallback)
        for name, label, fallback in zip(names, _labels(names), fallbacks, strict=True)
    ]


def _refuse_likelihoods(asked: Sequence[Asked], *, beside: Mapping[str, object]) -> None:
    """What compares or averages scores takes them to lie in 0..1, the higher the better."""
    found = [entry.task.name for entry in asked if entry.task.kind == "likelihood"]
    if found and (given := [name for name, value in beside.items() if value]):
        raise InputError(
            "perplexity and bits per byte are asked of one model, by themselves",
            code="likelihood-alone",
            where=f"task {found[0]}",
            found=", ".join(given),
            do="leave it out; compare two models by the bits_per_byte of two evaluations",
        )


def _scope(asked: Sequence[Asked]) -> str:
    """What the scores speak for, where no suite says it."""
    return f"the items of {', '.join(task.task.name for task in asked)}, asked as they say, and nothing beyond"


def _today() -> str:
    return datetime.date.today().isoformat()


def _versions() -> dict[str, str]:
    return {"precept": __version__, **{name: importlib.metadata.version(name) for name in ("torch", "transformers")}}
