"""What a task is: how items are asked, which metrics, by which rule the answer is taken from the output.

Stock tasks, one a family, stand in ``tasks/``. A user's task file has the same keys; those that it leaves out come
from its family's stock task, so ``family: bbh`` and ``data: questions.json`` are a whole task.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from precept.errors import InputError
from precept.evaluate.extract import RULES
from precept.evaluate.few_shot import Layout, wrong_field
from precept.evaluate.metrics import LIKELIHOOD_SCORES, TASK_SCORES, WITH_TOKENIZER
from precept.evaluate.task_file import Place, TaskFile, nearest

STOCK = Path(__file__).with_name("tasks")
FAMILIES = tuple(sorted(path.stem for path in STOCK.glob("*.yaml")))

Kind = Literal["generate", "choice", "checks", "answers", "likelihood"]
SCORES_OF: dict[str, tuple[str, ...]] = {
    "generate": TASK_SCORES,
    "choice": ("option",),
    "checks": ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose"),
    "answers": ("ended",),
    "likelihood": LIKELIHOOD_SCORES,
}
"""What a metric of each kind of task may score."""

Variant = Literal["shuffle_options", "renumber", "swap_names", "vary_spacing"]
"""What ``obfuscate`` can make of an item."""

_KNOWN_KEYS_ONLY = ConfigDict(extra="forbid")
AtLeastOne = Annotated[int, Field(strict=True, ge=1)]
Temperature = Annotated[float, Field(ge=0, allow_inf_nan=False)]


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Metric:
    """A score of ``metrics.TASK_SCORES`` over what a rule of ``extract.RULES`` takes from the output; of a choice task
    the chosen ``option``; of checks one of the four of IFEval; of answers to be judged whether they ``ended``; of
    texts by likelihood ``perplexity`` or ``bits_per_byte``, under that name."""

    score: str
    extract: str = "none"
    normalization: Literal["none", "tokens", "characters"] = "none"
    """What an option's log-probability is divided by before options are compared: its own tokens or characters,
    without what stands between question and answer."""


@dataclass(frozen=True, config=_KNOWN_KEYS_ONLY)
class Task:
    """A task. The first metric is the primary one; a lenient reading of NAME is NAME_lenient, right after it."""

    name: str
    family: str
    kind: Kind
    metrics: dict[str, Metric]
    version: AtLeastOne = 1
    """Goes up when scores under the same name change their meaning."""
    prompt: str = ""
    """How items are asked, in words."""
    chat: bool = True
    """Whether a model that has a chat template is asked through it. Without one it gets plain text."""
    layout: Layout | None = None
    """How a question and the examples before it are laid out; by default the row's messages as they stand."""
    shots: Annotated[int, Field(strict=True, ge=0)] = 0
    """Worked examples before each question."""
    examples: str | None = None
    """Where they come from: a file of rows, or a .txt prompt; by default the first rows, which are then not asked."""
    max_new_tokens: AtLeastOne = 128
    stop: list[str] = field(default_factory=list)
    """Texts at which an output is cut."""
    temperature: dict[str, Temperature] = field(default_factory=dict)
    """By the category of an item, ``default`` for all others; 0, where nothing is said, takes the likeliest token."""
    bins: list[Annotated[int, Field(strict=True, ge=0)]] = field(default_factory=list)
    """Scores are also given by the words of the first reference: up to the first number, the second, ..., more."""
    answer_file: Literal["fastchat", "alpaca_eval"] | None = None
    """The format in which answers are written for a judge."""
    data: str | None = None
    """The data file, relative to the task file."""
    options: list[str] = field(default_factory=list)
    """The options of items whose rows name none."""
    variants: list[Variant] = field(default_factory=list)
    """Changes of a question that leave its right answer known."""
    rouge_tokenizer: str | None = None
    """The folder of the byte-level BPE tokenizer whose tokens ``rouge_l_byte_bpe`` compares."""

    @property
    def primary(self) -> str:
        """The name of the first metric."""
        return next(iter(self.metrics))

    @property
    def needs_tokenizer(self) -> bool:
        """Whether a metric compares the tokens of ``rouge_tokenizer``."""
        return any(metric.score == WITH_TOKENIZER for metric in self.metrics.values())

    def temperature_of(self, category: str | None) -> float:
        """The temperature at which an item of this category is answered."""
        return self.temperature.get(category or "default", self.temperature.get("default", 0.0))


_BY_FORMAT = {"text": "likelihood", "super_ni": "superni", "questions": "vicuna80", "ifeval": "ifeval"}


def family_for(reader_format: str) -> str:
    """The stock task for what a reader calls its format."""
    found = _BY_FORMAT.get(reader_format, reader_format)
    return found if found in FAMILIES else "references"


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
    for key in ("data", "examples", "rouge_tokenizer"):
        if isinstance(file.values.get(key), str):
            values[key] = file.resolve_data(values[key], key=key)
    try:
        task = TypeAdapter(Task).validate_python(values)
    except ValidationError as error:
        raise file.invalid(error.errors(), keys=_keys_at) from None
    _check_metrics(file, task)
    if task.layout is not None and (wrong := wrong_field(task.layout)) is not None:
        part, what, found = wrong
        raise file.error(("layout", part), what, found=found, do="see the parts and their fields in docs/evaluation.md")
    if task.shots and task.layout is None:
        raise file.error(("shots",), "worked examples need a layout", do="add 'layout' with question and answer")
    if task.bins != sorted(set(task.bins)):
        raise file.error(("bins",), "the bounds of bins ascend", found=str(task.bins), do="write them in order, once")
    if "" in task.stop:
        raise file.error(("stop",), "an empty text would cut every output", do="remove it")
    return task


def _check_metrics(file: TaskFile, task: Task) -> None:
    if not task.metrics:
        raise file.error(("metrics",), "a task has at least one metric", do="name one under 'metrics'")
    wanted = SCORES_OF[task.kind]
    for name, metric in task.metrics.items():
        if not name.strip():
            raise file.error(("metrics", name), "a metric has a name", found=repr(name), do="give it one")
        if metric.score not in wanted:
            raise file.error(
                ("metrics", name, "score"),
                f"a task of kind '{task.kind}' cannot use this score",
                found=metric.score,
                do=f"score: one of {', '.join(wanted)}{nearest(metric.score, wanted)}",
            )
        if task.kind == "likelihood" and name != metric.score:
            raise file.error(
                ("metrics", name), "a likelihood is reported under the name of its score", do=f"call it {metric.score}"
            )
        if task.kind != "likelihood" and name in LIKELIHOOD_SCORES:
            raise file.error(
                ("metrics", name), "this name is for tasks of kind 'likelihood'", do="give the metric another"
            )
        if metric.extract not in RULES:
            raise file.error(
                ("metrics", name, "extract"),
                "no such extraction rule",
                found=metric.extract,
                do=f"extract: one of {', '.join(RULES)}{nearest(metric.extract, tuple(RULES))}",
            )


def _keys_at(place: Place) -> Sequence[str]:
    """The valid keys beside a place."""
    inside: dict[int | str, type] = {"metrics": Metric, "layout": Layout}
    settings = inside.get(place[0], Task) if len(place) > 1 else Task
    return [field.name for field in fields(settings)]
