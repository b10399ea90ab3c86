"""``precept plan``: what it counts is what a run does, and what it says when memory does not suffice."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from tests.command_line import Ended, chat_rows, precept, write_rows
from tests.tiny import tiny_model_folder

from precept.errors import WorkError
from precept.run.settings import parse_settings
from precept.run.tuning.memory import told_by_part
from precept.types import Source, TokenSequence

SETTINGS = ("max_steps=5", "batch_size=8", "sample_answers=0")
RECIPE = """
name: two
steps:
  - name: tune
    uses: train.sft
    with: {model: MODEL, data: DATA, adapter: lora, max_steps: 3, batch_size: 8}
  - name: folded
    uses: merge
    with: {adapter: "${tune}"}
  - name: more
    uses: train.sft
    with: {model: "${folded}", data: DATA, max_steps: 2, batch_size: 4}
"""


def planned(*words: str | Path) -> dict[str, Any]:
    ended = precept("plan", *words, "--json")
    assert ended.code == 0, ended.err
    (step,) = ended.json["steps"]
    return dict(step)


@pytest.fixture(scope="module")
def plan(base_folder: Path, chat_file: Path) -> dict[str, Any]:
    return planned("--model", base_folder, "--data", chat_file, *SETTINGS)


def test_a_run_does_what_was_planned(plan: dict[str, Any], base_folder: Path, chat_file: Path, tmp_path: Path) -> None:
    run = precept("train", "sft", "-m", base_folder, "-d", chat_file, "-o", tmp_path / "out", *SETTINGS, "--json").json
    assert plan["optimizer_steps"] == run["steps"] == 5
    assert {key: plan["tokens"][key] for key in run["tokens"]} == run["tokens"]
    manifest = yaml.safe_load((tmp_path / "out" / "run.yaml").read_text())
    assert manifest["tokens_per_forest"] == plan["max_tokens_per_forest"] == 2048
    assert plan["saved_by_sharing"] == pytest.approx(1 - run["tokens"]["distinct"] / run["tokens"]["real"])


def test_the_document_has_every_part(plan: dict[str, Any]) -> None:
    assert (plan["name"], plan["uses"], plan["measured"]) == ("train", "train.sft", "this model")
    memory = plan["memory"]
    assert list(memory["parts"]) == [
        "process",
        "weights",
        "adapter",
        "gradients",
        "optimizer",
        "compute_copies",
        "activations",
        "head",
        "growth",
    ]
    assert memory["parts"]["optimizer"] == 2 * memory["parts"]["weights"]  # two moments a float32 number
    assert memory["low"] < memory["peak"] < memory["high"] and memory["fits"] is True
    assert plan["seconds"]["low"] < plan["seconds"]["value"] < plan["seconds"]["high"]
    assert sum(entry["sequences"] for entry in plan["lengths"]["histogram"]) == plan["lengths"]["sequences"] == 40
    assert all(entry == {"rows": 0, "tokens": 0} for entry in plan["lost"].values())
    # which of them save anything follows from measured activations, a few KiB of this model
    assert plan["changes"] and all(change["saves_bytes"] > 0 for change in plan["changes"])
    # one checkpoint of weights and two moments in float32, and the result in the base's float32
    assert plan["disk_bytes"] == 4 * memory["parts"]["weights"]


def test_it_is_printed_for_people_too(base_folder: Path, chat_file: Path) -> None:
    ended = precept("plan", "--model", base_folder, "--data", chat_file, *SETTINGS)
    assert ended.code == 0
    for words in ("5 optimizer steps", "sharing saves", "measured: this model", "activations", "fits into", "disk:"):
        assert words in ended.out


def test_steps_of_a_recipe_go_on_from_what_is_not_there_yet(tmp_path: Path, base_folder: Path, chat_file: Path) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(RECIPE.replace("MODEL", str(base_folder)).replace("DATA", str(chat_file)))
    ended = precept("plan", recipe, "tune.max_steps=4", "--json", "--device", "h100")
    first, second = ended.json["steps"]
    assert (first["name"], first["optimizer_steps"], second["name"], second["optimizer_steps"]) == (
        "tune",
        4,
        "more",
        2,
    )
    assert first["memory"]["parts"]["adapter"] > 0 and second["memory"]["parts"]["adapter"] == 0
    assert "which it is made from" in ended.err
    assert not list(tmp_path.glob("runs*"))


def test_another_machine_is_planned_by_stated_figures(base_folder: Path, chat_file: Path) -> None:
    words = ("--model", base_folder, "--data", chat_file, *SETTINGS, "--device", "h100")
    one, eight = planned(*words), planned(*words, "--count", "8")
    assert one["memory"]["available"] == 80 * 2**30
    assert eight["seconds"]["value"] < one["seconds"]["value"]
    assert "stated peak figures of 8 x h100" in eight["measured"]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--device", "h1000", "MODEL"], "did you mean 'h100'?"),
        (["--count", "2", "MODEL"], "add --device"),
        ([], "--model M"),
        (["sft", "MODEL"], "step.model=M"),
        (["no-such-recipe"], "no-such-recipe"),
        (["MODEL", "max_step=3"], "'max_steps'?"),
    ],
)
def test_wrong_input_is_told(words: list[str], code: str, base_folder: Path, chat_file: Path) -> None:
    model = ["--model", str(base_folder), "--data", str(chat_file)]
    ended = precept("plan", *(part for word in words for part in (model if word == "MODEL" else [word])))
    assert ended.code == 2 and code in ended.err, ended.err


def test_rows_that_are_too_long_are_counted_under_each_policy(base_folder: Path, tmp_path: Path) -> None:
    long = [{"messages": [{"role": "user", "content": "tell me " * 90}, {"role": "assistant", "content": "no"}]}]
    data = write_rows(tmp_path / "rows.jsonl", [*chat_rows(10), *long])
    plan = planned("--model", base_folder, "--data", data, *SETTINGS, "max_length=128")
    assert plan["refused"] == 1 and plan["lost"]["drop"]["rows"] == 1
    assert plan["lost"]["cut_left"]["rows"] == 0 and plan["lost"]["cut_left"]["tokens"] > 0


def sparse_model(folder: Path, *, layers: int) -> Path:
    """A model folder of any size on paper: its weights are a hole in a file, after a header that names them."""
    tiny_model_folder(folder)
    config = json.loads((folder / "config.json").read_text())
    config |= {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": layers, "head_dim": 256}
    (folder / "config.json").write_text(json.dumps(config))
    tokens, inner = config["vocab_size"], {"gate": (4096, 1024), "up": (4096, 1024), "down": (1024, 4096)}
    shapes: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (tokens, 1024), "model.norm.weight": (1024,)}
    shapes["lm_head.weight"] = (tokens, 1024)
    for i in range(layers):
        place = f"model.layers.{i}"
        shapes |= {f"{place}.mlp.{name}_proj.weight": shape for name, shape in inner.items()}
        shapes |= {
            f"{place}.self_attn.{n}_proj.weight": (w, 1024) for n, w in zip("qkvo", (1024, 512, 512, 1024), strict=True)
        }
        shapes |= {f"{place}.{name}_layernorm.weight": (1024,) for name in ("input", "post_attention")}
    header, offset = {}, 0
    for name, shape in shapes.items():
        size = 2 * torch.Size(shape).numel()
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + offset)
    return folder


def test_a_model_that_does_not_fit_is_measured_on_its_first_layers(tmp_path: Path, chat_file: Path) -> None:
    folder = sparse_model(tmp_path / "large", layers=2000)
    plan = planned("--model", folder, "--data", chat_file, *SETTINGS, "chat_template=chatml")
    assert plan["measured"] == "its first 2 layers"
    memory = plan["memory"]
    assert not memory["fits"] and memory["parts"]["weights"] > 100 * 2**30
    saved = {change["change"].partition("=")[0]: change["saves_bytes"] for change in plan["changes"]}
    assert saved["adapter"] > memory["peak"] / 2


def test_a_resumed_run_keeps_its_budget(base_folder: Path, chat_file: Path, tmp_path: Path) -> None:
    words = ("train", "sft", "-m", base_folder, "-d", chat_file, "-o", tmp_path / "out", *SETTINGS)
    assert precept(*words).code == 0
    path = tmp_path / "out" / "run.yaml"
    path.write_text(path.read_text().replace("tokens_per_forest: 2048", "tokens_per_forest: 300"))
    (tmp_path / "out" / "COMPLETED").unlink()
    again = precept(*words)
    assert again.code == 0 and "300 distinct tokens a forest" in again.err
    assert yaml.safe_load(path.read_text())["tokens_per_forest"] == 300


def test_running_out_of_memory_names_the_part_and_what_to_change(tmp_path: Path) -> None:
    """Eager attention over 10,000 tokens wants 1.6 GB for the scores of a layer; the process may have 4 GB in all."""
    model = tiny_model_folder(tmp_path / "model")
    texts = [{"text": f"{i} " + " ".join(str(i * k) for k in range(60))} for i in range(40)]
    data = write_rows(tmp_path / "rows.jsonl", texts)
    words = ["train", "sft", "-m", str(model), "-d", str(data), "-o", str(tmp_path / "out"), "max_steps=2"]
    words += ["batch_size=40", "max_tokens_per_forest=100000", "attn_implementation=eager", "over_length=cut_right"]
    ended = limited_memory(4 << 30, *words)
    assert ended.code == 1 and "Traceback" not in ended.err, ended.err
    assert "does not suffice for activations and gradients of a forest of" in ended.err
    assert "max_tokens_per_forest=" in ended.err and "gradient_checkpointing=true saves about" in ended.err
    assert "last checkpoint is kept" in ended.err


def test_running_out_of_memory_while_loading_names_the_weights_and_what_to_change(tmp_path: Path) -> None:
    model = tiny_model_folder(tmp_path / "model")
    sequences = [TokenSequence(np.arange(9, dtype=np.int32), np.ones(9, np.float32), Source("rows.jsonl", 1, "0" * 16))]
    with pytest.raises(WorkError) as stopped, told_by_part(model, parse_settings({}), sequences, loaded=None, tokens=0):
        raise MemoryError
    assert stopped.value.code == "out-of-memory"
    assert "does not suffice for the weights of the model" in str(stopped.value)
    assert "adapter=lora saves about" in stopped.value.do
    assert "max_tokens_per_forest" not in stopped.value.do  # there is no forest yet


def limited_memory(most: int, *words: str) -> Ended:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (most, most))

    command = [sys.executable, "-m", "precept.cli", *words]
    ended = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    return Ended(ended.returncode, ended.stdout, ended.stderr)
