"""How many distinct tokens a forest may have."""

from __future__ import annotations

from collections.abc import Callable

SMALLEST = 256  # below, a forest saves little memory and costs much time
SPARE = 0.1  # of the free memory stays free: forecasts err, and others use the machine


def largest_fitting(wanted: int, *, longest: int, room: int, needs: Callable[[int], int]) -> int:
    """``wanted`` distinct tokens, halved until ``needs`` of them fits into ``room`` bytes.

    Never fewer than the longest sequence: one forest must hold it. What does not fit then is for ``plan`` to tell.
    """
    floor = max(longest, SMALLEST)
    budget = max(wanted, longest)
    while budget > floor and needs(budget) > (1 - SPARE) * room:
        budget = max(floor, budget // 2)
    return budget
