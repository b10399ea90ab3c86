"""Generation through transformers' own ``generate``: for every model that it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from precept.decode.inference import decoder_start_id
from precept.decode.sampler import BatchSampler
from precept.decode.sampling import Pick
from precept.types import IntArray

if TYPE_CHECKING:
    from torch import Tensor


class PaddedSampler(BatchSampler):
    """Pads prompts of similar length to batches, each of which goes on until its last row ends."""

    def _answer(
        self, prompts: Sequence[IntArray], rooms: Sequence[int], pick: Pick
    ) -> Iterator[tuple[list[int], list[list[int]]]]:
        pad = self._padding_is_exact(prompts, rooms)
        for batch in self._batches(prompts, rooms, pad=pad):
            of_batch = partial(_only_picked, pick=pick, rows=batch)
            yield batch, self._generate_batch([prompts[index] for index in batch], rooms[batch[0]], of_batch)

    def _padding_is_exact(self, prompts: Sequence[IntArray], rooms: Sequence[int]) -> bool:
        """Whether rows of the shortest prompt's length, as it begins and as it ends, go on alike alone and beside the
        longest row. Recurrent layers read padding, attention in chunks counts it, and where positions are scaled by the
        length of what is computed the longest row decides for all.

        The rows hold the tokens of all prompts, and 4 at least: one token alone attends to itself whatever is done.
        """
        import torch

        lengths = [len(prompt) for prompt in prompts]
        if not lengths or min(lengths) == max(lengths):
            return True
        # the last new token is never read
        full = [
            length + (0 if self.is_encoder_decoder else room - 1) for length, room in zip(lengths, rooms, strict=True)
        ]
        longest, shortest = max(full), int(np.argmin(lengths))
        ends = max(lengths[shortest], 4), max(full[shortest], 4)
        tokens = np.resize(np.concatenate(prompts), max(longest, *ends))
        beside = self._run([*(tokens[:end] for end in ends), tokens[:longest]], 1).logits[0].float()
        bound = 1e-4 if (self.compute_dtype or self.model.dtype) == torch.float32 else 5e-2
        for row, end in enumerate(ends):
            alone = self._run([tokens[:end]], 1).logits[0][0].float()
            if not float((beside[row] - alone).norm()) <= bound * float(alone.norm()):
                return False
        return True

    def _batches(self, prompts: Sequence[IntArray], rooms: Sequence[int], *, pad: bool) -> Iterator[list[int]]:
        """Longest first, so that a batch that does not fit memory fails at once; all with the same room for new tokens,
        and without ``pad`` all of one length."""
        alike: dict[tuple[int, int | None], list[int]] = {}
        for index in sorted(range(len(prompts)), key=lambda index: -len(prompts[index])):
            alike.setdefault((rooms[index], None if pad else len(prompts[index])), []).append(index)
        for (room, _), group in alike.items():
            start = 0
            while start < len(group):
                row = len(prompts[group[start]]) + room
                batch = group[start : start + max(1, self.max_batch_tokens // row)]
                yield batch
                start += len(batch)

    def _generate_batch(
        self, prompts: Sequence[IntArray], max_new_tokens: int, choose: Callable[[Tensor, Tensor], Tensor]
    ) -> list[list[int]]:
        """The new tokens of each prompt, with what follows the first stop token."""
        output = self._run(prompts, max_new_tokens, choose).sequences
        new: list[list[int]] = output[:, 1 if self.is_encoder_decoder else max(map(len, prompts)) :].tolist()
        return new

    def _run(
        self,
        prompts: Sequence[IntArray],
        max_new_tokens: int,
        choose: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Any:
        """What ``generate`` gives for a padded batch, with the logits of each step where one is taken. ``choose`` makes
        of sequences and logits those whose maximum is taken."""
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
                logits_processor=[choose] if choose else None,
            )

    @property
    def _pad_id(self) -> int:
        """Masked in prompts and cut off after a stop token: any id does."""
        return int(self.tokenizer.pad_token_id or 0)


def _only_picked(sequences: Tensor, logits: Tensor, *, pick: Pick, rows: Sequence[int]) -> Tensor:
    """Logits [B, V] whose maximum is the token that ``pick`` takes."""
    return logits.new_zeros(logits.shape).scatter_(1, pick(logits, rows)[:, None], 1.0)


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
