"""The cells of the Flan Collection's mixture (Longpre et al. 2023, 2301.13688): each task in each style that it has,
as it is and turned around, with its share of all rows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from precept.records.instructions.flan_templates import ANSWER_SLOT, Pattern, shipped_templates
from precept.records.instructions.labelled_tasks import LabelledTask
from precept.records.instructions.options_text import collection_table
from precept.records.mixture import mixing_shares

INVERSIONS = {"cot": "cot_inversion", "dialog": "dialog_inversion"}
"""Sub-mixture -> the templates that turn its rows around."""
NUMBER = re.compile(r"task0*(\d+)(?:_|$)")


@dataclass(frozen=True)
class Cell:
    """A task in one style, and its share of all rows."""

    task: LabelledTask
    patterns: tuple[Pattern, ...]
    zero_shot: bool
    options: bool
    inverted: bool
    share: float

    @property
    def style(self) -> str:
        """zsopt, zsnoopt, fsopt or fsnoopt."""
        return ("zs" if self.zero_shot else "fs") + ("opt" if self.options else "noopt")

    @property
    def name(self) -> str:
        """Unique among the cells."""
        return f"{self.task.name} {self.style}{' inverted' if self.inverted else ''}"


def is_mmlu_task(task: LabelledTask) -> bool:
    """Whether it is one of the 57 tasks of Super-NaturalInstructions that were made of MMLU, by its number."""
    number = NUMBER.match(task.name)
    ranges = collection_table()["mmlu_tasks"]
    return task.submixture == "niv2" and number is not None and any(a <= int(number[1]) <= b for a, b in ranges)


def style_weights(zero_shot: float, options: float) -> dict[str, float]:
    """The weight of each style from the shares of zero-shot rows and of rows with options; weights of 0 are dropped."""
    weights = {
        "zsopt": zero_shot * options,
        "fsopt": (1 - zero_shot) * options,
        "zsnoopt": zero_shot * (1 - options),
        "fsnoopt": (1 - zero_shot) * (1 - options),
    }
    return {style: weight for style, weight in weights.items() if weight > 0}


def has_version_without_options(task: LabelledTask) -> bool:
    """FLAN's tasks do, and P3's where their prompts are not written already."""
    listed = any(pattern.has_options for pattern in task.templates.patterns)
    return task.submixture == "flan" or (task.submixture == "t0" and listed)


def inversion_of(task: LabelledTask) -> tuple[Pattern, ...]:
    """The patterns that turn a task's rows around: of rationales and dialogues whose rows have all that these show."""
    kind = INVERSIONS.get(task.submixture)
    patterns = shipped_templates(kind).patterns if kind else ()
    shown = frozenset().union(*(pattern.slots for pattern in patterns))
    return patterns if shown <= {*task.templates.slots, ANSWER_SLOT} else ()


def rows_that_count(tasks: Sequence[LabelledTask], weights: str) -> dict[str, int]:
    """Task -> its rows up to the cap of the part that it is mixed in."""
    caps = collection_table()["caps"]
    return {task.name: min(len(task.examples), caps[_part(task, weights)]) for task in tasks}


def _part(task: LabelledTask, weights: str) -> str:
    """A task's sub-mixture; dialogues are FLAN's where the table has no weight for them, whose "Muffin" holds them."""
    tables = collection_table()["weights"]
    return (
        "flan" if task.submixture == "dialog" and "dialog" not in tables.get(weights, ["dialog"]) else task.submixture
    )


def make_cells(
    tasks: Sequence[LabelledTask], *, weights: str, balanced: bool, zero_shot: float, options: float, inversion: float
) -> list[Cell]:
    """Every task in every style that it has, with its share: part x style x task.

    ``weights`` names a table, or is ``equal``; not ``balanced``, parts count by their rows. A turned-around row has the
    weight ``inversion`` beside 1, inside its part's weight or, as ``code_defaults`` has it, on top of that.
    """
    table = collection_table()
    rates = rows_that_count(tasks, weights)
    parts = {name: own for name in table["caps"] if (own := [task for task in tasks if _part(task, weights) == name])}
    sums = [sum(rates[task.name] for task in own) for own in parts.values()]
    turned = {task.name: inversion_of(task) if inversion else () for task in tasks}
    grown = [
        1 + inversion * sum(rates[task.name] for task in own if turned[task.name]) / total
        for own, total in zip(parts.values(), sums, strict=True)
    ]
    wanted = None
    if balanced:
        stated = table["weights"].get(weights) or dict.fromkeys(parts, 1.0)
        beside = weights in table["inversion_beside"]
        wanted = [stated[name] * (growth if beside else 1) for name, growth in zip(parts, grown, strict=True)]
    shares = mixing_shares(sums, weights=wanted)
    cells = []
    for own, share, total, growth in zip(parts.values(), shares, sums, grown, strict=True):
        for task in own:
            styles = style_weights(zero_shot, options if has_version_without_options(task) else 1.0)
            part = share * rates[task.name] / total / growth
            cells += _cells_of(task, styles, part, turned[task.name], inversion)
    return cells


def _cells_of(
    task: LabelledTask, styles: dict[str, float], share: float, turned: tuple[Pattern, ...], inversion: float
) -> list[Cell]:
    cells = []
    for style, weight in styles.items():
        options = style.endswith("sopt")
        patterns = task.templates.patterns
        shown = patterns if options else tuple(pattern.without_options() for pattern in patterns)
        zero_shot = style.startswith("zs")
        cells.append(Cell(task, shown, zero_shot, options, False, share * weight))
        if turned:
            cells.append(Cell(task, turned, zero_shot, options, True, share * weight * inversion))
    return cells
