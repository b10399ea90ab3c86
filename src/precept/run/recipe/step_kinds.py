"""The kinds of steps a recipe may use, and the keys of each."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from precept.bundled.make import WorldSettings
from precept.bundled.start import StartSettings
from precept.run.data.makers import MAKERS
from precept.run.report.study_settings import StudySettings
from precept.run.settings import CLASSES
from precept.run.tuning.train import METHODS

Names = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]
"""A list, or the only one of it."""


class TrainKeys(BaseModel):
    """Keys of a training step beside the training settings themselves."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    model: str
    """The base: a folder, `bundled`, or owner/name from the cache or the hub."""
    data: list[str] | str
    """Training rows: files, folders, `path#500` for the first rows, or `hf:owner/name[:split]`."""


class EvalKeys(BaseModel):
    """Keys of an ``eval`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    model: str
    """The model to ask: `${step}` is the folder of an earlier step."""
    task: list[str] | str = []
    """Task files (YAML), or data files whose rows have references."""
    suite: str | None = None
    """A named list of tasks: see `precept eval --list`."""
    data_dir: str = "data"
    """The folder with the suite's data."""
    against: str | None = None
    """A second model: the paired difference to it is added."""
    chat_template: str | None = None
    """A .jinja file or the name of a shipped template; by default the model's own."""
    limit: Annotated[int, Field(ge=1)] | None = None
    """Items of each task; by default all."""
    max_new_tokens: Annotated[int, Field(ge=1)] | None = None
    """Longest answer in tokens; by default the task's own limit."""
    shots: Annotated[int, Field(ge=0)] | None = None
    """Worked examples before each item; by default the task's own number."""
    chat: bool | None = None
    """In the chat template or as plain text; by default as the task says."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of answers that are drawn, and of variants."""
    repeats: Annotated[int, Field(ge=1)] = 1
    """Runs with seeds of their own, of the tasks whose answers are drawn."""
    variants: Names = []
    """Ask items in other words, too: see `precept eval --list`."""
    training: Names = []
    """Training files, or folders of runs, to look for the items in."""
    rouge_tokenizer: str | None = None
    """GPT-2's tokenizer, a folder, for the score `rouge_l_byte_bpe`."""
    bad_rows: Literal["error", "drop"] = "error"
    """What to do with rows that cannot be used: stop, or leave them out."""

    @property
    def tasks(self) -> list[str]:
        """The tasks as a list."""
        return [self.task] if isinstance(self.task, str) else self.task

    @model_validator(mode="after")
    def _asks_something(self) -> EvalKeys:
        if not self.task and not self.suite:
            raise ValueError("an eval step needs a task or a suite")
        if "data_dir" in self.model_fields_set and not self.suite:
            raise ValueError("'data_dir' is read for a suite alone: a task names its own data")
        return self


class MergeKeys(BaseModel):
    """Keys of a ``merge`` step."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    adapter: str
    """The adapter's folder: `${step}` is the folder of an earlier step."""


class DataKeys(BaseModel):
    """Keys of a ``data.`` step beside the settings of its maker."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    data: list[str] | str
    """The collection: files, folders, `path#500` for the first rows, or `hf:owner/name[:split]`."""
    tokenizer: str | None = None
    """A model folder, or owner/name: its tokenizer counts tokens where the method has a token budget."""
    bad_rows: Literal["error", "drop"] = "error"
    """What to do with rows that cannot be used: stop, or leave them out."""


KINDS: dict[str, type[BaseModel]] = {
    **{f"train.{method}": TrainKeys for method in METHODS},
    **{f"data.{method}": DataKeys for method in MAKERS},
    "eval": EvalKeys,
    "merge": MergeKeys,
    "bundled.world": WorldSettings,
    "bundled.start": StartSettings,
    "study": StudySettings,
}


def key_classes(uses: str) -> list[type[BaseModel]]:
    """The classes whose fields are the keys of a kind of step."""
    keys = KINDS[uses]
    if keys is TrainKeys:
        return [*CLASSES.values(), keys]
    return [keys, MAKERS[uses.partition(".")[2]].settings] if keys is DataKeys else [keys]
