"""Proofs: properties that training relies on, tried on the user's own model, tokenizer, template and rows.

Row proofs compare with what transformers writes, model proofs with transformers' own forward of single rows. What is
proven comes in as an argument, so that a wrong implementation can be handed in and must be caught.
"""

from precept.prove.settings import ProofName, ProofSettings

__all__ = ["ProofName", "ProofSettings"]
