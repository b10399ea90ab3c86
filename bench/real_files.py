"""Tune small random models on real files from the command line, evaluate them, and print a Markdown table.

    python -m bench.real_files --data ../shared/data -o .bench/real

Each line is one ``precept train sft`` with a tenth of the rows held out. A finished run is reused. With
``--bundled`` the bundled base is tuned instead, all weights, on four kinds of files, rows up to its context.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.small_models import make_models

WORKLOADS = {
    "alpaca": ["llama_factory/alpaca_en_demo.json"],
    "p3": ["p3/ag_news", "p3/quartz", "p3/sciq", "p3/common_gen"],
    "superni": ["superni/tasks"],
    "sharegpt": ["fastchat/dummy_conversation.json"],
    "tool calls": ["llama_factory/glaive_toolcall_en_demo.json"],
    "mgsm": ["mgsm"],
}
BUNDLED = ("alpaca", "p3", "sharegpt", "superni")
FAMILIES = ("llama", "qwen3")
TEMPLATES = {"llama": "plain", "qwen3": "chatml", "bundled": "plain"}
ADAPTERS = {"none": "learning_rate=1e-3", "lora": "learning_rate=5e-3"}
EVALUATED = ["superni/tasks/task363_sst2_polarity_classification.json#100", "bbh/boolean_expressions.json#100"]


def precept(*arguments: str) -> dict[str, Any]:
    """Run the command line in a fresh process; returns its JSON document."""
    done = subprocess.run([sys.executable, "-m", "precept", *arguments, "--json"], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"precept {' '.join(arguments)}\nended with {done.returncode}:\n{done.stderr}")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def tune(
    model: Path, adapter: str, files: list[str], output: Path, *, steps: int, max_length: int = 1024
) -> dict[str, Any]:
    """One training run on real files, with what was kept and lost of the rows."""
    data = [word for file in files for word in ("--data", file)]
    result = precept(
        *("train", "sft", "--model", str(model), *data, "-o", str(output)),
        *(f"adapter={adapter}", ADAPTERS[adapter], f"chat_template={TEMPLATES[model.name]}"),
        *(f"max_steps={steps}", "eval_fraction=0.1", f"max_length={max_length}", "over_length=drop", "bad_rows=drop"),
        *("batch_size=16", "sample_answers=0"),
    )
    manifest = json.loads((output / "data_manifest.json").read_text())
    return {**result, "rows": manifest["rows"]}


HEAD = """| data | model | adapter | rows kept | rows lost | held-out loss before | after | real / distinct |
|---|---|---|---|---|---|---|---|"""


def line(name: str, family: str, adapter: str, result: dict[str, Any]) -> str:
    """A line of the table."""
    rows, evaluation, tokens = result["rows"], result["eval_loss"], result["tokens"]
    return (
        f"| {name} | {family} | {adapter} | {rows['trained'] + rows['held_out']} | {rows['left_out']} |"
        f" {evaluation['first']:.3f} | {evaluation['last']:.3f} | {tokens['real'] / tokens['distinct']:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/real"))
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--bundled", action="store_true")
    arguments = parser.parse_args()
    files = {name: [str(arguments.data / file) for file in paths] for name, paths in WORKLOADS.items()}
    if arguments.bundled:
        print(HEAD)
        for name in BUNDLED:
            output = arguments.output / f"{name}-bundled"
            result = tune(Path("bundled"), "none", files[name], output, steps=arguments.steps, max_length=2048)
            print(line(name, "bundled", "none", result), flush=True)
        return
    folders = make_models([file for group in files.values() for file in group], arguments.output / "models")
    print(HEAD)
    for name, group in files.items():
        for family, model in folders.items():
            for adapter in ADAPTERS:
                output = arguments.output / f"{name.replace(' ', '_')}-{family}-{adapter}"
                result = tune(model, adapter, group, output, steps=arguments.steps)
                print(line(name, family, adapter, result), flush=True)
    evaluate(arguments.data, arguments.output)


def evaluate(data: Path, output: Path) -> None:
    """Score the models tuned on Super-NI, against their bases, on a Super-NI task and a BBH file."""
    print("\n| model | task | metric | tuned % (95 %) | base % (95 %) |\n|---|---|---|---|---|")
    tasks = [word for file in EVALUATED for word in ("--task", str(data / file))]
    for family in FAMILIES:
        for adapter in ADAPTERS:
            tuned = output / f"superni-{family}-{adapter}"
            template = ("--chat-template", TEMPLATES[family])
            scores = precept("eval", "--model", str(tuned), *tasks, "-o", str(output / "eval"))
            base = precept(
                *("eval", "--model", str(output / "models" / family), *tasks, *template),
                *("-o", str(output / "eval"), "--max-new-tokens", "16"),
            )
            for task, metrics in scores["tasks"].items():
                for metric, score in metrics.items():
                    other = base["tasks"][task][metric]
                    print(f"| {family} {adapter} | {task} | {metric} | {cell(score)} | {cell(other)} |", flush=True)


def cell(score: dict[str, float]) -> str:
    """A score in per cent with its interval."""
    return f"{100 * score['value']:.1f} ({100 * score['low']:.1f} to {100 * score['high']:.1f})"


if __name__ == "__main__":
    main()
