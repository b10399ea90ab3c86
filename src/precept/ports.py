"""The few protocols a stage may ask for. Rooms receive these as arguments and never import each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from precept.types import Forest, Generation, IntArray, Loss, Message, TokenSequence


class Policy(Protocol):
    """A model that scores forests. Shapes: E edges, S sequences, H hidden size."""

    def edge_logps(self, forest: Forest) -> Tensor:
        """Log-probability of each edge's token given its ancestors, float32 [E]."""
        ...

    def answer_logps(self, forest: Forest, *, weighted: bool = False) -> Tensor:
        """Sum of log-probabilities over each sequence's entries with weight above 0, float32 [S]."""
        ...

    def last_hidden(self, forest: Forest) -> Tensor:
        """Hidden state before the output head at each sequence's last token, float32 [S, H]."""
        ...


class BuildForest(Protocol):
    """Merges sequences by common prefix, or with ``share`` off sets them side by side."""

    def __call__(self, sequences: Sequence[TokenSequence], *, share: bool = True) -> Forest: ...


class Objective(Protocol):
    """A loss: forest in, (sum, count) out."""

    def __call__(self, policy: Policy, forest: Forest) -> Loss: ...


class Sampler(Protocol):
    """Generates a continuation for each prompt."""

    def generate(
        self,
        prompts: Sequence[IntArray],
        *,
        max_new_tokens: int | Sequence[int],
        progress: Callable[[int, int], None] | None = None,
    ) -> list[Generation]:
        """One generation a prompt, in order. ``max_new_tokens`` is one bound for all, or one for each; ``progress`` is
        told (prompts done, all prompts)."""
        ...


class Chat(Protocol):
    """Something that answers conversations: a model of ours, or a server that speaks the OpenAI protocol."""

    name: str
    """What answered, for the record: a folder or a model's name."""

    def reply(
        self,
        conversations: Sequence[Sequence[Message]],
        *,
        max_new_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> list[str]:
        """The next assistant message of each conversation, in order. Temperature 0 takes the likeliest token.

        Raises WorkError when there is no answer to be had.
        """
        ...


class Monitor(Protocol):
    """Is told what happens while training; never changes it."""

    def log(self, record: dict[str, Any]) -> None: ...

    def close(self) -> None: ...
