"""Predicted against measured memory and time of training, for recipes of different kind, as a markdown table.

python -m bench.plan --data ../shared/data/llama_factory/alpaca_en_demo.json ../shared/data/superni -o .bench/plan

Each recipe is planned in one process and run in another; memory is the peak of resident memory of the run, time the
``seconds`` of its result. Models are those of ``bench.small_models``. Give the machine nothing else to do.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.small_models import make_models

GIB = 2**30


@dataclass(frozen=True)
class Case:
    """A recipe: its name, the model, and settings beside those of all."""

    name: str
    model: str
    settings: tuple[str, ...]


CASES = (
    Case("full, Llama 9M", "llama", ("max_steps=8",)),
    Case("full, Qwen3 13M, tied", "qwen3", ("max_steps=8",)),
    Case("float32 arithmetic", "llama", ("max_steps=8", "dtype=float32")),
    Case("LoRA", "llama", ("max_steps=8", "adapter=lora")),
    Case("DoRA, rank 64", "qwen3", ("max_steps=8", "adapter=dora", "lora_r=64")),
    Case("activations recomputed", "qwen3", ("max_steps=8", "gradient_checkpointing=true")),
    Case("no sharing", "llama", ("max_steps=8", "sharing=off")),
    Case("eager attention", "llama", ("max_steps=8", "attn_implementation=eager")),
    Case("forests of 512", "llama", ("max_steps=8", "max_tokens_per_forest=512")),
    Case("forests of 8,192", "llama", ("max_steps=8", "max_tokens_per_forest=8192")),
    Case("batches of 4", "qwen3", ("max_steps=60", "batch_size=4")),
    Case("evaluations and checkpoints", "llama", ("max_steps=8", "eval_fraction=0.1", "eval_steps=4", "save_steps=2")),
)


def compare(case: Case, folder: Path, data: Sequence[str], output: Path) -> dict[str, Any]:
    """Plan and run one recipe; predicted and measured bytes and seconds."""
    words = ["--model", str(folder), *(word for path in data for word in ("--data", path)), "--json"]
    settings = ["chat_template=chatml", "over_length=drop", "save_dtype=float32", *case.settings]
    planned, _ = _run(["plan", *words, *settings])
    run, peak = _run(["train", "sft", *words, "-o", str(output), "--fresh", *settings])
    step = planned["steps"][0]
    assert step["tokens"]["real"] == run["tokens"]["real"], "the plan counts what the run reads"
    return {
        "name": case.name,
        "memory": (step["memory"]["peak"], peak),
        "seconds": (step["seconds"]["value"], run["seconds"]),
        "interval": (step["seconds"]["low"], step["seconds"]["high"]),
        "distinct": (step["tokens"]["distinct"], run["tokens"]["distinct"]),
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """The comparison as markdown, with the median and the largest error."""
    lines = ["| recipe | memory predicted | measured | error | time predicted (interval) | measured | error |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    for result in results:
        (memory, peak), (seconds, took), (low, high) = result["memory"], result["seconds"], result["interval"]
        lines.append(
            f"| {result['name']} | {memory / GIB:.2f} GiB | {peak / GIB:.2f} GiB | {100 * (memory / peak - 1):+.1f} %"
            f" | {seconds:.1f} s ({low:.0f} to {high:.0f}) | {took:.1f} s | {100 * (seconds / took - 1):+.1f} % |"
        )
    for key in ("memory", "seconds"):
        errors = [abs(result[key][0] / result[key][1] - 1) for result in results]
        lines.append(
            f"\n{key}: median error {100 * statistics.median(errors):.1f} %, largest {100 * max(errors):.1f} %"
        )
    return "\n".join(lines)


def _run(words: list[str]) -> tuple[dict[str, Any], int]:
    """The JSON document of a command and the peak of its process in bytes."""
    command = [sys.executable, "-m", "precept.cli", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        document = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed with {process.returncode}: {' '.join(command)}")
    return json.loads(document), usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/plan"))
    parser.add_argument("--only", nargs="*", help="Parts of the names of recipes.")
    arguments = parser.parse_args()
    folders = make_models(arguments.data, arguments.output / "models")
    results = []
    for case in CASES:
        if arguments.only and not any(part in case.name for part in arguments.only):
            continue
        results.append(compare(case, folders[case.model], arguments.data, arguments.output / "run"))
        print(json.dumps(results[-1]), file=sys.stderr)
    print(table(results))


if __name__ == "__main__":
    main()
