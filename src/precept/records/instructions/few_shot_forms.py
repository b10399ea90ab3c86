"""Few-shot prompts of the Flan Collection (Longpre et al. 2023, 2301.13688): exemplars, a query, and a token budget."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from precept.records.instructions.built import CountTokens
from precept.records.instructions.options_text import collection_table


@dataclass(frozen=True)
class Exemplar:
    """An input with its target."""

    inputs: str
    targets: str


@dataclass(frozen=True)
class Layout:
    """What stands around inputs and targets, and between exemplars."""

    inputs_prefix: str = ""
    targets_prefix: str = ""
    delimiter: str = "\n\n"
    separator: str = "\n\n\n"

    def asked(self, inputs: str) -> str:
        """An input up to where its target begins."""
        return f"{self.inputs_prefix}{inputs}{self.delimiter}{self.targets_prefix}"


def draw_layout(rng: random.Random) -> Layout:
    """One of the exemplar layouts with one of the separators."""
    table = collection_table()
    return Layout(**rng.choice(table["exemplar_layouts"]), separator=rng.choice(table["exemplar_separators"]))


def assemble(exemplars: Sequence[Exemplar], query: str, layout: Layout) -> str:
    """Exemplars one after the other, then the query up to where its target begins; blanks at the end are cut."""
    shown = "".join(f"{layout.asked(one.inputs)}{one.targets}{layout.separator}" for one in exemplars)
    return f"{shown}{layout.asked(query)}".rstrip(" ")


def with_template(places: Sequence[int], template: int, *, templates: int) -> list[int]:
    """Of drawn places those of the query's own template, which follows from a place (the code's "x-shot")."""
    return [place for place in places if place % templates == template]


def prune(
    exemplars: Sequence[Exemplar],
    query: str,
    layout: Layout,
    *,
    budget: int,
    count_tokens: CountTokens,
    above: str = "",
) -> list[Exemplar]:
    """The longest beginning of the exemplars whose tokens, prefixes and delimiters counted, fit beside the query.

    ``budget`` is for exemplars and query together: 1,920 in the paper's code, of 2,048, which leaves the rest to the
    separators. ``above`` is what stands once above all of them.
    """
    left = budget - count_tokens(above + layout.asked(query))
    kept = []
    for exemplar in exemplars:
        left -= count_tokens(layout.asked(exemplar.inputs)) + count_tokens(exemplar.targets)
        if left < 0:
            break
        kept.append(exemplar)
    return kept
