"""The scores of an evaluation as a person reads them; the JSON document says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from precept.evaluate.score_tables import format_p
from precept.run.console import STDOUT
from precept.run.summary import print_evaluation


def print_scores(result: dict[str, Any]) -> None:
    """The table of tasks, the means of a suite's groups, what a comparison shows, what training files, variants and
    repeats say, and the files for judges."""
    print_evaluation(result)
    if "suite" in result:
        STDOUT.print(_groups(result["suite"]))
        _print_templates(result["suite"].get("templates", {}))
    corrected = result.get("p_holm", {})
    for name, found in result.get("verdict", {}).items():
        of_all = f" (p of all {len(corrected)} metrics {format_p(corrected[name])})" if len(corrected) > 1 else ""
        STDOUT.print(f"{name}: {found}{of_all}", markup=False)
    if "contamination" in result:
        _print_contamination(result["contamination"])
    _print_variants(result.get("variants", {}))
    if "repeats" in result:
        _print_repeats(result["repeats"])
    for task, name in result.get("answers", {}).items():
        STDOUT.print(f"{task}: answers for a judge in {result['items']}/{name}", markup=False)


def print_suites(suites: Sequence[Mapping[str, str]]) -> None:
    """A line a suite."""
    table = Table(title="--suite NAME", title_justify="left", show_header=False, box=None)
    for suite in suites:
        table.add_row(suite["name"], suite["does"])
    STDOUT.print(table)


def _groups(suite: dict[str, Any]) -> Table:
    table = _table(f"{suite['name']}: mean over tasks", ("group", "metric"), (*SCORE, "tasks", "items"))
    for group, metrics in suite["scores"].items():
        for metric, score in metrics.items():
            table.add_row(group, metric, *_cells(score), str(score["tasks"]), str(score["n"]))
    return table


def _print_templates(datasets: Mapping[str, Any]) -> None:
    for name, metrics in datasets.items():
        metric, found = next(iter(metrics.items()))
        mean, best = (f"{100 * found[key]['value']:.1f}" for key in ("mean", "best"))
        chosen = ", ".join(dict.fromkeys(found["best"]["chosen"]))
        line = f"{name}: {metric} {mean} over {found['mean']['tasks']} templates, {best} by the best ({chosen})"
        STDOUT.print(line, markup=False)


def _print_contamination(found: Mapping[str, Any]) -> None:
    sides = [(name, found["scores"][name]) for name in ("clean", "touched") if name in found["scores"]]
    kinds = f"{found['exact']} exact, {found['normalized']} normalized, {found['words']} by runs of words"
    title = f"{found['touched']} of {found['items']} items touched ({kinds}), training rows read: {found['rows']}"
    table = _table(title, ("items", "metric"), (*SCORE, "n"))
    for side, metrics in sides:
        for metric, score in metrics.items():
            table.add_row(side, metric, *_cells(score), str(score["n"]))
    STDOUT.print(table)


def _print_variants(variants: Mapping[str, Any]) -> None:
    if not variants:
        return
    columns = ("original %", "variant %", "gap", "95 % interval", "p", "p of all", "A12", "items")
    table = _table("items in other words", ("variant", "metric"), columns)
    for name, found in variants.items():
        for metric, gap in found["overall"]["gap"].items():
            before, after = (f"{100 * found['overall'][key][metric]['value']:.1f}" for key in ("original", "variant"))
            told = (*_cells(gap), format_p(gap["p"]), format_p(gap["p_holm"]), f"{gap['a12']:.2f}", str(gap["n"]))
            table.add_row(name, metric, before, after, *told)
    STDOUT.print(table)


def _print_repeats(found: Mapping[str, Any]) -> None:
    if not found["tasks"]:
        STDOUT.print("every answer is the likeliest one: repeats are equal, and each task was asked once", markup=False)
        return
    columns = ("mean %", "95 % interval", "median", "quartiles apart", "smallest", "largest")
    table = _table(
        f"{found['runs']} runs, seeds {found['seeds'][0]} to {found['seeds'][-1]}", ("task", "metric"), columns
    )
    for task, metrics in found["tasks"].items():
        for metric, spread in metrics.items():
            mean = _cells({**spread, "value": spread["mean"]})
            table.add_row(task, metric, *mean, *(f"{100 * spread[key]:.1f}" for key in ("median", "iqr", "min", "max")))
    STDOUT.print(table)


SCORE = ("score %", "95 % interval")


def _table(title: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(title=title)
    for column in (*left, *right):
        table.add_column(column, justify="left" if column in left else "right")
    return table


def _cells(score: Mapping[str, float]) -> tuple[str, str]:
    return f"{100 * score['value']:.1f}", f"{100 * score['low']:.1f} to {100 * score['high']:.1f}"
