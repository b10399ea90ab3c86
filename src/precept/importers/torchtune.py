"""torchtune: the YAML of ``tune run``, whose parts name Python builders as ``_component_``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from precept.importers.account import GAP, Account
from precept.importers.data_names import add_data, add_entry
from precept.importers.source_file import leaves
from precept.importers.stages import refuse_kind, refuse_stage
from precept.importers.training_keys import (
    ISOLATED,
    PROMPTS,
    packed_rows,
    read_batch,
    read_length,
    read_optimizer,
    read_warmup,
)

NAME = "torchtune"
MARKS = ("tokenizer", "checkpointer", "metric_logger", "enable_activation_checkpointing", "max_steps_per_epoch")
TABLES = ("torchtune",)
REFERENCE = re.compile(r"\$\{([\w.]+)\}")
DEEPEST = 10  # references to references

OTHER_STAGES = {
    "DPOLoss": "dpo",
    "RSOLoss": "dpo",
    "SimPOLoss": "dpo",
    "PPOLoss": "ppo",
    "GRPO": "grpo",
    "ForwardKL": "distillation",
    "KDLoss": "distillation",
    "preference_dataset": "dpo",
    "stack_exchange_paired_dataset": "dpo",
    "hh_rlhf_helpful_dataset": "dpo",
    "classifier": "reward",
    "reward": "reward",
}
OTHER_KEYS = {
    "teacher_model": "distillation",
    "policy_model": "ppo",
    "reward_and_value_model": "ppo",
    "ref_policy_model": "ppo",
    "grpo_samples": "grpo",
    "tasks": "evaluation",
    "max_new_tokens": "generation",
}
IMAGES = ("vision", "flamingo", "clip", "deep_fusion", "early_fusion", "multimodal", "llama4", "image")
SOURCES = {
    "alpaca_dataset": "tatsu-lab/alpaca",
    "alpaca_cleaned_dataset": "yahma/alpaca-cleaned",
    "grammar_dataset": "liweili/c4_200m",
    "samsum_dataset": "Samsung/samsum",
    "slimorca_dataset": "Open-Orca/SlimOrca-Dedup",
    "cnn_dailymail_articles_dataset": "ccdv/cnn_dailymail",
    "wikitext_dataset": "EleutherAI/wikitext_document_level",
}
PLAIN_TEXT = ("text_completion_dataset", "cnn_dailymail_articles_dataset", "wikitext_dataset")
ALPACA = ("alpaca_dataset", "alpaca_cleaned_dataset")
ATTENTION = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "output_proj": "o_proj"}
MLP = ("gate_proj", "up_proj", "down_proj")
PHI3 = {"q_proj": "qkv_proj", "k_proj": "qkv_proj", "v_proj": "qkv_proj", "o_proj": "o_proj"} | {
    "gate_proj": "gate_up_proj",
    "up_proj": "gate_up_proj",
}
LOSSES = ("LinearCrossEntropyLoss", "CEWithChunkedOutputLoss", "CrossEntropyLoss")
DTYPES = {"bf16": "bfloat16", "fp32": "float32", "bfloat16": "bfloat16", "float32": "float32"}
SPLITS = re.compile(r"train\[:(\d+)%\]")


def resolve_references(tree: dict[str, Any]) -> dict[str, Any]:
    """The tree with plain references (``${output_dir}``, ``${tokenizer.path}``) replaced; others stay as written."""
    flat = {".".join(path): value for path, value in leaves(tree)}

    def resolve(value: Any, depth: int = 0) -> Any:
        if isinstance(value, dict):
            return {key: resolve(inner, depth) for key, inner in value.items()}
        if isinstance(value, list):
            return [resolve(inner, depth) for inner in value]
        if not isinstance(value, str) or depth > DEEPEST:
            return value
        whole = REFERENCE.fullmatch(value)
        if whole and whole[1] in flat:
            return resolve(flat[whole[1]], depth + 1)
        text = REFERENCE.sub(lambda found: str(flat.get(found[1], found[0])), value)
        return text if text == value or len(text) > 1000 else resolve(text, depth + 1)

    resolved: dict[str, Any] = resolve(tree)
    return resolved


def translate(account: Account) -> None:
    """Fill the account from a torchtune configuration, references resolved."""
    _refuse_what_is_not_ours(account)
    _model(account)
    _data(account)
    _loss_and_length(account)
    epochs, cap = account.number("epochs", 1), account.number("max_steps_per_epoch", 0)
    account.default("num_train_epochs", 1) if account.find("epochs") is None else None
    if cap > 0 and epochs >= 1:
        account.map("max_steps_per_epoch", "max_steps", f"{cap:g} steps an epoch x {epochs:g}", value=int(cap * epochs))
        account.differ("max_steps goes on past the end of the data; max_steps_per_epoch stops there.")
    read_batch(
        account,
        micro="batch_size",
        micro_default=1,
        accumulation="gradient_accumulation_steps",
        accumulation_default=1,
        world=None,
    )
    account.differ("torchtune leaves out the last incomplete batch of each epoch; here it is trained on.")
    _optimizer(account)
    if account.find("shuffle") is False:
        account.lack("shuffle", "the order of rows is drawn from seed")
    account.idle("shuffle", "the order of rows is drawn from seed")
    if account.find("quantizer") is not None:
        account.differ("torchtune trains with fake quantisation (quantizer); here the arithmetic is not quantised.")
    asked = account.text("dtype")
    if asked in DTYPES:
        account.map("dtype", "dtype", "weights and moments stay in float32 beside it", value=DTYPES[asked])
    account.lack("dtype", "the arithmetic here is bfloat16 or float32: dtype=auto chooses", to="dtype")
    account.map("run_val_every_n_steps", "eval_steps")
    if "TensorBoard" in str(account.find("metric_logger._component_")):
        account.map("metric_logger._component_", "report_to", value="tensorboard")
    elif "Disk" not in str(account.find("metric_logger._component_")) and "Std" not in str(
        account.find("metric_logger._component_")
    ):
        account.lack(
            "metric_logger", "trackers here are tensorboard and trackio (report_to); metrics.jsonl is always written"
        )


def _refuse_what_is_not_ours(account: Account) -> None:
    for key, stage in OTHER_KEYS.items():
        if account.find(key) is not None:
            refuse_stage(stage, NAME, key)
    for part in ("loss", "dataset", "dataset.0", "model", "tokenizer"):
        component = str(account.find(f"{part}._component_") or "")
        for name, stage in OTHER_STAGES.items():
            if name in component:
                refuse_stage(stage, NAME, f"{part}._component_")
        if any(name in component for name in IMAGES):
            refuse_kind(f"'{component}' is for images", NAME, f"{part}._component_")
    if account.find("dataset") is None and account.find("optimizer") is None:
        refuse_stage("conversion or evaluation", NAME, "no dataset and no optimizer")


def _model(account: Account) -> None:
    folder, kind = account.find("checkpointer.checkpoint_dir"), str(account.find("checkpointer._component_") or "")
    builder = str(account.find("model._component_") or "").split(".")[-1]
    if folder is not None and "HF" in kind:
        account.map("checkpointer.checkpoint_dir", "model", comment=f"the folder of {builder}" if builder else "")
    elif folder is not None:
        missing = "weights in Hugging Face layout; torchtune reads another one here"
        account.gap("model", f"{builder or 'the model'} as in {folder}", comment=missing)
        account.book("mapped", "checkpointer.checkpoint_dir", f"a marked gap: {missing}", to="model")
    if str(account.find("checkpointer.checkpoint_files.0") or "").endswith((".bin", ".pth", ".pt")):
        account.idle("checkpointer.checkpoint_files", "only safetensors are read here: the folder must hold them")
    names = builder.removeprefix("qat_").split("_")
    adapted = {"lora", "qlora", "dora", "qdora"} & {names[0]}
    if not adapted:
        account.book("mapped", "model._component_", "all weights are trained", to="adapter")
        account.set("adapter", "none")
        return
    quantised = names[0].startswith("q") or account.find("model.quantize_base") is True
    dora = "dora" in names[0] or account.find("model.use_dora") is True
    ours = "qlora" if quantised else "dora" if dora else "lora"
    account.map("model._component_", "adapter", value=ours)
    account.map("model.quantize_base", "adapter", value=ours)
    if dora and quantised:
        account.lack("model.use_dora", "DoRA on a 4-bit base is not here: LoRA is trained", to="adapter")
    account.map("model.use_dora", "adapter", value=ours)
    for key, to, default in (
        ("lora_rank", "lora_r", 8),
        ("lora_alpha", "lora_alpha", 16),
        ("lora_dropout", "lora_dropout", 0.0),
    ):
        if not account.map(f"model.{key}", to):
            account.default(to, default)
    _targets(account, "phi3" in account.text("model._component_"))


def _targets(account: Account, fused: bool) -> None:
    given = account.find("model.lora_attn_modules")
    names = [ATTENTION.get(str(name), str(name)) for name in (given if isinstance(given, list) else [])]
    mlp, output = account.find("model.apply_lora_to_mlp") is True, account.find("model.apply_lora_to_output") is True
    names += MLP if mlp else ()
    names += ["lm_head"] if output else []
    if fused:
        names = list(dict.fromkeys(PHI3.get(name, name) for name in names))
        account.differ(
            "In Phi-3's folder q, k and v are one matrix (qkv_proj), and gate and up another: one adapter stands on "
            "each of these here, where torchtune has one for each part."
        )
    if not names:
        account.lack("model.lora_attn_modules", "all linear layers are adapted", to="lora_target_modules")
        return
    account.map("model.lora_attn_modules", "lora_target_modules", value=names)
    for key, asked in (("apply_lora_to_mlp", mlp), ("apply_lora_to_output", output)):
        if asked:
            account.map(f"model.{key}", "lora_target_modules", value=names)
        account.idle(f"model.{key}", "not asked for, and not among lora_target_modules")


def _data(account: Account) -> None:
    value = account.find("dataset")
    entries = [(f"dataset.{n}", e) for n, e in enumerate(value)] if isinstance(value, list) else [("dataset", value)]
    if _shared_split(account):
        share = round(1 - int(SPLITS.findall(account.text("dataset.split"))[0]) / 100, 6)
        why = "the same share of the rows, chosen by hash: other rows than those of the source"
        account.map("dataset.split", "eval_fraction", why, value=share)
        account.book("mapped", "dataset_val", why, to="eval_fraction")
        _dataset(account, "dataset", {**account.find("dataset"), "split": "train"}, "data")
        return
    for at, entry in (*entries, ("dataset_val", account.find("dataset_val"))):
        if isinstance(entry, dict):
            _dataset(account, at, entry, "eval_data" if at == "dataset_val" else "data")


def _shared_split(account: Account) -> bool:
    """Whether training and validation rows are two ends of one data set: ``train[:95%]`` and ``train[95%:]``."""
    found = SPLITS.fullmatch(account.text("dataset.split"))
    same = all(
        account.find(f"dataset.{key}") == account.find(f"dataset_val.{key}") for key in ("_component_", "source")
    )
    return bool(found and same and account.text("dataset_val.split") == f"train[{found[1]}%:]")


def _dataset(account: Account, at: str, entry: Mapping[str, Any], to: str) -> None:
    component = str(entry.get("_component_") or "").split(".")[-1]
    source = str(entry.get("source") or SOURCES.get(component) or "")
    if source:
        add_entry(account, at, to, key="source", path=source, split=str(entry.get("split") or "train"))
        account.book("mapped", f"{at}._component_", f"rows of {source}", to=to)
    else:
        missing = "a data set that a Python function makes: name its files, or hf:owner/name"
        add_data(account, [f"{at}._component_"], to, [(f"{GAP}dataset {component or at}", missing)])
    if to == "data":
        _what_is_trained(account, at, entry, component)
    packed = entry.get("packed") is True
    account.idle(f"{at}.packed", f"{ISOLATED} (torchtune isolates the rows of a pack as well)")
    if packed and to == "data":
        packed_rows(account, f"{at}.packed", str(account.find("tokenizer.max_seq_len") or "max_seq_len"))


def _what_is_trained(account: Account, at: str, entry: Mapping[str, Any], component: str) -> None:
    strategy = entry.get("masking_strategy")
    if entry.get("conversation_column") in ("messages", "conversations", "conversation"):
        account.idle(f"{at}.conversation_column", "the reader finds this column by itself")
    if entry.get("column") == "text":
        account.idle(f"{at}.column", "the reader finds this column by itself")
    if component in PLAIN_TEXT:
        if entry.get("add_eos") is not False:
            account.idle(f"{at}.add_eos", "plain text ends with the tokenizer's end token")
        account.book("unsupported", f"{at}.add_eos", "plain text always ends with the tokenizer's end token")
        return
    if isinstance(entry.get("train_on_input"), bool):
        account.map(f"{at}.train_on_input", "prompt_weight", value=int(entry["train_on_input"]))
    elif strategy == "train_on_last":
        account.map(f"{at}.masking_strategy", "train_on", value="last")
    elif strategy in ("train_on_all", "train_on_assistant"):
        account.map(f"{at}.masking_strategy", "prompt_weight", value=int(strategy == "train_on_all"))
    elif component in ALPACA:
        account.differ(
            f"torchtune's {component} trains on prompts too (train_on_input is true by default); here only answers "
            f"are trained: {PROMPTS}."
        )
    if component in ALPACA:
        account.differ(
            "torchtune writes the sentence of the Alpaca prompt ('Below is an instruction ...') into the user's "
            "message; here that message is instruction and input alone (chat_template=alpaca writes the sentence, "
            "without the model's own turn marks)."
        )


def _loss_and_length(account: Account) -> None:
    loss = str(account.find("loss._component_") or "").split(".")[-1]
    if loss in LOSSES:
        account.idle("loss._component_", "the negative log-likelihood over all trained tokens of a step, as here")
    elif loss:
        account.lack("loss._component_", "the loss of train.sft is the negative log-likelihood")
        account.differ(f"torchtune trains with {loss}, here it is the negative log-likelihood of answers.")
    read_length(
        account, "tokenizer.max_seq_len", default=None, over_length="cut_right", why="torchtune cuts longer rows"
    )
    if account.find("tokenizer.max_seq_len") is None:
        account.differ(
            "torchtune sets no limit to the length of rows in this file; here it is the model's own, at most 4096 "
            "tokens, and longer rows are an error: set max_length and over_length."
        )
    if account.find("tokenizer.prompt_template") is not None:
        account.differ(
            "torchtune puts its own prompt_template around messages; here the chat template alone writes rows."
        )


def _optimizer(account: Account) -> None:
    component = str(account.find("optimizer._component_") or "")
    if component.lower().endswith("adamw"):
        account.idle("optimizer._component_", "AdamW, as here")
        if account.find("optimizer.weight_decay") is None:
            account.default("weight_decay", 0.01)
    elif component:
        short = component.split(".")[-1]
        paged = short.lower().replace("paged", "").startswith("adamw")
        if paged:
            account.lack("optimizer._component_", "AdamW here keeps its moments in float32 on the device: more memory")
            account.default("weight_decay", 0.01)
        else:
            read_optimizer(account, "optimizer._component_")
    betas = account.find("optimizer.betas")
    for place, key in enumerate(("adam_beta1", "adam_beta2")):
        if isinstance(betas, list):
            account.map(f"optimizer.betas.{place}", key)
    if not account.map("clip_grad_norm", "max_grad_norm"):
        account.set("max_grad_norm", 0.0, comment="torchtune clips only where clip_grad_norm is set")
    shape = str(account.find("lr_scheduler._component_") or "").split(".")[-1]
    if "cosine" in shape:
        account.map("lr_scheduler._component_", "lr_scheduler_type", value="cosine")
        read_warmup(account, "lr_scheduler.num_warmup_steps")
    elif shape:
        account.lack("lr_scheduler", "the schedules here are cosine, linear and constant", to="lr_scheduler_type")
        account.differ(f"The learning rate follows {shape} in torchtune, which is not here; choose another.")
    else:
        account.default("lr_scheduler_type", "constant")
        account.default("warmup_ratio", 0.0)
