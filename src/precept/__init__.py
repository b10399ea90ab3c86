"""Precept: turn a base language model into an instruction-tuned one, and show that it worked."""

__version__ = "0.1.0"
