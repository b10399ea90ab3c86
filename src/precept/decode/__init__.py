"""Text from a model: greedy generation for many prompts, and one answer streamed token by token."""

from precept.decode.greedy import GreedySampler
from precept.decode.shared import SharedPrefixSampler, keeps_every_token
from precept.decode.stream import stream

__all__ = ["GreedySampler", "SharedPrefixSampler", "keeps_every_token", "stream"]
