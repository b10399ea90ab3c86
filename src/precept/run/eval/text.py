"""The scores of an evaluation as a person reads them; the JSON document says the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from precept.run.console import STDOUT
from precept.run.summary import print_evaluation


def print_scores(result: dict[str, Any]) -> None:
    """The table of tasks, the means of a suite's groups, what a comparison shows, and the files for judges."""
    print_evaluation(result)
    if "suite" in result:
        STDOUT.print(_groups(result["suite"]))
    for name, found in result.get("verdict", {}).items():
        STDOUT.print(f"{name}: {found}", markup=False)
    for task, name in result.get("answers", {}).items():
        STDOUT.print(f"{task}: answers for a judge in {result['items']}/{name}", markup=False)


def print_suites(suites: Sequence[Mapping[str, str]]) -> None:
    """A line a suite."""
    table = Table(title="--suite NAME", title_justify="left", show_header=False, box=None)
    for suite in suites:
        table.add_row(suite["name"], suite["does"])
    STDOUT.print(table)


def _groups(suite: dict[str, Any]) -> Table:
    table = Table(title=f"{suite['name']}: mean over tasks")
    for column in ("group", "metric", "score %", "95 % interval", "tasks", "items"):
        table.add_column(column, justify="left" if column in {"group", "metric"} else "right")
    for group, metrics in suite["scores"].items():
        for metric, score in metrics.items():
            table.add_row(
                group,
                metric,
                f"{100 * score['value']:.1f}",
                f"{100 * score['low']:.1f} to {100 * score['high']:.1f}",
                str(score["tasks"]),
                str(score["n"]),
            )
    return table
