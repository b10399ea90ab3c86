"""Proofs: properties that training relies on, tried on the user's own model, tokenizer, template and rows.

Row proofs compare with what transformers writes, model proofs with transformers' own forward of single rows. What is
proven comes in as an argument, so that a wrong implementation can be handed in and must be caught.
"""

from typing import Literal

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
