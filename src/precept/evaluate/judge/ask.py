"""Questions to a judge and its replies, each kept as soon as it is there, so that a killed run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from precept.errors import WorkError
from precept.ports import Chat
from precept.settings import Settings
from precept.types import Message

BLOCK = 16
"""Questions asked at once, at least; what a kill can lose."""


class JudgeSettings(Settings):
    """How the judge answers."""

    judge_max_new_tokens: Annotated[int, Field(ge=1)] = 2048
    """Tokens of a reply, at most."""
    judge_temperature: Annotated[float, Field(ge=0)] = 0.0
    """0 takes the likeliest token."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of replies above temperature 0, of the order in which AlpacaEval shows outputs, and of intervals."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question to the judge: about ``turn`` (from 1) of a question, the answers shown in ``order``.

    ``order`` is ``ab`` (ours first), ``ba``, or ``a`` for a single answer; ``answers`` are the hashes of what is shown,
    in that order.
    """

    question: str
    turn: int
    order: str
    answers: tuple[str, ...]
    prompt: str

    @property
    def key(self) -> str:
        """What a reply is kept under: it changes with anything that the judge is asked."""
        digest = hashlib.sha256(self.prompt.encode()).hexdigest()[:16]
        return f"{self.question}/{self.turn}/{self.order}/{digest}"


@dataclass(frozen=True, slots=True)
class Judgment:
    """A request and the judge's reply to it."""

    request: Request
    reply: str


def ask(
    judge: Chat,
    requests: Sequence[Request],
    settings: JudgeSettings,
    *,
    kept: Sequence[Judgment] = (),
    keep: Callable[[Sequence[Judgment]], None],
    block: int = BLOCK,
    progress: Callable[[int, int], None] | None = None,
) -> list[Judgment]:
    """A judgment of each request, in order. What ``kept`` has is not asked again; ``keep`` gets each block of new ones.

    Raises WorkError where the judge does, with all blocks before it kept.
    """
    replies = {judgment.request.key: judgment.reply for judgment in kept}
    missing = [request for request in requests if request.key not in replies]
    done = len(requests) - len(missing)
    for start in range(0, len(missing), block):
        asked = missing[start : start + block]
        answers = judge.reply(
            [(Message("user", request.prompt),) for request in asked],
            max_new_tokens=settings.judge_max_new_tokens,
            temperature=settings.judge_temperature,
            seed=settings.seed + done,
        )
        judgments = [Judgment(request, reply) for request, reply in zip(asked, answers, strict=True)]
        keep(judgments)
        replies |= {judgment.request.key: judgment.reply for judgment in judgments}
        done += len(asked)
        if progress:
            progress(done, len(requests))
    return [Judgment(request, replies[request.key]) for request in requests]


def refuse_nonsense(judgments: Iterable[Judgment], verdicts: Iterable[Any], *, judge: str) -> None:
    """Raise WorkError when not one reply holds a verdict: such a judge judges nothing."""
    pairs = list(zip(judgments, verdicts, strict=True))
    if pairs and all(verdict is None for _, verdict in pairs):
        raise WorkError(
            f"not one of {len(pairs)} replies of the judge holds a verdict",
            code="judge-unparsable",
            where=judge,
            found=f"for example {pairs[0][0].reply[:300]!r}",
            do="use a model that follows instructions, or raise judge_max_new_tokens if its replies are cut short",
        )
