"""Settings of rendering and the policies that they choose between."""

from __future__ import annotations

import datetime
from typing import Literal

from pydantic import Field, field_validator

from precept.settings import Settings

OverLength = Literal["error", "drop", "cut_turns", "cut_left", "cut_right", "split"]
TurnsMode = Literal["whole", "split", "auto"]
SpecialTokensInText = Literal["error", "as_text", "allow"]


class RenderSettings(Settings):
    """How rows become token sequences."""

    chat_template: str | None = None
    """A .jinja file or the name of a shipped template; by default the tokenizer's own."""
    max_length: int | None = Field(default=None, ge=2)
    """Longest sequence in tokens; by default the model's limit, at most 4096."""
    over_length: OverLength = "error"
    """What happens to longer rows: `cut_turns` drops whole oldest turns, `split` is for plain text only."""
    prompt_weight: float = Field(default=0.0, ge=0.0, allow_inf_nan=False)
    """Loss weight of context tokens, beside 1 for trained ones."""
    train_on: Literal["all", "last"] = "all"
    """Train every assistant turn or only the last one."""
    turns: TurnsMode = "auto"
    """`split` makes each assistant turn a sequence of its own; `auto` only where the server's prompts differ."""
    special_tokens_in_text: SpecialTokensInText = "error"
    """Contents that spell a special token: refuse the row, encode the spelling as plain text, or let it through."""
    template_date: str | None = None
    """The date (YYYY-MM-DD) that templates print; by default the day the run is created."""
    add_tokens: bool = False
    """Add the special tokens that the template needs and the tokenizer lacks."""

    @field_validator("template_date", mode="before")
    @classmethod
    def _read_date(cls, value: object) -> object:
        """YAML reads a bare date as a date."""
        return value.isoformat() if isinstance(value, datetime.date) else value

    @field_validator("template_date")
    @classmethod
    def _is_a_date(cls, value: str | None) -> str | None:
        if value is not None:
            datetime.datetime.strptime(value, "%Y-%m-%d")
        return value
