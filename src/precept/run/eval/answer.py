"""One model's answers to every item of every round, block by block."""

from __future__ import annotations

import datetime
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from precept.evaluate import ItemResult, evaluate
from precept.evaluate.answers import ENDINGS, write_answers
from precept.models.folder import resolve_model
from precept.render import read_template
from precept.run.console import say
from precept.run.eval.byte_bpe import load_byte_bpe
from precept.run.eval.progress import EvalProgress, eval_progress
from precept.run.eval.rounds import Round
from precept.run.eval.store import BLOCK, TEMPLATE_DATE, ItemStore, file_name
from precept.run.eval.tasks import Asked
from precept.run.fingerprint import fingerprint

if TYPE_CHECKING:
    from precept.run.eval.model import AskedModel


def own_template(folder: Path) -> str | None:
    """The chat template of a model folder, by its files; None where it has none."""
    if (folder / "chat_template.jinja").is_file():
        return (folder / "chat_template.jinja").read_text(encoding="utf-8")
    try:
        found = orjson.loads((folder / "tokenizer_config.json").read_bytes()).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return None
    if isinstance(found, list):
        found = next((entry.get("template") for entry in found if entry.get("name") == "default"), None)
    return found or None


@dataclass(frozen=True)
class Contender:
    """A model to be asked. ``label`` names its files; ``template_date`` is the day that its template prints;
    ``fallback`` is the template of the model that it is compared with, for one that has none of its own."""

    name: str
    label: str
    chat_template: str | None
    template_date: datetime.date
    fallback: str | None = None

    @cached_property
    def hash(self) -> str:
        """The fingerprint of its folder."""
        return fingerprint(resolve_model(self.name))

    @cached_property
    def template(self) -> str | None:
        """The text of the chat template that it is asked with; None where it is asked in plain text."""
        if self.chat_template is not None:
            return read_template(self.chat_template)
        return own_template(resolve_model(self.name)) or self.fallback

    @property
    def borrows(self) -> bool:
        """Whether its template is that of the model it is compared with."""
        return (
            self.chat_template is None and self.fallback is not None and own_template(resolve_model(self.name)) is None
        )

    def settings(self, *, chat: bool) -> dict[str, Any]:
        """What its answers depend on, beside what it is asked. ``chat`` is whether the task wants the template; the day
        is among them where the template prints it."""
        template = None if self.template is None else hashlib.sha256(self.template.encode()).hexdigest()[:16]
        dated = chat and "strftime_now" in (self.template or "")
        day = {TEMPLATE_DATE: self.template_date.isoformat()} if dated else {}
        return {"model_hash": self.hash, "chat_template": template, **day}


def answer_all(contender: Contender, rounds: Sequence[Round], stores: Sequence[ItemStore]) -> list[list[ItemResult]]:
    """The results of each round. What an earlier, killed evaluation left on disk is not asked again; where nothing is
    missing the model is not even loaded."""
    done = [store.done() for store in stores]
    total, before = sum(len(own.asked.items) for own in rounds), sum(map(len, done))
    if before:
        say(f"{contender.label}: {before} of {total} items were answered before")
    if before < total:
        from precept.run.eval.model import open_asked

        model = open_asked(
            contender.name,
            chat_template=contender.chat_template,
            fallback_template=contender.fallback,
            template_date=contender.template_date,
        )
        if any(own.asked.task.chat for own in rounds) and (contender.borrows or not model.has_template):
            how = "with the one of the model it is compared with" if contender.borrows else "in plain text"
            say(f"{contender.name} has no chat template: it is asked {how}")
        with eval_progress(contender.label, total=total, done=before) as progress:
            for own, results, store in zip(rounds, done, stores, strict=True):
                results += _answer_rest(model, own, len(results), store, progress)
    for own, results, store in zip(rounds, done, stores, strict=True):
        refused = sum(result.refused is not None for result in results)
        too_long = f", {refused} longer than the context, scored wrong" if refused else ""
        name = f"{own.asked.task.name}{own.suffix}"
        say(f"{contender.label}: {name}: {len(results)} items{too_long} -> {store.path}")
    return done


def _answer_rest(
    model: AskedModel, own: Round, start: int, store: ItemStore, progress: EvalProgress
) -> list[ItemResult]:
    """The items from ``start`` on, each block on disk before the next is asked."""
    asked, task = own.asked, own.asked.task
    split = load_byte_bpe(task.rouge_tokenizer) if task.needs_tokenizer else None
    results: list[ItemResult] = []
    for first in range(start, len(asked.items), BLOCK):
        block = asked.items[first : first + BLOCK]
        progress.block(task.name, len(block))
        found = evaluate(
            block,
            task,
            prompt_text=lambda item, said: model.prompt_text(item, task, said),
            answer=lambda items: model.answer(items, task, seed=own.seed, progress=progress.inside),
            choose=lambda items: model.choose(items, task),
            measure=lambda items: model.measure(items, task),
            split=split,
        )
        store.append(found)
        results += found
        progress.finish_block()
    return results


def answer_files(
    contender: Contender, results: Sequence[tuple[Asked, Sequence[ItemResult]]], folder: Path
) -> dict[str, str]:
    """Write the files for judges of the tasks that have one; returns their names by task."""
    names = {}
    for asked, own in results:
        if (format_ := asked.task.answer_file) is not None:
            name = file_name(contender.label, asked.task.name, ENDINGS[format_])
            write_answers(asked.items, own, folder / name, format=format_, model=contender.label)
            names[asked.task.name] = name
    return names
