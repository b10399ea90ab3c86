import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tests.tiny import CHATML, tiny_model_folder

from precept.errors import InputError, WorkError
from precept.models.folder import check_model_folder
from precept.models.load import LoadedModel, load_model
from precept.models.save import cast_state, save_model, trainable_state
from precept.models.settings import ModelSettings

FLOAT32 = ModelSettings(dtype="float32")


def load(path: Path, *, train: bool = True, new_tokens: tuple[str, ...] = (), **settings: Any) -> LoadedModel:
    settings = {"dtype": "float32", **settings}
    return load_model(path, ModelSettings(**settings), train=train, device="cpu", new_tokens=new_tokens)


def disturb(model: Any) -> None:
    """Stands in for training: every weight that may move does, to a value bfloat16 cannot hold."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable_state(model).values():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.01)


def save(loaded: LoadedModel, folder: Path, **options: Any) -> Any:
    options = {"save_dtype": "auto", "stop_ids": [4, 2], "chat_template": CHATML, **options}
    return save_model(loaded, folder, tokenizer=loaded.tokenizer, **options)


def test_the_folder_holds_what_users_expect(tmp_path: Path) -> None:
    loaded = load(tiny_model_folder(tmp_path / "base", dtype=torch.bfloat16))
    report = save(loaded, tmp_path / "out")
    assert report.dtype == "bfloat16"
    assert set(report.files) == {path.name for path in (tmp_path / "out").iterdir()}
    assert set(report.files) == {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    }
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    generation = json.loads((tmp_path / "out" / "generation_config.json").read_text())
    assert (generation["eos_token_id"], generation["pad_token_id"]) == ([2, 4], 0)
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == CHATML
    assert check_model_folder(tmp_path / "out").config["architectures"] == ["LlamaForCausalLM"]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt_oss", "gpt_neox", "bloom", "t5", "qwen3_moe"])
@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_saved_weights_are_the_weights_in_memory_after_the_cast(tmp_path: Path, family: str, dtype: str) -> None:
    loaded = load(tiny_model_folder(tmp_path / "base", family))
    disturb(loaded.model)
    save(loaded, tmp_path / "out", save_dtype=dtype)
    again = load(tmp_path / "out", train=False)
    wanted = cast_state(loaded.model, getattr(torch, dtype))
    found = again.model.state_dict()
    assert wanted.keys() == found.keys()
    assert all(torch.equal(found[name], tensor.float()) for name, tensor in wanted.items())
    assert again.base_dtype == getattr(torch, dtype)


def test_plain_transformers_gives_the_same_logits_in_a_fresh_process(tmp_path: Path) -> None:
    loaded = load(tiny_model_folder(tmp_path / "base", "qwen3", dtype=torch.bfloat16))
    disturb(loaded.model)
    save(loaded, tmp_path / "out", max_shard_size="40KB")
    assert (tmp_path / "out" / "model.safetensors.index.json").is_file()
    code = (
        "import sys, torch; from transformers import AutoModelForCausalLM, AutoTokenizer\n"
        "model = AutoModelForCausalLM.from_pretrained(sys.argv[1]).eval()\n"
        "assert model.dtype == torch.bfloat16\n"
        "ids = AutoTokenizer.from_pretrained(sys.argv[1])('The answer', return_tensors='pt').input_ids\n"
        "torch.save(model.float()(input_ids=ids).logits, sys.argv[2])"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "out"), str(tmp_path / "logits")], check=True)
    ids = loaded.tokenizer("The answer", return_tensors="pt").input_ids
    loaded.model.load_state_dict({k: v.float() for k, v in cast_state(loaded.model, torch.bfloat16).items()})
    expected = loaded.model.eval()(input_ids=ids).logits
    assert torch.equal(torch.load(tmp_path / "logits"), expected)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_added_tokens_are_saved_with_their_rows(tmp_path: Path, family: str) -> None:
    loaded = load(tiny_model_folder(tmp_path / "base", family), new_tokens=("<|tool|>",))
    disturb(loaded.model)
    save(loaded, tmp_path / "out")
    again = load(tmp_path / "out", train=False)
    assert again.tokenizer.encode("<|tool|>") == [384]
    assert again.model.config.vocab_size == 385
    for part in ("get_input_embeddings", "get_output_embeddings"):
        assert torch.equal(getattr(again.model, part)().weight, getattr(loaded.model, part)().weight)


@pytest.mark.parametrize("adapter", ["lora", "dora"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "t5"])
def test_a_saved_adapter_gives_the_same_logits_on_its_base(tmp_path: Path, adapter: str, family: str) -> None:
    base = tiny_model_folder(tmp_path / "base", family)
    loaded = load(base, adapter=adapter, new_tokens=("<|tool|>", "<|done|>"))
    disturb(loaded.model)
    report = save(loaded, tmp_path / "out")
    assert report.dtype == "float32"
    assert {"adapter_config.json", "adapter_model.safetensors", "generation_config.json"} < set(report.files)
    config = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == str(base)
    again = load(tmp_path / "out", train=False)
    ids = torch.tensor([[5, 384, 7, 385]])
    inputs = {"input_ids": ids} | ({"decoder_input_ids": ids} if family == "t5" else {})
    assert torch.equal(again.model(**inputs).logits, loaded.model.eval()(**inputs).logits)
    assert again.adapter == "saved"
    assert again.path == base
    assert again.model.generation_config.eos_token_id == [2, 4]
    assert again.tokenizer.convert_tokens_to_ids("<|done|>") == 385


def test_plain_peft_opens_the_adapter_with_its_added_tokens(tmp_path: Path) -> None:
    from peft import AutoPeftModelForCausalLM

    loaded = load(tiny_model_folder(tmp_path / "base"), adapter="lora", new_tokens=("<|tool|>",))
    disturb(loaded.model)
    save(loaded, tmp_path / "out")
    plain = AutoPeftModelForCausalLM.from_pretrained(str(tmp_path / "out")).eval()
    ids = torch.tensor([[5, 384, 7]])
    assert torch.equal(plain(input_ids=ids).logits, loaded.model.eval()(input_ids=ids).logits)


def test_a_4_bit_adapter_opens_on_the_full_precision_base(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    base = tiny_model_folder(tmp_path / "base", hidden_size=64, intermediate_size=128)
    loaded = load(base, adapter="qlora")
    disturb(loaded.model)
    save(loaded, tmp_path / "out")
    again = load(tmp_path / "out", train=False)
    saved = load_file(tmp_path / "out" / "adapter_model.safetensors")
    own = {name.replace(".default", ""): tensor for name, tensor in trainable_state(loaded.model).items()}
    assert saved.keys() == own.keys()
    assert all(torch.equal(saved[name], tensor) for name, tensor in own.items())
    assert {type(parameter).__name__ for parameter in again.model.parameters()} == {"Parameter"}


def test_an_adapter_that_lacks_a_tensor_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save(load(tiny_model_folder(tmp_path / "base"), adapter="lora"), tmp_path / "out")
    path = tmp_path / "out" / "adapter_model.safetensors"
    state = load_file(path)
    name, tensor = state.popitem()
    save_file(state, path)
    with pytest.raises(InputError, match="lacks 1 tensors and holds 0") as caught:
        load(tmp_path / "out", train=False)
    assert name in str(caught.value)
    save_file({**state, name: tensor, "base_model.extra": torch.zeros(1)}, path)
    with pytest.raises(InputError, match=r"base_model\.extra"):
        load(tmp_path / "out", train=False)


def test_an_adapter_cannot_be_trained_further(tmp_path: Path) -> None:
    save(load(tiny_model_folder(tmp_path / "base"), adapter="lora"), tmp_path / "out")
    with pytest.raises(InputError, match="precept merge"):
        load(tmp_path / "out")


def test_a_weight_beyond_the_saved_precision_is_refused(tmp_path: Path) -> None:
    loaded = load(tiny_model_folder(tmp_path / "base"))
    with torch.no_grad():
        loaded.model.get_output_embeddings().weight[0, 0] = 1e5  # float16 ends at 65504
    with pytest.raises(WorkError, match="not finite in float16") as caught:
        save(loaded, tmp_path / "out", save_dtype="float16")
    assert "lm_head.weight" in str(caught.value)
    with pytest.raises(InputError, match="no config"):
        check_model_folder(tmp_path / "out")


def test_a_kill_while_files_move_leaves_no_folder_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    save(load(tiny_model_folder(tmp_path / "base")), out)
    other = load(tiny_model_folder(tmp_path / "other", seed=1))
    replace, moved = os.replace, []

    def killed_at(count: int) -> None:
        def step(source: Any, target: Any) -> None:
            if len(moved) == count:
                raise KeyboardInterrupt
            moved.append(target)
            replace(source, target)

        monkeypatch.setattr(os, "replace", step)

    for count in range(6):  # six files: whichever move is the last, config.json is not there yet
        moved.clear()
        killed_at(count)
        with pytest.raises(KeyboardInterrupt):
            save(other, out)
        with pytest.raises(InputError, match=r"no config\.json"):
            check_model_folder(out)
    monkeypatch.undo()
    save(other, out)
    assert torch.equal(
        load(out, train=False).model.get_input_embeddings().weight, other.model.get_input_embeddings().weight
    )
    assert not (out / ".saving").exists()


def test_an_earlier_model_in_the_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    base = tiny_model_folder(tmp_path / "base")
    out = tmp_path / "out"
    save(load(base), out, max_shard_size="60KB")
    (out / "run.yaml").write_text("kept: true\n")
    save(load(base, adapter="lora"), out)
    left = {path.name for path in out.iterdir()}
    assert "adapter_model.safetensors" in left
    assert "run.yaml" in left
    assert not {name for name in left if name.startswith("model")}
    assert "config.json" not in left


def test_an_adapter_whose_base_moved_says_where_it_looked(tmp_path: Path) -> None:
    base = tiny_model_folder(tmp_path / "base")
    save(load(base, adapter="lora"), tmp_path / "out")
    shutil.move(base, tmp_path / "elsewhere")
    with pytest.raises(InputError, match="base model was not found") as caught:
        check_model_folder(tmp_path / "out")
    assert str(base) in str(caught.value)
