"""``precept import-config``: real files of other tools, and what the command writes and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept

from precept.importers.source_file import leaves, read_source
from precept.run.import_config import refuse_settings
from precept.run.recipe.file import read_recipe
from precept.run.recipe.run import resolve

LISTS = ("mapped", "without_effect", "unsupported")
REFUSED = {
    "llama-3__qlora-1b-gdpo.yaml": "'gdpo'",
    "train_full__qwen3vl_full_sft.yaml": "images",
    "train_lora__qwen3_lora_reward.yaml": "'rm'",
}
TRL = """
model_name_or_path: Qwen/Qwen2.5-0.5B
dataset_name: trl-lib/Capybara
learning_rate: 2e-4
use_peft: true
lora_r: 32
report_to: [wandb]
warmup_steps: 100
logging: {odd: [1, {key: x}]}
"""


def check_document(document: dict[str, Any], source: Path, folder: Path) -> None:
    """Each leaf of the source in one list; a recipe that our reader and our settings take."""
    reported = [entry["key"] for name in LISTS for entry in document[name]]
    tree = read_source(source.read_text(), where=str(source))
    assert sorted(reported) == sorted(".".join(path) for path, _ in leaves(tree))
    assert all(set(entry) == {"key", "to", "value", "why"} for name in LISTS for entry in document[name])
    assert all(entry["why"] for name in LISTS for entry in document[name])
    recipe = folder / "recipe.yaml"
    recipe.write_text(document["recipe"])
    (step,) = resolve(read_recipe(recipe), folder)
    assert {entry["to"] for entry in document["mapped"]} <= {*step.settings, "uses"}


@pytest.mark.parametrize("tool", ["axolotl", "llama_factory", "torchtune"])
def test_real_files_are_accounted_for_key_by_key(shared_data: Path, tmp_path: Path, tool: str) -> None:
    files = sorted((shared_data / "peer_configs" / tool).iterdir())
    assert len(files) == 8
    for file in files:
        ended = precept("import-config", file, "--json")
        if file.name in REFUSED:
            assert ended.code == 2
            assert REFUSED[file.name] in ended.err
            continue
        assert ended.code == 0, ended.err
        check_document(ended.json, file, tmp_path)
        unknown = [entry["key"] for entry in ended.json["unsupported"] if "not a key of" in entry["why"]]
        assert unknown == []


def test_the_recipe_is_written_and_runs_once_gaps_are_filled(
    base_folder: Path, chat_file: Path, tmp_path: Path
) -> None:
    source, recipe = tmp_path / "lf.yaml", tmp_path / "recipe.yaml"
    source.write_text(
        "model_name_or_path: FOLDER\nstage: sft\ndataset: mine\ntemplate: chatml\ncutoff_len: 128\nmax_steps: 2\n"
        "per_device_train_batch_size: 4\nfinetuning_type: full\nlearning_rate: 1e-3\n"
    )
    ended = precept("import-config", source, "-o", recipe)
    assert ended.code == 0, ended.err
    assert ended.out == ""
    assert f"precept run {recipe}" in ended.err
    words = [f"tune.model={base_folder}", f"tune.data={chat_file}", "tune.sample_answers=0"]
    ran = precept("run", recipe, *words, "-o", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert ran.json["steps"][0]["result"]["steps"] == 2
    again = precept("import-config", source, "-o", recipe)
    assert (again.code, "exists already" in again.err) == (2, True)


def test_trl_is_read_and_shown_with_the_recipe_on_standard_output(tmp_path: Path) -> None:
    source = tmp_path / "trl [red].yaml"
    source.write_text(TRL)
    shown = precept("import-config", source)
    assert shown.code == 0, shown.err
    assert "uses: train.sft" in shown.out
    for words in ("keys with a counterpart", "logging.odd.1.key", "where the objective differs", "prompt_weight=1"):
        assert words in shown.err
    document = precept("import-config", source, "--json")
    assert document.json["recipe"] == shown.out
    check_document(document.json, source, tmp_path)


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        ("", (), "not a mapping"),
        ("a: [", (), "not valid YAML"),
        ("learning_rate: 1\n", (), "no key of a tool known here"),
        (TRL, ("--from", "axolotl", "-o", "no/such/folder/x.yaml"), "cannot be written"),
        (TRL, ("--from", "axlotl"), "did you mean 'axolotl'?"),
        ("model_name_or_path: a/b\nseed: 1\n", (), "--from trl|llama-factory|axolotl|torchtune"),
    ],
)
def test_what_cannot_be_imported_ends_with_2(tmp_path: Path, text: str, words: tuple[str, ...], code: str) -> None:
    source = tmp_path / "their.yaml"
    source.write_text(text)
    ended = precept("import-config", source, *words)
    assert (ended.code, ended.out) == (2, "")
    assert code in ended.err


def test_an_unreadable_file_ends_with_2(tmp_path: Path) -> None:
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    for path in (tmp_path / "none.yaml", tmp_path, tmp_path / "latin.yaml"):
        ended = precept("import-config", path)
        assert ended.code == 2
        assert "name a YAML file" in ended.err


def test_from_decides_where_a_file_is_no_tools_in_particular(tmp_path: Path) -> None:
    source = tmp_path / "their.yaml"
    source.write_text("model_name_or_path: a/b\nlearning_rate: 1e-4\n")
    assert precept("import-config", source, "--json").code == 2
    ended = precept("import-config", source, "--from", "trl", "--json")
    assert ended.code == 0, ended.err
    check_document(ended.json, source, tmp_path)
    assert "FILL-IN: the training data" in ended.json["recipe"]


@pytest.mark.parametrize("value", ["-1", "0", "text", "[a]", "{a: b}", "true", "1e30", "${env}"])
def test_a_recipe_parses_whatever_the_values_are(tmp_path: Path, value: str) -> None:
    keys = ("learning_rate", "lora_r", "lora_alpha", "max_length", "seed", "save_steps", "weight_decay", "max_steps",
            "per_device_train_batch_size", "num_train_epochs", "warmup_ratio", "warmup_steps", "dataset_name",
            "model_name_or_path", "lora_target_modules", "save_total_limit", "lr_scheduler_type", "dtype")  # fmt: skip
    source = tmp_path / "their.yaml"
    source.write_text("use_peft: true\neval_strategy: steps\n" + "".join(f"{key}: {value}\n" for key in keys))
    ended = precept("import-config", source, "--json", "--from", "trl")
    assert ended.code == 0, ended.err
    check_document(ended.json, source, tmp_path)


def test_refusals_name_the_reason() -> None:
    assert refuse_settings({"model": "a/b", "data": ["hf:a/b", "rows.jsonl"], "lora_r": 8}) is None
    assert "lora_r" in str(refuse_settings({"lora_r": 0}))
    assert "hf:owner/name" in str(refuse_settings({"data": ["hf:only"]}))
