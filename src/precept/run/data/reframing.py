"""The data step ``reframing``: task files -> the prompts of reframed instructions (2109.07830), to be asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from precept.decode.remote import RemoteSettings
from precept.errors import InputError
from precept.ports import Chat
from precept.records.instructions.built import Built, CountTokens, named_apart, naming_refused
from precept.records.instructions.task_files import Instance, TaskFile, evaluated_instances, read_task_files
from precept.records.problems import FileProblem
from precept.records.readers.natural_instructions import read_instruction
from precept.records.readers.super_ni import task_text
from precept.run.judge.model import make_judge
from precept.settings import Settings
from precept.synth.reframe import BY_RULE, RawTask, Reframed, Technique, reframe
from precept.synth.reframed_prompt import (
    GPT2_NUM_DEMOS,
    NUM_DEMOS,
    NUM_INSTANCES,
    STOP,
    TEMPERATURE,
    Template,
    encode,
    format_template,
    make_template,
    marker_of,
    new_tokens_of,
    read_template,
    task_number,
)
from precept.synth.reframing_rules import count_breaking
from precept.types import Conversation, Message, Refusal

ALL_EXAMPLES = 1000  # of a task: more than any has
BY_REFRAMING = "reframing"


class ReframingSettings(Settings):
    """How instructions are reframed, and which instances are asked."""

    techniques: tuple[Technique, ...] = BY_RULE
    """specialization, pattern, itemizing, restraining, and decomposition (by a teacher alone); [] keeps the text."""
    by_teacher: tuple[Technique, ...] = ()
    """Techniques that the teacher applies instead of the rules."""
    teacher: str | None = None
    """The model that rewrites: a folder, or a server's model name with teacher_url."""
    teacher_url: str | None = None
    """Address of an OpenAI-compatible server, up to /v1."""
    chat_template: str | None = None
    """The template of a teacher in a folder, a .jinja file or a shipped one's name; by default its own."""
    templates: Path | None = None
    """A folder of templates made by hand, TASK.txt each: tasks that have one are not rewritten."""
    num_demos: Annotated[int, Field(ge=0)] = NUM_DEMOS
    """Positive examples before the instance, as far as the task has them."""
    gpt2: bool = False
    """Take the numbers of examples that the paper's code takes for GPT-2: none in task 002, two in task 052."""
    num_dev_outputs: Annotated[int, Field(ge=0)] = 10
    """Outputs of first instances that rules and teacher may look at beside the examples'; they are never asked."""
    num_test_instances: Annotated[int, Field(ge=1)] = NUM_INSTANCES
    """Instances asked of each task, in equal strides."""
    first_test_instance: Annotated[int, Field(ge=0)] = 60
    """Place of the first instance asked, from 0."""
    released_line_end: bool = False
    """End prompts of templates with a suffix in a line end, as the released code does."""


def build(paths: Sequence[str], settings: ReframingSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Test rows of all tasks. The report holds each task's template, what each technique did, and the released limits.

    Raises InputError where a technique needs a teacher and none is named, and where two rows of a task have one id.
    """
    files = read_task_files(paths)
    teacher, identity = _teacher(settings)
    rows: list[Conversation] = []
    tasks: dict[str, Any] = {}
    for task in files.tasks:
        try:
            usable = files.read(task).usable
            chosen = evaluated_instances(task, usable, settings.num_test_instances, first=settings.first_test_instance)
            raw = _raw_task(task, usable[: settings.num_dev_outputs], before=chosen[0].place)
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
            continue
        template, entry = _template(raw, settings, teacher)
        marker = marker_of(task.name)
        demos = raw.examples[: _num_demos(task.name, settings)]
        for instance in chosen:
            asked = encode(
                template,
                demos,
                instance.given,
                marker=marker,
                released_line_end=settings.released_line_end,
            )
            message = Message("user", asked)
            rows.append(Conversation((message,), instance.source, references=instance.references, task=task.name))
        tasks[task.name] = {
            **entry,
            "demos": len(demos),
            "rows": len(chosen),
            "against_suffix": count_breaking(template.suffix.strip(), [one.references for one in chosen]),
            "max_new_tokens": new_tokens_of(task.name),
        }
    if not rows and files.refused:
        return Built((), refused=files.refused)
    with naming_refused(files.refused):
        _refuse_unused(settings, tasks)
    report = {"released": {"temperature": TEMPERATURE, "stop": STOP}, "teacher": identity, "tasks": tasks}
    return Built((), named_apart(rows), report, files.refused)


def _refuse_unused(settings: ReframingSettings, tasks: dict[str, Any]) -> None:
    if settings.templates is None or any(entry["by"] != BY_REFRAMING for entry in tasks.values()):
        return
    raise InputError(
        "no template there is named after one of these tasks",
        code="no-template-used",
        where=str(settings.templates),
        found=f"tasks: {', '.join(list(tasks)[:5])}",
        do="name the templates TASK.txt, or leave templates out",
    )


def _teacher(settings: ReframingSettings) -> tuple[Chat | None, dict[str, Any] | None]:
    """The teacher, where one is named and has something to do."""
    if not settings.by_teacher and "decomposition" not in settings.techniques:
        return None, None
    if settings.teacher is None:
        return None, None  # reframe says what is missing
    url, template = settings.teacher_url, settings.chat_template
    chat, identity = make_judge(settings.teacher, url=url, chat_template=template, remote=RemoteSettings())
    return chat, {name.replace("judge", "teacher"): value for name, value in identity.items()}


def _raw_task(task: TaskFile, first_instances: Sequence[Instance], *, before: int) -> RawTask:
    """What a task file states. Raises FileProblem where it is no task of either collection."""
    if "Examples" in task.document:
        first = read_instruction(task.document)
        stated = [
            first.texts[name].strip() for name in ("Definition", "Emphasis & Caution", "Prompt") if name in first.texts
        ]
        text, avoid = "\n".join(stated), first.texts.get("Things to Avoid", "").strip()
        examples = [(example.input, example.output) for example in first.positives]
    else:
        found = task_text(task.document, task.name, positives=ALL_EXAMPLES, negatives=0)
        text, avoid = found.definition.strip(), ""
        examples = [(example.input, example.output) for example in found.positives]
    looked_at = [instance for instance in first_instances if instance.place < before]
    outputs = [output for _, output in examples] + [instance.references[0] for instance in looked_at]
    return RawTask(task.name, text, avoid, tuple(examples), tuple(outputs))


def _template(raw: RawTask, settings: ReframingSettings, teacher: Chat | None) -> tuple[Template, dict[str, Any]]:
    """A task's template, and its entry of the report."""
    path = None if settings.templates is None else settings.templates / f"{raw.name}.txt"
    if path is not None and path.is_file():
        template = read_template(path)
        return template, {"template": format_template(template), "by": str(path), "techniques": {}}
    made = reframe(raw, settings.techniques, teacher=teacher, by_teacher=settings.by_teacher)
    template = make_template(made.instruction, suffix=made.suffix, marker=marker_of(raw.name))
    return template, {"template": format_template(template), "by": BY_REFRAMING, **_told(made)}


def _told(made: Reframed) -> dict[str, Any]:
    techniques = {
        rewrite.technique: {
            "by": rewrite.by,
            "taken": rewrite.after is not None and rewrite.fault is None,
            "proposed": rewrite.after,
            "why_not": "nothing to do" if rewrite.after is None else rewrite.fault,
        }
        for rewrite in made.rewrites
    }
    steps = [{"instruction": step.instruction, "inputs": step.inputs, "output": step.output} for step in made.steps]
    return {"techniques": techniques, **({"steps": steps} if steps else {})}


def _num_demos(name: str, settings: ReframingSettings) -> int:
    fewer = GPT2_NUM_DEMOS if settings.gpt2 else {}
    return min(settings.num_demos, fewer.get(task_number(name) or 0, settings.num_demos))
