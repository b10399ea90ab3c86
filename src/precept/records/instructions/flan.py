"""FLAN (Wei et al. 2021, 2109.01652): labelled tasks put as instructions by several templates each, clusters held out.

The released code's markers of its in-house dialogue model are left out; the layout of the content is kept.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, RowCount, Seed, named_apart, naming_refused
from precept.records.instructions.flan_splits import (
    TaskSplit,
    hold_out_cluster,
    hold_out_inside,
    train_on_clusters,
    train_on_tasks,
    with_own_tasks,
)
from precept.records.instructions.flan_templates import DIALOGUE_SLOT, Pattern, fill
from precept.records.instructions.labelled_tasks import Example, LabelledTask, read_tasks
from precept.records.mixture import Mixture, MixtureSource, counts_for, mixing_shares, most_without_repeats
from precept.records.problems import RowProblem
from precept.settings import Settings
from precept.types import Conversation, Message, Refusal

Assignment = Literal["round_robin", "random"]


class FlanSettings(Settings):
    """How labelled rows become FLAN's instructions."""

    tasks: Path | None = None
    """A YAML plan: for each task its kind or templates, cluster, fields, answer column, options and label names."""
    kind: str | None = None
    """The shipped templates for tasks that no plan describes, such as nli or sentiment."""
    templates: Path | None = None
    """A template file of one's own for tasks that no plan describes."""
    templates_per_task: Annotated[int, Field(ge=1)] | None = None
    """Only the first so many templates of each task; by default all. The paper's ablation: 1, 4, 7, 10."""
    turned_around: bool = True
    """With the templates that ask for a field from the answer. Tested rows never use them."""
    list_options: bool = True
    """With the list of answer options in the prompt; else it is taken out of the templates."""
    assignment: Assignment = "round_robin"
    """Template i for row i of each group of as many rows as templates, the rest left out, as the released code does; or
    one drawn for each row."""
    test_templates: Literal["round_robin", "all"] = "round_robin"
    """Tested rows by one template after the other; or each by all, as the tasks NAME/1, NAME/2, ..., for the mean over
    templates and the best one that the suite flan_heldout gives."""
    held_out: str | None = None
    """The cluster whose tasks become the test rows."""
    held_out_inside: Annotated[int, Field(ge=0)] | None = None
    """Hold out one task inside each cluster instead: the number of the split, from 0."""
    overlap: Literal["clusters", "tasks"] = "clusters"
    """Of tasks in two clusters: leave out all that share a cluster with a tested task, as the paper says, or the tested
    tasks alone, as the code does."""
    train_tasks: Annotated[int, Field(ge=1)] | None = None
    """Ablation: so many training tasks, SuperGLUE held out."""
    train_clusters: Annotated[int, Field(ge=1)] | None = None
    """Ablation: so many training clusters in the paper's order; NLI, commonsense and closed-book QA held out."""
    tasks_per_cluster: Annotated[int, Field(ge=1)] | None = None
    """With train_clusters: so many tasks of each."""
    task_limit: Annotated[int, Field(ge=1)] | None = None
    """With train_clusters: so many tasks in all, one of each cluster by turns."""
    max_examples: Annotated[int, Field(ge=1)] = 30_000
    """The first rows of each task that are used."""
    mixing_cap: Annotated[int, Field(ge=1)] = 3_000
    """A task is drawn in proportion to its number of rows, and rows above so many add nothing."""
    rows: RowCount | None = None
    """Training rows in all; by default as many as there are without drawing one twice."""
    seed: Seed = 0
    """Decides what is drawn, and in which order."""


def build(paths: Sequence[str], settings: FlanSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Training rows mixed over the tasks, and the rows of held-out tasks in the order of the files.

    Raises InputError for plans, templates and splits that cannot be used.
    """
    tasks, refused = read_tasks(paths, plan=settings.tasks, kind=settings.kind, templates=settings.templates)
    if not tasks and refused:
        return Built(train=(), refused=refused)
    by_name = {task.name: task for task in tasks}
    with naming_refused(refused):
        split = choose_split({task.name: task.clusters for task in tasks}, settings)
    report: dict[str, Any] = {"tasks": {}, "left_out": sorted(by_name.keys() - {*split.train, *split.test})}
    made: dict[str, list[Conversation]] = {}
    test: list[Conversation] = []
    for task in tasks:
        entry = {"clusters": list(task.clusters), "templates": task.templates.name, "rows": len(task.examples)}
        entry |= {"end_marker_removed": task.end_marker} if task.end_marker else {}
        examples = task.examples[: settings.max_examples]
        patterns = choose_patterns(task, settings, tested=task.name in split.test)
        if task.name in split.train:
            pairs = assign(examples, patterns, settings.assignment, seed=f"{settings.seed} {task.name}")
            made[task.name] = put_all(task, pairs, refused)
            entry |= {"used": len(made[task.name]), "without_a_template": len(examples) - len(pairs)}
            report["tasks"][task.name] = entry
        elif task.name in split.test:
            rows = put_tested(task, patterns, settings.test_templates, refused)
            test += rows
            report["tasks"][task.name] = {**entry, "held_out": len(rows)}
    train = mix(made, settings, report, refused)
    return Built(train=train, test=named_apart(test), report=report, refused=list(dict.fromkeys(refused)))


def choose_split(own: Mapping[str, Sequence[str]], settings: FlanSettings) -> TaskSplit:
    """Which tasks are trained on and tested, of task -> its clusters. Raises InputError where two keys ask for one."""
    ways = ("held_out", "held_out_inside", "train_tasks", "train_clusters")
    values = settings.model_dump()
    named = [way for way in ways if values[way] is not None]
    if len(named) > 1:
        raise InputError(
            f"'{named[0]}' and '{named[1]}' are two ways to hold out tasks",
            code="two-task-splits",
            do="set one of them",
        )
    if not named:
        return TaskSplit(train=tuple(sorted(own)), test=())
    clusters = with_own_tasks(own)
    if settings.held_out is not None:
        return hold_out_cluster(clusters, settings.held_out, overlap=settings.overlap, present=own)
    if settings.held_out_inside is not None:
        return hold_out_inside(clusters, settings.held_out_inside, present=own)
    if settings.train_tasks is not None:
        return train_on_tasks(clusters, settings.train_tasks, present=own)
    assert settings.train_clusters is not None
    return train_on_clusters(
        clusters,
        settings.train_clusters,
        tasks_per_cluster=settings.tasks_per_cluster,
        limit=settings.task_limit,
        present=own,
    )


def choose_patterns(task: LabelledTask, settings: FlanSettings, *, tested: bool) -> list[Pattern]:
    """The templates that a task is put by, at least one; tested rows are never turned around."""
    patterns = list(task.templates.patterns[: settings.templates_per_task])
    if tested or not settings.turned_around:
        patterns = [pattern for pattern in patterns if not pattern.turned]
    if not patterns:
        raise InputError(
            f"the templates '{task.templates.name}' are all turned around",
            code="no-templates",
            do="add one that asks for the answer",
        )
    return patterns if settings.list_options else [pattern.without_options() for pattern in patterns]


def assign(
    examples: Sequence[Example], patterns: Sequence[Pattern], how: Assignment, *, seed: str
) -> list[tuple[Example, Pattern]]:
    """Each example with a template.

    ``round_robin``: template i for example i of each group of T = len(patterns), so that each serves floor(n / T) times
    and n mod T examples are left over. ``random``: one drawn for each.
    """
    if how == "random":
        rng = random.Random(seed)
        return [(example, rng.choice(patterns)) for example in examples]
    whole = len(examples) // len(patterns) * len(patterns)
    return [(example, patterns[place % len(patterns)]) for place, example in enumerate(examples[:whole])]


def put_tested(
    task: LabelledTask, patterns: Sequence[Pattern], how: Literal["round_robin", "all"], refused: list[Refusal]
) -> list[Conversation]:
    """The tested rows of a task, none left over: template by template, or each row by one template."""
    if how == "round_robin":
        pairs = [(example, patterns[place % len(patterns)]) for place, example in enumerate(task.examples)]
        return put_all(task, pairs, refused)
    rows = []
    for number, pattern in enumerate(patterns, 1):
        rows += put_all(replace(task, name=f"{task.name}/{number}"), [(one, pattern) for one in task.examples], refused)
    return rows


def put_all(task: LabelledTask, pairs: Sequence[tuple[Example, Pattern]], refused: list[Refusal]) -> list[Conversation]:
    """The rows of a task; examples that lack what their template wants are added to ``refused``."""
    rows = []
    for example, pattern in pairs:
        try:
            rows.append(put(task, example, pattern))
        except RowProblem as problem:
            source = example.source
            reason = f"{problem.reason}, which a template of '{task.templates.name}' has"
            refused.append(Refusal(source.file, source.row, reason, problem.code))
    return rows


def put(task: LabelledTask, example: Example, pattern: Pattern) -> Conversation:
    """One example put by one template. References are all right answers; options are those of the example.

    Raises RowProblem for a slot without a value, such as options of a row that has none.
    """
    values = example.slots(goes_on=not pattern.asks_for(DIALOGUE_SLOT))
    inputs, target = fill(pattern.inputs, values), fill(pattern.targets, values)
    answers = () if pattern.turned else tuple(fill(pattern.targets, {**values, "answer": a}) for a in example.answers)
    return Conversation(
        messages=(Message("user", inputs), Message("assistant", target)),
        source=example.source,
        references=tuple(dict.fromkeys((target, *answers))),
        options=example.options if target in example.options else (),
        task=task.name,
    )


def mix(
    made: Mapping[str, list[Conversation]], settings: FlanSettings, report: dict[str, Any], refused: Sequence[Refusal]
) -> list[Conversation]:
    """Rows drawn from the tasks in proportion to min(rows, mixing_cap), each task without replacement in a pass."""
    used = {name: rows for name, rows in made.items() if rows}
    if not used:
        if refused:
            return []
        raise InputError(
            "no task has as many rows as templates, so that none of its rows gets one",
            code="too-few-rows",
            found=", ".join(made),
            do="draw a template for each row with assignment=random, or give more rows",
        )
    sizes = [len(rows) for rows in used.values()]
    shares = mixing_shares(sizes, caps=[settings.mixing_cap] * len(sizes))
    total = settings.rows or most_without_repeats(sizes, shares)
    counts = counts_for(shares, total)
    sources = [MixtureSource(name, len(rows), rows_hash(rows)) for name, rows in used.items()]
    mixture = Mixture(sources, counts, settings.seed)
    draws = [mixture[place] for place in range(len(mixture))]
    rows = [used[sources[draw.source].name][draw.row] for draw in draws]
    repeats = Counter(sources[draw.source].name for draw in draws if draw.epoch)
    for source, share, count in zip(sources, shares, counts, strict=True):
        report["tasks"][source.name] |= {"share": share, "drawn": count, "repeats": repeats[source.name]}
    report["train"] = len(rows)
    return rows


def rows_hash(rows: Sequence[Conversation]) -> str:
    """A hash of the rows in their order, by source and prompt."""
    digest = hashlib.sha256()
    for row in rows:
        digest.update(f"{row.source.hash}\n{row.messages[0].content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()
