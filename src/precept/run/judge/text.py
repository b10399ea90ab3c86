"""What ``precept judge`` found, as a person reads it."""

from __future__ import annotations

from typing import Any

from precept.run.console import STDOUT

PER_CENT = ("win_rate", "win_rate_adjusted", "discrete_win_rate", "length_controlled_win_rate", "relative_score")
VOTES = ("agreement", "agreement_without_ties")
HABITS = ("order_consistency", "prefers_first", "prefers_second")
COUNTS = ("wins", "losses", "ties", "draws", "unparsable", "invalid", "equal_outputs")


def print_judge(document: dict[str, Any]) -> None:
    """Scores with 95 % intervals, what was counted and left out, and where the judgments are."""
    names = [document.get("model") or document.get("annotations"), document.get("against")]
    told = " against ".join(str(name) for name in names if name)
    STDOUT.print(f"{document['protocol']}: {told}", markup=False)
    for name in (*PER_CENT, *HABITS, *VOTES):
        if document.get(name):
            STDOUT.print(f"  {name.replace('_', ' ')}: {_per_cent(document[name])}", markup=False)
    if reason := document.get("length_control", {}).get("reason"):
        STDOUT.print(f"  no length-controlled win rate: {reason}", markup=False)
    if score := document.get("score"):
        STDOUT.print(f"  score: {_grade(score)}", markup=False)
        parts = [(f"turn {turn}", found) for turn, found in document["by_turn"].items()]
        for name, found in [*parts, *document["by_category"].items()]:
            if found:
                STDOUT.print(f"    {name}: {_grade(found)}", markup=False)
    if points := document.get("points"):
        STDOUT.print(f"  points: {points['model']:g} to {points['against']:g}", markup=False)
    if counts := [f"{document[name]} {name.replace('_', ' ')}" for name in COUNTS if document.get(name) is not None]:
        STDOUT.print(f"  {', '.join(counts)}", markup=False)
    if "judgments" in document:
        STDOUT.print(f"  every judgment: {document['judgments']['path']}", markup=False)


def _per_cent(metric: dict[str, float]) -> str:
    value, low, high = (f"{100 * metric[key]:.1f}" for key in ("value", "low", "high"))
    return f"{value} % ({low} to {high}, n {metric['n']})"


def _grade(metric: dict[str, float]) -> str:
    return f"{metric['value']:.2f} ({metric['low']:.2f} to {metric['high']:.2f}, n {metric['n']})"
