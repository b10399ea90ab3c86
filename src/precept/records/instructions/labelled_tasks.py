"""Labelled rows -> tasks with examples that templates can be filled from.

Rows belong to the task that their column ``task`` names, else to that of their file's name. A plan (YAML) says of
each task what the rows themselves do not: which templates it takes, its cluster, which columns are which field, and
what a label is called.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from precept.errors import InputError
from precept.records.answers import END_MARKER
from precept.records.instructions.built import naming_refused
from precept.records.instructions.dialogue_text import dialogue_block, draw_reply, read_dialogue
from precept.records.instructions.flan_splits import flan_clusters_of, flan_kind_of
from precept.records.instructions.flan_templates import (
    ANSWER_SLOT,
    DIALOGUE_SLOT,
    OPTIONS_SLOT,
    TemplateSet,
    options_block,
    read_template_set,
    shipped_kinds,
    shipped_templates,
    slots_missing,
)
from precept.records.instructions.labelled_answers import (
    answer_column,
    read_answers,
    read_options,
    with_solution_split,
)
from precept.records.instructions.raw_records import RawRecord, as_text, read_raw_records
from precept.records.instructions.yaml_files import read_yaml
from precept.records.problems import FileProblem, RowProblem
from precept.types import Refusal, Source

DIALOGUE_COLUMNS = ("dialog", "dialogue", "utterances", "turns", "messages", "conversations", "conversation")
POSITIVE_EXAMPLES = "Positive Examples"


@dataclass(frozen=True)
class WorkedExample:
    """A task's positive example with its explanation."""

    inputs: str
    output: str
    explanation: str


@dataclass(frozen=True)
class Example:
    """One labelled row: values by slot (``answer`` among them), its options, and all answers that are right.

    ``turns`` are what was said before the answer, where the templates show a dialogue; ``worked`` are the task's
    positive examples that have an explanation.
    """

    values: Mapping[str, str]
    options: tuple[str, ...]
    answers: tuple[str, ...]
    source: Source
    turns: tuple[str, ...] = ()
    worked: tuple[WorkedExample, ...] = ()

    @property
    def given(self) -> frozenset[str]:
        """The slots that it fills."""
        listed = {OPTIONS_SLOT} if self.options else set()
        return frozenset(self.values) | listed | ({DIALOGUE_SLOT} if self.turns else set())

    def slots(self, *, goes_on: bool = True) -> dict[str, str]:
        """Slot -> text, with options and dialogue in their one plain form; where the dialogue is what is asked for, it
        does not go on."""
        values = dict(self.values)
        if self.options:
            values[OPTIONS_SLOT] = options_block(self.options)
        if self.turns:
            values[DIALOGUE_SLOT] = dialogue_block(self.turns, goes_on=goes_on)
        return values


@dataclass(frozen=True)
class LabelledTask:
    """Examples of one task, in the order of the files, and the templates that it takes."""

    name: str
    clusters: tuple[str, ...]
    templates: TemplateSet
    submixture: str
    examples: list[Example]
    end_marker: str = ""
    """What all answers ended in, such as P3's ``<|endoftext|>``, and do not any more."""


class TaskPlan(BaseModel):
    """What a plan says of one task."""

    model_config = ConfigDict(extra="forbid", strict=True)

    kind: str | None = None
    templates: str | None = None
    cluster: str | list[str] | None = None
    fields: dict[str, str] = Field(default_factory=dict)
    answer: str | None = None
    options: list[str] = Field(default_factory=list)
    labels: dict[str | int | bool, str] = Field(default_factory=dict)
    submixture: Literal["flan", "t0", "niv2", "cot", "dialog"] | None = None


class _Plan(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    tasks: dict[str, TaskPlan]


def read_plan(path: Path | None) -> dict[str, TaskPlan]:
    """Task -> its plan; template files stand relative to the plan. Raises InputError where the file is none."""
    if path is None:
        return {}
    try:
        plan = _Plan.model_validate(read_yaml(path))
    except FileProblem as problem:
        raise _bad_plan(path, problem.reason) from None
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad_plan(path, f"{'.'.join(map(str, first['loc'])) or 'the file'}: {first['msg'].lower()}") from None
    base = path.expanduser().parent
    return {
        name: entry.model_copy(update={"templates": entry.templates and str(base / entry.templates)})
        for name, entry in plan.tasks.items()
    }


def _bad_plan(path: Path, what: str) -> InputError:
    return InputError(
        what,
        code="bad-task-plan",
        where=str(path),
        do=f"write 'tasks:' with, for each task, any of {', '.join(TaskPlan.model_fields)}",
    )


def read_tasks(
    paths: Sequence[str], *, plan: Path | None, kind: str | None, templates: Path | None
) -> tuple[list[LabelledTask], list[Refusal]]:
    """Tasks in the order in which they are met, and the rows that cannot be used.

    ``kind`` and ``templates`` are for tasks of which the plan says nothing. Raises InputError for a plan or templates
    that cannot be read, a task without templates, and a field of its templates that none of its rows has.
    """
    entries = read_plan(plan)
    records, refused = read_raw_records(paths)
    with naming_refused(refused):
        return _tasks(records, refused, entries, plan=plan, kind=kind, templates=templates), refused


def _tasks(
    records: Sequence[RawRecord],
    refused: list[Refusal],
    entries: Mapping[str, TaskPlan],
    *,
    plan: Path | None,
    kind: str | None,
    templates: Path | None,
) -> list[LabelledTask]:
    """The tasks of the records. Rows that cannot be used are added to ``refused``."""
    by_task: dict[str, list[RawRecord]] = {}
    for record in records:
        named = record.columns.get("task")
        by_task.setdefault(named if isinstance(named, str) and named else record.stem, []).append(record)
    for name in entries:
        if name not in by_task:
            raise InputError(
                f"the plan names a task '{name}' of which there are no rows",
                code="unknown-plan-task",
                where=str(plan),
                found=f"tasks of the data: {', '.join(by_task)[:300]}",
                do="name the task as its file or as the rows' column 'task' does",
            )
    if kind is not None and templates is not None:
        raise InputError(
            "'kind' and 'templates' both say which templates to take", code="two-template-sets", do="set one of them"
        )
    shared = shipped_templates(kind) if kind else templates and read_template_set(templates)
    tasks = []
    for name, found in by_task.items():
        entry = entries.get(name, TaskPlan())
        rows = [replace(row, columns=with_solution_split(row.columns, entry.answer)) for row in found]
        chosen = _planned(entry) or shared or _known_templates(name, entry, rows)
        tasks.append(_task(name, entry, chosen, rows, refused))
    return tasks


def _planned(entry: TaskPlan) -> TemplateSet | None:
    if entry.templates:
        return read_template_set(Path(entry.templates))
    return shipped_templates(entry.kind) if entry.kind else None


def _known_templates(name: str, entry: TaskPlan, rows: Sequence[RawRecord]) -> TemplateSet:
    """The shipped templates that a task's name tells, where its rows have their fields, else those that its columns
    tell. Raises InputError listing those that fit."""
    columns = _columns_of(rows)
    with_options = bool(entry.options) or bool({"options", "choices"} & columns.keys())
    known = [kind for kind in (flan_kind_of(name), _kind_by_columns(columns)) if kind]
    lacking = {kind: slots_missing(shipped_templates(kind), columns, entry.fields) for kind in shipped_kinds()}
    fits = (kind for kind in known if not lacking[kind] and (with_options or not _lists_options(kind)))
    kind = next(fits, known[0] if known else None)
    if kind is None:
        fitting = [kind for kind, slots in lacking.items() if not slots]
        raise InputError(
            f"no templates are known for the task '{name}'",
            code="no-templates",
            where=rows[0].source.file,
            found=f"columns {', '.join(columns)[:200]}; kinds that fit them: {', '.join(fitting) or 'none'}",
            do="name a kind with kind=NAME or a file with templates=FILE, or in a plan: tasks=FILE",
        )
    return shipped_templates(kind)


def _columns_of(rows: Sequence[RawRecord]) -> dict[str, None]:
    """All columns of the rows, in the order in which they are met."""
    return dict.fromkeys(column for row in rows for column in row.columns)


def _lists_options(kind: str) -> bool:
    return any(pattern.has_options for pattern in shipped_templates(kind).patterns)


def _kind_by_columns(columns: Mapping[str, None]) -> str | None:
    """The kind of rows whose columns leave no doubt."""
    for kind, needed in (
        ("definition", {"Definition", "input"}),
        ("cot", {"question", "rationale", "answer"}),
        ("definition", {"definition", "inputs", "targets"}),
        ("prompt", {"prompt", "completion"}),
        ("prompt", {"inputs", "targets"}),
        *(("dialog", {column}) for column in DIALOGUE_COLUMNS if "question" not in columns),
    ):
        if needed <= columns.keys():
            return kind
    return None


def _task(
    name: str, entry: TaskPlan, templates: TemplateSet, rows: Sequence[RawRecord], refused: list[Refusal]
) -> LabelledTask:
    columns = _columns_of(rows)
    for slot, looked_for in slots_missing(templates, columns, entry.fields).items():
        raise InputError(
            f"the templates '{templates.name}' have a field '{slot}', which no row of the task '{name}' has",
            code="unknown-template-field",
            where=rows[0].source.file,
            found=f"fields of the rows: {', '.join(columns)[:300]}; looked for {' or '.join(looked_for)}",
            do=f"choose other templates, or say in a plan which column it is: fields: {{{slot}: COLUMN}}",
        )
    for slot in sorted(entry.fields.keys() - {*templates.slots}):
        raise InputError(
            f"the plan of the task '{name}' fills a field '{slot}' that the templates '{templates.name}' do not have",
            code="unknown-plan-field",
            found=f"fields of the templates: {', '.join(templates.slots)}",
            do="name one of these",
        )
    examples = []
    worked: dict[int, tuple[WorkedExample, ...]] = {}  # by the list that all rows of a file share
    for row in rows:
        listed = row.columns.get(POSITIVE_EXAMPLES)
        if id(listed) not in worked:
            worked[id(listed)] = _worked(listed)
        try:
            examples.append(replace(_example(row, entry, templates), worked=worked[id(listed)]))
        except RowProblem as problem:
            refused.append(row.refusal(problem))
    clusters = (entry.cluster,) if isinstance(entry.cluster, str) else tuple(entry.cluster or ())
    marker = _shared_marker(examples)
    if marker:
        examples = _all_without(marker, examples, refused)
    return LabelledTask(
        name=name,
        clusters=clusters or flan_clusters_of(name) or (templates.cluster,),
        templates=templates,
        submixture=entry.submixture or _submixture(templates),
        examples=examples,
        end_marker=marker,
    )


def _shared_marker(examples: Sequence[Example]) -> str:
    """The end marker that every answer ends in, else nothing."""
    answers = [answer for example in examples if not example.options for answer in example.answers]
    found = (
        END_MARKER.search(answers[0]) if len(answers) == sum(len(example.answers) for example in examples) > 0 else None
    )
    return found.group() if found and all(answer.endswith(found.group()) for answer in answers) else ""


def _all_without(marker: str, examples: Sequence[Example], refused: list[Refusal]) -> list[Example]:
    """The examples with the marker gone from their answers; those whose answer was nothing else are ``refused``."""
    kept = []
    for example in examples:
        answers = tuple(text for answer in example.answers if (text := answer.removesuffix(marker)).strip())
        if answers:
            kept.append(replace(example, answers=answers, values={**example.values, ANSWER_SLOT: answers[0]}))
        else:
            source = example.source
            refused.append(Refusal(source.file, source.row, f"empty answer: nothing but '{marker}'", "empty-answer"))
    return kept


def _submixture(templates: TemplateSet) -> str:
    """The part of the Flan Collection to which rows of this kind belong unless a plan says otherwise."""
    kinds = {"definition": "niv2", "cot": "cot", "cot_stream": "cot", "prompt": "t0", "dialog": "dialog"}
    return kinds.get(templates.name, "flan")


def _example(row: RawRecord, entry: TaskPlan, templates: TemplateSet) -> Example:
    options = tuple(entry.options) or read_options(row.columns)
    if len(set(options)) < len(options):
        raise RowProblem("repeated-option", "two of its options are the same")
    turns: tuple[str, ...] = ()
    if DIALOGUE_SLOT in templates.slots:
        turns = read_dialogue(_held(row.columns, _names(DIALOGUE_SLOT, entry, templates)))
    if turns and answer_column(row.columns, entry.answer) is None:
        # which turn is asked for follows from the row alone: no other row moves it
        turns, reply = draw_reply(turns, random.Random(f"reply {row.source.hash}"))
        answers: tuple[str, ...] = (reply,)
    else:
        answers = read_answers(row.columns, options, stated=entry.answer, labels=entry.labels)
    if options and not set(answers) & set(options):
        raise RowProblem("no-right-option", f"its answer {answers[0]!r:.60} is none of its options")
    values = {ANSWER_SLOT: next((answer for answer in answers if answer in options), answers[0])}
    for slot in templates.slots:
        if slot != DIALOGUE_SLOT:
            values[slot] = _field(row.columns, slot, _names(slot, entry, templates))
    return Example(values, options, answers, row.source, turns)


def _names(slot: str, entry: TaskPlan, templates: TemplateSet) -> Sequence[str]:
    """The columns that may fill a slot: the one of the plan, else those of the templates."""
    return (entry.fields[slot],) if slot in entry.fields else templates.names(slot)


def _held(columns: Mapping[str, Any], names: Sequence[str]) -> Any:
    return next((columns[name] for name in names if columns.get(name) is not None), None)


def _worked(value: Any) -> tuple[WorkedExample, ...]:
    """A task's positive examples that have input, output and explanation; the output may be a list of texts."""
    found = []
    for example in value if isinstance(value, list) else ():
        if isinstance(example, Mapping):
            output = example.get("output")
            parts = (example.get("input"), output[0] if isinstance(output, list) and output else output)
            texts = [part for part in (*parts, example.get("explanation")) if isinstance(part, str) and part.strip()]
            found += [WorkedExample(*texts)] if len(texts) == 3 else []
    return tuple(found)


def _field(columns: Mapping[str, Any], slot: str, names: Sequence[str]) -> str:
    value = _held(columns, names)
    texts = [as_text(part) for part in value] if isinstance(value, list) and value else [as_text(value)]
    known = [text for text in texts if text is not None]
    if len(known) < len(texts):
        raise RowProblem("unknown-field", f"the row has no text in the field '{slot}' (column {' or '.join(names)})")
    return "\n".join(known)
