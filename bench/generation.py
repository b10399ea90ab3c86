"""Greedy generation for prompts that share worked examples: Precept beside ``generate`` of transformers.

python -m bench.generation --workload mmlu bbh [--pairs 5] [--items 32] [--new-tokens 32] [--json]

Both sides get the same model and the same prompts as token ids; every prompt goes on for the same number of tokens,
since nothing ends it. In float32 the tokens must be equal before anything is timed. Then Precept in bfloat16 takes
turns with the peer, which pads on the left, at the fastest of 1 to 64 prompts a batch and of float32 and bfloat16,
searched on a part of the prompts once a machine.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.alternate import Side, answer_questions, compare

BATCHES = (1, 4, 16, 32, 64)
DTYPES = ("float32", "bfloat16")
PART = 4  # the search runs one prompt in so many

Generate = Callable[[list[list[int]], int, int], list[list[int]]]
"""Prompts, new tokens, prompts a batch -> the new tokens of each prompt."""


def run(workload: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """One workload's document."""
    from bench.questions import make_model, make_questions, read_tokenizer

    folder = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    model = make_model(folder / "model", data=arguments.data)
    questions = make_questions(workload, read_tokenizer(model), data=arguments.data, items=arguments.items)
    prompts = [list(question.context) for question in questions]
    path = folder / f"prompts-{workload}-{arguments.items}.json"
    path.write_text(json.dumps(prompts))
    new = arguments.new_tokens

    def open_side(side: str, dtype: str) -> Side:
        words = [sys.executable, "-m", "bench.generation", "--side", side, "--model", str(model / dtype)]
        return Side([*words, "--prompts", str(path), "--threads", str(arguments.threads)], folder / f"{side}.log")

    with open_side("precept", "float32") as ours, open_side("transformers", "float32") as theirs:
        mine, other = (side.ask(part=PART, new_tokens=new, batch_size=16)["tokens"] for side in (ours, theirs))
        if mine != other:
            unequal = sum(a != b for a, b in zip(mine, other, strict=True))
            raise SystemExit(f"{unequal} of {len(mine)} prompts go on otherwise: nothing is timed")
    dtype, batch_size = _best(lambda dtype: open_side("transformers", dtype), folder / f"best-{path.name}", new)
    with open_side("precept", "bfloat16") as ours, open_side("transformers", dtype) as theirs:
        result = compare(ours, theirs, pairs=arguments.pairs, part=1, new_tokens=new, batch_size=batch_size)
    for side in ("ours", "theirs"):
        result[side]["prompts_per_second"] = len(prompts) / result[side]["seconds"]
    return {
        "workload": workload,
        "peer": f"transformers=={importlib.metadata.version('transformers')}",
        "settings": {"dtype": dtype, "batch_size": batch_size},
        "prompts": len(prompts),
        "new_tokens": new,
        "tasks": len({question.task for question in questions}),
        "compared": len(mine),
        **result,
    }


def _best(open_peer: Callable[[str], Side], path: Path, new: int) -> tuple[str, int]:
    """The peer's fastest precision and batch size on a part of the prompts, kept for this machine."""
    known = json.loads(path.read_text()) if path.is_file() else {}
    key = f"{platform.node()} {platform.processor()}"
    if key not in known:
        seconds = {}
        for dtype in DTYPES:
            with open_peer(dtype) as theirs:
                theirs.ask(part=4 * PART, new_tokens=new, batch_size=4)
                for size in BATCHES:
                    seconds[dtype, size] = theirs.ask(part=PART, new_tokens=new, batch_size=size)["seconds"]
                    print(f"generate {dtype}, batches of {size}: {seconds[dtype, size]:.2f} s", file=sys.stderr)
        known[key] = min(seconds, key=lambda choice: seconds[choice])
        path.write_text(json.dumps(known))
    dtype, size = known[key]
    return str(dtype), int(size)


def generate_with_precept(model: str) -> Generate:
    """The sampler of ``precept eval``."""
    import numpy as np

    from precept.run.opened import open_model

    opened = open_model(model, chat_template=None)
    opened.chosen  # noqa: B018  # the probe, which runs once a model

    def generate(prompts: list[list[int]], new: int, _: int) -> list[list[int]]:
        ids = [np.array(prompt, np.int32) for prompt in prompts]
        return [list(one.ids) for one in opened.sampler(stop_ids=[]).generate(ids, max_new_tokens=new)]

    return generate


def generate_with_transformers(model: str) -> Generate:
    """``generate`` on prompts of like length, padded on the left."""
    import torch
    from transformers import AutoModelForCausalLM

    peer = AutoModelForCausalLM.from_pretrained(model, dtype="auto").eval()
    peer.generation_config.eos_token_id = None

    def generate(prompts: list[list[int]], new: int, batch_size: int) -> list[list[int]]:
        order = sorted(range(len(prompts)), key=lambda index: -len(prompts[index]))
        tokens: dict[int, list[int]] = {}
        for start in range(0, len(order), batch_size):
            batch = order[start : start + batch_size]
            longest = len(prompts[batch[0]])
            ids = torch.tensor([[0] * (longest - len(prompts[i])) + prompts[i] for i in batch])
            mask = torch.tensor([[0] * (longest - len(prompts[i])) + [1] * len(prompts[i]) for i in batch])
            with torch.no_grad():
                output = peer.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new, do_sample=False)
            tokens |= zip(batch, output[:, longest:].tolist(), strict=True)
        return [tokens[index] for index in range(len(prompts))]

    return generate


def serve(side: str, model: str, path: str, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    generate = {"precept": generate_with_precept, "transformers": generate_with_transformers}[side](model)
    prompts = json.loads(Path(path).read_text())

    def work(question: dict[str, Any]) -> dict[str, Any]:
        chosen = prompts[:: question["part"]]
        start = time.perf_counter()
        tokens = generate(chosen, question["new_tokens"], question["batch_size"])
        return {"seconds": time.perf_counter() - start, "tokens": tokens}

    answer_questions(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", nargs="+", choices=("mmlu", "bbh"), default=["mmlu", "bbh"])
    parser.add_argument("--items", type=int, default=32, help="Prompts a task.")
    parser.add_argument("--new-tokens", type=int, default=32)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/scoring"))
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--side", choices=("precept", "transformers"), help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--prompts", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        return serve(arguments.side, arguments.model, arguments.prompts, arguments.threads)
    results = [run(workload, arguments) for workload in arguments.workload]
    if arguments.json:
        print(json.dumps(results, indent=2))
    else:
        print(table(results))
    return None


def table(results: list[dict[str, Any]]) -> str:
    """The comparison as markdown."""
    lines = ["| workload | prompts | tasks | new tokens | ours, prompts/s | generate | ratio (low to high) | peer |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|---|"]
    for result in results:
        ratio, settings = result["ratio"], result["settings"]
        lines.append(
            f"| {result['workload']} | {result['prompts']} | {result['tasks']} | {result['new_tokens']} |"
            f" {result['ours']['prompts_per_second']:.1f} | {result['theirs']['prompts_per_second']:.1f} |"
            f" {ratio['median']:.1f} ({ratio['low']:.1f} to {ratio['high']:.1f}) |"
            f" {settings['dtype']}, batches of {settings['batch_size']} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
