"""A model of ours as a ``ports.Chat``, over the samplers of this room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from precept.decode.sampler import BatchSampler
from precept.decode.sampling import Sampling
from precept.errors import WorkError
from precept.types import IntArray, Message


class LocalChat:
    """Answers through ``sampler``; ``prompt_ids`` renders a conversation with the model's own template."""

    def __init__(
        self, name: str, *, sampler: BatchSampler, prompt_ids: Callable[[Sequence[Message]], IntArray]
    ) -> None:
        self.name = name
        self._sampler = sampler
        self._prompt_ids = prompt_ids

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """See ``ports.Chat``. Raises WorkError for a conversation that leaves no room in the model's context."""
        prompts = [self._prompt_ids(conversation) for conversation in conversations]
        if temperature == 0:
            generations = self._sampler.generate(prompts, max_new_tokens=max_new_tokens)
        else:
            sampling = Sampling(temperature=temperature, seed=seed)
            drawn = self._sampler.sample(prompts, sampling, max_new_tokens=max_new_tokens)
            generations = [answers[0] for answers in drawn]
        refused = [(index, found.refused) for index, found in enumerate(generations) if found.refused]
        if refused:
            index, reason = refused[0]
            raise WorkError(
                f"{len(refused)} of {len(generations)} conversations cannot be answered",
                code="chat-too-long",
                where=self.name,
                found=f"{reason}; it ends in {_tail(conversations[index])!r}",
                do="use a model with a longer context, or leave long rows out",
            )
        return [generation.text for generation in generations]


def _tail(conversation: Sequence[Message]) -> str:
    return (conversation[-1].content or "")[-80:] if conversation else ""
