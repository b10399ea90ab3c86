"""What rendering gives back: sequences, refusals, counts, and one row laid open for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from precept.render.settings import OverLength, TurnsMode
from precept.render.tokens import Span
from precept.types import IntArray, Refusal, TokenSequence


@dataclass(slots=True)
class RenderCounts:
    """Tallies over all rows of one call. Token counts are over the sequences given back."""

    rows: int = 0
    sequences: int = 0
    real_tokens: int = 0
    trained_tokens: int = 0
    straddling_tokens: int = 0
    """Tokens that hold both trained text and context."""
    reasoning_dropped: int = 0
    """Messages whose reasoning the template removes by design."""
    rows_split: int = 0
    """Rows rendered as one sequence for each trained turn."""
    rows_whole: int = 0
    """Conversations rendered as one sequence."""
    rows_over_length: int = 0
    rows_cut: int = 0
    rows_dropped: int = 0
    over_length_losses: dict[OverLength, tuple[int, int]] = field(default_factory=dict)
    """For each policy the rows and tokens that it would lose; empty when no row is too long."""
    not_given_back: int = 0
    """Encoder-decoder rows whose text the tokenizer cannot give back from its tokens."""
    turns: TurnsMode = "whole"
    """The mode that was used: `auto` when some rows are whole and some split."""
    null_content: str | None = None
    """How null contents are passed (`null` or `empty`), None when there were none."""
    arguments: str | None = None
    """How tool arguments are passed (`object` or `string`), None when there were none."""

    def add(self, later: RenderCounts) -> None:
        """Count the rows of a later call too."""
        for name in ADDED:
            setattr(self, name, getattr(self, name) + getattr(later, name))
        for policy, (rows, tokens) in later.over_length_losses.items():
            before = self.over_length_losses.get(policy, (0, 0))
            self.over_length_losses[policy] = before[0] + rows, before[1] + tokens
        self.null_content = later.null_content or self.null_content
        self.arguments = later.arguments or self.arguments
        self.turns = "whole" if not self.rows_split else "auto" if self.rows_whole else "split"


ADDED = (
    *("rows", "sequences", "real_tokens", "trained_tokens", "straddling_tokens", "reasoning_dropped", "rows_split"),
    *("rows_whole", "rows_over_length", "rows_cut", "rows_dropped", "not_given_back"),
)
"""The tallies that are sums."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """Sequences in the order of the rows, the rows refused, and those dropped by the over-length policy.

    ``places`` [S] are the rows that the sequences came from, as indices into the rows given. ``stop_ids`` are the
    tokens at which generation must stop: the exported ``eos_token_id``. ``terminators`` are what ended the turns, and
    ``tools`` whether a row had tools: by these the results of several calls are put together.
    """

    sequences: Sequence[TokenSequence]
    refusals: list[Refusal]
    dropped: list[Refusal]
    counts: RenderCounts
    notices: list[str]
    stop_ids: tuple[int, ...]
    places: IntArray
    terminators: frozenset[str | None]
    tools: bool


class ExplainedToken(NamedTuple):
    """One token: its characters ``start:end`` in the text, its weight, and whether it straddles a border."""

    id: int
    start: int
    end: int
    weight: float
    straddles: bool


@dataclass(frozen=True, slots=True)
class ExplainedSequence:
    """One sequence of a row: its text, the weighted spans of characters, and its tokens."""

    text: str
    spans: tuple[Span, ...]
    tokens: tuple[ExplainedToken, ...]


@dataclass(frozen=True, slots=True)
class Explained:
    """A row as rendered: one sequence or several, or why it is refused."""

    sequences: tuple[ExplainedSequence, ...]
    refusal: Refusal | None = None
