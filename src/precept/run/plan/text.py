"""All plans of a recipe as a person reads them; the JSON document says the same."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from precept.run.console import STDOUT
from precept.run.recipe.file import told_with


def print_plan(document: dict[str, Any]) -> None:
    """Tokens, memory by part, time, disk, and what to change, step by step; then all steps together."""
    for step in document["steps"]:
        tokens, seconds, memory, lengths = step["tokens"], step["seconds"], step["memory"], step["lengths"]
        sampled = (
            "" if tokens["counted_steps"] == step["optimizer_steps"] else f", from {tokens['counted_steps']} steps"
        )
        lines = [
            f"{_title(step)}: {step['optimizer_steps']:,} optimizer steps, {step['forests']:,} forests of at most"
            f" {step['max_tokens_per_forest']:,} distinct tokens",
            f"tokens: {tokens['real']:,} real, {tokens['distinct']:,} distinct{sampled}, {tokens['trained']:,} trained;"
            f" sharing saves {100 * step['saved_by_sharing']:.1f} %",
            f"lengths: {lengths['shortest']} to {lengths['longest']} tokens, median {lengths['median']},"
            f" 99 % up to {lengths['p99']}",
            *(f"    up to {b['up_to']:>6,}: {b['sequences']:>9,}" for b in lengths["histogram"]),
            *_lost_lines(step),
            f"time: {_duration(seconds['value'])} ({_duration(seconds['low'])} to {_duration(seconds['high'])}),"
            f" measured: {step['measured']}",
            f"disk: {_size(step['disk_bytes'])} of {_size(step['disk_free'])} free",
        ]
        STDOUT.print("\n".join(lines), markup=False)
        table = Table("memory", "MiB")
        table.columns[1].justify = "right"
        for part, size in memory["parts"].items():
            table.add_row(part.replace("_", " "), f"{size / 2**20:,.0f}")
        STDOUT.print(table)
        verdict = "fits into" if memory["fits"] else "does NOT fit into"
        STDOUT.print(
            f"peak {_size(memory['peak'])} ({_size(memory['low'])} to {_size(memory['high'])}):"
            f" {verdict} {_size(memory['available'])}",
            markup=False,
        )
        for change in step["changes"]:
            STDOUT.print(f"    {change['change']} saves {_size(change['saves_bytes'])}: {change['cost']}", markup=False)

    total = document["total"]
    if total["training_steps"] > 1:
        seconds = total["seconds"]
        STDOUT.print(
            f"all {total['training_steps']} training steps: {total['optimizer_steps']:,} optimizer steps,"
            f" {_duration(seconds['value'])} ({_duration(seconds['low'])} to {_duration(seconds['high'])}),"
            f" {_size(total['disk_bytes'])} on disk",
            markup=False,
        )


def _title(step: dict[str, Any]) -> str:
    """The step with the values that its instances share, and how many they are."""
    title = told_with(step["name"], step.get("axes", {}))
    return title if step["instances"] == 1 else f"{title}, each of {step['instances']} seeds"


def _lost_lines(step: dict[str, Any]) -> list[str]:
    lost = {name: entry for name, entry in step["lost"].items() if entry["rows"] or entry["tokens"]}
    told = [f"    over_length={name} loses {e['rows']:,} rows and {e['tokens']:,} tokens" for name, e in lost.items()]
    if step["refused"]:
        told.append(f"    over_length=error, as set, stops at {step['refused']:,} rows; the rest is planned here")
    return ["rows that are too long:", *told] if told else []


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _size(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**30 else f"{size / 2**20:,.0f} MiB"
