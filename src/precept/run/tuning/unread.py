"""A key that was set and that nothing reads is a wish that the run would ignore: it is refused instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from precept.errors import InputError
from precept.run.settings import RunSettings


@dataclass(frozen=True)
class Need:
    """When a key takes effect, and what to set so that it does. The value ``met`` asks for what happens anyway."""

    when: str
    do: str
    met: Any = None


ADAPTER = Need("only an adapter has it, and this run trains all weights", "set adapter=lora")
HELD_OUT = Need("no row is held out to evaluate on", "set eval_fraction=0.1 or eval_data=FILE", met=0)
TURNS = "it concerns conversations of a causal model, and no row here is one"
NEEDS = {
    "lora_r": ADAPTER,
    "lora_alpha": ADAPTER,
    "lora_dropout": Need(ADAPTER.when, ADAPTER.do, met=0),
    "lora_target_modules": ADAPTER,
    "eval_steps": HELD_OUT,
    "early_stopping_patience": HELD_OUT,
    "sample_answers": HELD_OUT,
    "eval_fraction": Need("eval_data names the rows to evaluate on", "set eval_fraction=0", met=0),
    "train_on": Need(TURNS, "", met="all"),
    "turns": Need(TURNS, "", met="auto"),
    "prompt_weight": Need(TURNS, "", met=0),
    "special_tokens_in_text": Need("all rows are token ids", "", met="error"),
}
UNKNOWN = Need("no code of this run reads it", "")


def refuse_unread(settings: RunSettings, *, where: Callable[[str], str | None]) -> None:
    """Raise InputError naming every key that was set and not read, with its file and line and what it would need.

    Call it when all collaborators of the run are made and nothing is trained or written yet.
    """
    unread = [key for part in settings.parts for key in part.unread_keys()]
    flat = settings.flat()
    unread = [key for key in unread if flat[key] != NEEDS.get(key, UNKNOWN).met]
    if not unread:
        return
    told = []
    for key in unread:
        place = where(key)
        told.append(f"{key}={flat[key]}{f' ({place})' if place else ''}: {NEEDS.get(key, UNKNOWN).when}")
    ways = dict.fromkeys(need.do for key in unread if (need := NEEDS.get(key, UNKNOWN)).do)
    or_set = "".join(f", or {way}" for way in ways)
    them = "them" if len(unread) > 1 else "it"
    names = ", ".join(f"'{key}'" for key in unread)
    raise InputError(
        f"{names} would have no effect in this run",
        code="setting-not-read",
        where=where(unread[0]),
        found="\n    ".join(told),
        do=f"remove {them}{or_set}",
    )
