"""What a task is: which metrics, by which rule the answer is taken from the output, how many tokens it may have.

Stock tasks, one a family, stand in ``tasks/``. A user's task file has the same keys; those that it leaves out come
from its family's stock task, so ``family: bbh`` and ``data: questions.json`` are a whole task.
"""

from __future__ import annotations

from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from precept.errors import InputError
from precept.evaluate.metrics import SCORES
from precept.evaluate.task_file import TaskFile, nearest

STOCK = Path(__file__).with_name("tasks")
FAMILIES = tuple(sorted(path.stem for path in STOCK.glob("*.yaml")))

OPTION_SCORES = ("option", "option_normalized")
Score = Literal["exact_match", "rouge_l", "same_text", "same_start", "option", "option_normalized"]
Rule = Literal["none", "first_line", "bbh_direct", "bbh_cot", "first_line_answer", "stated_answer"]

_KNOWN_KEYS_ONLY = ConfigDict(extra="forbid")


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Metric:
    """A score of ``metrics.SCORES``, or of the chosen option, over what a rule of ``extract.RULES`` takes from the
    output."""

    score: Score
    extract: Rule = "none"


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Task:
    """A task. The first metric is the primary one; a lenient reading of NAME is NAME_lenient, right after it."""

    name: str
    family: str
    kind: Literal["generate", "choice"]
    metrics: dict[str, Metric]
    version: Annotated[int, Field(strict=True, ge=1)] = 1
    """Goes up when scores under the same name change their meaning."""
    prompt: str = ""
    """How items are asked, in words."""
    max_new_tokens: Annotated[int, Field(strict=True, ge=1)] = 128
    data: str | None = None
    """The data file, relative to the task file."""
    options: list[str] = field(default_factory=list)
    """The options of items whose rows name none."""

    @property
    def primary(self) -> str:
        """The name of the first metric."""
        return next(iter(self.metrics))


def family_for(reader_format: str) -> str:
    """The stock task for what a reader calls its format."""
    return {"super_ni": "superni", "bbh": "bbh"}.get(reader_format, "references")


def load_task(path_or_name: str | Path) -> Task:
    """A stock task by name, or a task file. Raises InputError naming file, line and key, and the nearest valid one."""
    if str(path_or_name) in FAMILIES:
        path = STOCK / f"{path_or_name}.yaml"
        return _validate(TaskFile.read(path), {})
    path = Path(path_or_name)
    if not path.is_file():
        raise InputError(
            "no such task",
            code="task-unknown",
            where=str(path),
            do=f"name a task file, or one of {', '.join(FAMILIES)}{nearest(str(path), FAMILIES)}",
        )
    file = TaskFile.read(path)
    family = file.values.get("family")
    if family not in FAMILIES:
        raise file.error(
            ("family",),
            "a task file names the family whose stock task it starts from",
            found=None if family is None else str(family),
            do=f"family: one of {', '.join(FAMILIES)}{nearest(str(family), FAMILIES)}",
        )
    stock = TaskFile.read(STOCK / f"{family}.yaml").values
    return _validate(file, {**stock, "name": path.stem})


def _validate(file: TaskFile, inherited: dict[str, Any]) -> Task:
    values = inherited | file.values
    if isinstance(values.get("data"), str):
        values["data"] = file.resolve_data(values["data"])
    try:
        task = TypeAdapter(Task).validate_python(values)
    except ValidationError as error:
        raise file.invalid(error.errors(), keys=lambda place: _keys(Metric if len(place) > 1 else Task)) from None
    if not task.metrics:
        raise file.error(("metrics",), "a task has at least one metric", do="name one under 'metrics'")
    wanted = OPTION_SCORES if task.kind == "choice" else tuple(SCORES)
    for name, metric in task.metrics.items():
        if metric.score not in wanted:
            raise file.error(
                ("metrics", name),
                f"a task of kind '{task.kind}' cannot use this score",
                found=metric.score,
                do=f"score: one of {', '.join(wanted)}",
            )
    return task


def _keys(settings: type) -> list[str]:
    return [field.name for field in fields(settings)]
