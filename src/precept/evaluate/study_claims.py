"""What papers found, asked of a study's own numbers: agrees, disagrees or undecided, and a sentence that says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import ConfigDict, Field, model_validator

from precept.evaluate.repeats import student_quantile
from precept.evaluate.statistics import holm
from precept.evaluate.study import Contrast, Estimate, Layout, Scalar, Scored, difference, find_contrast, fitted_rise
from precept.settings import Settings

Verdict: TypeAlias = Literal["agrees", "disagrees", "undecided", "untested"]
ALPHA = 0.05
SIDES = {"higher": 1, "rises": 1, "lower": -1, "falls": -1, "same": 0, "flat": 0}
"""On which side of zero a paper's finding puts a contrast."""


class Claim(Settings):
    """A paper's finding as a contrast: one value of an axis against another, or the trend over all of its values."""

    model_config = ConfigDict(populate_by_name=True)

    says: Annotated[str, Field(min_length=1)]
    """What the paper found, in one clause."""
    source: Annotated[str, Field(min_length=1)]
    """Paper and section."""
    axis: str
    """The axis whose values are compared."""
    of: Scalar = None
    """The value that the paper says is higher, lower or the same; `first` and `last` are those of the axis."""
    with_: Annotated[Scalar, Field(alias="with")] = None
    """The value that it is compared with."""
    expect: Literal["higher", "lower", "same"] | None = None
    """How `of` lies to `with`."""
    trend: Literal["rises", "falls", "flat"] | None = None
    """How the score goes along the axis, in place of `of`, `with` and `expect`."""
    where: dict[str, Scalar] = Field(default_factory=dict)
    """Values at which other axes are held; over those left out the contrast is averaged."""
    margin: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The difference, or the rise from the first to the last value, that counts: 0.02 is two points."""
    group: str | None = None
    """A task, or a suite's group of tasks; by default the first of the page."""
    metric: str | None = None
    """By default the page's."""

    @property
    def expected(self) -> str:
        """The paper's finding in one word."""
        return self.expect or self.trend or ""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        """An error that names the key: it stands in a list, whose place alone a caller would tell."""
        known = [field.alias or name for name, field in cls.model_fields.items()]
        for key in values if isinstance(values, Mapping) else ():
            if key not in known and key not in cls.model_fields:
                raise ValueError(f"a claim has no key '{key}'; it has {', '.join(known)}")
        for key in ("says", "source", "axis"):
            if isinstance(values, Mapping) and key not in values:
                raise ValueError(f"a claim needs '{key}'")
        return values

    @model_validator(mode="after")
    def _one_question(self) -> Claim:
        told = f"the claim '{self.says}'"
        given = {"of", "with_"} & self.model_fields_set
        if self.trend is None and (len(given) < 2 or self.expect is None):
            raise ValueError(f"{told} needs 'of', 'with' and 'expect', or 'trend'")
        if self.trend is not None and (given or self.expect is not None):
            raise ValueError(f"{told} has 'trend' beside 'of', 'with' or 'expect': a claim asks one thing")
        if SIDES[self.expected] == 0 and not self.margin:
            raise ValueError(f"{told} needs a 'margin' above 0: no data shows that two scores are exactly the same")
        if self.axis in self.where:
            raise ValueError(f"{told} holds the axis '{self.axis}' that it compares")
        return self


@dataclass(frozen=True, slots=True)
class Answered:
    """A claim with what the study shows of it. ``group`` and ``metric`` are those asked; ``p_holm`` is corrected for
    all claims of the page that expect a difference; ``untested`` tells why there is no estimate."""

    claim: Claim
    group: str
    metric: str
    verdict: Verdict
    estimate: Estimate | None = None
    p_holm: float | None = None
    untested: str = ""

    @property
    def detectable(self) -> float | None:
        """The difference that such a study shows with probability 0.8: the interval's half width times
        1 + q(0.8) / q(0.975), q the quantiles of Student's distribution over runs, of the normal one over items.

        ``statistics.minimal_detectable_difference`` is for two accuracies before a run. This looks back at the spread
        that was seen, and so holds over seeds, for any metric, for trends and for means over tasks.
        """
        if self.estimate is None:
            return None
        if self.estimate.over == "items":
            power, tail = NormalDist().inv_cdf(0.8), NormalDist().inv_cdf(0.975)
        else:
            freedom = self.estimate.freedom
            power, tail = student_quantile(freedom, probability=0.8), student_quantile(freedom)
        return (self.estimate.high - self.estimate.low) / 2 * (1 + power / tail)


def find_contrast_of(claim: Claim, layout: Layout) -> Contrast | str:
    """The contrast that a claim asks for, or why this study cannot test it: it may have fewer values than the claim
    was written for."""
    fixed = {}
    for name, wanted in claim.where.items():
        value = layout.axis(name).find(wanted)
        if value is None:
            return f"no value {wanted!r} of {name}"
        fixed[name] = value
    axis = layout.axis(claim.axis)
    if claim.trend is not None:
        return fitted_rise(axis, fixed) if len(axis.values) > 1 else f"one value of {axis.name} only"
    of, than = axis.find(claim.of), axis.find(claim.with_)
    if of is None or than is None:
        return f"no value {(claim.of if of is None else claim.with_)!r} of {axis.name}"
    return difference(axis.name, of, than, fixed) if of != than else f"'{of}' of {axis.name} is both sides"


def answer(claim: Claim, layout: Layout, cells: Sequence[Scored], *, group: str, metric: str) -> Answered:
    """What the evaluations show of a claim. Raises InputError for evaluations that asked different items."""
    contrast = find_contrast_of(claim, layout)
    if isinstance(contrast, str):
        return Answered(claim, group, metric, "untested", untested=contrast)
    found = find_contrast(layout, cells, contrast)
    return Answered(claim, group, metric, judge(claim.expected, found.low, found.high, claim.margin), found)


def judge(expected: str, low: float, high: float, margin: float) -> Verdict:
    """``agrees``: the interval lies on the expected side and beyond the margin, or of "same" and "flat" within the
    margin on both sides. ``disagrees``: wholly on the other side of zero, or wholly outside the margin. Else
    ``undecided``."""
    side = SIDES[expected]
    if side == 0:
        outside = low > margin or high < -margin
        return "agrees" if -margin < low and high < margin else "disagrees" if outside else "undecided"
    if side < 0:
        low, high = -high, -low
    return "agrees" if low > margin else "disagrees" if high < 0 else "undecided"


def correct(answers: Sequence[Answered]) -> list[Answered]:
    """The answers with p values corrected by Holm for all claims that expect a difference; that of "same" is none."""
    p = {
        str(place): found.estimate.p
        for place, found in enumerate(answers)
        if found.estimate is not None and found.estimate.p is not None and SIDES[found.claim.expected]
    }
    corrected = holm(p)
    return [replace(found, p_holm=corrected.get(str(place))) for place, found in enumerate(answers)]


def say(found: Answered, layout: Layout, *, groups: int, compared: int) -> str:
    """The answer in one sentence. The group is named where there are ``groups`` of them; ``compared`` is how many
    claims of the page expect a difference."""
    claim, estimate = found.claim, found.estimate
    finding = f"{claim.source} ({claim.says})"
    if estimate is None:
        return f"Not tested here, {found.untested}: {finding}."
    sign = -1 if estimate.value < 0 else 1
    low, high = sorted((sign * estimate.low, sign * estimate.high))
    moved = f"by {100 * abs(estimate.value):.1f} points (95 % {100 * low:.1f} to {100 * high:.1f})"
    what = found.metric + (f" of {found.group}" if groups > 1 else "") + _conditions(claim, layout)
    if claim.trend:
        values = layout.axis(claim.axis).values
        verb = "fell" if sign < 0 else "rose"
        told = f"{what} {verb} {moved} from {claim.axis} '{values[0]}' to '{values[-1]}' on the fitted line"
    else:
        of, than = (layout.axis(claim.axis).find(value) for value in (claim.of, claim.with_))
        verb = "lowered" if sign < 0 else "raised"
        told = f"{claim.axis} '{of}' in place of '{than}' {verb} {what} {moved}"
    margin = f", margin {100 * claim.margin:.1f} points" if claim.margin else ""
    items = f"{estimate.n:,} item{'s' * (estimate.n != 1)}"
    return f"Here, with {_runs(found, layout)} and {items}, {told}{margin}: {_verdict(found, finding, compared)}."


def _verdict(found: Answered, finding: str, compared: int) -> str:
    if found.verdict == "undecided":
        assert found.estimate is not None and found.detectable is not None
        if SIDES[found.claim.expected] and max(-found.estimate.low, found.estimate.high) < found.claim.margin:
            return f"undecided against {finding}; the difference is smaller than the margin either way"
        return f"undecided against {finding}; {100 * found.detectable:.1f} points would have been seen with power 0.8"
    told = f"{found.verdict} with {finding}"
    if found.p_holm is not None and found.p_holm >= ALPHA:
        told += f"; corrected for the {compared} claims of this page p is {found.p_holm:.2g}"
    return told


def _conditions(claim: Claim, layout: Layout) -> str:
    """Where the other axes of the page stand."""
    held = [f"{name} '{layout.axis(name).find(value)}'" for name, value in claim.where.items()]
    others = [*layout.shown, *(axis.name for axis in layout.conditions)]
    left = [name for name in others if name != claim.axis and name not in claim.where]
    averaged = [name for name in left if len(layout.axis(name).values) > 1]
    told = f" at {' and '.join(held)}" if held else ""
    return told + (f", averaged over {' and '.join(averaged)}," if averaged else "")


def _runs(found: Answered, layout: Layout) -> str:
    """How many runs there are, and what they differ in."""
    assert found.estimate is not None
    count = len(found.estimate.runs)
    open_axes = [a.name for a in layout.repeats if a.name not in found.claim.where and a.name != found.claim.axis]
    if count == 1:
        return "one run each"
    return f"{count} seeds" if open_axes == ["seed"] else f"{count} runs ({' x '.join(open_axes)})"
