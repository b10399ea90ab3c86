"""Prints a row as rendered: trained tokens against context, so that one sees exactly what the loss is taken on."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from precept.render.rendered import Explained, ExplainedSequence, ExplainedToken

if TYPE_CHECKING:
    from rich.console import Console

_VISIBLE = str.maketrans({"\n": "⏎\n", "\t": "→\t", "\r": "␍", "\u00a0": "⍽", " ": "·"})
_STYLES = {"trained": "bold green", "context": "dim", "straddling": "bold yellow"}


def show(explained: Explained, console: Console) -> None:
    """Print each sequence of a row: trained text in colour, tokens on the border marked, blanks made visible.

    Without colour (a pipe, NO_COLOR) trained text stands in ⟦ ⟧ and tokens on the border in ⟪ ⟫.
    """
    from rich.text import Text

    if explained.refusal is not None:
        refusal = explained.refusal
        console.print(Text(f"refused: {refusal.reason} [{refusal.code}]", style="bold red"))
    colour = console.is_terminal and not console.no_color
    for sequence in explained.sequences:
        line = Text()
        for kind, text in runs(sequence):
            visible = text.translate(_VISIBLE)
            line.append(visible if colour else bracketed(kind, visible), style=_STYLES[kind])
        console.print(line, soft_wrap=True)
        trained = sum(token.weight > 0 for token in sequence.tokens)
        straddling = sum(token.straddles for token in sequence.tokens)
        summary = f"{len(sequence.tokens):,} tokens, {trained:,} trained"
        if straddling:
            summary += f", {straddling:,} hold both trained text and context"
        console.print(Text(summary, style="italic"))


def runs(sequence: ExplainedSequence) -> list[tuple[str, str]]:
    """The whole text in runs of one kind: `trained`, `context` or `straddling`.

    Characters that no token covers (dropped blanks) are context; of characters covered by several tokens the first
    decides.
    """
    kinds = ["context"] * len(sequence.text)
    for token in reversed(sequence.tokens):
        kinds[token.start : token.end] = [_kind(token)] * (token.end - token.start)
    place = 0
    found = []
    for kind, group in groupby(kinds):
        length = sum(1 for _ in group)
        found.append((kind, sequence.text[place : place + length]))
        place += length
    return found


def bracketed(kind: str, text: str) -> str:
    """The run in brackets that say what it is; context has none."""
    if kind == "trained":
        return f"⟦{text}⟧"
    return f"⟪{text}⟫" if kind == "straddling" else text


def _kind(token: ExplainedToken) -> str:
    if token.straddles:
        return "straddling"
    return "trained" if token.weight > 0 else "context"
