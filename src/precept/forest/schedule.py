"""Which rows make up each optimizer step.

A pure function of seed, epoch and data: resuming at step 10,000 needs neither the steps before it nor a saved
random state.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from precept.types import LongArray


@dataclass(frozen=True, slots=True)
class Schedule:
    """Rows in a new random order each epoch, ``batch_size`` of them an optimizer step.

    Steps count from 0 and may run on for ever. Every row comes once an epoch; the epoch's last step holds
    what is left over. ``data_hash`` names the rows, so that other data is never drawn in the same order.
    """

    n_rows: int
    batch_size: int
    seed: int
    data_hash: str

    def __post_init__(self) -> None:
        if self.n_rows < 1 or self.batch_size < 1:
            raise ValueError(f"a schedule needs rows and a batch size, got {self.n_rows} and {self.batch_size}")

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def epoch(self, step: int) -> int:
        """The epoch, from 0, that the step belongs to."""
        return step // self.steps_per_epoch

    def rows(self, step: int) -> LongArray:
        """Row numbers, from 0, of one optimizer step."""
        order = _epoch_order(self.n_rows, self.seed, self.epoch(step), self.data_hash)
        first = step % self.steps_per_epoch * self.batch_size
        return order[first : first + self.batch_size]


@lru_cache(maxsize=4)
def _epoch_order(n_rows: int, seed: int, epoch: int, data_hash: str) -> LongArray:
    """A permutation of the rows.

    Sorts raw words of PCG64, which numpy promises to keep; ``Generator.permutation`` may change between
    releases.
    """
    entropy = [seed, epoch, *data_hash.encode()]
    words = np.random.PCG64(np.random.SeedSequence(entropy)).random_raw(n_rows)
    order = np.argsort(words, kind="stable")
    order.flags.writeable = False
    return order
