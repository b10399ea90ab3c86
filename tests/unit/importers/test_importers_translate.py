"""What holds for every tool: recognition, the account of keys, stages that are refused, the recipe's text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from precept.errors import InputError
from precept.importers import Imported, import_config
from precept.importers.source_file import leaves, read_source

MINIMAL = {
    "trl": "model_name_or_path: a/b\ndataset_name: c/d\n",
    "llama-factory": "model_name_or_path: a/b\nstage: sft\ndataset: x\n",
    "axolotl": "base_model: a/b\ndatasets: [{path: c/d, type: chat_template}]\n",
    "torchtune": "model: {_component_: torchtune.models.qwen2.qwen2_7b}\noptimizer: {lr: 1e-4}\n",
}


def run(text: str, tool: str | None = None, refuses: Any = lambda settings: None) -> Imported:
    return import_config(text, where="their.yaml", name="their", tool=tool, refuses=refuses)


@pytest.mark.parametrize("tool", MINIMAL)
def test_a_file_is_recognised_by_its_keys(tool: str) -> None:
    assert run(MINIMAL[tool]) == run(MINIMAL[tool], tool)


@pytest.mark.parametrize("tool", MINIMAL)
def test_every_leaf_stands_in_one_list(tool: str) -> None:
    text = MINIMAL[tool] + "learning_rate: 1e-3\nunheard_of: {deep: [1, {er: 2}], empty: {}}\nnothing:\n"
    imported = run(text)
    reported = [e.key for part in (imported.mapped, imported.without_effect, imported.unsupported) for e in part]
    assert sorted(reported) == sorted(".".join(path) for path, _ in leaves(read_source(text, where="")))
    unknown = {entry.key: entry for entry in imported.unsupported}
    assert unknown["unheard_of.deep.1.er"].value == 2
    assert "not a key" in unknown["unheard_of.deep.0"].why


@pytest.mark.parametrize(
    "text", ["learning_rate: 1\nseed: 2\n", "model_name_or_path: a/b\n", "stage: sft\nadapter: lora\n"]
)
def test_a_file_of_no_tool_or_of_several_is_refused_with_what_was_looked_for(text: str) -> None:
    with pytest.raises(InputError) as refused:
        run(text)
    assert refused.value.code == "config-unknown"
    assert "--from trl|llama-factory|axolotl|torchtune" in str(refused.value)
    assert "base_model" in str(refused.value) or "adapter" in str(refused.value)


def test_a_recipe_of_ours_is_told() -> None:
    with pytest.raises(InputError, match="recipe of Precept already"):
        run("name: x\nsteps: [{name: a, uses: train.sft}]\n")


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ("llama-factory", "stage: dpo\ndataset: x\n"),
        ("llama-factory", "stage: kto\ndataset: x\n"),
        ("llama-factory", "model_name_or_path: a/b\ntemplate: x\nexport_dir: y\n"),
        ("llama-factory", "model_name_or_path: a/b\ntemplate: x\ninfer_backend: vllm\n"),
        ("llama-factory", "stage: sft\ndo_predict: true\neval_dataset: x\n"),
        ("axolotl", "base_model: a/b\nrl: dpo\n"),
        ("axolotl", "base_model: a/b\nreward_model: true\n"),
        ("axolotl", "base_model: a/b\nplugins: [axolotl.integrations.kd.KDPlugin]\n"),
        ("trl", "model_name_or_path: a/b\ndataset_name: c/d\nbeta: 0.1\n"),
        ("trl", "model_name_or_path: a/b\ndataset_name: c/d\nnum_generations: 8\n"),
        ("trl", "model_name_or_path: a/b\ndataset_name: c/d\nloss_type: sigmoid\n"),
        ("torchtune", "loss: {_component_: torchtune.rlhf.loss.DPOLoss}\n"),
        ("torchtune", "teacher_model: {_component_: torchtune.models.llama3.llama3_8b}\n"),
        ("torchtune", "model: {_component_: torchtune.models.llama3.llama3_8b}\nquantizer: {_component_: q}\n"),
    ],
)
def test_another_stage_is_refused(tool: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        run(text, tool)
    assert (refused.value.code, refused.value.where) == ("stage-not-ours", "their.yaml")


@pytest.mark.parametrize(
    ("tool", "text"),
    [
        ("llama-factory", "model_name_or_path: Qwen/Qwen2.5-VL-7B-Instruct\nstage: sft\n"),
        ("llama-factory", "model_name_or_path: local\nstage: sft\ntemplate: qwen2_vl\n"),
        ("llama-factory", "model_name_or_path: local\nstage: sft\nimage_max_pixels: 1000\n"),
        ("axolotl", "base_model: HuggingFaceTB/SmolVLM2-500M-Video-Instruct\n"),
        ("axolotl", "base_model: mistral-community/pixtral-12b\n"),
        ("axolotl", "base_model: google/gemma-3-4b-it\nprocessor_type: AutoProcessor\n"),
        ("trl", "model_name_or_path: llava-hf/llava-1.5-7b-hf\n"),
        ("torchtune", "model: {_component_: torchtune.models.llama3_2_vision.llama3_2_vision_11b}\n"),
    ],
)
def test_another_kind_of_model_is_refused(tool: str, text: str) -> None:
    with pytest.raises(InputError) as refused:
        run(text, tool)
    assert refused.value.code == "model-kind-not-ours"


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B", "Qwen/Qwen3-4B", "allenai/OLMo-2-1124-7B", "x/evl-7b"])
def test_models_of_text_are_not_taken_for_others(name: str) -> None:
    assert run(f"base_model: {name}\ndatasets: []\n").settings["model"] == name


def test_what_our_settings_refuse_is_unsupported_with_their_reason() -> None:
    def refuses(settings: Mapping[str, Any]) -> str | None:
        return "too small" if settings.get("lora_r") == 0 else None

    imported = run("base_model: a/b\nadapter: lora\nlora_r: 0\nmicro_batch_size: 1\n", refuses=refuses)
    assert [(e.key, e.to, e.value) for e in imported.unsupported] == [("lora_r", "lora_r", 0)]
    assert "too small" in imported.unsupported[0].why


def test_what_depends_on_a_refused_value_is_not_called_mapped() -> None:
    def refuses(settings: Mapping[str, Any]) -> str | None:
        return "too small" if settings.get("batch_size", 1) < 1 else None

    imported = run("base_model: a/b\nmicro_batch_size: 0\ndp_shard_size: 2\n", refuses=refuses)
    assert [entry.key for entry in imported.mapped] == ["base_model"]


def test_nested_values_of_odd_shape_are_unsupported() -> None:
    imported = run("base_model: a/b\ndatasets: [{path: c/d, message_property_mappings: {role: [x]}, name: {a: 1}}]\n")
    assert "datasets.0.message_property_mappings.role.0" in [entry.key for entry in imported.unsupported]


def test_gaps_are_marked_and_the_recipe_still_parses() -> None:
    imported = run('model_name_or_path: "${MODEL}/x"\nstage: sft\ndataset: "a: b, #c"\noutput_dir: "two\\nlines"\n')
    document = yaml.safe_load(imported.recipe)
    step = document["steps"][0]
    assert step["with"]["model"] == "FILL-IN: {MODEL}/x"
    assert step["with"]["data"] == ["FILL-IN: dataset a: b", "FILL-IN: dataset #c"]
    assert "To fill in before it can run" in imported.recipe


@pytest.mark.parametrize("tool", MINIMAL)
@pytest.mark.parametrize("odd", ["[]", "[[1], {a: b}]", "text", "{a: {b: c}}", "-.inf"])
def test_values_of_any_shape_are_accounted_for(tool: str, odd: str) -> None:
    """Every known key with a value that it never has: nothing breaks and nothing is dropped."""
    from precept.importers.key_tables import key_table
    from precept.importers.translate import PEERS

    names = {path.split(".")[0] for table in PEERS[tool].tables for path in key_table(table).exact}
    names |= set(PEERS[tool].marks)
    skipped = 0
    for name in sorted(names):
        text = "\n".join(line for line in MINIMAL[tool].splitlines() if not line.startswith(f"{name}:"))
        text += f"\n{name}: {odd}\n"
        try:
            imported = run(text, tool)
        except InputError as error:
            assert error.code in ("stage-not-ours", "model-kind-not-ours"), (name, error)
            skipped += 1
            continue
        reported = [e.key for part in (imported.mapped, imported.without_effect, imported.unsupported) for e in part]
        assert sorted(reported) == sorted(".".join(path) for path, _ in leaves(read_source(text, where=""))), name
        assert isinstance(yaml.safe_load(imported.recipe), dict)
    assert skipped < len(names) / 4
