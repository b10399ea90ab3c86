"""LLaMA-Factory: flat YAML of ``llamafactory-cli train``, and the nested keys of its version 1."""

from __future__ import annotations

from precept.importers.account import GAP, Account
from precept.importers.data_names import HUB, add_data, is_local, name_data
from precept.importers.stages import VISION, refuse_kind, refuse_stage, refuse_vision
from precept.importers.training_keys import (
    DORA,
    ISOLATED,
    RSLORA,
    no_adapter,
    packed_rows,
    read_attention,
    read_batch,
    read_evaluation,
    read_lora_numbers,
    read_max_steps,
    read_optimizer,
    read_precision,
    read_schedule,
    read_targets,
    read_trackers,
)

NAME = "LLaMA-Factory"
V1_MARKS = (
    "model_class",
    "train_dataset",
    "peft_config",
    "kernel_config",
    "dist_config",
    "init_config",
    "sample_backend",
    "quant_config",
)
MARKS = (
    "stage",
    "finetuning_type",
    "template",
    "cutoff_len",
    "dataset",
    "dataset_dir",
    "eval_dataset",
    "lora_rank",
    "lora_target",
    "quantization_bit",
    "max_samples",
    "val_size",
    "neat_packing",
    "flash_attn",
    "mask_history",
    "train_on_prompt",
    "plot_loss",
    "overwrite_cache",
    "infer_backend",
    "export_dir",
    *V1_MARKS,
)
TABLES = ("llama_factory", "llama_factory_v1", "transformers")
OTHER_STAGES = ("rm", "ppo", "dpo", "kto", "grpo", "orpo", "simpo")
IMAGES = ("image_max_pixels", "video_max_pixels", "freeze_vision_tower", "freeze_multi_modal_projector")
LORA_KEYS = (
    "lora_rank",
    "lora_alpha",
    "lora_dropout",
    "lora_target",
    "additional_target",
    "loraplus_lr_ratio",
    "create_new_adapter",
    *RSLORA,
    *DORA,
)
FROZEN = (
    "freeze_trainable_layers",
    "freeze_trainable_modules",
    "freeze_extra_modules",
    "oft_rank",
    "oft_block_size",
    "oft_target",
    "module_dropout",
)
OPTIMIZERS = ("use_galore", "use_apollo", "use_badam", "use_adam_mini", "use_muon")
SAME_TEMPLATE = {"chatml": "chatml"}
LOSSES = {"use_dft_loss": "DFT", "use_asft_loss": "ASFT", "use_eaft_loss": "EAFT"}


def translate(account: Account) -> None:
    """Fill the account from a LLaMA-Factory configuration."""
    if any(account.has(key) for key in V1_MARKS):
        _translate_v1(account)
        return
    _refuse_what_is_not_ours(account)
    rows = " on rows of plain text" if account.text("stage") == "pt" else ""
    account.book("mapped", "stage", f"train.sft{rows}", to="uses")
    account.map("model_name_or_path", "model")
    _datasets(account)
    _template(account)
    _loss_and_length(account)
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
    if account.number("gradient_accumulation_steps", 1) > 1:
        account.differ(
            "For models that have an image processor LLaMA-Factory averages each micro-batch first; here every trained "
            "token of an optimizer step counts the same."
        )
    read_schedule(account, key="lr_scheduler_type", default="linear")
    read_optimizer(account, "optim")
    for key in OPTIMIZERS:
        if account.find(key) is True:
            account.differ(f"LLaMA-Factory optimises with {key}, here it is AdamW: tune learning_rate anew.")
    if account.find("pure_bf16") is True:
        account.map("pure_bf16", "dtype", "weights and moments stay in float32 beside it", value="bfloat16")
    read_precision(account)
    read_evaluation(account, fraction="val_size")
    read_trackers(account, "report_to")
    read_attention(account, "flash_attn")
    off = account.find("disable_gradient_checkpointing") is True
    if not account.has("gradient_checkpointing"):
        account.map("disable_gradient_checkpointing", "gradient_checkpointing", value=not off)
        account.default("gradient_checkpointing", not off)
    account.idle("disable_gradient_checkpointing", "gradient_checkpointing is set")
    for key, value in (("learning_rate", 5e-5), ("num_train_epochs", 3)):
        if account.find(key) is None:
            account.default(key, value)


def _refuse_what_is_not_ours(account: Account) -> None:
    stage = account.text("stage") or "sft"
    if stage not in ("sft", "pt"):
        refuse_stage(stage, NAME, "stage")
    if account.has("export_dir"):
        refuse_stage("export", NAME, "export_dir")
    if account.find("do_train") is False or (account.find("do_train") is None and account.find("do_predict") is True):
        refuse_stage("prediction", NAME, "do_predict")
    if account.has("infer_backend") and account.find("dataset") is None:
        refuse_stage("inference", NAME, "infer_backend")
    refuse_vision(account, "model_name_or_path", keys=IMAGES)
    if VISION.search(account.text("template")):
        refuse_kind(f"template '{account.text('template')}' is for images", NAME, "template")


def _datasets(account: Account) -> None:
    samples = int(account.number("max_samples", 0))
    online = account.text("dataset_dir") == "online"
    for key, to in (("dataset", "data"), ("eval_dataset", "eval_data")):
        value = account.find(key)
        if value is None:
            continue
        names = value if isinstance(value, list) else str(value).split(",")
        named = [
            _name(str(name).strip(), online, samples if to == "data" else 0) for name in names if str(name).strip()
        ]
        add_data(account, [key], to, named)
    if samples > 0 and "data" in account.settings:
        account.book("mapped", "max_samples", f"the first {samples} rows of each: path#{samples}", to="data")
    account.idle("dataset_dir", "names are looked up there; name the files themselves, or hf:owner/name")


def _name(name: str, online: bool, samples: int) -> tuple[str, str | None]:
    rows = f"#{samples}" if samples > 0 else ""
    if (online and HUB.fullmatch(name)) or is_local(name):
        ours, missing = name_data(name)
        return ours + rows, missing
    missing = "entries of LLaMA-Factory's dataset_info.json: name each one's file, or hf:owner/name"
    return f"{GAP}dataset {name}{rows}", missing


def _template(account: Account) -> None:
    template = account.text("template")
    if template in SAME_TEMPLATE:
        account.map("template", "chat_template", value=SAME_TEMPLATE[template])
    elif template and account.text("stage") == "pt":
        account.idle("template", "plain text rows are not rendered")
    elif template:
        account.lack(
            "template",
            f"'{template}' is a layout in LLaMA-Factory's code; here the tokenizer's own template is used, or the one "
            "that chat_template names (precept data show prints it)",
            to="chat_template",
        )
        account.differ(
            f"LLaMA-Factory writes rows in its own layout '{template}', which may differ from the tokenizer's chat "
            "template that is used here, also in a system text of its own: compare with precept data show."
        )


def _loss_and_length(account: Account) -> None:
    plain = account.text("stage") == "pt"
    packed = account.find("packing") is True or account.find("neat_packing") is True
    if not account.map("cutoff_len", "max_length"):
        account.default("max_length", 2048)
    if plain:
        account.set("over_length", "split", comment="LLaMA-Factory joins texts and cuts them into blocks of cutoff_len")
        account.differ("Texts are joined and cut into equal blocks there; here each text is a row, split where longer.")
    elif packed:
        account.set("over_length", "drop", comment="LLaMA-Factory drops longer rows when it packs")
    else:
        account.differ(
            "LLaMA-Factory cuts rows longer than cutoff_len, prompt and answer in proportion, and drops later turns; "
            "here such rows are an error until over_length is set: drop and cut_turns lose no end of an answer."
        )
    account.map("train_on_prompt", "prompt_weight", value=1 if account.find("train_on_prompt") is True else 0)
    if account.find("split_special_tokens") is True:
        account.map("split_special_tokens", "special_tokens_in_text", value="as_text")
    account.map("mask_history", "train_on", value="last" if account.find("mask_history") is True else "all")
    isolation = "neat_packing isolates rows, packing alone does not"
    for key in ("neat_packing", "packing"):
        account.idle(key, f"{ISOLATED} (LLaMA-Factory: {isolation})")
    if packed and not plain:
        packed_rows(account, "packing", str(account.find("cutoff_len") or 2048))
        if account.find("neat_packing") is not True:
            account.differ("LLaMA-Factory's packing lets the rows of a pack attend to each other; here none does.")
    for key, name in LOSSES.items():
        if account.find(key) is True:
            account.differ(f"LLaMA-Factory trains with the loss {name}, here it is the negative log-likelihood.")
    if account.number("neftune_noise_alpha", 0) > 0:
        account.differ("LLaMA-Factory adds noise to the embeddings (neftune_noise_alpha); that is not here.")


def _adapter(account: Account) -> None:
    kind = account.text("finetuning_type") or "lora"
    if kind == "full":
        account.map("finetuning_type", "adapter", "all weights are trained", value="none")
    if kind not in ("lora", "full"):
        account.lack("finetuning_type", "here all weights are trained, or an adapter (lora, dora, qlora)", to="adapter")
        account.differ(f"LLaMA-Factory trains with finetuning_type={kind}, here all weights are trained.")
        for key in FROZEN:
            account.lack(key, "all weights are trained, or an adapter")
        account.set("adapter", "none", comment=f"LLaMA-Factory: {kind}, which is not here")
    if kind != "lora":
        no_adapter(account, LORA_KEYS)
        account.lack(
            "quantization_bit", "a quantised base is trained through an adapter: set adapter=qlora", to="adapter"
        )
        return
    bits = account.find("quantization_bit")
    dora = next((key for key in DORA if account.find(key) is True), None)
    ours = "qlora" if bits == 4 else "dora" if dora else "lora"
    account.map("finetuning_type", "adapter", value=ours)
    account.default("adapter", ours)
    if bits == 4:
        account.map("quantization_bit", "adapter", "nf4 with double quantisation", value="qlora")
    if bits == 4 and account.find("double_quantization") is False:
        account.lack("double_quantization", "qlora here quantises the scales a second time; it cannot be switched off")
    account.idle("double_quantization", "part of qlora here")
    account.lack("quantization_bit", "the base is held in 4 bits (adapter=qlora) or in its own precision", to="adapter")
    if dora and bits != 4:
        account.map(dora, "adapter", value="dora")
    elif dora:
        account.lack(dora, "DoRA on a 4-bit base is not here: LoRA is trained", to="adapter")
    if not read_targets(account, "lora_target"):
        account.default("lora_target_modules", "all-linear")
    read_lora_numbers(
        account, rank="lora_rank", alpha="lora_alpha", dropout="lora_dropout", rank_default=8, alpha_default=None
    )


def _translate_v1(account: Account) -> None:
    if account.text("model_class") not in ("", "llm"):
        refuse_kind(f"model_class '{account.text('model_class')}'", NAME, "model_class")
    stage = account.text("stage") or account.text("train_stage") or "sft"
    if stage not in ("sft", "pt"):
        refuse_stage(stage, NAME, "stage")
    refuse_vision(account, "model")
    account.map("model", "model")
    for key, to in (("train_dataset", "data"), ("eval_dataset", "eval_data")):
        value = account.find(key)
        if value is not None:
            missing = "LLaMA-Factory's list of data sets: name the files that it names"
            listed = str(value).endswith((".yaml", ".yml"))
            add_data(account, [key], to, [(f"{GAP}dataset {value}", missing) if listed else name_data(str(value))])
    account.map("cutoff_len", "max_length")
    account.differ("What LLaMA-Factory does with rows longer than cutoff_len is not set here: they are an error.")
    peft = account.text("peft_config.name")
    if peft == "lora":
        account.map("peft_config.name", "adapter", value="lora")
        read_targets(account, "peft_config.target_modules")
        for key in ("r", "lora_alpha", "lora_dropout"):
            account.map(f"peft_config.{key}", "lora_r" if key == "r" else key)
    account.lack("peft_config", "here all weights are trained, or an adapter (lora, dora, qlora)", to="adapter")
    read_max_steps(account)
    if account.find("global_batch_size") is not None:
        account.map("global_batch_size", "batch_size")
        account.idle("micro_batch_size", "how much is computed at once: max_tokens_per_forest sets that here")
    else:
        read_batch(
            account,
            micro="micro_batch_size",
            micro_default=1,
            accumulation="gradient_accumulation_steps",
            accumulation_default=1,
            world=None,
        )
    read_precision(account)
    account.differ(
        "Keys that the file leaves open have the defaults of Precept, not those of LLaMA-Factory: lr_scheduler_type, "
        "warmup_ratio and num_train_epochs among them."
    )
