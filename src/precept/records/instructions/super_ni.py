"""Super-NaturalInstructions (2204.07705): task files -> instruction rows in Tk-Instruct's encodings, split by category.

Training rows are at most 100 instances a task, drawn at random, with one random reference as the answer. Test rows
are the first 100 instances of each held-out task with all references, asked and not answered.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, Seed, named_apart, naming_refused
from precept.records.instructions.splits import (
    HELD_OUT_CATEGORIES,
    Placed,
    TaskFacts,
    Track,
    balanced_places,
    refuse_unknown,
    split_by_category,
)
from precept.records.instructions.task_files import Instance, TaskFile, TaskFiles, draw_instances, read_task_files
from precept.records.instructions.weak_instructions import output_space, with_delusive_examples
from precept.records.problems import FileProblem
from precept.records.readers.super_ni import task_text, texts_of
from precept.records.readers.tk_instruct import TK_INSTRUCT, Encoding, Prompt, TaskText, encode
from precept.settings import Settings
from precept.types import Conversation, Message, Refusal

BALANCE_SEED = 123  # the paper's, for its choice of test instances


class SuperNISettings(Settings):
    """Which tasks are held out, and how an instance is written. The names are those of Tk-Instruct's own script."""

    track: Track = "english"
    """english: test English tasks, leave all other languages out; xlingual: test the others; all: by category alone."""
    test_categories: tuple[str, ...] = HELD_OUT_CATEGORIES
    """Tasks of these categories are tested; tasks that share a source with one are left out. [] holds out none."""
    test_tasks: tuple[str, ...] = ()
    """Names of further tasks to test."""
    test_data: Path | None = None
    """Task files that are tested whole, beside `data`: they are held out already, and no source is compared."""
    num_train_tasks: Annotated[int, Field(ge=1)] | None = None
    """Training tasks drawn; fewer are always among more. By default all."""
    max_num_instances_per_task: Annotated[int, Field(ge=1)] = 100
    """Training instances drawn of each task."""
    max_num_instances_per_eval_task: Annotated[int, Field(ge=1)] = 100
    """Test instances of each task: the first ones, as the released files have them in order."""
    balance_test: bool = False
    """Choose the test instances anew, with labels as even as can be. The released test tasks come so ordered."""
    add_task_name: bool = False
    """Begin with the task's name."""
    add_task_definition: bool = True
    """Give the definition."""
    num_pos_examples: Annotated[int, Field(ge=0)] = 2
    """Positive examples shown."""
    num_neg_examples: Annotated[int, Field(ge=0)] = 0
    """Negative examples shown."""
    add_explanation: bool = False
    """Show the explanation of each example."""
    tk_instruct: bool = False
    """Draw one of Tk-Instruct's five encodings for each training row; test rows keep the one set above."""
    definitions: Literal["full", "output_space"] = "full"
    """output_space: training rows are told what answers look like, in place of the definition. Test rows keep it."""
    delusive_examples: bool = False
    """Positive examples of training rows have wrong answers, drawn from the task's. Those of test rows are right."""
    shuffled_answers: bool = False
    """Training rows are answered as a random instance of their task is: the form is learned, and not the task."""
    max_source_length: Annotated[int, Field(ge=1)] = 1024
    """Tokens of a prompt at most, counted by `tokenizer`: examples that do not fit are left out."""
    seed: Seed = 42
    """Of the instances, references and encodings that are drawn."""


def build(paths: Sequence[str], settings: SuperNISettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Rows of all tasks in order. Raises InputError where the tasks cannot be read, nothing named is held out, or two
    test rows of a task have the same id."""
    files = read_task_files(paths)
    facts, tasks = _stated(files)
    if not tasks and files.refused:
        return Built((), refused=files.refused)
    with naming_refused(files.refused):
        placed = _split(facts, settings)
    writer = _Writer(settings, count_tokens)
    train: list[Conversation] = []
    test: list[Conversation] = []
    report: dict[str, Any] = {}
    for task, fact in zip(tasks, facts, strict=True):
        where = placed[task.name]
        entry: dict[str, Any] = {"part": where.part, "categories": list(fact.categories), "instances": task.listed}
        report[task.name] = entry
        if where.part == "excluded":
            entry["reason"] = where.reason
            continue
        try:
            rows = writer.rows(task, files.read(task).usable, test=where.part == "test")
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
            continue
        (test if where.part == "test" else train).extend(rows)
        entry["rows"] = len(rows)
    if settings.test_data is not None:
        report |= _test_whole(_held_out_files(settings.test_data, files), writer, test, files.refused)
    told = {**writer.report(), **_counts(facts, placed), "tasks": report}
    return Built(train, named_apart(test), told, files.refused)


def _held_out_files(path: Path, trained: TaskFiles) -> TaskFiles:
    """The task files behind ``test_data``. Raises InputError for one that is trained on too."""
    held = read_task_files([str(path)])
    there = {task.file.path.resolve() for task in trained.tasks}
    for task in held.tasks:
        if task.file.path.resolve() in there:
            raise InputError(
                "a task file is both trained on and tested",
                code="task-trained-and-tested",
                where=task.file.name,
                found="it is among data and test_data",
                do="name different files, or hold tasks of 'data' out with test_tasks or test_categories",
            )
    return held


def _test_whole(files: TaskFiles, writer: _Writer, test: list[Conversation], refused: list[Refusal]) -> dict[str, Any]:
    """Add the test rows of all tasks; returns their entries of the report."""
    report = {}
    for task in files.tasks:
        try:
            rows = writer.rows(task, files.read(task).usable, test=True)
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
            continue
        test.extend(rows)
        report[task.file.name] = {"part": "test", "reason": "test_data", "instances": task.listed, "rows": len(rows)}
    refused.extend(files.refused)
    return report


class _Writer:
    """Writes rows, and counts what the token budget did to them."""

    def __init__(self, settings: SuperNISettings, count_tokens: CountTokens | None) -> None:
        self._settings = settings
        self._count_tokens = count_tokens
        self._shown: Counter[str] = Counter()
        self._cut = 0
        self._not_delusive = 0

    def rows(self, task: TaskFile, instances: Sequence[Instance], *, test: bool) -> list[Conversation]:
        """The rows of a task. Raises FileProblem where it cannot be written."""
        settings = self._settings
        if test:
            own = _own_encoding(settings)
            text = _text(task, [own])
            return [self._row(text, instance, own, None) for instance in _test_instances(instances, settings)]
        encodings = TK_INSTRUCT if settings.tk_instruct else (_own_encoding(settings),)
        text = self._training_text(task, encodings, instances)
        rows = []
        most = settings.max_num_instances_per_task
        for instance in draw_instances(task.name, instances, most, seed=settings.seed):
            # a row's draws depend on the row alone: adding tasks or instances moves no other
            rng = random.Random(f"{settings.seed}:{instance.source.hash}")
            encoding = rng.choice(encodings)
            answered = rng.choice(instances) if settings.shuffled_answers else instance
            rows.append(self._row(text, instance, encoding, rng.choice(answered.references)))
        return rows

    def _training_text(self, task: TaskFile, encodings: Sequence[Encoding], instances: Sequence[Instance]) -> TaskText:
        """The task as training rows state it. Raises FileProblem where its file does not."""
        settings, text = self._settings, _text(task, encodings)
        answers = [reference for instance in instances for reference in instance.references]
        if any(encoding.definition for encoding in encodings) and settings.definitions == "output_space":
            text = replace(text, definition=output_space(answers))
        if any(encoding.positives for encoding in encodings) and settings.delusive_examples:
            rng = random.Random(f"{settings.seed}:{task.name}:examples")
            text, kept = with_delusive_examples(text, answers, rng)
            self._not_delusive += kept
        return text

    def _row(self, text: TaskText, instance: Instance, encoding: Encoding, answer: str | None) -> Conversation:
        if self._count_tokens is None:
            prompt = encode(text, instance.given, encoding)
        else:
            length = self._settings.max_source_length
            prompt = encode(text, instance.given, encoding, count_tokens=self._count_tokens, max_tokens=length)
        self._count(prompt)
        asked = (Message("user", prompt.text),)
        messages = asked if answer is None else (*asked, Message("assistant", answer))
        return Conversation(messages, instance.source, references=instance.references, task=text.name)

    def _count(self, prompt: Prompt) -> None:
        self._shown[f"{prompt.positives} positive, {prompt.negatives} negative"] += 1
        self._cut += prompt.cut

    def report(self) -> dict[str, Any]:
        """How many rows show how many examples, and how many prompts were cut."""
        return {
            "token_budget": None if self._count_tokens is None else self._settings.max_source_length,
            "examples_shown": dict(sorted(self._shown.items())),
            "prompts_cut": self._cut,
            "examples_without_another_answer": self._not_delusive,
        }


def _split(facts: Sequence[TaskFacts], settings: SuperNISettings) -> dict[str, Placed]:
    categories, names = settings.test_categories, settings.test_tasks
    if categories != HELD_OUT_CATEGORIES:
        known = sorted({category for fact in facts for category in fact.categories})
        refuse_unknown(categories, known, kind="category", key="test_categories")
    refuse_unknown(names, [fact.name for fact in facts], kind="name", key="test_tasks")
    placed = split_by_category(facts, track=settings.track, categories=categories, names=names)
    train = sorted(name for name, where in placed.items() if where.part == "train")
    random.Random(f"{settings.seed}:tasks").shuffle(train)
    return placed | {name: Placed("excluded", "not drawn") for name in train[settings.num_train_tasks or len(train) :]}


def _stated(files: TaskFiles) -> tuple[list[TaskFacts], list[TaskFile]]:
    """What the split goes by, and the tasks that state it as they should; the others are refused."""
    facts, tasks = [], []
    for task in files.tasks:
        try:
            facts.append(_facts(task))
        except FileProblem as problem:
            files.refused.append(Refusal(task.file.name, None, problem.reason, problem.code))
        else:
            tasks.append(task)
    return facts, tasks


def _facts(task: TaskFile) -> TaskFacts:
    document = task.document
    languages = (*texts_of(document, "Input_language"), *texts_of(document, "Output_language"))
    return TaskFacts(task.name, texts_of(document, "Categories"), texts_of(document, "Source"), languages)


def _own_encoding(settings: SuperNISettings) -> Encoding:
    return Encoding(
        task_name=settings.add_task_name,
        definition=settings.add_task_definition,
        positives=settings.num_pos_examples,
        negatives=settings.num_neg_examples,
        explanations=settings.add_explanation,
    )


def _text(task: TaskFile, encodings: Sequence[Encoding]) -> TaskText:
    return task_text(
        task.document,
        task.name,
        positives=max(encoding.positives for encoding in encodings),
        negatives=max(encoding.negatives for encoding in encodings),
    )


def _test_instances(instances: Sequence[Instance], settings: SuperNISettings) -> Sequence[Instance]:
    count = settings.max_num_instances_per_eval_task
    if not settings.balance_test:
        return instances[:count]
    # The paper's script draws all tasks from one stream; with one a task, a task's items depend on it alone.
    labels = [instance.references[0] for instance in instances]
    return [instances[place] for place in balanced_places(labels, count, rng=random.Random(BALANCE_SEED))]


def _counts(facts: Sequence[TaskFacts], placed: Mapping[str, Placed]) -> dict[str, Any]:
    reasons = Counter(where.reason.split(" with ")[0] for where in placed.values() if where.part == "excluded")
    return {
        "split": {part: sum(where.part == part for where in placed.values()) for part in ("train", "test", "excluded")},
        "excluded": dict(reasons),
        "language_not_stated": sum(not fact.languages for fact in facts),
        "category_not_stated": sum(not fact.categories for fact in facts),
        "source_not_stated": sum(not fact.sources for fact in facts),
    }
