"""The flat loop in ``examples`` runs, stays short, and trains as the command does."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from tests.command_line import precept, read_losses
from transformers import AutoModelForCausalLM

SCRIPT = Path(__file__).parents[2] / "examples" / "supervised.py"


def test_the_example_stays_under_200_lines() -> None:
    assert len(SCRIPT.read_text().splitlines()) < 200


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_the_example_has_the_losses_of_the_command(
    tmp_path: Path, base_folder: Path, chat_file: Path, adapter: str, capsys: pytest.CaptureFixture[str]
) -> None:
    train = runpy.run_path(str(SCRIPT))["train"]
    settings = {"batch_size": 8, "learning_rate": 1e-2, "adapter": adapter, "dtype": "float32"}
    losses = train(str(base_folder), [str(chat_file)], tmp_path / "example", steps=8, **settings)
    words = [*(f"{key}={value}" for key, value in settings.items()), "max_steps=8"]
    constant = ["lr_scheduler_type=constant", "warmup_ratio=0", "max_tokens_per_forest=2048"]
    ended = precept(
        *("train", "sft", "--model", base_folder, "--data", chat_file, "-o", tmp_path / "command", *words, *constant)
    )
    assert ended.code == 0, ended.err
    assert losses == pytest.approx([loss for _, loss in read_losses(tmp_path / "command")], rel=1e-5)
    assert losses[-1] < losses[0] - 0.1
    assert "step 8/8  loss" in capsys.readouterr().out
    if adapter == "none":
        assert AutoModelForCausalLM.from_pretrained(tmp_path / "example").generation_config.eos_token_id == 4
