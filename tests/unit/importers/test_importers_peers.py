"""What each tool's keys become: values, defaults that the tool brings, and where the objective differs."""

from __future__ import annotations

import pytest

from precept.importers import Imported, import_config

TRL = "model_name_or_path: a/b\ndataset_name: c/d\n"
FACTORY = "model_name_or_path: a/b\nstage: sft\ndataset: x\n"
AXOLOTL = "base_model: a/b\ndatasets: [{path: c/d, type: chat_template}]\n"
TUNE = """
model: {_component_: torchtune.models.llama3_1.llama3_1_8b}
checkpointer: {_component_: torchtune.training.FullModelHFCheckpointer, checkpoint_dir: /models/llama}
dataset: {_component_: torchtune.datasets.alpaca_dataset}
optimizer: {_component_: torch.optim.AdamW, lr: 2e-5}
"""


def run(text: str) -> Imported:
    return import_config(text, where="their.yaml", name="their", tool=None, refuses=lambda settings: None)


def where(imported: Imported, key: str) -> str:
    """The list that a key stands in."""
    lists = {
        "mapped": imported.mapped,
        "without_effect": imported.without_effect,
        "unsupported": imported.unsupported,
    }
    (found,) = [name for name, entries in lists.items() if any(entry.key == key for entry in entries)]
    return found


def differs(imported: Imported, words: str) -> bool:
    return any(words in sentence for sentence in imported.objective_differences)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The defaults of each tool, which the file leaves open.
        (
            TRL,
            {
                "model": "a/b",
                "data": ["hf:c/d"],
                "max_length": 1024,
                "over_length": "cut_right",
                "batch_size": 8,
                "learning_rate": 2e-5,
                "lr_scheduler_type": "linear",
                "warmup_ratio": 0.0,
                "num_train_epochs": 3,
                "gradient_checkpointing": True,
            },
        ),
        (
            FACTORY,
            {
                "model": "a/b",
                "data": ["FILL-IN: dataset x"],
                "adapter": "lora",
                "lora_r": 8,
                "lora_alpha": 16,  # twice the rank
                "lora_target_modules": "all-linear",
                "max_length": 2048,
                "batch_size": 8,
                "learning_rate": 5e-5,
                "lr_scheduler_type": "linear",
                "num_train_epochs": 3,
                "gradient_checkpointing": True,
            },
        ),
        (
            AXOLOTL,
            {
                "model": "a/b",
                "data": ["hf:c/d"],
                "max_length": 512,
                "over_length": "drop",
                "batch_size": 1,
                "num_train_epochs": 1,
                "lr_scheduler_type": "cosine",
                "warmup_ratio": 0.03,
            },
        ),
        (
            TUNE,
            {
                "model": "/models/llama",
                "data": ["hf:tatsu-lab/alpaca"],
                "adapter": "none",
                "learning_rate": 2e-5,
                "weight_decay": 0.01,  # of torch.optim.AdamW
                "max_grad_norm": 0.0,
                "lr_scheduler_type": "constant",
                "warmup_ratio": 0.0,
                "num_train_epochs": 1,
            },
        ),
        # Batch: a device's share times accumulation (times devices, where the file says how many).
        (TRL + "per_device_train_batch_size: 4\ngradient_accumulation_steps: 8\n", {"batch_size": 32}),
        (AXOLOTL + "micro_batch_size: 2\ngradient_accumulation_steps: 4\ndp_shard_size: 4\n", {"batch_size": 32}),
        (TUNE + "batch_size: 2\ngradient_accumulation_steps: 16\n", {"batch_size": 32}),
        # Warm-up: a share; steps only where max_steps makes them one. constant has none in transformers.
        (TRL + "warmup_ratio: 0.1\n", {"warmup_ratio": 0.1}),
        (TRL + "warmup_steps: 0.1\n", {"warmup_ratio": 0.1}),
        (TRL + "warmup_steps: 6\nmax_steps: 60\n", {"warmup_ratio": 0.1, "max_steps": 60}),
        (TRL + "warmup_ratio: 0.1\nlr_scheduler_type: constant\n", {"warmup_ratio": 0.0}),
        (TRL + "warmup_ratio: 0.1\nlr_scheduler_type: constant_with_warmup\n", {"lr_scheduler_type": "constant"}),
        # Adapters.
        (TRL + "use_peft: true\n", {"adapter": "lora", "lora_r": 16, "lora_alpha": 32, "lora_dropout": 0.05}),
        (TRL + "use_peft: true\nload_in_4bit: true\n", {"adapter": "qlora"}),
        (FACTORY + "quantization_bit: 4\nlora_rank: 64\n", {"adapter": "qlora", "lora_r": 64, "lora_alpha": 128}),
        (
            FACTORY + "use_dora: true\nlora_target: q_proj, v_proj\n",
            {"adapter": "dora", "lora_target_modules": ["q_proj", "v_proj"]},
        ),
        # rsLoRA scales by alpha / sqrt(r): 8 / 4 = 2 = 32 / 16.
        (FACTORY + "lora_rank: 16\nlora_alpha: 8\nuse_rslora: true\n", {"lora_alpha": 32.0}),
        (FACTORY + "finetuning_type: full\nlora_rank: 4\n", {"adapter": "none"}),
        (
            AXOLOTL + "adapter: lora\nload_in_4bit: true\nlora_target_linear: true\n",
            {"adapter": "qlora", "lora_target_modules": "all-linear"},
        ),
        # What is trained.
        (TRL + "assistant_only_loss: true\n", {"prompt_weight": 0}),
        (TRL + "completion_only_loss: false\n", {"prompt_weight": 1}),
        (FACTORY + "train_on_prompt: true\nmask_history: true\n", {"prompt_weight": 1, "train_on": "last"}),
        (AXOLOTL + "train_on_inputs: true\n", {"prompt_weight": 1}),
        (TUNE.replace("alpaca_dataset}", "alpaca_dataset, train_on_input: false}"), {"prompt_weight": 0}),
        # Length.
        (FACTORY + "cutoff_len: 512\nneat_packing: true\n", {"max_length": 512, "over_length": "drop"}),
        (FACTORY.replace("sft", "pt"), {"over_length": "split"}),
        (
            AXOLOTL + "sequence_len: 256\nexcess_length_strategy: truncate\n",
            {"max_length": 256, "over_length": "cut_right"},
        ),
        (TUNE + "tokenizer: {path: x, max_seq_len: 1024}\n", {"max_length": 1024, "over_length": "cut_right"}),
        # Rows held out.
        (AXOLOTL + "val_set_size: 0.05\n", {"eval_fraction": 0.05}),
        (FACTORY + "val_size: 0.1\neval_strategy: steps\neval_steps: 50\n", {"eval_fraction": 0.1, "eval_steps": 50}),
        (
            TRL + "dataset_test_split: test\neval_strategy: steps\neval_steps: 5\n",
            {"eval_data": ["hf:c/d:test"], "eval_steps": 5},
        ),
        # Data.
        (FACTORY + "max_samples: 500\n", {"data": ["FILL-IN: dataset x#500"]}),
        (TRL + "dataset_train_split: 'train[:100]'\n", {"data": ["hf:c/d#100"]}),
        (TRL + "dataset_config: en\n", {"data": ["FILL-IN: hf:c/d (subset en)"]}),
        (
            "model_name_or_path: a/b\ndatasets: [{path: json, data_files: t.jsonl}]\npacking_strategy: bfd\n",
            {"data": ["t.jsonl"]},
        ),
        (AXOLOTL.replace("c/d", "./rows.jsonl"), {"data": ["./rows.jsonl"]}),
        (AXOLOTL.replace("c/d", "./rows.jsonl, split: 'train[:9%]'"), {"data": ["FILL-IN: ./rows.jsonl (train[:9%])"]}),
        (AXOLOTL.replace("c/d", "./rows, data_files: [a.jsonl]"), {"data": ["./rows/a.jsonl"]}),
        (AXOLOTL.replace("c/d", "c/d, data_files: a.jsonl"), {"data": ["FILL-IN: a.jsonl of hf:c/d"]}),
        (AXOLOTL.replace("c/d", "json, data_files: {train: a.jsonl, test: b.jsonl}"), {"data": ["a.jsonl"]}),
        (AXOLOTL.replace("c/d", "s3://bucket/rows.jsonl"), {"data": ["FILL-IN: s3://bucket/rows.jsonl"]}),
        (AXOLOTL.replace("chat_template}", "alpaca}"), {"chat_template": "alpaca"}),
        # Precision and the like.
        (TRL + "bf16: true\nattn_implementation: eager\n", {"dtype": "bfloat16", "attn_implementation": "eager"}),
        (
            FACTORY + "disable_gradient_checkpointing: true\nflash_attn: disabled\n",
            {"gradient_checkpointing": False, "attn_implementation": "eager"},
        ),
        (TUNE + "dtype: fp32\nclip_grad_norm: 1.0\n", {"dtype": "float32", "max_grad_norm": 1.0}),
        (TRL + "report_to: [tensorboard]\nsave_total_limit: 1\n", {"report_to": "tensorboard", "save_total_limit": 1}),
    ],
)
def test_settings(text: str, expected: dict[str, object]) -> None:
    settings = run(text).settings
    assert {key: settings.get(key) for key in expected} == expected


@pytest.mark.parametrize(
    ("text", "key", "list_name"),
    [
        (TRL + "packing: true\n", "packing", "without_effect"),
        (TRL + "optim: adamw_torch_fused\n", "optim", "without_effect"),
        (TRL + "optim: adafactor\n", "optim", "unsupported"),
        (TRL + "optim: paged_adamw_8bit\n", "optim", "unsupported"),
        (TRL + "warmup_steps: 10\n", "warmup_steps", "unsupported"),
        (TRL + "lr_scheduler_type: polynomial\n", "lr_scheduler_type", "unsupported"),
        (TRL + "deepspeed: z3.json\n", "deepspeed", "unsupported"),
        (TRL + "push_to_hub: false\n", "push_to_hub", "without_effect"),
        (TRL + "report_to: wandb\n", "report_to", "unsupported"),
        (TRL + "attn_implementation: flash_attention_2\n", "attn_implementation", "without_effect"),
        (TRL + "use_liger_kernel: true\n", "use_liger_kernel", "without_effect"),
        (TRL + "fp16: true\n", "fp16", "unsupported"),
        (TRL + "neftune_noise_alpha: 5\n", "neftune_noise_alpha", "unsupported"),
        (TRL + "seed:\n", "seed", "without_effect"),
        (FACTORY + "template: llama3\n", "template", "unsupported"),
        (FACTORY + "double_quantization: false\nquantization_bit: 4\n", "double_quantization", "unsupported"),
        (FACTORY + "use_galore: false\n", "use_galore", "without_effect"),
        (FACTORY + "galore_rank: 8\n", "galore_rank", "unsupported"),
        (FACTORY + "enable_thinking: false\n", "enable_thinking", "unsupported"),
        (AXOLOTL + "lora_target_modules: 'layers.[0-9]+.q'\nadapter: lora\n", "lora_target_modules", "unsupported"),
        (AXOLOTL + "wandb_name:\n", "wandb_name", "without_effect"),
        (AXOLOTL + "wandb_project: x\n", "wandb_project", "unsupported"),
        (AXOLOTL + "fsdp_config: {offload_params: true}\n", "fsdp_config.offload_params", "unsupported"),
        (AXOLOTL + "evals_per_epoch: 0\n", "evals_per_epoch", "without_effect"),
        (AXOLOTL + "val_set_size: 200\n", "val_set_size", "unsupported"),
        (AXOLOTL + "special_tokens: {pad_token: x}\n", "special_tokens.pad_token", "without_effect"),
        (AXOLOTL.replace("c/d,", "c/d, field_messages: convo,"), "datasets.0.field_messages", "unsupported"),
        (AXOLOTL.replace("c/d,", "c/d, field_messages: messages,"), "datasets.0.field_messages", "without_effect"),
        (TUNE + "shuffle: true\n", "shuffle", "without_effect"),
        (TUNE + "shuffle: false\n", "shuffle", "unsupported"),
        (TUNE + "profiler: {enabled: true}\n", "profiler.enabled", "without_effect"),
        (TUNE + "optimizer_in_bwd: true\n", "optimizer_in_bwd", "without_effect"),
    ],
)
def test_lists(text: str, key: str, list_name: str) -> None:
    imported = run(text)
    assert where(imported, key) == list_name
    entries = [*imported.mapped, *imported.without_effect, *imported.unsupported]
    assert all(entry.why for entry in entries)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (TRL, "prompt_weight=1 reproduces it"),
        (TUNE, "prompt_weight=1 reproduces it"),
        (TUNE, "Alpaca prompt"),
        (TUNE, "last incomplete batch"),
        (TRL, "multiply batch_size by N"),
        (TRL + "packing: true\n", "batch_size counts rows"),
        (AXOLOTL + "sample_packing: true\n", "batch_size counts rows"),
        (FACTORY + "packing: true\n", "lets the rows of a pack attend to each other"),
        (FACTORY, "cuts rows longer than cutoff_len"),
        (FACTORY + "template: llama3\n", "its own layout 'llama3'"),
        (FACTORY + "use_dft_loss: true\n", "the loss DFT"),
        (TRL + "loss_type: dft\n", "loss_type=dft"),
        (TRL + "use_peft: true\n", "lora_target_modules=q_proj,v_proj reproduces it"),
        (TRL + "optim: muon\n", "tune learning_rate anew"),
        (AXOLOTL + "reinit_weights: true\n", "starts from random weights"),
        (AXOLOTL + "chat_template: llama3\n", "its own copy of the template 'llama3'"),
    ],
)
def test_differences_in_the_objective(text: str, words: str) -> None:
    assert differs(run(text), words)


def test_the_loss_on_prompts_is_no_difference_where_the_source_masks_them() -> None:
    for text in (TRL + "assistant_only_loss: true\n", FACTORY, AXOLOTL):
        assert not differs(run(text), "prompt_weight")


@pytest.mark.parametrize("total", [7, 60, 100, 305, 999, 12345])
def test_a_warm_up_in_steps_is_exact_in_the_rule_of_our_schedule(total: int) -> None:
    import math

    for steps in {1, 2, 3, 5, total // 3, total - 1, total}:
        ratio = run(f"{TRL}warmup_steps: {steps}\nmax_steps: {total}\n").settings["warmup_ratio"]
        assert math.ceil(ratio * total) == steps


def test_references_of_torchtune_are_resolved_where_they_are_plain() -> None:
    text = TUNE + "output_dir: /out\nbatch_size: 4\nbatch_size_val: ${batch_size}\nlog_dir: ${output_dir}/${env:X}\n"
    imported = run(text + "a: ${b}\nb: ${a}\n")
    values = {entry.key: entry.value for entry in (*imported.without_effect, *imported.unsupported)}
    assert values["batch_size_val"] == 4
    assert values["log_dir"] == "/out/${env:X}"
    assert values["a"] in ("${a}", "${b}")  # a circle ends


def test_lora_modules_of_torchtune_have_the_names_of_hugging_face() -> None:
    lora = TUNE.replace(
        "llama3_1.llama3_1_8b}",
        "llama3_1.qlora_llama3_1_8b, lora_attn_modules: [q_proj, output_proj], apply_lora_to_mlp: true}",
    )
    settings = run(lora).settings
    assert settings["adapter"] == "qlora"
    assert settings["lora_target_modules"] == ["q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    assert (settings["lora_r"], settings["lora_alpha"]) == (8, 16)
    fused = run(lora.replace("llama3_1.qlora_llama3_1_8b", "phi3.lora_phi3_mini")).settings
    assert fused["lora_target_modules"] == ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"]


def test_two_ends_of_one_data_set_become_a_share_held_out() -> None:
    text = TUNE.replace("alpaca_dataset}", "alpaca_dataset, split: 'train[:95%]'}")
    text += "dataset_val: {_component_: torchtune.datasets.alpaca_dataset, split: 'train[95%:]'}\n"
    settings = run(text).settings
    assert (settings["data"], settings["eval_fraction"]) == (["hf:tatsu-lab/alpaca"], 0.05)
    assert "eval_data" not in settings


def test_version_1_of_llama_factory_is_read() -> None:
    text = """
model: Qwen/Qwen3-4B
model_class: llm
peft_config: {name: lora, r: 4, lora_alpha: 8, lora_dropout: 0.1, target_modules: all}
dist_config: {name: fsdp2}
train_dataset: data/v1_sft_demo.yaml
micro_batch_size: 2
cutoff_len: 128
max_steps: 10
"""
    imported = run(text)
    expected = {
        "adapter": "lora",
        "lora_r": 4,
        "lora_alpha": 8,
        "lora_dropout": 0.1,
        "batch_size": 2,
        "max_length": 128,
    }
    assert {key: imported.settings[key] for key in expected} == expected
    assert imported.settings["data"] == ["FILL-IN: dataset data/v1_sft_demo.yaml"]
    assert where(imported, "dist_config.name") == "unsupported"


def test_a_handbook_mixture_is_read() -> None:
    text = """
model_name_or_path: a/b
dataset_mixer: {H4/chat: 1.0, H4/other: 0.5}
dataset_splits: [train_sft, test_sft]
torch_dtype: bfloat16
max_seq_length: 64
"""
    imported = run(text)
    assert imported.settings["data"] == ["hf:H4/chat:train_sft", "hf:H4/other:train_sft"]
    assert imported.settings["eval_data"] == ["hf:H4/chat:test_sft", "hf:H4/other:test_sft"]
    assert imported.settings["max_length"] == 64
    assert where(imported, "dataset_mixer.H4/other") == "unsupported"
