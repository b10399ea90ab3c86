"""A recipe as YAML text: one training step, a comment beside what the source did not say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

from precept.importers.account import GAP, Account

FIRST = ("model", "data", "eval_data", "eval_fraction", "chat_template")


def write_recipe(account: Account, *, name: str, source: str) -> str:
    """The recipe of an import. ``name`` becomes the recipe's, ``source`` is named in its head."""
    name = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.") or "imported"
    settings = account.settings
    gaps = sum(GAP in str(value) for value in settings.values())
    head = [f"# From {_line(source)}, a configuration of {account.tool}."]
    if account.output:
        head.append(f"# It wrote to {_line(account.output)}: precept run FILE --output {_line(account.output)}")
    if gaps:
        head.append(f"# To fill in before it can run: {gaps} value{'s' * (gaps > 1)} marked FILL-IN.")
    lines = [*head, f"name: {_scalar(name)}", "steps:", "  - name: tune", "    uses: train.sft", "    with:"]
    ordered = [*(key for key in FIRST if key in settings), *(key for key in settings if key not in FIRST)]
    for key in ordered:
        comment = account.comments.get(key, "")
        lines.append(f"      {key}: {_scalar(settings[key])}{f'  # {_line(comment)}' if comment else ''}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    """A value on one line. ASCII with escapes: whatever a source holds, the line stays a line."""
    text = yaml.safe_dump(_tidy(value), default_flow_style=True, width=10**9, allow_unicode=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _tidy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value


def _line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)
