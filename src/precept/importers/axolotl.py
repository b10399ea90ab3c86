"""Axolotl: the YAML of ``axolotl train``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from precept.importers.account import Account
from precept.importers.data_names import add_data, add_entry, name_data
from precept.importers.stages import refuse_kind, refuse_stage, refuse_vision
from precept.importers.training_keys import (
    DORA,
    ISOLATED,
    RSLORA,
    no_adapter,
    packed_rows,
    read_attention,
    read_batch,
    read_fraction,
    read_lora_numbers,
    read_max_steps,
    read_optimizer,
    read_precision,
    read_schedule,
    read_targets,
)

NAME = "Axolotl"
MARKS = (
    "base_model",
    "micro_batch_size",
    "sequence_len",
    "sample_packing",
    "num_epochs",
    "val_set_size",
    "adapter",
    "datasets",
    "pretraining_dataset",
    "lora_target_linear",
    "dataset_prepared_path",
    "train_on_inputs",
    "pad_to_sequence_len",
    "evals_per_epoch",
    "saves_per_epoch",
    "lr_scheduler",
    "optimizer",
    "wandb_project",
    "flash_attention",
    "model_type",
    "tokenizer_type",
    "special_tokens",
)
TABLES = ("axolotl", "transformers")
OTHER_STAGES = ("rl", "reward_model", "process_reward_model", "num_labels", "kd_trainer", "diffusion", "quantize_only")
OTHER_PLUGINS = {"kd": "distillation", "diffusion": "diffusion", "grpo": "grpo", "nemo_gym": "grpo"}
IMAGES = ("is_multimodal", "image_size", "image_resize_algorithm", "freeze_mm_modules")
LORA_KEYS = ("lora_r", "lora_alpha", "lora_dropout", "lora_target_modules", "lora_target_linear", *RSLORA, *DORA)
COLUMNS = {"messages", "conversations", "conversation"}
KNOWN_NAMES = {"role": ("role", "from"), "content": ("content", "value")}
OVER_LENGTH = {"drop": "drop", "truncate": "cut_right", "raise": "error"}
OWN_TEMPLATES = {"chatml": "chatml", "alpaca": "alpaca"}


def translate(account: Account) -> None:
    """Fill the account from an Axolotl configuration."""
    _refuse_what_is_not_ours(account)
    if account.find("gptq") is True:
        base = str(account.find("base_model"))
        account.gap("model", f"the unquantised base of {base}", comment="a GPTQ model cannot be trained on here")
        account.book("mapped", "base_model", "a marked gap: GPTQ weights cannot be trained on here", to="model")
    account.map("base_model", "model")
    pretraining = account.find("pretraining_dataset") is not None
    _datasets(account)
    _template(account)
    _loss_and_length(account, pretraining=pretraining)
    _adapter(account)
    _batch(account)
    read_max_steps(account)
    if not account.map("num_epochs", "num_train_epochs"):
        account.default("num_train_epochs", 1)
    read_schedule(account, key="lr_scheduler", default="cosine", warmup_default=None)
    if account.find("warmup_ratio") is None and account.find("warmup_steps") is None:
        account.default("warmup_ratio", 0.03)
    read_optimizer(account, "optimizer")
    read_precision(account)
    _evaluation(account)
    account.map("gradient_checkpointing", "gradient_checkpointing", value=bool(account.find("gradient_checkpointing")))
    read_attention(account, "attn_implementation")
    account.idle("special_tokens.pad_token", "padding needs no token here: nothing is padded")
    _parts(account)


def _refuse_what_is_not_ours(account: Account) -> None:
    for key in OTHER_STAGES:
        if account.find(key) not in (None, False):
            refuse_stage(str(account.find(key)) if key == "rl" else key, NAME, key)
    plugins = account.find("plugins")
    for plugin in plugins if isinstance(plugins, list) else ():
        for part in str(plugin).split("."):
            if part in OTHER_PLUGINS:
                refuse_stage(OTHER_PLUGINS[part], NAME, "plugins")
    refuse_vision(account, "base_model", keys=IMAGES)
    for key in ("processor_type", "model_type"):
        if "Processor" in str(account.find(key)) or "Vision" in str(account.find(key)):
            refuse_kind("a model with images, audio or video", NAME, key)


def _datasets(account: Account) -> None:
    for key, to in (("datasets", "data"), ("pretraining_dataset", "data"), ("test_datasets", "eval_data")):
        value = account.find(key)
        if isinstance(value, str):
            add_data(account, [key], to, [name_data(value)])
        for place, entry in enumerate(value if isinstance(value, list) else ()):
            if isinstance(entry, str):
                add_data(account, [f"{key}.{place}"], to, [name_data(entry)])
            elif isinstance(entry, dict):
                _dataset(account, f"{key}.{place}", entry, to)
        if isinstance(value, dict):
            _dataset(account, key, value, to)
    _compare_types(account)


def _dataset(account: Account, at: str, entry: Mapping[str, Any], to: str) -> None:
    if entry.get("path") is not None:
        add_entry(account, at, to, key="path", path=str(entry["path"]), split=str(entry.get("split") or "train"))
    _columns(account, at, entry)
    _rows(account, at, entry)


def _compare_types(account: Account) -> None:
    kinds = {str(entry.get("type")).split(".")[0] for entry in _entries(account) if isinstance(entry.get("type"), str)}
    if "alpaca" in kinds and len(kinds) > 1:
        account.differ("One chat template writes all rows here; Axolotl has one for each data set: see chat_template.")


def _entries(account: Account) -> list[Mapping[str, Any]]:
    value = account.find("datasets")
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _columns(account: Account, at: str, entry: Mapping[str, Any]) -> None:
    if str(entry.get("field_messages")) in COLUMNS:
        account.idle(f"{at}.field_messages", "the reader finds this column by itself")
    account.lack(f"{at}.field_messages", f"rename the column: the readers know {', '.join(sorted(COLUMNS))}")
    names = entry.get("message_property_mappings")
    for name, column in names.items() if isinstance(names, dict) else ():
        if column in KNOWN_NAMES.get(name, (name,)):
            account.idle(f"{at}.message_property_mappings.{name}", "the reader knows this name by itself")
    for old, name in (("message_field_role", "role"), ("message_field_content", "content")):
        if entry.get(old) in KNOWN_NAMES[name]:
            account.idle(f"{at}.{old}", "the reader knows this name by itself")
    for name in ("field_instruction", "field_input", "field_output"):
        if entry.get(name) == name.removeprefix("field_"):
            account.idle(f"{at}.{name}", "the reader knows this name by itself")
    if entry.get("field_tools") == "tools":
        account.idle(f"{at}.field_tools", "the reader knows this name by itself")


def _rows(account: Account, at: str, entry: Mapping[str, Any]) -> None:
    kind = str(entry.get("type") or "").lower()
    roles = entry.get("roles_to_train", entry.get("train_on_roles"))
    if roles in (["assistant"], ["gpt"], ["assistant", "gpt"], ["gpt", "assistant"]):
        account.idle(f"{at}.roles_to_train", "answers are what is trained, as here")
    elif roles is not None:
        account.differ(f"Axolotl trains the turns of {roles}, here only the assistant's are trained.")
    if entry.get("train_on_eos") == "turn":
        account.idle(f"{at}.train_on_eos", "the token that ends each answer is trained, as here")
    if entry.get("message_field_training") in ("train", "training", "weight"):
        account.idle(f"{at}.message_field_training", "the reader heeds this flag of a message")
    if isinstance(entry.get("type"), dict):
        account.lack(
            f"{at}.type", "a prompt of the user's own: write it as a .jinja template and name it chat_template"
        )
        account.differ("Rows are written with Axolotl's own prompt format; here with the chat template.")
    elif kind.startswith("alpaca"):
        account.map(f"{at}.type", "chat_template", value="alpaca")
        account.differ(
            "The Alpaca prompt has a section for the input in Axolotl; here the input is a paragraph of the "
            "instruction (chat_template=alpaca)."
        )
    elif kind.startswith(("chat_template", "completion", "pretrain", "sharegpt")):
        account.idle(f"{at}.type", "the reader finds the format by looking at all rows")
    elif kind:
        account.lack(f"{at}.type", "a format of Axolotl's own: the reader looks at the rows, the chat template is used")
        account.differ(f"Axolotl writes rows as '{kind}'; here they are written with the chat template.")


def _template(account: Account) -> None:
    name, text = account.text("chat_template"), str(account.find("chat_template_jinja") or "")
    if text.endswith(".jinja"):
        account.map("chat_template_jinja", "chat_template")
    account.lack(
        "chat_template_jinja", "save the text to a .jinja file and name it in chat_template", to="chat_template"
    )
    if name.startswith("tokenizer_default"):
        account.idle("chat_template", "the tokenizer's own template is the default here")
    elif name == "jinja":
        account.idle("chat_template", "chat_template_jinja holds it")
    elif name in OWN_TEMPLATES and "chat_template" not in account.settings:
        account.map("chat_template", "chat_template", value=OWN_TEMPLATES[name])
    elif name:
        account.lack(
            "chat_template",
            f"'{name}' is a template in Axolotl's code; here the tokenizer's own is used, or the one that "
            "chat_template names (precept data show prints it)",
            to="chat_template",
        )
        account.differ(
            f"Axolotl renders with its own copy of the template '{name}', here it is the tokenizer's: compare with "
            "precept data show."
        )


def _loss_and_length(account: Account, *, pretraining: bool) -> None:
    trains_prompts = account.find("train_on_inputs") is True
    if pretraining:
        account.idle("train_on_inputs", "every token of a plain text row is trained")
    account.map("train_on_inputs", "prompt_weight", value=1 if trains_prompts else 0)
    policy = account.text("excess_length_strategy")
    if not account.map("sequence_len", "max_length"):
        account.default("max_length", 512)
    if policy in OVER_LENGTH:
        account.map("excess_length_strategy", "over_length", value=OVER_LENGTH[policy])
    elif pretraining:
        account.set("over_length", "split", comment="Axolotl joins texts and cuts them into blocks of sequence_len")
        account.differ("Texts are joined and cut into equal blocks there; here each text is a row, split where longer.")
    else:
        account.set("over_length", "drop", comment="Axolotl drops longer rows")
    packed = account.find("sample_packing") is True
    account.idle("sample_packing", f"{ISOLATED} (Axolotl isolates the rows of a pack as well)")
    if packed and not pretraining:
        packed_rows(account, "sample_packing", str(account.find("sequence_len") or 512))
    if account.find("reinit_weights") is True:
        account.differ("Axolotl starts from random weights (reinit_weights); here from those of the model's folder.")
    if account.number("neftune_noise_alpha", 0) > 0:
        account.differ("Axolotl adds noise to the embeddings (neftune_noise_alpha); that is not here.")
    if account.find("use_eaft") is True:
        account.differ("Axolotl trains with the loss EAFT, here it is the negative log-likelihood.")


def _adapter(account: Account) -> None:
    kind = account.text("adapter")
    four = account.find("load_in_4bit") is True
    if kind not in ("lora", "qlora"):
        if kind:
            account.lack("adapter", "adapters here are lora, dora and qlora", to="adapter")
            account.differ(f"Axolotl trains with adapter={kind}, here all weights are trained.")
        no_adapter(account, LORA_KEYS)
        if four:
            account.lack("load_in_4bit", "a 4-bit base is trained through an adapter: set adapter=qlora", to="adapter")
        return
    dora = next((key for key in DORA if account.find(key) is True), None)
    ours = "qlora" if kind == "qlora" or four else "dora" if dora else "lora"
    if kind == "lora" and account.find("load_in_8bit") is True:
        account.differ(
            "Axolotl trains LoRA on a base in 8 bits; here the base has its own precision (or 4 bits: qlora)."
        )
    account.map("adapter", "adapter", value=ours)
    if four:
        account.map("load_in_4bit", "adapter", "nf4 with double quantisation", value="qlora")
    if dora and ours == "dora":
        account.map(dora, "adapter", value="dora")
    elif dora:
        account.lack(dora, "DoRA on a 4-bit base is not here: LoRA is trained", to="adapter")
    linear = account.find("lora_target_linear") is True
    named = read_targets(account, "lora_target_modules")
    if linear:
        account.map("lora_target_linear", "lora_target_modules", "", value="all-linear")
    elif not named:
        account.differ(
            "Without lora_target_linear Axolotl lets peft choose the modules; here adapters stand on all linear "
            "layers: lora_target_modules=q_proj,v_proj is peft's choice in most families."
        )
    read_lora_numbers(
        account, rank="lora_r", alpha="lora_alpha", dropout="lora_dropout", rank_default=8, alpha_default=None
    )


def _batch(account: Account) -> None:
    shards, copies = account.number("dp_shard_size", 0), account.number("dp_replicate_size", 0)
    world = int(max(1, shards) * max(1, copies)) if shards or copies else None
    if account.number("batch_size", 0) > 0 and account.find("gradient_accumulation_steps") is None:
        account.map("batch_size", "batch_size", "micro_batch_size times accumulation, on one device")
        account.idle("micro_batch_size", "how much is computed at once: max_tokens_per_forest sets that here")
    read_batch(
        account,
        micro="micro_batch_size",
        micro_default=1,
        accumulation="gradient_accumulation_steps",
        accumulation_default=1,
        world=world,
    )
    if world is not None and "batch_size" in account.settings:
        for key in ("dp_shard_size", "dp_replicate_size"):
            account.book("mapped", key, f"rows of {world} devices make an optimizer step", to="batch_size")


def _evaluation(account: Account) -> None:
    if account.find("test_datasets") is not None:
        account.idle("val_set_size", "test_datasets are measured")
    read_fraction(account, "val_set_size")
    for key, to in (("evals_per_epoch", "eval_steps"), ("saves_per_epoch", "save_steps")):
        if account.number(key, 0) > 0:
            account.lack(key, f"set {to} to the steps of an epoch (rows / batch_size) / {account.find(key)}", to=to)
        account.idle(key, "not asked for")
    for key in ("eval_steps", "save_steps"):
        account.map(key, key)
    if account.find("use_tensorboard") is True:
        account.map("use_tensorboard", "report_to", value="tensorboard")
    account.idle("use_tensorboard", "not asked for")
    if account.find("use_trackio") is True or account.find("trackio_project_name") is not None:
        account.map("use_trackio", "report_to", value="trackio")
        account.map("trackio_project_name", "report_to", "a run is its output folder here", value="trackio")


def _parts(account: Account) -> None:
    plugins = account.find("plugins")
    for place, plugin in enumerate(plugins if isinstance(plugins, list) else ()):
        if any(name in str(plugin) for name in ("CutCrossEntropy", "Liger", "kernels", "spectrum_off")):
            account.idle(
                f"plugins.{place}", "a way to compute the same loss; here it meets the head at trained tokens only"
            )
