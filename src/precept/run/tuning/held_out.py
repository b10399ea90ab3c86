"""Rows kept apart from training: their loss, and what the model answers to a few of their prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from precept.decode import PaddedSampler
from precept.models.load import LoadedModel
from precept.models.policy import evaluating
from precept.models.probe import Chosen
from precept.ports import Objective
from precept.run.data.rows import RawData
from precept.run.tuning.prepare import ForestMaker, RenderedData, sample_prompts
from precept.types import TokenSequence

SAMPLE_TOKENS = 48


class HeldOut:
    """The evaluation of a training run. ``sequences`` are the held-out ones, at least one."""

    def __init__(
        self,
        sequences: Sequence[TokenSequence],
        raw: RawData,
        data: RenderedData,
        loaded: LoadedModel,
        chosen: Chosen,
        *,
        objective: Objective,
        max_tokens: int,
        sample_answers: int,
    ) -> None:
        self.rows = len(sequences)
        self.samples = sample_prompts(raw.held_out, count=sample_answers)
        self._forests = ForestMaker(sequences, chosen, max_tokens=max_tokens)(range(len(sequences)))
        self._data, self._loaded, self._chosen, self._objective = data, loaded, chosen, objective

    def loss(self) -> float:
        """Sum over count of all rows, in evaluation mode and without gradients."""
        total, count = 0.0, 0.0
        with evaluating(self._loaded.model), torch.no_grad():
            for forest in self._forests:
                loss = self._objective(self._chosen.policy, forest)
                total += float(loss.sum)
                count += loss.count
        return total / count

    def answers(self) -> list[dict[str, Any]]:
        """What the model answers to the sample prompts now."""
        prompts = [self._data.renderer.prompt_ids(row.messages[:-1], row.tools) for row in self.samples]
        sampler = PaddedSampler(
            self._loaded.model,
            self._data.tokenizer,
            stop_ids=self._data.train.stop_ids,
            max_context=self._loaded.max_positions,
            compute_dtype=self._loaded.compute_dtype,
        )
        answers = sampler.generate(prompts, max_new_tokens=SAMPLE_TOKENS)
        return [
            {"prompt_tail": (row.messages[-2].content or "")[-60:], "answer": answer.refused or answer.text}
            for row, answer in zip(self.samples, answers, strict=True)
        ]
