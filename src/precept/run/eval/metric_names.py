"""``precept eval --list``: the names of metrics and extraction rules."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from precept.evaluate.extract import EXACT, LENIENT, RULES
from precept.evaluate.metrics import SCORES, WITH_TOKENIZER, bits_per_byte, label_match, perplexity, rouge_l_byte_bpe
from precept.evaluate.obfuscate import VARIANTS
from precept.evaluate.task import FAMILIES, load_task
from precept.run.console import STDOUT


def list_names() -> dict[str, list[dict[str, str | None]]]:
    """The document of ``precept eval --list``: every metric and extraction rule with what it does.

    A rule's ``exact_match`` is the score that this name means for what it takes, ``lenient`` the rule that is scored
    beside it.
    """
    metrics = {**SCORES, WITH_TOKENIZER: rouge_l_byte_bpe, "label_match": label_match}
    likelihoods = {"perplexity": perplexity, "bits_per_byte": bits_per_byte}
    return {
        "likelihood": [{"name": name, "does": _first_sentence(score)} for name, score in likelihoods.items()],
        "metrics": [{"name": name, "does": _first_sentence(score)} for name, score in metrics.items()],
        "extract": [
            {
                "name": name,
                "does": _first_sentence(rule),
                "exact_match": EXACT.get(name, "exact_match"),
                "lenient": LENIENT.get(name),
            }
            for name, rule in RULES.items()
        ],
    }


def list_variants() -> list[dict[str, Any]]:
    """Every variant with what it does, and the families of tasks that allow it."""
    tasks = {family: load_task(family) for family in FAMILIES}
    return [
        {
            "name": name,
            "does": _first_sentence(variant),
            "families": [family for family, task in tasks.items() if name in task.variants],
        }
        for name, variant in VARIANTS.items()
    ]


def print_variants(variants: Sequence[Mapping[str, Any]]) -> None:
    """A line a variant."""
    table = Table(title="--variants NAME", title_justify="left", show_header=False, box=None)
    for entry in variants:
        table.add_row(entry["name"], f"{entry['does']} Allowed by {', '.join(entry['families'])}.")
    STDOUT.print(table)


def print_names(names: Mapping[str, Sequence[Mapping[str, str | None]]]) -> None:
    """A line a name."""
    for kind, option in (("metrics", "--metric"), ("likelihood", "kind: likelihood"), ("extract", "--extract")):
        table = Table(
            title=f"{option} NAME" if option.startswith("--") else f"scores of a task with '{option}'",
            title_justify="left",
            show_header=False,
            box=None,
        )
        for entry in names[kind]:
            exact = entry.get("exact_match") or "exact_match"
            told = f" Its exact match is {exact}." if exact != "exact_match" else ""
            lenient = f" Scored beside it: {entry['lenient']}." if entry.get("lenient") else ""
            table.add_row(entry["name"], f"{entry['does']}{told}{lenient}")
        STDOUT.print(table)


def _first_sentence(function: object) -> str:
    """The first sentence of a docstring, on one line."""
    text = " ".join((inspect.getdoc(function) or "").split("\n\n")[0].split())
    return text.split(". ")[0].rstrip(".").replace("``", "") + "."
