"""Every kind of model and adapter trains by the same command and opens in a fresh process with plain libraries.

The fresh process imports neither precept nor anything of these tests. It opens all folders at once, since importing
transformers takes most of its time.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.command_line import Ended, precept, write_rows
from tests.tiny import BOS, CHATML, EOS, PAD, tiny_model_folder, tiny_tokenizer
from torch import Tensor

from precept.models.load import load_model
from precept.models.settings import ModelSettings

FAMILIES = ["qwen3", "gemma3", "gpt_oss", "gpt_neox", "bloom", "t5"]
ADAPTERS = ["lora", "dora", "qlora"]
HAS_NF4 = importlib.util.find_spec("bitsandbytes") is not None
SETTINGS = ["max_steps=6", "batch_size=8", "learning_rate=1e-2", "sample_answers=0", "dtype=float32"]
END, IM_END = 2, 4  # ids of <|endoftext|> and <|im_end|>

PLAIN = """
import json, sys
import torch
from pathlib import Path
from peft import PeftModel
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, AutoTokenizer, GenerationConfig

report, logits = {}, {}
for folder in sys.argv[2:]:
    name, tokenizer = Path(folder).name, AutoTokenizer.from_pretrained(folder)
    if (Path(folder) / "adapter_config.json").is_file():
        base = json.loads((Path(folder) / "adapter_config.json").read_text())["base_model_name_or_path"]
        model = AutoModelForCausalLM.from_pretrained(base)
        if model.get_input_embeddings().num_embeddings < len(tokenizer):
            model.resize_token_embeddings(len(tokenizer))
        model = PeftModel.from_pretrained(model, folder).eval()
    else:
        kind = json.loads((Path(folder) / "config.json").read_text()).get("is_encoder_decoder")
        model = (AutoModelForSeq2SeqLM if kind else AutoModelForCausalLM).from_pretrained(folder)
    ids = torch.arange(3, 43)[None]
    inputs = {"input_ids": ids, "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}
    with torch.no_grad():
        logits[name] = model.eval()(**inputs).logits[0].contiguous()
    report[name] = {"eos": GenerationConfig.from_pretrained(folder).eos_token_id, "template": tokenizer.chat_template}
save_file(logits, sys.argv[1])
print(json.dumps(report))
"""


@dataclass(frozen=True)
class Opened:
    """What a fresh process found in a folder."""

    logits: Tensor
    eos: int | list[int]
    template: str


@dataclass(frozen=True)
class Trained:
    """A folder that the command wrote, how it ended, and what a fresh process found."""

    folder: Path
    ended: Ended
    opened: Opened


def open_plainly(folders: list[Path], scratch: Path) -> dict[str, Opened]:
    words = [sys.executable, "-c", PLAIN, str(scratch / "logits.safetensors"), *map(str, folders)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    logits = load_file(scratch / "logits.safetensors")
    return {name: Opened(logits[name], **found) for name, found in json.loads(done.stdout).items()}


def logits_of(folder: Path) -> Tensor:
    """The same logits through our own loader."""
    model = load_model(folder, ModelSettings(dtype="float32"), train=False).model
    ids = torch.arange(3, 43)[None]
    inputs = {"input_ids": ids, "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}
    with torch.no_grad():
        logits: Tensor = model(**inputs).logits[0]
    return logits


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, chat_file: Path) -> dict[str, Trained]:
    """Every family with full weights, every adapter on a Llama and the merge of one, and added tokens."""
    root = tmp_path_factory.mktemp("families")
    out = root / "out"
    endings: dict[str, Ended] = {}

    def train(name: str, base: Path, *words: str) -> None:
        endings[name] = precept(
            *("train", "sft", "--model", base, "--data", chat_file, "-o", out / name, "--json", *SETTINGS, *words)
        )
        assert endings[name].code == 0, f"{name}: {endings[name].err}"

    for family in FAMILIES:
        template = None if family == "t5" else CHATML
        base = tiny_model_folder(root / family, family, chat_template=template)
        train(family, base, *(["chat_template=plain"] if family == "t5" else []))
    llama = tiny_model_folder(root / "llama", chat_template=CHATML, hidden_size=64, intermediate_size=128)
    for adapter in ADAPTERS:
        if adapter != "qlora" or HAS_NF4:
            train(adapter, llama, f"adapter={adapter}", "lora_r=4")
    endings["merged"] = precept("merge", out / "lora", "-o", out / "merged", "--json")
    bare = tiny_model_folder(root / "bare", tokenizer=tiny_tokenizer(special_tokens=(PAD, BOS, EOS)))
    for adapter in ("none", "lora"):
        train(f"added-{adapter}", bare, f"adapter={adapter}", "chat_template=chatml", "add_tokens=true")
    opened = open_plainly([out / name for name in endings], root)
    return {name: Trained(out / name, ended, opened[name]) for name, ended in endings.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_trains_and_opens_with_plain_transformers(trained: dict[str, Trained], family: str) -> None:
    run = trained[family]
    assert run.ended.json["loss_last"] < run.ended.json["loss_first"] - 0.1
    assert torch.equal(run.opened.logits, logits_of(run.folder))


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_each_adapter_trains_and_opens_with_peft(trained: dict[str, Trained], adapter: str) -> None:
    if adapter not in trained:
        pytest.skip("needs the extra 'quant'")
    run = trained[adapter]
    assert run.ended.json["loss_last"] < run.ended.json["loss_first"]
    assert sorted(path.name for path in run.folder.glob("*.safetensors")) == ["adapter_model.safetensors"]
    assert torch.equal(run.opened.logits, logits_of(run.folder))


def test_a_merged_adapter_is_a_full_model_with_the_same_logits(trained: dict[str, Trained]) -> None:
    merged = trained["merged"]
    assert merged.ended.code == 0, merged.ended.err
    assert merged.ended.json["max_abs_logit_difference"] < 1e-4 < merged.ended.json["adapter_effect"]
    assert (merged.folder / "model.safetensors").is_file() and not (merged.folder / "adapter_config.json").exists()
    torch.testing.assert_close(merged.opened.logits, trained["lora"].opened.logits, rtol=1e-4, atol=1e-4)


def test_the_end_tokens_that_were_trained_are_those_that_generation_stops_at(trained: dict[str, Trained]) -> None:
    for name, run in trained.items():
        bare = run.opened.eos if isinstance(run.opened.eos, list) else [run.opened.eos]
        expected = END if name == "t5" else 385 if name.startswith("added") else IM_END
        assert bare == [expected], name


def test_the_template_of_training_is_stored_with_the_model(trained: dict[str, Trained]) -> None:
    assert trained["qwen3"].opened.template == CHATML
    assert "Assistant:" in trained["t5"].opened.template
    assert "<|im_start|>" in trained["added-none"].opened.template


@pytest.mark.parametrize("adapter", ["none", "lora"])
def test_added_tokens_are_trained_and_saved(trained: dict[str, Trained], adapter: str) -> None:
    run = trained[f"added-{adapter}"]
    assert "added tokens: <|im_start|>, <|im_end|>" in run.ended.err
    assert run.ended.json["loss_last"] < run.ended.json["loss_first"]
    assert torch.equal(run.opened.logits, logits_of(run.folder))


def test_a_model_whose_positions_do_not_follow_says_so_in_one_line(trained: dict[str, Trained]) -> None:
    lines = [line for line in trained["bloom"].ended.err.splitlines() if line.startswith("sequences: padded batches")]
    assert len(lines) == 1
    assert not any(line.startswith("sequences:") for line in trained["qwen3"].ended.err.splitlines())


def test_the_folder_holds_its_records(trained: dict[str, Trained]) -> None:
    folder = trained["gemma3"].folder
    names = {path.name for path in folder.iterdir()}
    records = {"run.yaml", "environment.json", "data_manifest.json", "schedule.jsonl", "metrics.jsonl", "README.md"}
    assert records | {"COMPLETED", "config.json", "model.safetensors", "generation_config.json"} <= names
    assert not [name for name in names if name.startswith("checkpoint")]
    manifest: dict[str, Any] = json.loads((folder / "data_manifest.json").read_text())
    assert manifest["rows"] == {"read": 40, "trained": 40, "held_out": 0, "left_out": 0}
    steps = [json.loads(line) for line in (folder / "schedule.jsonl").read_text().splitlines()]
    assert [step["step"] for step in steps] == [1, 2, 3, 4, 5, 6]
    first_epoch = [row for step in steps[:5] for row in step["rows"]]
    assert sorted(first_epoch) == sorted(f"0:{row}" for row in range(1, 41))


def test_the_command_gives_the_same_model_in_a_process_of_its_own(
    trained: dict[str, Trained], tmp_path: Path, chat_file: Path
) -> None:
    base = json.loads((trained["lora"].folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    words = [sys.executable, "-m", "precept", "train", "sft", "--model", base, "--data", str(chat_file)]
    words += ["-o", str(tmp_path / "out"), "--json", *SETTINGS, "adapter=lora", "lora_r=4"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["loss_last"] == trained["lora"].ended.json["loss_last"]
    name = "adapter_model.safetensors"
    assert (tmp_path / "out" / name).read_bytes() == (trained["lora"].folder / name).read_bytes()


def test_a_tokenizer_without_a_template_is_refused_with_the_names(tmp_path: Path, chat_file: Path) -> None:
    bare = tiny_model_folder(tmp_path / "bare", tokenizer=tiny_tokenizer(special_tokens=(PAD, BOS, EOS)))
    command = ["train", "sft", "--model", str(bare), "--data", str(chat_file), "-o", str(tmp_path / "out")]
    ended = precept(*command)
    assert ended.code == 2 and "no chat template" in ended.err
    assert "alpaca, chatml, dolly, flan, plain, vicuna" in ended.err
    ended = precept(*command, "chat_template=chatml")
    assert ended.code == 2 and "<|im_start|>, <|im_end|>" in ended.err and "add_tokens=true" in ended.err


def test_plain_text_needs_no_template_and_saves_none(tmp_path: Path) -> None:
    base = tiny_model_folder(tmp_path / "base", "llama")
    assert not (base / "chat_template.jinja").exists()
    write_rows(tmp_path / "texts.jsonl", [{"text": f"the ferry of pier {n} leaves at noon"} for n in range(12)])
    done = precept(
        *("train", "sft", "-m", str(base), "-d", str(tmp_path / "texts.jsonl"), "-o", str(tmp_path / "out")),
        *("max_steps=4", "batch_size=4", "learning_rate=1e-2", "--json"),
    )
    assert done.code == 0, done.err
    assert done.json["loss_last"] < done.json["loss_first"]
    assert not (tmp_path / "out" / "chat_template.jinja").exists()
