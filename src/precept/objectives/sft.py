"""Supervised fine-tuning: the weighted negative log-likelihood of the trained tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from precept.types import Loss

if TYPE_CHECKING:
    from precept.ports import Policy
    from precept.types import Forest


def sft(policy: Policy, forest: Forest) -> Loss:
    """Sum over edges of weight times negative log-likelihood, and the sum of the weights.

    ``L = sum_e w_e * -log p(id_e | ancestors of e) / sum_e w_e``, where the division is left to the loop,
    which divides once by the optimizer step's count, so that neither cutting a step into forests nor
    spreading it over devices changes it. ``w_e`` adds the weights of all sequences that pass through edge e,
    so this equals the sum over separate sequences.
    """
    logps = policy.edge_logps(forest)
    weight = logps.new_tensor(forest.weight)
    return Loss(-(weight * logps).sum(), float(forest.weight.sum(dtype=np.float64)))
