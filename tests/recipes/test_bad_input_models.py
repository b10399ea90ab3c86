"""Broken chat templates and model folders, from the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import Ended, chat_rows, precept, write_rows

GROWING = "{% set n = namespace(s='a') %}{% for i in range(99) %}{% set n.s = n.s + n.s %}{% endfor %}{{ n.s }}"
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}x{% endfor %}{% endfor %}"
DROPS = "{% for m in messages %}{{ m.role }}{{ eos_token }}{% endfor %}"
ALTERNATE = (
    "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}{{ m.content }}{{ eos_token }}{% endfor %}"
)
TEMPLATES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "raises": (b"{{ raise_exception('no tools here') }}", ("raises on this row: no tools here", "row 1")),
    "roles out of order": (ALTERNATE.encode(), ("roles must alternate", "row 2", "do:")),
    "drops a field": (DROPS.encode(), ("drops the field 'content'",)),
    "endless loop": (ENDLESS.encode(), ("takes more than 1,000,000 steps",)),
    "doubling text": (GROWING.encode(), ("writes more than 50,000,000 characters",)),
    "syntax": (b"line\n{% for %}", ("does not parse", "line 2")),
    "unknown variable": (b"{{ x.y }}", ("'x' is undefined",)),
    "another file": (b"{% include 'x' %}", ("raises on this row",)),
    "reaching into Python": (b"{{ messages.__class__.__mro__ }}", ("unsafe",)),
    "not UTF-8": (b"\xff\xfe", ("cannot be read", "utf-8")),
}


def train(model: Path, folder: Path, *more: str | Path) -> Ended:
    data = write_rows(folder / "rows.jsonl", chat_rows(4))
    return precept("train", "sft", "--model", model, "--data", data, "-o", folder / "out", *more)


@pytest.mark.parametrize(("content", "says"), TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_broken_template_is_named_with_the_row(
    tmp_path: Path, base_folder: Path, content: bytes, says: tuple[str, ...]
) -> None:
    (tmp_path / "mine.jinja").write_bytes(content)
    ended = train(base_folder, tmp_path, "--chat-template", tmp_path / "mine.jinja")
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(words in ended.err for words in ("mine.jinja", "do: ", *says)), ended.err
    assert not (tmp_path / "out" / "run.yaml").exists()


def test_a_template_whose_tokens_are_missing_and_a_tokenizer_without_one_are_refused(tmp_path: Path) -> None:
    from tests.tiny import BOS, EOS, PAD, tiny_model_folder, tiny_tokenizer

    base = tiny_model_folder(tmp_path / "plain", tokenizer=tiny_tokenizer(special_tokens=(PAD, BOS, EOS)))
    ended = train(base, tmp_path, "chat_template=chatml")
    assert ended.code == 2 and all(words in ended.err for words in ("<|im_start|>", "add_tokens=true"))
    ended = train(base, tmp_path)
    assert ended.code == 2 and all(words in ended.err for words in ("chat template", "chatml", "plain"))


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def lose_shard(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    index = {"weight_map": {"a": "model-1-of-2.safetensors", "b": "model-2-of-2.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def outgrow_embedding(folder: Path) -> None:
    """A tokenizer of more tokens than the embedding has rows, one of which occurs in the rows' template."""
    document = json.loads((folder / "tokenizer.json").read_text())
    flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    document["added_tokens"].append({"id": 900, "content": "What is", "special": False, **flags})
    (folder / "tokenizer.json").write_text(json.dumps(document))


FOLDERS: dict[str, tuple[Callable[[Path], None], tuple[str, ...]]] = {
    "config is no JSON": (write("config.json", b"{"), ("config.json", "not valid JSON")),
    "config is a list": (write("config.json", b"[]"), ("no JSON object",)),
    "no model type": (write("config.json", b"{}"), ("names no model_type",)),
    "unknown architecture": (edit(model_type="mamboid"), ("does not know this model type", "mamboid")),
    "remote code": (edit(model_type="mine", auto_map={"AutoModelForCausalLM": "m.M"}), ("trust_remote_code=true",)),
    "quantised": (edit(quantization_config={"quant_method": "gptq"}), ("stored quantised", "gptq")),
    "tokenizer is no JSON": (write("tokenizer.json", b"{"), ("tokenizer.json", "not valid JSON")),
    "tokenizer of another shape": (write("tokenizer.json", b"{}"), ("tokenizer",)),
    "weights of no bytes": (write("model.safetensors", b""), ("truncated or corrupt", "0 bytes")),
    "weights are garbage": (write("model.safetensors", b"\xff" * 999), ("truncated or corrupt",)),
    "Git LFS pointer": (
        write("model.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        ("git lfs pull",),
    ),
    "missing shards": (lose_shard, ("2 of 2 weight files", "model-1-of-2.safetensors")),
    "no base of an adapter": (
        write("adapter_config.json", b'{"base_model_name_or_path": "/gone", "peft_type": "LORA"}'),
        ("adapter",),
    ),
    "other sizes": (edit(hidden_size=48), ("not those that config.json describes", "lm_head.weight")),
    "a size that is text": (edit(hidden_size="wide"), ("cannot be loaded", "hidden_size")),
    "a vocabulary beyond the embedding": (outgrow_embedding, ("the embedding has", "rows")),
}


@pytest.mark.parametrize(("breaks", "says"), FOLDERS.values(), ids=FOLDERS.keys())
def test_a_broken_model_folder_is_refused_by_file(
    tmp_path: Path, base_folder: Path, breaks: Callable[[Path], None], says: tuple[str, ...]
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(base_folder, broken)
    breaks(broken)
    ended = train(broken, tmp_path, "max_steps=1", "sample_answers=0")
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(words in ended.err for words in ("broken", "do: ", *says)), ended.err
    assert not (tmp_path / "out" / "run.yaml").exists()
