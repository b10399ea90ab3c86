"""SIGKILL at any moment, and the same command again: bit-identical weights and the same loss sequence.

A server process that has imported everything forks the runs, so that each starts within milliseconds. Moments are
drawn from a seed: some by the clock, from the first file of a run to its last; some by the number of steps done, so
that a slow machine meets them too; some while a checkpoint or the model is being written.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import read_losses

STEPS = 12
SETTINGS = {"max_steps": STEPS, "batch_size": 4, "save_steps": 2, "learning_rate": 0.01, "sample_answers": 1}
EVALUATION = {"eval_fraction": 0.2, "eval_steps": 6}
# Dropout makes the adapter's run depend on the random state that a checkpoint puts back.
ADAPTERS: dict[str, dict[str, Any]] = {
    "none": {**SETTINGS, **EVALUATION},
    "lora": {**SETTINGS, **EVALUATION, "adapter": "lora", "lora_dropout": 0.1},
}
WARM = [
    "pytest",
    "precept.cli",
    "precept.run.tuning.train",
    "precept.run.tuning.training",
    "precept.decode.greedy",
    "transformers.models.llama.modeling_llama",
    "transformers.models.auto.tokenization_auto",
    "transformers.generation.configuration_utils",
    "transformers.generation.utils",
    "peft.tuners.lora.bnb",
    "safetensors.torch",
]
Reached = Callable[[Path, float], bool]


@pytest.fixture(scope="module")
def warmed() -> ForkServerContext:
    """A process that holds torch, transformers and precept, ready to fork."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(WARM)
    return context


def _train(model: Path, data: Path, output: Path, pairs: dict[str, Any]) -> None:
    from precept.run.tuning.train import train

    log = os.open(output.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    train("sft", model=str(model), data=[str(data)], output=output, pairs=pairs)


@dataclass(frozen=True)
class Command:
    """One training command; it may be started as often as one likes."""

    context: ForkServerContext
    model: Path
    data: Path
    pairs: dict[str, Any]

    def start(self, output: Path) -> BaseProcess:
        process = self.context.Process(target=_train, args=(self.model, self.data, output, self.pairs))
        process.start()
        return process

    def finish(self, output: Path) -> float:
        """Run to the end; returns the seconds it took."""
        began = time.perf_counter()
        process = self.start(output)
        process.join(120)
        assert process.exitcode == 0, output.with_suffix(".log").read_text()
        return time.perf_counter() - began

    def kill(self, output: Path, reached: Reached) -> bool:
        """Start, kill at the moment, and tell whether the run was killed before its end."""
        process = self.start(output)
        began = time.perf_counter()
        while process.is_alive() and not reached(output, time.perf_counter() - began):
            time.sleep(0.0002)
        process.kill()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL), output.with_suffix(".log").read_text()
        return process.exitcode != 0 and not (output / "COMPLETED").is_file()


def by_clock(seconds: float) -> Reached:
    return lambda output, passed: passed >= seconds


def steps_done(count: int) -> Reached:
    """Some steps, and whatever comes between them, are through."""
    return lambda output, passed: lines_of(output / "metrics.jsonl") >= count


def writing_checkpoint(first: int) -> Reached:
    """A checkpoint from step ``first`` on is half written."""
    names = {f"checkpoint-{step}.partial" for step in range(first, STEPS + 1)}
    return lambda output, passed: not names.isdisjoint(names_in(output))


def writing_model(output: Path, passed: float) -> bool:
    return ".saving" in names_in(output)


def lines_of(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def names_in(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.is_dir() else []


def moments(rng: random.Random, *, duration: float) -> Iterator[list[Reached]]:
    """Ten of them; at the last one the second attempt is killed too."""
    for _ in range(4):
        yield [by_clock(rng.uniform(0.02, 0.9) * duration)]
    for _ in range(2):
        yield [steps_done(rng.randint(2, STEPS))]
    for _ in range(2):
        yield [writing_checkpoint(rng.randint(3, STEPS - 3))]
    yield [writing_model]
    yield [writing_checkpoint(rng.randint(3, 5)), steps_done(rng.randint(8, STEPS))]


@dataclass(frozen=True)
class Trace:
    """What must be the same: the weights bit for bit, every loss, and the result without its times."""

    weights: dict[str, bytes]
    losses: list[tuple[int, float]]
    evaluations: list[tuple[int, float]]
    result: dict[str, Any]


def trace(output: Path) -> Trace:
    records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
    result = json.loads((output / "COMPLETED").read_text())
    return Trace(
        weights={path.name: path.read_bytes() for path in sorted(output.glob("*.safetensors"))},
        losses=read_losses(output),
        evaluations=[(r["step"], r["eval_loss"]) for r in records if "eval_loss" in r],
        result={k: v for k, v in result.items() if k not in {"output", "seconds", "tokens_per_second"}},
    )


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_killed_at_ten_moments_and_run_again_gives_the_same_bits(
    tmp_path: Path, warmed: ForkServerContext, base_folder: Path, chat_file: Path, adapter: str
) -> None:
    command = Command(warmed, base_folder, chat_file, ADAPTERS[adapter])
    command.finish(tmp_path / "first")  # the server starts with it
    duration = command.finish(tmp_path / "whole")
    whole = trace(tmp_path / "whole")
    assert [step for step, _ in whole.losses] == list(range(1, STEPS + 1))
    assert whole.weights and trace(tmp_path / "first") == whole

    killed = torn = resumed = 0
    for number, attempts in enumerate(moments(random.Random(f"moments of {adapter}"), duration=duration)):
        output = tmp_path / str(number)
        for reached in attempts:
            killed += command.kill(output, reached)
            left = names_in(output)
            torn += ".saving" in left or any(name.endswith(".partial") for name in left)
            resumed += any(name.startswith("checkpoint-") and not name.endswith(".partial") for name in left)
        command.finish(output)
        assert trace(output) == whole, f"moment {number}: {output.with_suffix('.log').read_text()}"
        assert not [name for name in names_in(output) if name.startswith("checkpoint-") or name.endswith(".partial")]
    assert killed >= 8, "most of the runs must be killed before they end"
    assert torn >= 1, "a write must be torn"
    assert resumed >= 3, "several runs must go on from a checkpoint"


def test_killed_four_times_on_the_command_line_and_run_again_gives_the_same_bits(
    tmp_path: Path, warmed: ForkServerContext, base_folder: Path, chat_file: Path
) -> None:
    pairs = ADAPTERS["none"]
    Command(warmed, base_folder, chat_file, pairs).finish(tmp_path / "whole")
    output = tmp_path / "out"
    words = [sys.executable, "-m", "precept", "train", "sft", "--model", str(base_folder), "--data", str(chat_file)]
    words += ["-o", str(output), *(f"{key}={value}" for key, value in pairs.items())]
    killed = 0
    for steps in (2, 5, 8, 11):  # each later than the attempt before it came
        reached = steps_done(steps)
        with (tmp_path / "log").open("ab") as log, subprocess.Popen(words, stdout=log, stderr=log) as process:
            while process.poll() is None and not reached(output, 0.0):
                time.sleep(0.001)
            process.kill()
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 3
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    assert trace(output) == trace(tmp_path / "whole")
