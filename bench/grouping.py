"""Run the study of ``group_by_prefix`` with several seeds and print its tables: exact match by level, against rows
drawn one by one.

python -m bench.grouping --seeds 0 1 2 -o .bench/grouping
python -m bench.grouping --sharing

Three trainings of 135 seconds and twelve evaluations of 9 a seed, on one core. A seed decides the order of the rows
and the adapter's first weights. The interval of a difference is Student's over seeds: questions are the same, so what
it holds is the chance of training.
``--sharing`` trains nothing: it counts what groups save on the rows of ``bench.workloads``.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

from bench.models import make_tokenizer_folder
from bench.workloads import BATCH, draw_rows, render
from precept.bundled.tasks import LEVELS
from precept.evaluate import read_items
from precept.evaluate.repeats import over_seeds
from precept.evaluate.statistics import paired_difference
from precept.forest import Schedule, distinct_tokens, find_groups
from precept.models.load import load_tokenizer
from precept.types import TokenSequence

RECIPE = "studies/grouping"
SIZES = {"one": 1, "four": 4, "eight": 8}
"""The recipe's ways to draw rows, by name."""
METRIC = "exact_match"

SHARING_ROWS = {"superni": 3000, "bbh_cot": 3000, "p3": 5000, "alpaca": 1000, "superni_200": 4000, "alpaca_200": 4000}
"""Rows that steps of 64 are drawn from."""
STEPS = 20

Steps = Sequence[Mapping[str, Any]]
"""The instances of a recipe's steps, as ``precept run --json`` tells them."""


def run(seeds: Sequence[int], output: Path, more: Sequence[str]) -> Steps:
    """The steps of the recipe with these seeds. ``more`` are further ``step.key=value`` words."""
    output.mkdir(parents=True, exist_ok=True)
    words = [*(f"axes.seed={seed}" for seed in seeds), *more]
    command = [sys.executable, "-m", "precept", "run", RECIPE, "-o", "study", "--json", *words]
    ended = subprocess.run(command, cwd=output, check=True, stdout=subprocess.PIPE)
    steps: Steps = json.loads(ended.stdout)["steps"]
    return steps


def tell_rows(steps: Steps) -> str:
    """Markdown: how rows were drawn, what sharing saved, and the loss that it came to; means over seeds."""
    lines = ["| rows drawn | real / distinct tokens | held-out loss |", "|---|---|---|"]
    for group, size in SIZES.items():
        own = [step["result"] for step in find(steps, "tune", group=group)]
        shared = mean(result["tokens"]["real"] / result["tokens"]["distinct"] for result in own)
        loss = mean(result["eval_loss"]["last"] for result in own)
        lines.append(f"| {'one by one' if size == 1 else f'in groups of {size}'} | {shared:.2f} | {loss:.4f} |")
    return "\n".join(lines)


def tell_levels(steps: Steps, output: Path) -> str:
    """Markdown: a line for each level and size of group."""
    columns = ("level", "questions", "one by one, %", "group", "difference, points", "95 % over seeds")
    lines = [f"| {' | '.join((*columns, 'by seed, 95 % over questions'))} |", "|---|---|---|---|---|---|---|"]
    for level in LEVELS:
        alone = [read_scores(step, output) for step in find(steps, "ask", group="one", level=level)]
        for group, size in list(SIZES.items())[1:]:
            own = [read_scores(step, output) for step in find(steps, "ask", group=group, level=level)]
            differences = [paired_difference(a, b) for a, b in zip(own, alone, strict=True)]
            points = [100 * difference["value"] for difference in differences]
            by_seed = ", ".join(
                f"{d['value'] * 100:+.1f} ({d['low'] * 100:+.1f} to {d['high'] * 100:+.1f})" for d in differences
            )
            lines.append(
                f"| {level.replace('_', ' ')} | {differences[0]['n']:,} | {100 * mean(map(mean, alone)):.1f} | {size} |"
                f" {mean(points):+.1f} | {told_over_seeds(points)} | {by_seed} |"
            )
    return "\n".join(lines)


def find(steps: Steps, name: str, **axes: str) -> Steps:
    """The instances of a step with these values, in the order of their seeds."""
    return [step for step in steps if step["name"] == name and axes.items() <= step["axes"].items()]


def read_scores(step: Mapping[str, Any], output: Path) -> list[float]:
    """The score of each question that an evaluation asked, in order."""
    files = [output / step["output"] / name for name in step["result"]["item_files"]]
    return [item.scores[METRIC] for file in files for item in read_items(file)]


def tell_sharing() -> str:
    """Markdown: real tokens for each distinct one within a step of 64 rows, by workload and size of group."""
    tokenizer = load_tokenizer(make_tokenizer_folder())
    lines = ["| workload | rows | one by one | in groups of 4 | in groups of 8 |", "|---|---:|---:|---:|---:|"]
    for name, count in SHARING_ROWS.items():
        drawn, _ = draw_rows(name, count)
        sequences = [sequence for _, sequence in render(drawn, tokenizer)]
        shared = [_shared(sequences, size) for size in SIZES.values()]
        lines.append(f"| {name} | {len(sequences):,} | {' | '.join(f'{value:.2f}' for value in shared)} |")
    return "\n".join(lines)


def _shared(sequences: Sequence[TokenSequence], size: int) -> float:
    groups = None if size == 1 else find_groups(sequences, size=size)
    schedule = Schedule(len(sequences), BATCH, seed=0, data_hash="", groups=groups)
    steps = [[sequences[row] for row in schedule.rows(step)] for step in range(min(STEPS, len(sequences) // BATCH))]
    real = sum(len(sequence.ids) for rows in steps for sequence in rows)
    return real / sum(distinct_tokens(rows) for rows in steps)


def told_over_seeds(points: Sequence[float]) -> str:
    """Student's 95 % interval of the mean in words; a dash for a single seed."""
    if len(points) < 2:
        return "-"
    spread = over_seeds(points)
    return f"{spread['low']:+.1f} to {spread['high']:+.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/grouping"))
    parser.add_argument("--sharing", action="store_true", help="train nothing: count what groups save")
    parser.add_argument("more", nargs="*", help="step.key=value words for the recipe")
    given = parser.parse_args()
    if given.sharing:
        print(tell_sharing())
        return
    steps = run(given.seeds, given.output, given.more)
    print(tell_rows(steps), tell_levels(steps, given.output), sep="\n\n")


if __name__ == "__main__":
    main()
