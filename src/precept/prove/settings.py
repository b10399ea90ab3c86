"""Which proofs there are, and which of them training goes on without."""

from __future__ import annotations

from typing import Literal

from precept.settings import Settings

ProofName = Literal[
    "mask_equals_answer",
    "terminator_trained",
    "single_bos",
    "template_parity",
    "vocabulary_covered",
    "nothing_lost",
    "documents_isolated",
    "sharing_exact",
    "accumulation_invariant",
    "resume_exact",
    "adapter_identity",
    "train_eval_disjoint",
]
"""In the order in which they are told."""


class ProofSettings(Settings):
    """What must hold before training."""

    skip_proof: tuple[ProofName, ...] = ()
    """Proofs that may fail; the model card names them. `precept check` shows all."""
