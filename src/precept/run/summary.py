"""Results as a person reads them; the JSON documents say the same."""

from __future__ import annotations

import shlex
from typing import Any

from rich.table import Table

from precept.evaluate.likelihood import show_score
from precept.evaluate.metrics import LIKELIHOOD_SCORES
from precept.evaluate.score_tables import format_p
from precept.run.console import STDOUT


def print_training(result: dict[str, Any]) -> None:
    """A few lines on a training step."""
    tokens = result["tokens"]
    STDOUT.print(
        f"{result['steps']} steps, loss {result['loss_first']:.4f} -> {result['loss_last']:.4f},"
        f" {tokens['real']:,} real and {tokens['distinct']:,} distinct tokens in {result['seconds']:.0f} s"
    )
    if evaluation := result["eval_loss"]:
        STDOUT.print(
            f"held-out loss {evaluation['first']:.4f} -> {evaluation['last']:.4f} on {evaluation['rows']} rows"
        )
    STDOUT.print(f"the model: {result['output']}   talk to it: precept chat {result['output']}", markup=False)


def print_evaluation(result: dict[str, Any]) -> None:
    """Scores with 95 % intervals, a row a task and metric, and the paired difference. What is in per cent says so."""
    table = Table(title=result["model"])
    for column in ("task", "metric", "score", "95 % interval", "items"):
        table.add_column(column, justify="left" if column in {"task", "metric"} else "right")
    for name, metrics in [*result["tasks"].items(), ("overall", result["overall"])]:
        for metric, score in metrics.items():
            low, value, high = (show_score(metric, score[key]) for key in ("low", "value", "high"))
            unit = "" if metric in LIKELIHOOD_SCORES else " %"
            table.add_row(name, metric, f"{value}{unit}", f"{low} to {high}", str(score["n"]))
    STDOUT.print(table)
    for metric, score in result.get("difference", {}).items():
        value, interval, n = _cells(score)
        other = result["against"]["model"]
        line = f"{metric}: {value} points against {other} (95 % {interval}, p = {score['p']:.4g}, {n} items)"
        STDOUT.print(line, markup=False)


def print_quickstart(result: dict[str, Any]) -> None:
    """Exact match by level: base, the best of all others, tuned, and the paired difference; then where to go on."""
    table = Table(title="exact match in per cent, 95 % intervals over items")
    for column in ("level", "items", "base", "best other", "tuned", "tuned - best other", "p"):
        table.add_column(column, justify="left" if column == "level" else "right")
    for name, level in result["levels"].items():
        best = level["best_other"]
        other = {"base": level["base"], **level["baselines"]}.get(best["name"], level["base"])["exact_match"]
        difference = best["difference"]["exact_match"]
        base, ours = (level[column]["exact_match"] for column in ("base", "tuned"))
        told = f"{100 * ours['value']:.1f} ({_cells(ours)[1]})"
        points = f"{100 * difference['value']:+.1f} ({_cells(difference)[1]})"
        cells = (f"{100 * base['value']:.1f}", f"{100 * other['value']:.1f}", told, points, format_p(difference["p"]))
        table.add_row(name.replace("_", " "), str(ours["n"]), *cells)
    STDOUT.print(table)
    STDOUT.print(f"{result['levels']['unseen_tasks']['told']}", markup=False)
    STDOUT.print(f"{result['seconds']:.0f} s in all; every item: {result['items']}", markup=False)
    STDOUT.print(f"the page: {result['report']}", markup=False)
    STDOUT.print(f"talk to it: precept chat {shlex.quote(result['model'])}", markup=False)


def print_recipe(result: dict[str, Any]) -> None:
    """A line a step, and what studies found."""
    for step in result["steps"]:
        STDOUT.print(f"{step['name']}: {step['state']} -> {step['output']}", markup=False)
        if step["uses"] == "study":
            for told in (*step["result"]["sentences"], f"the page: {step['result']['page']}"):
                STDOUT.print(f"    {told}", markup=False)


def print_report(result: dict[str, Any]) -> None:
    """Where the page is, and what it lacks."""
    for name in result["missing"]:
        STDOUT.print(f"not there: {name}", markup=False)
    STDOUT.print(f"the page: {result['report']}", markup=False)


def _cells(score: dict[str, Any]) -> tuple[str, str, str]:
    return (
        f"{100 * score['value']:.1f}",
        f"{100 * score['low']:.1f} to {100 * score['high']:.1f}",
        str(score["n"]),
    )
