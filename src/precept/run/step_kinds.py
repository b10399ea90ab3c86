"""The kinds of steps a recipe may use, and the keys of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from precept.run.train import METHODS


class TrainKeys(BaseModel):
    """Keys of a training step beside the training settings themselves."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    """The base: a folder, `bundled`, or owner/name from the cache or the hub."""
    data: list[str] | str
    """Training rows: files, folders, `path#500` for the first rows, or `hf:owner/name[:split]`."""


class EvalKeys(BaseModel):
    """Keys of an ``eval`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    """The model to ask: `${step}` is the folder of an earlier step."""
    task: list[str] | str
    """Task files (YAML), or data files whose rows have references."""
    against: str | None = None
    """A second model: the paired difference to it is added."""
    chat_template: str | None = None
    """A .jinja file or the name of a shipped template; by default the model's own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Items of each task; by default all."""
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest answer in tokens; by default the task's own limit."""
    bad_rows: Literal["error", "drop"] = "error"
    """What to do with rows that cannot be used: stop, or leave them out."""


class MergeKeys(BaseModel):
    """Keys of a ``merge`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter: str
    """The adapter's folder: `${step}` is the folder of an earlier step."""


KINDS: dict[str, type[BaseModel]] = {
    **{f"train.{method}": TrainKeys for method in METHODS},
    "eval": EvalKeys,
    "merge": MergeKeys,
}
