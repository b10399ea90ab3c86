import json
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.tiny import tiny_model_folder, tiny_tokenizer

from precept.errors import InputError
from precept.models.folder import (
    _known_model_types,
    check_model_folder,
    check_safetensors,
    context_length,
    portable_name,
    resolve_model,
    stored_dtype,
    tokenizer_folder,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("folder") / "whole")


@pytest.fixture(scope="module")
def sharded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("folder") / "sharded", max_shard_size="60KB")


@pytest.fixture
def broken(whole: Path, tmp_path: Path) -> Path:
    """A copy to break."""
    return Path(shutil.copytree(whole, tmp_path / "broken"))


def adapter_on(base: object, path: Path) -> Path:
    """An adapter folder with the files that are looked at: configuration and weights without tensors."""
    path.mkdir(parents=True)
    (path / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    (path / "adapter_model.safetensors").write_bytes(struct.pack("<Q", 2) + b"{}")
    return path


def test_a_whole_folder_passes(whole: Path) -> None:
    folder = check_model_folder(whole)
    assert (folder.path, folder.base, folder.is_adapter) == (whole, whole, False)
    assert folder.config["model_type"] == "llama"
    assert stored_dtype(whole) == "F32"


def test_shards_named_by_an_index_pass(sharded: Path) -> None:
    assert len(list(sharded.glob("*.safetensors"))) > 1
    check_model_folder(sharded)


def edit_config(path: Path, **changes: object) -> None:
    config = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps({**config, **changes}))


def truncate(path: Path) -> None:
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def rename_weights_to_pickle(path: Path) -> None:
    (path / "model.safetensors").rename(path / "pytorch_model.bin")


def leave_lfs_pointer(path: Path) -> None:
    (path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\n")


def remove_tokenizer(path: Path) -> None:
    (path / "tokenizer.json").unlink()


BREAKAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "no config": (lambda p: (p / "config.json").unlink(), "no-config", "no config.json"),
    "config no JSON": (lambda p: (p / "config.json").write_text("{"), "model-file-json", "not valid JSON"),
    "config a list": (lambda p: (p / "config.json").write_text("[]"), "model-file-json", "no JSON object"),
    "no model type": (lambda p: edit_config(p, model_type=None), "no-model-type", "names no model_type"),
    "unknown type": (lambda p: edit_config(p, model_type="lama"), "unknown-model-type", "does not know"),
    "remote code": (
        lambda p: edit_config(p, model_type="mine", auto_map={"AutoConfig": "mine.Config"}),
        "remote-code",
        "trust_remote_code=true",
    ),
    "quantised": (
        lambda p: edit_config(p, quantization_config={"quant_method": "gptq"}),
        "weights-quantized",
        "gptq",
    ),
    "no weights": (lambda p: (p / "model.safetensors").unlink(), "no-weights", "holds no model.safetensors"),
    "pickled": (rename_weights_to_pickle, "weights-pickled", "save_pretrained"),
    "truncated": (truncate, "weights-corrupt", "truncated or corrupt"),
    "empty weights": (lambda p: (p / "model.safetensors").write_bytes(b""), "weights-corrupt", "no complete header"),
    "lfs pointer": (leave_lfs_pointer, "weights-are-lfs-pointer", "git lfs pull"),
    "no tokenizer": (remove_tokenizer, "no-tokenizer", "holds no tokenizer"),
    "tokenizer no JSON": (lambda p: (p / "tokenizer.json").write_text("{,"), "model-file-json", "tokenizer.json"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_folder_is_named(broken: Path, name: str) -> None:
    break_it, code, text = BREAKAGES[name]
    break_it(broken)
    with pytest.raises(InputError, match=text) as caught:
        check_model_folder(broken)
    assert caught.value.code == code
    assert str(broken) in str(caught.value)
    assert caught.value.exit_code == 2


def test_code_in_the_folder_may_be_trusted(broken: Path) -> None:
    edit_config(broken, model_type="mine", auto_map={"AutoConfig": "mine.Config"})
    assert check_model_folder(broken, trust_remote_code=True).config["model_type"] == "mine"


def test_a_missing_shard_is_named(sharded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    gone = sorted(copy.glob("*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(InputError, match=gone.name) as caught:
        check_model_folder(copy)
    assert caught.value.code == "weights-shard-missing"


def test_a_truncated_shard_is_named(sharded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    short = sorted(copy.glob("*.safetensors"))[-1]
    short.write_bytes(short.read_bytes()[:-1])
    with pytest.raises(InputError, match=short.name) as caught:
        check_model_folder(copy)
    assert caught.value.code == "weights-corrupt"


def test_a_tensor_absent_from_its_shard_is_named(sharded: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(sharded, tmp_path / "copy"))
    index = json.loads((copy / "model.safetensors.index.json").read_text())
    index["weight_map"]["model.extra.weight"] = next(iter(index["weight_map"].values()))
    (copy / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(InputError, match=r"model\.extra\.weight"):
        check_model_folder(copy)


def test_safetensors_sizes_follow_from_the_header(tmp_path: Path) -> None:
    # two float32 tensors of 2 and 1 numbers: 12 bytes of data after the header
    header = json.dumps(
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [1], "data_offsets": [8, 12]},
            "__metadata__": {"format": "pt"},
        }
    ).encode()
    path = tmp_path / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(12))
    assert check_safetensors(path) == {"a": "F32", "b": "F32"}
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(13))
    with pytest.raises(InputError, match=f"{8 + len(header) + 13} bytes where the header promises"):
        check_safetensors(path)


def test_an_adapter_leads_to_its_base(whole: Path, tmp_path: Path) -> None:
    folder = check_model_folder(adapter_on(whole, tmp_path / "adapter"))
    assert folder.is_adapter
    assert (folder.path, folder.base) == (tmp_path / "adapter", whole)
    assert folder.config["model_type"] == "llama"
    assert tokenizer_folder(tmp_path / "adapter") == whole


def test_an_adapter_may_bring_its_own_tokenizer(whole: Path, tmp_path: Path) -> None:
    bare = Path(shutil.copytree(whole, tmp_path / "bare"))
    remove_tokenizer(bare)
    adapter = adapter_on(bare, tmp_path / "adapter")
    with pytest.raises(InputError, match="no tokenizer"):
        check_model_folder(adapter)
    tiny_tokenizer().save_pretrained(adapter)
    assert check_model_folder(adapter).is_adapter
    assert tokenizer_folder(adapter) == adapter


def test_an_adapter_without_its_base_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="base model was not found") as caught:
        check_model_folder(adapter_on(tmp_path / "gone", tmp_path / "one"))
    assert "gone" in str(caught.value)
    with pytest.raises(InputError, match="names no base model"):
        check_model_folder(adapter_on("", tmp_path / "two"))
    with pytest.raises(InputError, match="an adapter itself"):
        check_model_folder(adapter_on(adapter_on(whole, tmp_path / "three"), tmp_path / "four"))


def test_an_adapter_with_pickled_weights_is_refused(whole: Path, tmp_path: Path) -> None:
    adapter = adapter_on(whole, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    with pytest.raises(InputError, match="pickle") as caught:
        check_model_folder(adapter)
    assert "adapter_model.bin" in str(caught.value)


def test_a_name_becomes_a_folder(whole: Path, tmp_path: Path) -> None:
    assert resolve_model(str(whole)) == whole
    with pytest.raises(InputError, match="no such model folder"):
        resolve_model(str(tmp_path / "nothing" / "here"))
    with pytest.raises(InputError, match="this is a file"):
        resolve_model(whole / "config.json")


def test_an_unknown_hub_name_tells_what_was_tried() -> None:
    with pytest.raises(InputError, match="no such model") as caught:
        resolve_model("nobody/nothing-of-that-name")
    assert "the folder nobody/nothing-of-that-name" in str(caught.value)
    assert "the cache " in str(caught.value)
    assert "HF_HUB_OFFLINE is set" in str(caught.value)


def test_names_that_outlive_the_machine_are_kept(tmp_path: Path) -> None:
    cached = Path("/home/me/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B/snapshots/c1899de")
    assert portable_name(cached) == "Qwen/Qwen3-0.6B"
    assert portable_name(tmp_path) == str(tmp_path.resolve())


def test_context_length_is_none_where_positions_are_relative() -> None:
    assert context_length({"model_type": "llama", "max_position_embeddings": 4096}) == 4096
    assert context_length({"model_type": "gpt2", "n_positions": 1024}) == 1024
    assert context_length({"model_type": "gemma3", "text_config": {"max_position_embeddings": 8192}}) == 8192
    assert context_length({"model_type": "t5", "n_positions": 512}) is None
    assert context_length({"model_type": "falcon", "alibi": True, "max_position_embeddings": 2048}) is None


def test_every_model_type_of_transformers_is_known() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING_NAMES

    assert set(CONFIG_MAPPING_NAMES) <= _known_model_types()


def test_folders_are_judged_without_torch(whole: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from precept.models.folder import check_model_folder;"
        "check_model_folder(Path(sys.argv[1])); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(whole)], check=True)
