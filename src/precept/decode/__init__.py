"""Text from a model: generation for many prompts, and one answer streamed token by token."""

from precept.decode.padded import PaddedSampler
from precept.decode.sampling import Sampling
from precept.decode.shared import SharedPrefixSampler, goes_on_in_parts
from precept.decode.stream import stream

__all__ = ["PaddedSampler", "Sampling", "SharedPrefixSampler", "goes_on_in_parts", "stream"]
