"""Text from a model: greedy generation for many prompts, and one answer streamed token by token."""

from precept.decode.greedy import GreedySampler
from precept.decode.stream import stream

__all__ = ["GreedySampler", "stream"]
