"""A training step before it runs: its rows, its steps, and the forests that they are cut into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from precept.forecast import Activations, Device, TokenCounts, analytic_activations, count_parts, count_tokens
from precept.forecast.devices import GIB
from precept.forest import Schedule, build_forest, cut, distinct_tokens
from precept.models.folder import ModelFolder
from precept.render.store import sequence_lengths
from precept.run.settings import RunSettings
from precept.run.tuning.memory import Needs
from precept.run.tuning.prepare import RenderedData
from precept.types import Forest, LongArray, TokenSequence


@dataclass(frozen=True)
class Machine:
    """A machine that is not this one: ``count`` devices by their stated peak figures. ``process`` is what context,
    libraries and the allocator's gaps are assumed to take on each."""

    device: Device
    count: int
    process: int = GIB


@dataclass(frozen=True)
class Job:
    """A training step before it runs: rows rendered, steps counted. ``began`` is when its planning began."""

    folder: ModelFolder
    settings: RunSettings
    method: str
    data: RenderedData
    schedule: Schedule
    steps: int
    began: float

    @cached_property
    def lengths(self) -> LongArray:
        """Tokens of each sequence."""
        return sequence_lengths(self.data.train.sequences)

    @cached_property
    def trained(self) -> LongArray:
        """Trained tokens of each sequence; a first token is never predicted."""
        counts = [np.count_nonzero(sequence.weights[1:]) for sequence in self.data.train.sequences]
        return np.array(counts, np.int64)

    @property
    def longest(self) -> int:
        """Tokens of the longest sequence."""
        return int(self.lengths.max())

    @property
    def context(self) -> float:
        """Mean number of ancestors of a token."""
        return float((self.lengths.astype(np.float64) ** 2).sum() / 2 / self.lengths.sum())

    @property
    def refused(self) -> int:
        """Rows at whose length training would stop."""
        return len(self.data.train.dropped) if self.settings.render.over_length == "error" else 0

    @property
    def checkpoints(self) -> int:
        """How often one is written: every so many steps and at the end."""
        return -(-self.steps // self.settings.loop.save_steps)

    @property
    def evaluations(self) -> int:
        """How often the evaluation loss is measured: at the start, at the end and between."""
        if self.data.held_out is None:
            return 0
        every = self.settings.loop.eval_steps
        return 1 + (1 if every is None else -(-self.steps // every))

    def held_out_tokens(self, *, share: bool) -> int:
        """Distinct tokens of the held-out rows."""
        held_out = self.data.held_out.sequences if self.data.held_out else []
        return distinct_tokens(held_out) if share else sum(len(sequence.ids) for sequence in held_out)


@dataclass(frozen=True)
class PlannedForests:
    """The forests of a step, as training cuts them."""

    sequences: Sequence[TokenSequence]
    share: bool
    switches: Sequence[int]
    budget: int

    def groups(self, rows: LongArray) -> list[list[int]]:
        """Rows of each forest."""
        chosen = [self.sequences[i] for i in rows]
        groups = cut(chosen, max_tokens=self.budget, share=self.share, switches=self.switches)
        return [[int(rows[i]) for i in group] for group in groups]

    def distinct(self, rows: Sequence[int]) -> int:
        """Tokens of one forest."""
        chosen = [self.sequences[i] for i in rows]
        return distinct_tokens(chosen) if self.share else sum(len(sequence.ids) for sequence in chosen)

    def build(self, rows: Sequence[int]) -> Forest:
        return build_forest([self.sequences[i] for i in rows], share=self.share)


def count_plan(job: Job, plan: PlannedForests, needs: Needs) -> TokenCounts:
    def forest_needs(tokens: int, trained: int) -> int:
        parts = count_parts(needs.shape, needs.training, activations, tokens=tokens, predicted=trained)
        return parts["activations"] + parts["head"]

    activations = expected_activations(needs)
    return count_tokens(
        job.steps,
        job.schedule.rows,
        lengths=job.lengths,
        trained=job.trained,
        cut=plan.groups,
        distinct=plan.distinct,
        needs=forest_needs,
    )


def predicted_states(forest: Forest) -> int:
    return len(np.unique(forest.parent[forest.edges]))


def expected_activations(needs: Needs) -> Activations:
    return analytic_activations(needs.shape, needs.training)
