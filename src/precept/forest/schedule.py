"""Which rows make up each optimizer step.

A pure function of seed, epoch and data: resuming at step 10,000 needs neither the steps before it nor a saved
random state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from precept.forest.group import PrefixGroups
from precept.types import LongArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rows in a new random order each epoch, ``batch_size`` of them an optimizer step.

    Steps count from 0 and may run on for ever. Every row comes once an epoch; the epoch's last step holds
    what is left over. ``data_hash`` names the rows, so that other data is never drawn in the same order. With
    ``groups`` rows are drawn in groups that share a prefix, and a step holds whole groups.
    """

    n_rows: int
    batch_size: int
    seed: int
    data_hash: str
    groups: PrefixGroups | None = None

    def __post_init__(self) -> None:
        if self.n_rows < 1 or self.batch_size < 1:
            raise ValueError(f"a schedule needs rows and a batch size, got {self.n_rows} and {self.batch_size}")
        if self.groups is not None and self.batch_size % self.groups.size:
            raise ValueError(f"a step of {self.batch_size} rows holds no whole groups of {self.groups.size}")

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def epoch(self, step: int) -> int:
        """The epoch, from 0, that the step belongs to."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> LongArray:
        """Row numbers, from 0, of one optimizer step."""
        order = _epoch_order(self.n_rows, self.seed, self.epoch(step), self.data_hash, self.groups)
        first = step % self.steps_per_epoch * self.batch_size
        return order[first : first + self.batch_size]


@lru_cache(maxsize=4)
def _epoch_order(n_rows: int, seed: int, epoch: int, data_hash: str, groups: PrefixGroups | None) -> LongArray:
    """The rows in the order of an epoch.

    Sorts raw words of PCG64, which numpy promises to keep; ``Generator.permutation`` may change between
    releases.
    """
    random = np.random.PCG64(np.random.SeedSequence([seed, epoch, *data_hash.encode()]))
    order = np.argsort(random.random_raw(n_rows), kind="stable") if groups is None else groups.draw(random)
    order.flags.writeable = False
    return order
