"""Objectives: a forest in, a sum and a count out. One method a file."""

from precept.objectives.sft import sft

__all__ = ["sft"]
