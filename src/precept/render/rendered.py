"""What rendering gives back: sequences, refusals, counts, and one row laid open for the eye."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from precept.render.settings import OverLength, TurnsMode
from precept.render.tokens import Span
from precept.types import Refusal, TokenSequence


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


@dataclass(frozen=True, slots=True)
class Rendered:
    """Sequences in the order of the rows, the rows refused, and those dropped by the over-length policy.

    ``stop_ids`` are the tokens at which generation must stop: the exported ``eos_token_id``.
    """

    sequences: list[TokenSequence]
    refusals: list[Refusal]
    dropped: list[Refusal]
    counts: RenderCounts
    notices: list[str]
    stop_ids: tuple[int, ...]


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
