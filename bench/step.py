"""Precept's training step alone: tokens a second and percent of the machine's matrix rate, without a peer.

python -m bench.step --workload superni alpaca --size 20m 125m

The same rows, models and repetitions as ``bench.sft``, whose matrix rate and count of operations it uses. To compare
two versions of the package, run it for each in turn with PYTHONPATH. Give the machine nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence

from bench.flops import LlamaShape, workload_flops
from bench.models import SHAPES
from bench.peers import PRECEPT
from bench.ratios import rates
from bench.runners.protocol import Settings
from bench.sft import matrix_rate, prepare
from bench.side import running
from bench.workloads import ROWS


def step_figures(workload: str, size: str, *, threads: int, repetitions: int, settings: Settings) -> dict[str, object]:
    """Rates of the median repetition after an untimed one, and the peak of resident memory."""
    rows, work = prepare(workload, size, device="cpu", threads=threads, rows=None)
    with running(PRECEPT, work, [settings], repetitions=repetitions + 1) as side:
        computed = int(side.repetition()["computed_tokens"])
        seconds = [float(side.repetition()["seconds"]) for _ in range(repetitions)]
        side.end_trial()
        peak = side.peak_bytes()
    figures = rates(
        seconds,
        real_tokens=rows.real_tokens,
        trained_tokens=rows.trained_tokens,
        flops=workload_flops(LlamaShape.read(work.model), rows.batches),
    )
    share = figures["flops_per_second"] / matrix_rate(work)["bfloat16"]["cube"]
    counts = {"computed_tokens": computed, "real_tokens": rows.real_tokens, "distinct_share": rows.distinct_share}
    return {"workload": workload, "size": size, **counts, **figures, "share_of_matrix_rate": share, "peak_bytes": peak}


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=sorted(ROWS), nargs="+", default=list(ROWS))
    parser.add_argument("--size", choices=sorted(SHAPES), nargs="+", default=["20m"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--max-tokens-per-forest", type=int, help="in place of what the package chooses")
    parser.add_argument("--repetitions", type=int, default=3)
    given = parser.parse_args(words)
    budget = given.max_tokens_per_forest
    settings = {} if budget is None else {"max_tokens_per_forest": budget}
    for size in given.size:
        for workload in given.workload:
            figures = step_figures(
                workload, size, threads=given.threads, repetitions=given.repetitions, settings=settings
            )
            print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
