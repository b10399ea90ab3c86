"""The likelihood of texts and of answers to prompts, through the policy that is exact on the model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from precept.errors import InputError
from precept.evaluate import Choice, Chooser, Item
from precept.evaluate.likelihood import Likelihood
from precept.run.eval.plain import PlainText
from precept.types import TokenSequence


@dataclass(frozen=True)
class TextScorer:
    """Scores items of tasks of kind ``likelihood``: those with a reference as a choice of one option, whole texts in
    windows of the model's context."""

    chooser: Chooser
    plain: PlainText

    def __call__(self, items: Sequence[Item]) -> list[Likelihood]:
        """One likelihood an item, in order."""
        answers = [item for item in items if item.options]
        choices = iter(self.chooser(answers) if answers else [])
        windows = [[] if item.options else self._windows(item) for item in items]
        logps = iter(
            self.chooser.answer_logps([sequence for own in windows for sequence in own]) if any(windows) else []
        )
        return [
            _of_answer(item, next(choices)) if item.options else _of_text(item, own, [next(logps) for _ in own])
            for item, own in zip(items, windows, strict=True)
        ]

    def _windows(self, item: Item) -> list[TokenSequence]:
        if self.plain.first_id is None or self.plain.start_id is not None:
            raise InputError(
                "whole texts are scored by decoder-only models whose tokenizer has BOS or EOS",
                code="no-text-likelihood",
                where=item.id,
                do="use rows of prompts with references, or another model",
            )
        return self.plain.windows(item.text, self.plain.first_id, self.chooser.max_context)


def _of_text(item: Item, windows: Sequence[TokenSequence], logps: Sequence[float]) -> Likelihood:
    tokens = sum(int(np.count_nonzero(sequence.weights)) for sequence in windows)
    return Likelihood(sum(logps), tokens, len(item.text.encode()))


def _of_answer(item: Item, choice: Choice) -> Likelihood:
    if choice.refused:
        return Likelihood(refused=choice.refused)
    return Likelihood(choice.logps[0], choice.tokens[0], len(item.options[0].encode()))
