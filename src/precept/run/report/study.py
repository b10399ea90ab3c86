"""The recipe step ``study``: the evaluations of a grid as one page, and what it shows of the papers' claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from precept.errors import InputError
from precept.evaluate.study import Axis, Layout, Scalar, find_axes, find_points
from precept.evaluate.study_claims import answer, correct, find_contrast_of
from precept.evaluate.study_page import Panel, Study, figures, html_page, json_document, markdown_page
from precept.run.console import say
from precept.run.output import write_atomic
from precept.run.report.study_cells import Cell, read_cells, refuse_missing, refuse_unbounded
from precept.run.report.study_settings import StudySettings
from precept.run.settings import Where, unknown_key

__all__ = ["Cell", "check_study", "run_study"]

PAGE, MARKDOWN = "study.html", "study.md"


def check_study(
    settings: StudySettings, places: Sequence[Mapping[str, Scalar]], where: Where = lambda key: None
) -> None:
    """Look at a study before its evaluations, whose values on their axes are ``places``, are there.

    Raises InputError for an axis that they do not have, for a scale that does not fit x and for a metric beyond 0..1.
    Tells of claims that cannot be tested, which is no error: a run may have fewer values than its recipe was written
    for.
    """
    layout = _lay_out(settings, places, where)
    for claim in settings.claims:
        if isinstance(reason := find_contrast_of(claim, layout), str):
            say(f"the claim '{claim.says}' will not be tested: {reason}")


def run_study(cells: Sequence[Cell], settings: StudySettings, folder: Path) -> dict[str, Any]:
    """Write the page of finished evaluations as HTML and Markdown with its figures; returns the numbers behind it.

    Raises InputError for evaluations that are missing or damaged, for groups and metrics that they do not hold, and
    where a claim compares evaluations of different items.
    """
    layout = _lay_out(settings, [cell.axes for cell in cells], where=lambda key: None)
    refuse_missing(cells, layout.axes)
    readings, metric = read_cells(cells, settings)
    answers = []
    for claim in settings.claims:
        asked = claim.group or settings.groups[0], claim.metric or metric
        answers.append(answer(claim, layout, readings[asked], group=asked[0], metric=asked[1]))
    panels = []
    for group in settings.groups:
        points = find_points(layout, readings[group, metric])
        for value in layout.axis(settings.panels).values if settings.panels else (None,):
            own = tuple(point for point in points if point.panel == value)
            panels.append(Panel(_panel_title(settings, group, value, metric), group, own))
    study = Study(
        settings.title or f"{metric} by {settings.x}",
        metric,
        layout,
        _scale(settings, layout),
        {group: readings[group, metric] for group in settings.groups},
        tuple(panels),
        tuple(correct(answers)),
        settings.chance,
    )
    return {**json_document(study), **_write(study, folder)}


def _lay_out(settings: StudySettings, places: Sequence[Mapping[str, Scalar]], where: Where) -> Layout:
    axes = find_axes(places)
    refuse_unbounded(settings.metric, where("metric"))
    for claim in settings.claims:
        refuse_unbounded(claim.metric, where("claims"))
    named = [("x", settings.x), ("lines", settings.lines), ("panels", settings.panels)]
    named += [("repeats", name) for name in settings.repeats if "repeats" in settings.model_fields_set]
    named += [("claims", name) for claim in settings.claims for name in (claim.axis, *claim.where)]
    for key, name in named:
        if name is not None and name not in (known := [axis.name for axis in axes]):
            raise unknown_key(name, known, where=where(key), kind="axis")
    layout = Layout(axes, settings.x, settings.lines, settings.panels, settings.repeats)
    x = layout.axis(settings.x)
    if settings.scale in ("linear", "log") and not _fits(settings.scale, x):
        raise InputError(
            f"a {settings.scale} scale needs numbers{' above 0' if settings.scale == 'log' else ''}",
            code="study-scale",
            where=where("scale"),
            found=f"{x.name}: {', '.join(x.values)}",
            do="leave scale out, or set scale: category",
        )
    return layout


def _fits(scale: str, x: Axis) -> bool:
    return x.numbers is not None and (scale == "linear" or min(x.numbers) > 0)


def _scale(settings: StudySettings, layout: Layout) -> Literal["linear", "log", "category"]:
    x = layout.axis(settings.x)
    if settings.scale is not None:
        return settings.scale
    return "category" if x.numbers is None else "log" if x.grows_by_factors() else "linear"


def _panel_title(settings: StudySettings, group: str, value: str | None, metric: str) -> str:
    told = [group] if len(settings.groups) > 1 else []
    told += [f"{settings.panels} {value}"] if settings.panels else []
    return ", ".join(told) or f"{metric} of {group}"


def _write(study: Study, folder: Path) -> dict[str, Any]:
    drawn = {f"figure-{number}.svg": drawing for number, drawing in enumerate(figures(study), 1)}
    texts = {**drawn, PAGE: html_page(study), MARKDOWN: markdown_page(study, list(drawn))}
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomic(folder / name, text.encode())
    return {"page": str(folder / PAGE), "markdown": str(folder / MARKDOWN), "figures": [str(folder / n) for n in drawn]}
