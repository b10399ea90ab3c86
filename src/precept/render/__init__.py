"""Rows to token sequences with weights: chat templates, what is trained, and how it is shown."""

from precept.render.choice import needed_tokens
from precept.render.plain import parse_plain
from precept.render.rendered import Explained, ExplainedSequence, ExplainedToken, RenderCounts, Rendered
from precept.render.renderer import Renderer
from precept.render.settings import RenderSettings
from precept.render.shipped import read_template, shipped_names
from precept.render.show import show

__all__ = [
    "Explained",
    "ExplainedSequence",
    "ExplainedToken",
    "RenderCounts",
    "RenderSettings",
    "Rendered",
    "Renderer",
    "needed_tokens",
    "parse_plain",
    "read_template",
    "shipped_names",
    "show",
]
