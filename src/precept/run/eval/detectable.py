"""Which differences so many items can show, told before a model is asked."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from typing import Any

from precept.evaluate.statistics import minimal_detectable_difference
from precept.run.console import say
from precept.run.eval.tasks import Asked

DISCORDANCES = (0.1, 0.25, 0.5)
"""Shares of items that one of two models alone gets right, from models that are alike to models that are not."""


def tell_detectable(asked: Sequence[Asked]) -> dict[str, Any] | None:
    """``{alpha, power, n, differences: {DISCORDANCE: smallest difference or null}, smallest_task: {task, n, ...}}`` of
    tasks that are scored, told in a line; None where no task is.

    It holds for accuracies; of scores between 0 and 1, such as ROUGE-L, the same difference is seen with fewer items.
    """
    scored = [entry for entry in asked if entry.task.kind not in ("answers", "likelihood")]
    if not scored:
        return None
    total = sum(len(entry.items) for entry in scored)
    smallest = min(scored, key=lambda entry: len(entry.items))
    found: dict[str, Any] = {"alpha": 0.05, "power": 0.8, "n": total, "differences": _differences(total)}
    say(f"{total:,} items: {_told(total)}")
    if len(scored) > 1:
        n = len(smallest.items)
        found["smallest_task"] = {"task": smallest.task.name, "n": n, "differences": _differences(n)}
        say(f"of {smallest.task.name} alone, the smallest task, {n:,} items: {_told(n)}")
    return found


def _differences(n: int) -> dict[str, float | None]:
    found = {str(share): minimal_detectable_difference(n, discordance=share) for share in DISCORDANCES}
    return {share: value if isfinite(value) else None for share, value in found.items()}


def _told(n: int) -> str:
    parts = [
        f"{100 * value:.1f} where they differ on {100 * float(share):.0f} %"
        for share, value in _differences(n).items()
        if value is not None
    ]
    if not parts:
        return "too few to show a difference of two models at p < 0.05 with probability 0.8"
    shown = "a difference of two models is shown at p < 0.05 with probability 0.8 from so many points on"
    return f"{shown}: {', '.join(parts)}"
