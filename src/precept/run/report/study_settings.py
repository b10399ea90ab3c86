"""The keys of a recipe's step ``study``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from precept.evaluate.study_claims import Claim
from precept.settings import Settings


class StudySettings(Settings):
    """Which evaluations are compared, and how the page shows them."""

    results: str
    """The `eval` step whose evaluations are compared, one for each combination of its axes' values."""
    x: str
    """The axis along the page."""
    lines: str | None = None
    """The axis with a line for each value."""
    panels: str | None = None
    """The axis with a figure for each value."""
    repeats: tuple[str, ...] = ("seed",)
    """Axes whose values are runs of the same: over them intervals are. Other axes that the page does not show are
    conditions, over which each run is averaged."""
    group: list[str] | str = "overall"
    """Which items: overall, a task, a suite's group (the mean over its tasks), or a list of these, a figure each."""
    metric: str | None = None
    """The score that is shown, one in 0..1; by default the first of the first task."""
    title: str | None = None
    """The page's heading; by default the metric and the axis."""
    scale: Literal["linear", "log", "category"] | None = None
    """How x is spread out; by default log for numbers that grow by factors, linear for others, category for words."""
    chance: Annotated[float, Field(ge=0, le=1)] | None = None
    """What guessing scores: a dotted line."""
    claims: tuple[Claim, ...] = ()
    """What papers found: `{says, source, axis, of, with, expect, where, margin}`, or `trend` in place of `of`, `with`
    and `expect`; also `group` and `metric`."""

    @property
    def groups(self) -> list[str]:
        """The groups as a list."""
        return [self.group] if isinstance(self.group, str) else self.group

    @model_validator(mode="after")
    def _differ(self) -> StudySettings:
        if not self.group or len(set(self.groups)) < len(self.groups):
            raise ValueError("'group' needs one name, or several that differ")
        shown = [name for name in (self.x, self.lines, self.panels) if name is not None]
        if len(set(shown)) < len(shown):
            raise ValueError(f"'x', 'lines' and 'panels' need axes that differ, and are {', '.join(shown)}")
        return self
