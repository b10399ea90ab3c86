"""The whole document of an evaluation: scores of each model, and what training files, variants and repeats say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from precept.evaluate import ItemResult
from precept.evaluate.suite import Suite
from precept.run.eval.answer import Contender, answer_files
from precept.run.eval.contamination import Searched, contamination_document
from precept.run.eval.document import Results, score_document
from precept.run.eval.more_rounds import repeat_document, variant_document
from precept.run.eval.rounds import Plan


@dataclass(frozen=True)
class Answered:
    """A model that has answered: the results of each round of the plan, and their files."""

    contender: Contender
    plan: Plan
    found: Sequence[list[ItemResult]]
    names: Sequence[str]

    @property
    def results(self) -> Results:
        """Every task with the results of its first round, which are those that count."""
        return list(zip(self.plan.asked, self.found, strict=False))

    @property
    def items(self) -> list[ItemResult]:
        """The results of the first rounds, task by task."""
        return [result for _, own in self.results for result in own]

    def facts(self) -> dict[str, Any]:
        """What the document says of either model beside its scores. ``chat_template`` is the hash of the template that
        it was asked through, None where every task was asked in plain text; ``template_date`` the day that the template
        prints, where it prints one."""
        asked = {"chat_template": None} if not self.in_chat else self.contender.settings(chat=True)
        return {"model": self.contender.name, "model_hash": self.contender.hash, **asked}

    @property
    def in_chat(self) -> bool:
        """Whether a task was asked through a chat template."""
        return self.contender.template is not None and any(asked.task.chat for asked in self.plan.asked)

    def rest(self, output: Path, *, other: Answered | None = None) -> dict[str, Any]:
        """Variants, repeats and files."""
        found: dict[str, Any] = {}
        if self.plan.variants:
            found["variants"] = variant_document(self.plan, self.found, self.names)
        if self.plan.asked_again:
            found["repeats"] = repeat_document(
                self.plan, self.found, self.names, against=None if other is None else other.found
            )
        found["item_files"] = list(self.names[: len(self.plan.asked)])
        answers = answer_files(self.contender, self.results, output)
        return {**found, **({"answers": answers} if answers else {})}


def whole_document(
    answered: Sequence[Answered], *, suite: Suite | None, searched: Searched | None, output: Path
) -> dict[str, Any]:
    """The scores of the first model with all that depends on them, and those of the second one under ``against``."""
    ours, other = answered[0], answered[1] if len(answered) > 1 else None
    theirs = None if other is None else other.results
    document = {**ours.facts(), **score_document(ours.results, in_chat=ours.in_chat, against=theirs, suite=suite)}
    if other is not None:
        own = score_document(other.results, in_chat=other.in_chat, suite=suite)
        own["asked"] = {name: {"chat": entry["chat"]} for name, entry in own["asked"].items()}  # else as with ours
        document["against"] = {**other.facts(), **own, **other.rest(output)}
    if searched is not None:
        items = None if other is None else other.items
        document["contamination"] = contamination_document(searched, ours.items, against=items)
    return {**document, **ours.rest(output, other=other)}
