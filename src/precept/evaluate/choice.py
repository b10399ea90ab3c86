"""Choice by likelihood: the option that the model gives the highest probability as the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from precept.evaluate.items import Item
from precept.ports import Policy
from precept.types import Forest, TokenSequence


@dataclass(frozen=True, slots=True)
class Choice:
    """The index of the likeliest option, by the sum of its tokens' log-probabilities in ``logps``, and by that sum
    over its length in characters. The first of equals is chosen."""

    index: int
    index_normalized: int
    logps: tuple[float, ...]
    refused: str | None = None


@dataclass(frozen=True)
class Chooser:
    """Scores the options of items through a policy.

    ``option_sequences`` gives one sequence an option: prompt and option, with weight above 0 on the tokens of the
    option. ``cut`` divides sequences into forests of bearable size (indices), ``build_forest`` merges each, so that
    prompts and examples are computed once. A sequence longer than ``max_context`` refuses its item.
    """

    policy: Policy
    build_forest: Callable[[Sequence[TokenSequence]], Forest]
    cut: Callable[[Sequence[TokenSequence]], list[list[int]]]
    option_sequences: Callable[[Item], Sequence[TokenSequence]]
    max_context: int | None = None

    def __call__(self, items: Sequence[Item]) -> list[Choice]:
        """One choice an item, in order."""
        options = [list(self.option_sequences(item)) for item in items]
        reasons = [self._refusal(sequences) for sequences in options]
        scored = [
            sequence
            for sequences, reason in zip(options, reasons, strict=True)
            if reason is None
            for sequence in sequences
        ]
        logps = iter(self._answer_logps(scored))
        return [
            _choose(item.options, [next(logps) for _ in sequences])
            if reason is None
            else Choice(-1, -1, (), refused=reason)
            for item, sequences, reason in zip(items, options, reasons, strict=True)
        ]

    def _refusal(self, sequences: Sequence[TokenSequence]) -> str | None:
        longest = max(
            max(len(sequence.ids), 0 if sequence.encoder_ids is None else len(sequence.encoder_ids))
            for sequence in sequences
        )
        if self.max_context is None or longest <= self.max_context:
            return None
        return f"prompt with option of {longest} tokens exceeds the context of {self.max_context}"

    def _answer_logps(self, sequences: Sequence[TokenSequence]) -> list[float]:
        import torch

        logps = [0.0] * len(sequences)
        with torch.no_grad():
            for indices in self.cut(sequences):
                forest = self.build_forest([sequences[index] for index in indices])
                for index, logp in zip(indices, self.policy.answer_logps(forest).tolist(), strict=True):
                    logps[index] = logp
        return logps


def _choose(options: Sequence[str], logps: Sequence[float]) -> Choice:
    normalized = [logp / max(len(option), 1) for option, logp in zip(options, logps, strict=True)]
    return Choice(_first_best(logps), _first_best(normalized), tuple(logps))


def _first_best(scores: Sequence[float]) -> int:
    return max(range(len(scores)), key=lambda index: scores[index])
