"""Greedy generation for many prompts: the sampler of evaluation and of sample answers while training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from precept.decode.inference import decoder_start_id, evaluation_mode, forward_only
from precept.types import Generation, IntArray

if TYPE_CHECKING:
    import torch


class GreedySampler:
    """Takes the likeliest token at each step, with a KV cache, in batches of prompts of similar length.

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
        max_new_tokens: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Generation]:
        """One generation a prompt, in the order asked. ``progress`` is told (prompts done, all prompts)."""
        generations: dict[int, Generation] = {}
        for index, prompt in enumerate(prompts):
            if reason := self._refusal(len(prompt)):
                generations[index] = Generation(ids=(), text="", finished=False, refused=reason)
        fitting = [index for index in range(len(prompts)) if index not in generations]
        with evaluation_mode(self.model), forward_only(self.model, self.compute_dtype):
            pad = self._padding_is_exact([prompts[index] for index in fitting])
            for batch in self._batches(fitting, prompts, max_new_tokens, pad=pad):
                room = self._room(len(prompts[batch[0]]), max_new_tokens)
                ids = self._generate_batch([prompts[index] for index in batch], room)
                generations |= zip(batch, map(self._generation, ids), strict=True)
                if progress:
                    progress(len(generations), len(prompts))
        return [generations[index] for index in range(len(prompts))]

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

    def _padding_is_exact(self, prompts: Sequence[IntArray]) -> bool:
        """Whether the shortest prompt goes on alike alone and beside a longer one: recurrent layers read padding."""
        import torch

        by_length = sorted(prompts, key=len)
        if not by_length or len(by_length[0]) == len(by_length[-1]):
            return True
        short, long = by_length[0], by_length[-1]
        beside, alone = (self._run(batch, 1).logits[0][0].float() for batch in ([short, long], [short]))
        bound = 1e-4 if (self.compute_dtype or self.model.dtype) == torch.float32 else 5e-2
        return float((beside - alone).norm()) <= bound * float(alone.norm())

    def _batches(
        self, indices: Sequence[int], prompts: Sequence[IntArray], max_new_tokens: int, *, pad: bool
    ) -> Iterator[list[int]]:
        """Longest first, so that a batch that does not fit memory fails at once; all with the same room for new tokens,
        and without ``pad`` all of one length."""
        ordered = sorted(indices, key=lambda index: -len(prompts[index]))
        start = 0
        while start < len(ordered):
            row = len(prompts[ordered[start]]) + max_new_tokens
            batch = ordered[start : start + max(1, self.max_batch_tokens // row)]
            room = self._room(len(prompts[batch[0]]), max_new_tokens)
            batch = [index for index in batch if self._room(len(prompts[index]), max_new_tokens) == room]
            if not pad:
                batch = [index for index in batch if len(prompts[index]) == len(prompts[batch[0]])]
            yield batch
            start += len(batch)

    def _generate_batch(self, prompts: Sequence[IntArray], max_new_tokens: int) -> list[list[int]]:
        """The new tokens of each prompt, with what follows the first stop token."""
        output = self._run(prompts, max_new_tokens).sequences
        new: list[list[int]] = output[:, 1 if self.is_encoder_decoder else max(map(len, prompts)) :].tolist()
        return new

    def _run(self, prompts: Sequence[IntArray], max_new_tokens: int) -> Any:
        """What ``generate`` gives for a padded batch, with the logits of each step where one is taken."""
        import torch
        from transformers import GenerationConfig

        longest = max(map(len, prompts))
        input_ids = torch.full((len(prompts), longest), self._pad_id)
        attention_mask = torch.zeros_like(input_ids)
        for row, prompt in enumerate(prompts):
            # A decoder goes on from the right end; absolute encoder positions count from the left end.
            place = slice(len(prompt)) if self.is_encoder_decoder else slice(longest - len(prompt), longest)
            input_ids[row, place] = torch.from_numpy(prompt).long()
            attention_mask[row, place] = 1
        start = decoder_start_id(self.model) if self.is_encoder_decoder else None
        settings = GenerationConfig(
            do_sample=False,
            num_beams=1,
            use_cache=True,
            max_new_tokens=max_new_tokens,
            eos_token_id=sorted(self.stop_ids) or None,
            pad_token_id=self._pad_id,
            decoder_start_token_id=start,
            return_dict_in_generate=True,
            output_logits=max_new_tokens == 1,
        )
        device = self.model.device
        with _without_generation_config(self.model):
            return self.model.generate(
                input_ids=input_ids.to(device),
                attention_mask=attention_mask.to(device),
                generation_config=settings,
            )

    @property
    def _pad_id(self) -> int:
        """Masked in prompts and cut off after a stop token: any id does."""
        return int(self.tokenizer.pad_token_id or 0)

    def _generation(self, ids: list[int]) -> Generation:
        length = next((i for i, token in enumerate(ids) if token in self.stop_ids), len(ids))
        kept = ids[:length]
        text = self.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Generation(ids=tuple(kept), text=text, finished=length < len(ids))


@contextmanager
def _without_generation_config(model: Any) -> Iterator[None]:
    """``generate`` fills every setting that it is not given from the model's own generation config, which
    would let a folder's repetition penalty or temperature into a greedy run. Adapters hold a second one."""
    from transformers import GenerationConfig

    held = [(module, module.generation_config) for module in model.modules() if "generation_config" in vars(module)]
    for module, _ in held:
        module.generation_config = GenerationConfig()
    try:
        yield
    finally:
        for module, config in held:
            module.generation_config = config
