"""Over-length rows: what each policy would keep of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from precept.render.drafts import Plan
from precept.render.settings import OverLength
from precept.types import TokenSequence

POLICIES: tuple[OverLength, ...] = ("drop", "cut_turns", "cut_left", "cut_right", "split")


def length(sequence: TokenSequence) -> int:
    """Tokens of the longer side of a sequence."""
    return max(len(sequence.ids), 0 if sequence.encoder_ids is None else len(sequence.encoder_ids))


def tokens(sequence: TokenSequence) -> int:
    """Tokens of a sequence, the encoder's included."""
    return len(sequence.ids) + (0 if sequence.encoder_ids is None else len(sequence.encoder_ids))


def cut(sequence: TokenSequence, limit: int, *, left: bool) -> TokenSequence | None:
    """The last or first ``limit`` tokens, None if none of them is trained.

    With an encoder, its input is cut on the given side; decoder tokens are always cut on the right.
    """
    side = slice(-limit, None) if left else slice(limit)
    if sequence.encoder_ids is not None:
        kept = replace(
            sequence,
            ids=sequence.ids[:limit],
            weights=sequence.weights[:limit],
            encoder_ids=sequence.encoder_ids[side],
        )
    else:
        kept = replace(sequence, ids=sequence.ids[side], weights=sequence.weights[side])
    return kept if (kept.weights > 0).any() else None


def split(sequence: TokenSequence, limit: int) -> list[TokenSequence]:
    """Consecutive pieces of at most ``limit`` tokens."""
    return [
        replace(sequence, ids=sequence.ids[start : start + limit], weights=sequence.weights[start : start + limit])
        for start in range(0, len(sequence.ids), limit)
    ]


def without_oldest_turns(
    plan: Plan, limit: int, encode: Callable[[Plan], TokenSequence | None]
) -> TokenSequence | None:
    """The sequence with the fewest oldest turns dropped after the system message so that it fits, None if none does.

    A turn begins with a user message. ``encode`` gives None for a plan that cannot be rendered.
    """
    system = next((place for place, message in enumerate(plan.messages) if message.role != "system"), 0)
    starts = [place for place, message in enumerate(plan.messages) if message.role == "user" and place > system]
    low, high, best = 0, len(starts), None
    while low < high:
        middle = (low + high) // 2
        kept = [*range(system), *range(starts[middle], len(plan.messages))]
        sequence = encode(
            replace(
                plan,
                messages=tuple(plan.messages[place] for place in kept),
                wishes=tuple(plan.wishes[place] for place in kept),
                earlier_text="",
            )
        )
        if sequence is not None and length(sequence) <= limit:
            best, high = sequence, middle
        else:
            low = middle + 1
    return best if best is not None and (best.weights > 0).any() else None
