"""Each reason for which a model folder, an adapter or a model is refused, by its smallest case."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from precept.errors import PreceptError
from precept.models.folder import check_adapter, check_model_folder
from precept.models.settings import ModelSettings

EMPTY_TENSORS = struct.pack("<Q", 2) + b"{}"


def edit_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def name_shards(folder: Path, weight_map: dict[str, str]) -> None:
    """Weights in shards, by an index alone."""
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))


def put_adapter(folder: Path, base: str) -> Path:
    """An adapter without tensors on ``base``."""
    folder.mkdir(exist_ok=True)
    (folder / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": base}))
    (folder / "adapter_model.safetensors").write_bytes(EMPTY_TENSORS)
    return folder


# code: what breaks a whole folder
BREAKAGES: dict[str, Callable[[Path], object]] = {
    "adapter-base-not-found": lambda folder: put_adapter(folder, "./gone"),
    "adapter-on-adapter": lambda folder: put_adapter(
        folder, str(put_adapter(folder / "first", str(Path(shutil.copytree(folder, folder.parent / "base")))))
    ),
    "adapter-without-base": lambda folder: put_adapter(folder, ""),
    "no-tokenizer": lambda folder: (folder / "tokenizer.json").unlink(),
    "no-weights": lambda folder: (folder / "model.safetensors").unlink(),
    "remote-code": lambda folder: edit_config(folder, model_type="mine", auto_map={"AutoConfig": "mine.Config"}),
    "unknown-model-type": lambda folder: edit_config(folder, model_type="lama"),
    "weights-are-lfs-pointer": lambda folder: (folder / "model.safetensors").write_text("version https://git-lfs"),
    "weights-corrupt": lambda folder: (folder / "model.safetensors").write_bytes(b""),
    "weights-index": lambda folder: name_shards(folder, {}),
    "weights-pickled": lambda folder: (folder / "model.safetensors").rename(folder / "pytorch_model.bin"),
    "weights-quantized": lambda folder: edit_config(folder, quantization_config={"quant_method": "gptq"}),
    "weights-shard-missing": lambda folder: name_shards(folder, {"a": "gone.safetensors"}),
}


@pytest.mark.parametrize("code", BREAKAGES)
def test_the_broken_folder_is_refused_by_its_code(tmp_path: Path, base_folder: Path, code: str) -> None:
    folder = Path(shutil.copytree(base_folder, tmp_path / "model"))
    BREAKAGES[code](folder)
    with pytest.raises(PreceptError) as refused:
        check_model_folder(folder)
    assert refused.value.code == code and refused.value.do


def copy_of(base: Path, out: Path) -> Path:
    return Path(shutil.copytree(base, out / "model"))


def load(folder: Path, *, train: bool = False, **settings: Any) -> object:
    from precept.models.load import load_model

    return load_model(folder, ModelSettings(dtype="float32", **settings), train=train, device="cpu")


def load_edited(folder: Path, **changes: object) -> object:
    edit_config(folder, **changes)
    return load(folder)


def damage_the_tokenizer(folder: Path) -> object:
    (folder / "tokenizer.json").write_text("{}")
    return load(folder)


# code: what is asked of the tiny base
ASKED: dict[str, Callable[[Path, Path], object]] = {
    "adapter-mismatch": lambda base, out: load(put_adapter(out / "adapter", str(base))),
    "adapter-unsupported": lambda base, out: load(base, train=True, adapter="lora", lora_target_modules=["query"]),
    "merge-without-adapter": lambda base, out: check_adapter(base),
    "model-unreadable": lambda base, out: load_edited(copy_of(base, out), hidden_act="gelou"),
    "not-a-language-model": lambda base, out: load_edited(copy_of(base, out), architectures=["LlamaForMaskedLM"]),
    "tokenizer-unreadable": lambda base, out: damage_the_tokenizer(copy_of(base, out)),
    "train-on-adapter": lambda base, out: load(put_adapter(out / "adapter", str(base)), train=True),
    "weights-mismatch": lambda base, out: load_edited(copy_of(base, out), num_hidden_layers=1),
}


@pytest.mark.parametrize("code", ASKED)
def test_what_is_asked_of_the_model_ends_in_its_code(tmp_path: Path, base_folder: Path, code: str) -> None:
    with pytest.raises(PreceptError) as refused:
        ASKED[code](base_folder, tmp_path)
    assert refused.value.code == code and refused.value.do
