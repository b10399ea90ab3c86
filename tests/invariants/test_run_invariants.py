"""What must not change the result of a whole run: how a step is cut, whether prefixes are shared, who looks on.

In float32. AdamW divides by the gradient's own size, so a gradient that is zero but for rounding would move its weight
by a whole step; a large epsilon takes that away and leaves the comparison to the gradients.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tests.command_line import precept, read_losses
from torch import Tensor

SETTINGS = ("max_steps=8", "batch_size=8", "learning_rate=1e-2", "dtype=float32", "adam_epsilon=1e-3")
LORA = ("adapter=lora", "lora_r=4")
BOUND = 1e-5


@dataclass(frozen=True)
class Run:
    """What a run left: its losses, the norm of every gradient, its weights, and the tokens that it computed."""

    losses: list[float]
    norms: list[float]
    weights: dict[str, Tensor]
    distinct: int
    eval_first: float | None
    notices: str


@dataclass(frozen=True)
class RunCommand:
    """Trains with the settings that all runs share and some more; equal ones are run once."""

    root: Path
    model: Path
    data: Path
    done: dict[tuple[str, ...], Run]

    def __call__(self, *more: str) -> Run:
        if more not in self.done:
            self.done[more] = self._run(*more)
        return self.done[more]

    def _run(self, *more: str) -> Run:
        output = self.root / str(len(self.done))
        words = ("--model", self.model, "--data", self.data, "-o", output, *SETTINGS, *more, "--json")
        ended = precept("train", "sft", *words)
        assert ended.code == 0, ended.err
        records = [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]
        (weights,) = output.glob("*.safetensors")
        return Run(
            losses=[loss for _, loss in read_losses(output)],
            norms=[record["grad_norm"] for record in records if "grad_norm" in record],
            weights=load_file(weights),
            distinct=ended.json["tokens"]["distinct"],
            eval_first=(ended.json["eval_loss"] or {}).get("first"),
            notices=ended.err,
        )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, base_folder: Path, chat_file: Path) -> RunCommand:
    return RunCommand(tmp_path_factory.mktemp("runs"), base_folder, chat_file, {})


def assert_same(one: Run, other: Run) -> None:
    assert one.losses == pytest.approx(other.losses, rel=BOUND)
    assert one.norms == pytest.approx(other.norms, rel=BOUND)
    assert one.weights.keys() == other.weights.keys()
    for name, weight in one.weights.items():
        difference = (weight - other.weights[name]).norm() / other.weights[name].norm()
        assert difference < BOUND, f"{name}: {difference:.1e}"


@pytest.mark.parametrize("adapter", [(), LORA], ids=["full", "lora"])
def test_cutting_a_step_into_many_forests_changes_nothing(run: RunCommand, adapter: tuple[str, ...]) -> None:
    one, many = run(*adapter), run(*adapter, "max_tokens_per_forest=1")
    assert one.distinct < many.distinct  # the budget rises to the longest sequence, and no further
    assert_same(one, many)


@pytest.mark.parametrize("adapter", [(), LORA], ids=["full", "lora"])
def test_sharing_prefixes_changes_nothing(run: RunCommand, adapter: tuple[str, ...]) -> None:
    shared, separate = run(*adapter, "sharing=on"), run(*adapter, "sharing=off")
    assert shared.distinct < separate.distinct
    assert_same(shared, separate)


def test_recomputing_activations_changes_nothing(run: RunCommand) -> None:
    assert_same(run(), run("gradient_checkpointing=true"))


def test_a_batch_given_as_a_product_is_the_same_batch(run: RunCommand) -> None:
    words = ("--per_device_train_batch_size", "2", "--gradient_accumulation_steps", "4")
    settings = tuple(word for word in SETTINGS if not word.startswith("batch_size"))
    output = run.root / "product"
    ended = precept(*("train", "sft", "--model", run.model, "--data", run.data, "-o", output, *settings, *words))
    assert ended.code == 0, ended.err
    assert [loss for _, loss in read_losses(output)] == run().losses


def test_a_fresh_adapter_starts_from_the_loss_of_the_base(run: RunCommand) -> None:
    base, lora = run("eval_fraction=0.25"), run(*LORA, "eval_fraction=0.25")
    assert base.eval_first is not None and base.eval_first == lora.eval_first
    assert base.losses[0] == pytest.approx(lora.losses[0], rel=1e-6)


def test_evaluating_and_answering_take_nothing_from_the_run(run: RunCommand) -> None:
    drawn = (*LORA, "lora_dropout=0.2", "eval_fraction=0.25")  # dropout reads the random state at every step
    quiet, watched = run(*drawn, "sample_answers=0"), run(*drawn, "eval_steps=1", "sample_answers=2")
    assert quiet.losses == watched.losses
    assert all(torch.equal(weight, watched.weights[name]) for name, weight in quiet.weights.items())
    assert "sharing: off, since dropout is on" in quiet.notices


def test_a_seed_repeats_a_run_and_another_seed_is_another_run(run: RunCommand) -> None:
    first, again, other = run("sharing=on"), run("sharing=auto"), run("seed=7")
    assert first.losses == again.losses != other.losses
    assert all(torch.equal(weight, again.weights[name]) for name, weight in first.weights.items())
