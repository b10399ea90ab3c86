"""The kinds of steps a recipe may use, and the keys of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from precept.run.train import METHODS


class TrainKeys(BaseModel):
    """Keys of a training step beside the training settings themselves."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    model: str
    data: list[str] | str


class EvalKeys(BaseModel):
    """Keys of an ``eval`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    task: list[str] | str
    against: str | None = None
    chat_template: str | None = None
    limit: Annotated[int, Field(ge=1)] | None = None
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    bad_rows: Literal["error", "drop"] = "error"


class MergeKeys(BaseModel):
    """Keys of a ``merge`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    adapter: str


KINDS: dict[str, type[BaseModel]] = {
    **{f"train.{method}": TrainKeys for method in METHODS},
    "eval": EvalKeys,
    "merge": MergeKeys,
}
