"""What every sampler of many prompts does alike: which prompts are answered, how far, and what an answer is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from precept.decode.inference import evaluation_mode, forward_only
from precept.decode.sampling import Pick, Sampling, drawer, likeliest
from precept.types import Generation, IntArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class BatchSampler(ABC):
    """Answers prompts in batches, with a KV cache: by the likeliest tokens, or by samples.

    ``stop_ids`` end a generation and are left out of it. A prompt that leaves no room in ``max_context`` (None:
    no limit) is refused, never cut; a long one is answered as far as the context goes. A batch holds one prompt,
    or at most ``max_batch_tokens`` tokens, padding and new ones included. Nothing of the folder's generation
    config is used, so its temperature, penalties or beams cannot change a score.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        stop_ids: Sequence[int],
        max_context: int | None,
        max_batch_tokens: int = 16_384,
        compute_dtype: torch.dtype | None = None,
    ) -> None:
        self.model = model
        self.tokenizer = tokenizer
        self.stop_ids = frozenset(stop_ids)
        self.max_context = max_context
        self.max_batch_tokens = max_batch_tokens
        self.compute_dtype = compute_dtype
        self.is_encoder_decoder: bool = model.config.is_encoder_decoder

    def generate(
        self,
        prompts: Sequence[IntArray],
        *,
        max_new_tokens: int | Sequence[int],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Generation]:
        """See ``ports.Sampler``: the likeliest token at each step."""
        return self._generate(prompts, max_new_tokens, likeliest, progress)

    def sample(
        self,
        prompts: Sequence[IntArray],
        sampling: Sampling,
        *,
        max_new_tokens: int | Sequence[int],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[list[Generation]]:
        """``num_return_sequences`` drawn answers to each prompt; ``progress`` counts answers."""
        count = sampling.num_return_sequences
        bounds = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
        repeated = [prompt for prompt in prompts for _ in range(count)]
        repeated_bounds = [bound for bound in bounds for _ in range(count)]
        answers = self._generate(repeated, repeated_bounds, drawer(sampling), progress)
        return [answers[start : start + count] for start in range(0, len(answers), count)]

    def _generate(
        self,
        prompts: Sequence[IntArray],
        max_new_tokens: int | Sequence[int],
        pick: Pick,
        progress: Callable[[int, int], None] | None,
    ) -> list[Generation]:
        bounds = [max_new_tokens] * len(prompts) if isinstance(max_new_tokens, int) else max_new_tokens
        generations: dict[int, Generation] = {}
        for index, prompt in enumerate(prompts):
            if reason := self._refusal(len(prompt)):
                generations[index] = Generation(ids=(), text="", finished=False, refused=reason)
        fitting = [index for index in range(len(prompts)) if index not in generations]
        rooms = [self._room(len(prompts[index]), bounds[index]) for index in fitting]

        def pick_for(logits: Tensor, rows: Sequence[int]) -> Tensor:
            return pick(logits, [fitting[row] for row in rows])

        with evaluation_mode(self.model), forward_only(self.model, self.compute_dtype):
            for batch, ids in self._answer([prompts[index] for index in fitting], rooms, pick_for):
                places = [fitting[row] for row in batch]
                generations |= zip(places, map(self._generation, ids), strict=True)
                if progress:
                    progress(len(generations), len(prompts))
        return [generations[index] for index in range(len(prompts))]

    @abstractmethod
    def _answer(
        self, prompts: Sequence[IntArray], rooms: Sequence[int], pick: Pick
    ) -> Iterator[tuple[Sequence[int], list[list[int]]]]:
        """Batch by batch, the indices of its prompts and the new tokens of each: as many as its room, or up to a stop
        token with anything behind it. ``pick`` takes the indices of the rows' prompts."""

    def _refusal(self, length: int) -> str | None:
        if length == 0:
            return "empty prompt"
        longest = self.max_context
        if longest is not None and length > longest - (not self.is_encoder_decoder):  # room for one new token
            return f"prompt of {length} tokens leaves no room in the context of {longest}"
        return None

    def _room(self, length: int, max_new_tokens: int) -> int:
        """New tokens that fit behind a prompt; an encoder-decoder model's decoder counts its own positions."""
        if self.max_context is None or self.is_encoder_decoder:
            return max_new_tokens
        return min(max_new_tokens, self.max_context - length)

    def _generation(self, ids: Sequence[int]) -> Generation:
        length = next((i for i, token in enumerate(ids) if token in self.stop_ids), len(ids))
        kept = ids[:length]
        text = self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Generation(ids=tuple(kept), text=text, finished=length < len(ids))
