"""TRL: the YAML that ``trl sft --config`` takes (SFTConfig, ModelConfig and ScriptArguments as flat keys)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from precept.importers.account import Account
from precept.importers.data_names import add_data, add_entry, name_data
from precept.importers.stages import refuse_stage, refuse_vision
from precept.importers.training_keys import (
    DORA,
    ISOLATED,
    PROMPTS,
    no_adapter,
    packed_rows,
    read_attention,
    read_batch,
    read_evaluation,
    read_length,
    read_lora_numbers,
    read_max_steps,
    read_optimizer,
    read_precision,
    read_schedule,
    read_targets,
    read_trackers,
)

NAME = "TRL"
MARKS = (
    "dataset_name",
    "dataset_mixer",
    "datasets",
    "dataset_config",
    "dataset_train_split",
    "dataset_test_split",
    "dataset_text_field",
    "dataset_num_proc",
    "use_peft",
    "lora_r",
    "lora_target_modules",
    "max_length",
    "max_seq_length",
    "packing_strategy",
    "assistant_only_loss",
    "completion_only_loss",
    "chat_template_path",
    "attn_implementation",
    "torch_dtype",
    "dtype",
    "load_in_4bit",
    "model_revision",
)
TABLES = ("trl", "transformers")
OTHER_STAGES = {
    "num_generations": "grpo",
    "reward_funcs": "grpo",
    "max_completion_length": "grpo",
    "reward_model_name_or_path": "grpo",
    "reward_model_path": "ppo",
    "vf_coef": "ppo",
    "cliprange": "ppo",
    "num_ppo_epochs": "ppo",
    "desirable_weight": "kto",
    "undesirable_weight": "kto",
    "center_rewards_coefficient": "reward",
    "ref_model_name_or_path": "dpo",
    "precompute_ref_log_probs": "dpo",
    "beta": "dpo",
    "lmbda": "gkd",
    "teacher_model_name_or_path": "gkd",
}
LOSSES = {"nll", "chunked_nll"}
OTHER_LOSSES = {
    **dict.fromkeys(("sigmoid", "hinge", "ipo", "robust", "apo_zero", "apo_down", "sppo_hard"), "dpo"),
    **dict.fromkeys(("grpo", "dapo", "dr_grpo", "bnpo", "gspo"), "grpo"),
    "kto": "kto",
}
LORA_KEYS = (
    "lora_r",
    "lora_alpha",
    "lora_dropout",
    "lora_target_modules",
    "lora_target_parameters",
    "lora_modules_to_save",
    "lora_task_type",
    "use_rslora",
    "use_dora",
)


def translate(account: Account) -> None:
    """Fill the account from a TRL configuration."""
    for key, stage in OTHER_STAGES.items():
        if account.find(key) is not None:
            refuse_stage(stage, NAME, key)
    if account.text("loss_type") in OTHER_LOSSES:
        refuse_stage(OTHER_LOSSES[account.text("loss_type")], NAME, "loss_type")
    refuse_vision(account, "model_name_or_path", keys=("vision_model", "max_pixels", "image_column"))
    account.map("model_name_or_path", "model")
    _data(account)
    _template(account)
    _loss(account)
    _length(account)
    _adapter(account)
    read_max_steps(account)
    read_batch(
        account,
        micro="per_device_train_batch_size",
        micro_default=8,
        accumulation="gradient_accumulation_steps",
        accumulation_default=1,
        world=None,
    )
    read_schedule(account, key="lr_scheduler_type", default="linear")
    read_optimizer(account, "optim")
    read_precision(account)
    _dtype(account)
    read_evaluation(account)
    read_trackers(account, "report_to")
    read_attention(account, "attn_implementation")
    read_attention(account, "model_init_kwargs.attn_implementation")
    _set_defaults(account)


def _length(account: Account) -> None:
    key = "max_length" if account.has("max_length") else "max_seq_length"
    side = "cut_left" if account.text("truncation_mode") == "keep_end" else "cut_right"
    default = None if account.has(key) else 1024
    read_length(account, key, default=default, over_length=side, why="TRL cuts longer rows")
    account.idle("max_seq_length", "max_length overrides it")
    account.map("truncation_mode", "over_length", value=side)


def _data(account: Account) -> None:
    split, test = account.find("dataset_train_split"), account.find("dataset_test_split")
    subset = account.find("dataset_config")
    name = account.find("dataset_name")
    evaluates = account.text("eval_strategy") not in ("", "no", "false")
    if name is not None:
        train = name_data(str(name), split=_text(split), subset=_text(subset))
        add_data(account, ["dataset_name", "dataset_train_split", "dataset_config"], "data", [train])
        if evaluates:
            held_out = name_data(str(name), split=_text(test) or "test", subset=_text(subset))
            add_data(account, ["dataset_test_split"], "eval_data", [held_out])
        account.idle("dataset_test_split", "no rows are measured without eval_strategy")
    for place, entry in enumerate(_entries(account.find("datasets"))):
        _data_entry(account, f"datasets.{place}", entry)
    mixer = account.find("dataset_mixer")
    splits = [str(name) for name in _list(account.find("dataset_splits"))]
    for path, share in mixer.items() if isinstance(mixer, dict) else ():
        parts: list[str | None] = [name for name in splits if name.startswith("train")] or [None]
        add_data(account, [], "data", [name_data(path, split=part) for part in parts])
        measured = [name for name in splits if not name.startswith("train")]
        add_data(account, [], "eval_data", [name_data(path, split=part) for part in measured])
        _share(account, ("dataset_mixer", path), share)
        account.book("mapped", "dataset_splits", "train... is trained on, the others are measured", to="data")


def _data_entry(account: Account, at: str, entry: Mapping[str, Any]) -> None:
    if entry.get("path") is not None:
        split = _text(entry.get("split")) or "train"
        add_entry(account, at, "data", key="path", path=str(entry["path"]), split=split)
    if "fraction" in entry:
        _share(account, (*at.split("."), "fraction"), entry["fraction"])


def _share(account: Account, path: tuple[str, ...], value: Any) -> None:
    if value == 1:
        account.book("mapped", path, "all rows", to="data")
    else:
        account.lack(path, "a share of the rows; write path#N for the first N rows", to="data")
        account.differ("The source mixes in shares of its data sets; here all rows of each are trained on.")


def _template(account: Account) -> None:
    value = account.find("chat_template_path")
    if isinstance(value, str) and value.endswith(".jinja"):
        account.map("chat_template_path", "chat_template")
    else:
        account.lack(
            "chat_template_path", "a folder with a tokenizer: name its chat_template.jinja", to="chat_template"
        )
    account.lack("chat_template", "save the text to a .jinja file and name it in chat_template", to="chat_template")


def _loss(account: Account) -> None:
    messages, completion = account.find("assistant_only_loss"), account.find("completion_only_loss")
    if messages is True:
        account.map("assistant_only_loss", "prompt_weight", "only the assistant's turns are trained", value=0)
    elif completion is True:
        account.map("completion_only_loss", "prompt_weight", "only completions are trained", value=0)
    elif messages is False or completion is False:
        key = "assistant_only_loss" if messages is False else "completion_only_loss"
        account.map(key, "prompt_weight", "prompts are trained too, as the source says", value=1)
    else:
        account.differ(
            "TRL trains on all tokens of rows with messages, prompts included, unless assistant_only_loss is set; "
            f"here only answers are trained: {PROMPTS}. Rows of prompt and completion are alike in both."
        )
    account.idle("completion_only_loss", "assistant_only_loss decides")
    account.idle("assistant_only_loss", "completion_only_loss decides")
    loss = account.text("loss_type")
    if loss in LOSSES or not loss:
        account.idle("loss_type", "cross entropy, as here")
    else:
        account.lack("loss_type", "the loss of train.sft is the negative log-likelihood")
        account.differ(f"TRL trains with loss_type={loss}, here it is the negative log-likelihood of answers.")
    if account.find("packing") is True:
        strategy = account.text("packing_strategy") or "bfd"
        if strategy == "wrapped":
            account.differ(
                "TRL's wrapped packing cuts rows in the middle and lets them see each other; here none does."
            )
        keeps = "which cuts rows in the middle and lets them see each other" if strategy == "wrapped" else "isolated"
        account.idle("packing", f"{ISOLATED} (TRL: {strategy}, {keeps} only with FlashAttention)")
        packed_rows(account, "packing", str(account.find("max_length") or 1024))
    else:
        account.idle("packing", ISOLATED)
    if account.number("neftune_noise_alpha", 0) > 0:
        account.differ("TRL adds noise to the embeddings (neftune_noise_alpha); that is not here.")


def _adapter(account: Account) -> None:
    if account.find("use_peft") is not True:
        account.map("use_peft", "adapter", "all weights are trained", value="none")
        no_adapter(account, LORA_KEYS)
        if account.find("load_in_4bit") is True:
            account.lack("load_in_4bit", "a 4-bit base is trained through an adapter: set adapter=qlora", to="adapter")
        return
    dora = next((key for key in DORA if account.find(key) is True), None)
    four = account.find("load_in_4bit") is True
    kind = "qlora" if four else "dora" if dora else "lora"
    account.map("use_peft", "adapter", value=kind)
    account.map("load_in_4bit", "adapter", value=kind)
    if dora and four:
        account.lack(dora, "DoRA on a 4-bit base is not here: LoRA is trained", to="adapter")
    elif dora:
        account.map(dora, "adapter", value=kind)
    nested = account.find("use_bnb_nested_quant")
    if four and nested is not True:
        account.differ("qlora here quantises the scales a second time (double quantisation); TRL does not by default.")
    account.idle("use_bnb_nested_quant", "double quantisation is always on with qlora, and says nothing without it")
    if not read_targets(account, "lora_target_modules"):
        account.differ(
            "TRL lets peft choose the modules (q_proj and v_proj in most families), here adapters stand on all linear "
            "layers: lora_target_modules=q_proj,v_proj reproduces it."
        )
    read_lora_numbers(
        account, rank="lora_r", alpha="lora_alpha", dropout="lora_dropout", rank_default=16, alpha_default=32
    )
    account.default("lora_dropout", 0.05)


def _dtype(account: Account) -> None:
    for key in ("dtype", "torch_dtype"):
        names = {"bfloat16": "bfloat16", "float32": "float32", "auto": "auto"}
        asked = account.text(key).removeprefix("torch.")
        if "dtype" in account.settings:
            account.idle(key, "bf16 and fp16 decide about the arithmetic; weights are loaded as their folder says")
        elif asked in names:
            account.map(key, "dtype", value=names[asked])
        else:
            account.lack(key, "dtype here is auto, bfloat16 or float32", to="dtype")


def _set_defaults(account: Account) -> None:
    for key, value in (("learning_rate", 2e-5), ("num_train_epochs", 3), ("gradient_checkpointing", True)):
        if account.find(key) is None:
            account.default(key, value)


def _entries(value: Any) -> list[Mapping[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
