"""Which rows each optimizer step draws, by the settings of the loop: the same for training and for its plan; and a few
that stand for all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from precept.forest import Schedule, find_groups
from precept.train.settings import LoopSettings
from precept.types import TokenSequence


def make_schedule(sequences: Sequence[TokenSequence], loop: LoopSettings, *, data_hash: str) -> Schedule:
    """The schedule of these rows, drawn one by one or in groups that share a prefix."""
    groups = find_groups(sequences, size=loop.group_by_prefix) if loop.group_by_prefix else None
    return Schedule(len(sequences), loop.batch_size, loop.seed, data_hash, groups)


def spread(sequences: Sequence[TokenSequence], *, most: int = 2048) -> list[TokenSequence]:
    """At most so many sequences at even distances: counting all of a large data set would read all of it."""
    return [
        sequences[i] for i in np.linspace(0, len(sequences) - 1, min(most, len(sequences))).astype(np.int64).tolist()
    ]
