"""What several tools express with the same few keys: schedule, optimizer, batch, evaluation, precision, adapter."""

from __future__ import annotations

import math
from collections.abc import Sequence

from precept.importers.account import SAME, Account

SCHEDULES = {
    "linear": "linear",
    "cosine": "cosine",
    "constant": "constant",
    "constant_with_warmup": "constant",
}
ADAMW = {
    "adamw",
    "adamw_torch",
    "adamw_torch_fused",
    "adamw_torch_xla",
    "adamw_apex_fused",
    "adamw_hf",
    "torch.optim.adamw",
}
PAGED = {"paged_adamw", "paged_adamw_32bit"}
PROMPTS = "prompt_weight=1 reproduces it (prompt_weight=0, the default, trains answers only)"
WARMUP = 0.03  # the default here
ISOLATED = (
    "a forest holds many rows side by side and none attends to another, so there is nothing to switch on: packing is "
    "part of every batch here"
)


def read_schedule(account: Account, *, key: str, default: str, warmup_default: float | None = 0.0) -> None:
    """Shape and warm-up. A warm-up in steps becomes a share only where ``max_steps`` makes that exact."""
    asked = account.text(key) or default
    ours = SCHEDULES.get(asked)
    if ours is None:
        account.lack(key, "the schedules here are cosine, linear and constant", to="lr_scheduler_type")
        account.set("lr_scheduler_type", "cosine", comment=f"{account.tool}: {asked}, which is not here")
        account.differ(f"The learning rate follows '{asked}' in {account.tool}, which is not here; choose another.")
    elif not account.map(key, "lr_scheduler_type", value=ours):
        account.default("lr_scheduler_type", ours)
    if asked == "constant" and warmup_default is not None:
        for warmup in ("warmup_ratio", "warmup_steps"):
            account.idle(warmup, f"{account.tool} warms up only with constant_with_warmup, not with constant")
        account.default("warmup_ratio", 0.0)
        return
    read_warmup(account, "warmup_steps")
    account.map("warmup_ratio", "warmup_ratio")
    if warmup_default is not None and account.find("warmup_steps") is None:
        account.default("warmup_ratio", warmup_default)


def read_warmup(account: Account, key: str) -> None:
    """A warm-up counted in steps; needs ``max_steps`` in the recipe."""
    steps = account.number(key, -1)
    if steps < 0:
        return
    if 0 < steps < 1:
        account.map(key, "warmup_ratio", "a number below 1 is a share of the steps")
    elif steps == 0:
        if account.number("warmup_ratio", 0) > 0:
            account.idle(key, "0 leaves it to warmup_ratio")
        else:
            account.map(key, "warmup_ratio", "no warm-up", value=0.0)
    else:
        total = account.settings.get("max_steps")
        ratio = _exact_share(int(steps), total) if isinstance(total, int) and total >= steps else None
        if ratio is None:
            account.set("warmup_ratio", WARMUP, comment=f"{account.tool}: {steps:g} steps; set {steps:g} / (all steps)")
            account.lack(
                key,
                f"the warm-up here is a share of all steps, which this file does not say: set warmup_ratio to "
                f"{steps:g} / (number of steps)",
                to="warmup_ratio",
            )
        else:
            account.map(key, "warmup_ratio", f"{steps:g} of {total} steps", value=ratio)
        account.idle("warmup_ratio", f"{key} overrides it")


def _exact_share(steps: int, total: int) -> float:
    """The share of which ``ceil(share * total)``, the rule of our schedule, is ``steps``."""
    share = round(steps / total, 12)
    return share if math.ceil(share * total) == steps else (steps - 0.5) / total


def read_optimizer(account: Account, key: str) -> None:
    """AdamW is the optimizer; forms of it that differ in memory only are told apart from other algorithms."""
    asked = account.text(key)
    if not asked:
        return
    if asked in ADAMW:
        account.idle(key, "AdamW, as here")
    elif asked in PAGED:
        account.lack(key, "AdamW's moments stay in device memory here; the arithmetic is the same")
    elif "adamw" in asked and "bit" in asked:
        account.lack(key, "AdamW here keeps its moments in float32: more memory, no quantisation of the moments")
    else:
        account.lack(key, "the optimizer here is AdamW; another wants another learning rate")
        account.differ(f"{account.tool} optimises with {asked}, here it is AdamW: tune learning_rate anew.")


def read_batch(
    account: Account, *, micro: str, micro_default: int, accumulation: str, accumulation_default: int, world: int | None
) -> None:
    """Sequences an optimizer step: a device's share times accumulation times devices."""
    for key in (micro, accumulation):
        if account.find(key) is not None and account.number(key, -1) < 0:
            account.lack(key, "not a number: set batch_size to the rows of an optimizer step", to="batch_size")
    each, times = account.number(micro, micro_default), account.number(accumulation, accumulation_default)
    size = each * times * (world or 1)
    shown = f"{each:g} a device x {times:g} accumulated x {world or 1} device{'s' * ((world or 1) > 1)} = {size:g}"
    mapped = [account.map(key, "batch_size", shown, value=_whole(size)) for key in (micro, accumulation)]
    if not any(mapped):
        account.default("batch_size", _whole(size))
    if world is None:
        account.differ(
            f"batch_size {size:g} is for one device; on N devices {account.tool} took N times as many rows an "
            "optimizer step: multiply batch_size by N. It is over all devices here."
        )


def _whole(value: float) -> float:
    return int(value) if value == int(value) else value


def read_length(account: Account, key: str, *, default: int | None, over_length: str, why: str) -> None:
    """The longest sequence, and what the other tool does with longer ones."""
    if not account.map(key, "max_length") and default is not None:
        account.default("max_length", default)
    if account.find(key) is not None or default is not None:
        account.set("over_length", over_length, comment=why)


def read_precision(account: Account) -> None:
    """The switches ``bf16`` and ``fp16`` as transformers has them."""
    half = account.find("fp16") is True or account.find("float16") is True
    bf16 = account.find("bf16")
    for key in ("fp16", "float16"):
        if account.find(key) is True:
            account.lack(key, "the arithmetic here is bfloat16 or float32: dtype=auto chooses", to="dtype")
        else:
            account.idle(key, "not asked for, and not here")
    for key in ("bf16", "bfloat16"):
        value = account.find(key)
        if value is True or value == "full":
            account.map(key, "dtype", "float32 weights are kept beside it", value="bfloat16")
        elif value == "auto":
            account.map(key, "dtype", value="auto")
        elif value is False and not half and key == "bf16" and bf16 is False:
            account.map(key, "dtype", "no 16-bit arithmetic", value="float32")
        else:
            account.idle(key, "another key chooses the precision")


def read_evaluation(account: Account, *, fraction: str | None = None) -> None:
    """``eval_strategy``, ``save_strategy`` and their steps, as transformers has them."""
    if fraction is not None:
        read_fraction(account, fraction)
    strategy_key = "eval_strategy" if account.find("eval_strategy") is not None else "evaluation_strategy"
    strategy = account.text(strategy_key)
    if strategy in ("no", "false", ""):
        account.idle(strategy_key, "no evaluation while it trains: with rows held out, the loss is at start and end")
        account.idle("eval_steps", "no effect without eval_strategy: steps")
    elif strategy == "steps":
        if account.map("eval_steps", "eval_steps"):
            account.idle(strategy_key, "eval_steps is set")
        else:
            account.lack(strategy_key, "set eval_steps: without it the loss is measured at start and end")
    else:
        account.lack(strategy_key, "set eval_steps to the steps of an epoch (rows / batch_size)", to="eval_steps")
    strategy = account.text("save_strategy")
    if strategy in ("no", "false"):
        account.idle(
            "save_strategy", "checkpoints are kept while it runs, so that it can go on, and removed at the end"
        )
        account.idle("save_steps", "no effect with save_strategy: no")
    elif strategy not in ("steps", ""):
        account.lack("save_strategy", "set save_steps to the steps of an epoch (rows / batch_size)", to="save_steps")
    account.idle("save_strategy", "save_steps, as here")
    account.map("save_steps", "save_steps")
    account.map("save_total_limit", "save_total_limit")


def read_fraction(account: Account, key: str) -> None:
    """Rows held out: a share, or a number of rows, which has no counterpart."""
    if account.number(key, 0) >= 1:
        account.lack(
            key, "a number of rows; set eval_fraction to that number / all rows, or eval_data", to="eval_fraction"
        )
    else:
        account.map(key, "eval_fraction", "a share of the rows, chosen by hash: other rows than those of the source")


def read_trackers(account: Account, key: str) -> None:
    """``report_to``: a name or a list of names."""
    value = account.find(key)
    names = [str(name).lower() for name in (value if isinstance(value, list) else [value]) if name is not None]
    ours = [name for name in names if name in ("tensorboard", "trackio")]
    if not names:
        return
    if names in (["none"], ["no"], ["false"]):
        account.map(key, "report_to", "metrics.jsonl is always written", value="none")
    elif ours:
        account.map(key, "report_to", value=ours[0])
    else:
        account.lack(key, "trackers here: tensorboard, trackio; metrics.jsonl is always written", to="report_to")


def read_attention(account: Account, key: str) -> None:
    """The attention's implementation: results are the same, so only sdpa and eager are named here."""
    asked = account.text(key)
    if not asked:
        return
    names = {"sdpa": "sdpa", "eager": "eager", "disabled": "eager", "auto": "auto"}
    if asked in names:
        account.map(key, "attn_implementation", value=names[asked])
    else:
        account.idle(key, "how attention is computed, not what: forests use sdpa (or eager) with an exact mask")


def read_max_steps(account: Account) -> None:
    """``max_steps``, where values up to 0 mean that epochs decide."""
    if account.number("max_steps", 0) > 0:
        account.map("max_steps", "max_steps")
    else:
        account.idle("max_steps", "epochs decide")


def read_lora_numbers(
    account: Account, *, rank: str, alpha: str, dropout: str, rank_default: int, alpha_default: float | None
) -> None:
    """Rank, alpha and dropout. ``alpha_default`` None stands for twice the rank; rsLoRA's scaling becomes an alpha."""
    if not account.map(rank, "lora_r"):
        account.default("lora_r", rank_default)
    r = account.number(rank, rank_default)
    value = account.number(alpha, alpha_default if alpha_default is not None else 2 * r)
    rslora = next((key for key in RSLORA if account.find(key) is True), None)
    if rslora is not None and r > 0:
        value = value * math.sqrt(r)
        why = f"the product is scaled by alpha / sqrt(r) there and by alpha / r here: {value:g} gives the same"
        account.map(rslora, "lora_alpha", why, value=value)
    if not account.map(alpha, "lora_alpha", value=value if rslora else SAME):
        account.default("lora_alpha", value)
    account.map(dropout, "lora_dropout", "above 0 prefixes are not shared" if account.number(dropout, 0) > 0 else "")


RSLORA = ("use_rslora", "peft_use_rslora", "lora_use_rslora")
DORA = ("use_dora", "peft_use_dora")
FULL_NAMES = {"all", "all-linear", "all_linear"}


def read_targets(account: Account, key: str) -> bool:
    """Modules with adapters: ``all``, a list, or names with commas; no regular expressions. False where absent."""
    value = account.find(key)
    if value is None or value == [] or value == "":
        return False
    names = value if isinstance(value, list) else str(value).split(",")
    names = [str(name).strip() for name in names if str(name).strip()]
    if len(names) == 1 and names[0].lower() in FULL_NAMES:
        account.map(key, "lora_target_modules", value="all-linear")
    elif any(set(name) & set("\\[](){}|*+?^$") for name in names):
        account.lack(
            key, "a regular expression: name the modules, or leave all-linear, the default", to="lora_target_modules"
        )
        account.differ("Adapters stand on all linear layers here, in the source on those that its pattern matches.")
    else:
        account.map(key, "lora_target_modules", value=names)
    return True


def no_adapter(account: Account, keys: Sequence[str]) -> None:
    """Full tuning: the adapter's keys say nothing."""
    for key in keys:
        account.idle(key, "no adapter is trained")


def packed_rows(account: Account, key: str, length: str) -> None:
    """Where rows are packed, a batch counts packs."""
    account.differ(
        f"With {key} each of the {account.tool} batch's entries is a pack of up to {length} tokens that holds several "
        f"rows; batch_size counts rows. For the same tokens a step multiply it by {length} / (mean row length)."
    )
