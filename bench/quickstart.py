"""Run the quickstart with several seeds and print one table: exact match by level, mean and range over seeds.

python -m bench.quickstart --seeds 0 1 2 -o .bench/quickstart
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from statistics import mean
from typing import Any

from precept.evaluate.score_tables import format_p


def run(seeds: list[int], output: Path) -> list[dict[str, Any]]:
    """The documents of the runs, one process a seed."""
    documents = []
    for seed in seeds:
        command = [sys.executable, "-m", "precept.cli", "quickstart", "--json", "--seed", str(seed)]
        ended = subprocess.run([*command, "-o", str(output / f"seed-{seed}")], check=True, stdout=subprocess.PIPE)
        documents.append(json.loads(ended.stdout))
    return documents


def table(documents: list[dict[str, Any]]) -> str:
    """Markdown: a line a level. p is the largest of the seeds'."""
    lines = [
        "| level | items | base, best way | best of all others | tuned | tuned, by seed | p |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in documents[0]["levels"]:
        levels = [document["levels"][name] for document in documents]
        exact = [level["tuned"]["exact_match"]["value"] for level in levels]
        best = [
            own - level["best_other"]["difference"]["exact_match"]["value"]
            for own, level in zip(exact, levels, strict=True)
        ]
        base = mean(level["base"]["exact_match"]["value"] for level in levels)
        others = " / ".join(dict.fromkeys(level["best_other"]["name"] for level in levels))
        p = max(level["best_other"]["difference"]["exact_match"]["p"] for level in levels)
        by_seed = ", ".join(f"{100 * value:.1f}" for value in exact)
        lines.append(
            f"| {name.replace('_', ' ')} | {levels[0]['tuned']['exact_match']['n']:,} | {100 * base:.1f} |"
            f" {100 * mean(best):.1f} ({others}) | {100 * mean(exact):.1f} | {by_seed} |"
            f" {format_p(p)} |"
        )
    seconds = ", ".join(f"{document['seconds']:.0f}" for document in documents)
    return "\n".join([*lines, "", f"Seconds from start to page: {seconds}."])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/quickstart"))
    given = parser.parse_args()
    print(table(run(given.seeds, given.output)))


if __name__ == "__main__":
    main()
