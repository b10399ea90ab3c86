"""The Flan Collection (Longpre et al. 2023, 2301.13688): each task zero-shot and few-shot, with and without options,
with chains of thought, and turned around, in sub-mixtures of fixed weights.

Four styles: ``zsopt``, ``zsnoopt``, ``fsopt``, ``fsnoopt`` are zero- or few-shot, with or without the answer options.
Chains of thought, dialogues, Super-NaturalInstructions files and prompts that are written already (P3) have no version
without options.
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
from precept.records.instructions.built import Built, CountTokens, RowCount, Seed, named_apart, naming_refused
from precept.records.instructions.dialogue_text import list_dialogue
from precept.records.instructions.few_shot_forms import Exemplar, Layout, assemble, draw_layout, prune, with_template
from precept.records.instructions.flan_cells import (
    Cell,
    has_version_without_options,
    inversion_of,
    is_mmlu_task,
    make_cells,
    rows_that_count,
)
from precept.records.instructions.flan_templates import DIALOGUE_SLOT, OPTIONS_SLOT, Pattern, fill, shipped_templates
from precept.records.instructions.labelled_tasks import Example, LabelledTask, WorkedExample, read_tasks
from precept.records.instructions.options_text import list_options
from precept.records.mixture import Mixture, MixtureSource, counts_for
from precept.records.problems import RowProblem
from precept.settings import Settings
from precept.types import Conversation, Message, Refusal

Part = Literal["cot", "inversion", "few_shot", "balancing"]
NIV2_SHOTS = 2
NIV2_SLOTS = {"definition", "input"}


class FlanCollectionSettings(Settings):
    """How labelled rows, rationales and task files become the Flan Collection's mixture."""

    tasks: Path | None = None
    """A YAML plan: for each task its kind or templates, fields, answer column, options, label names and submixture."""
    kind: str | None = None
    """The shipped templates for tasks that no plan describes, such as nli or sentiment."""
    templates: Path | None = None
    """A template file of one's own for tasks that no plan describes."""
    weights: Literal["chung_b", "chung_a", "run_example", "code_defaults", "equal"] = "chung_b"
    """The table of sub-mixture weights: those of the released models, of Chung et al.'s ablations, of the released
    example, the released code's defaults, or all equal. Weights of sub-mixtures that have no rows are left out."""
    without: tuple[Part, ...] = ()
    """Parts that are taken away, as the paper's ablations do: cot, inversion, few_shot, balancing."""
    zero_shot_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of zero-shot rows; the rest is few-shot."""
    options_share: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of rows with answer options where a version without them exists."""
    inversion_weight: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.3
    """Weight of turned-around chains of thought and dialogues beside 1 of those as they are."""
    mmlu_tasks: Literal["leave_out", "keep"] = "leave_out"
    """Tasks of Super-NaturalInstructions made of MMLU, numbers 664 to 667 and 685 to 737: left out as in the paper."""
    shots: Annotated[int, Field(ge=1)] = 5
    """Exemplars of the one few-shot form, each by a template of its own."""
    candidates: Annotated[int, Field(ge=1)] = 25
    """Rows drawn for the other few-shot form, which keeps those that have the query's template, at most `shots`."""
    exemplar_tokens: Annotated[int, Field(ge=1)] = 1920
    """Tokens of exemplars and query; exemplars that do not fit are left out, rows without any are dropped."""
    test_rows_per_task: Annotated[int, Field(ge=0)] = 0
    """The last rows of each task are kept from training and become test rows, zero-shot by the first template."""
    rows: RowCount | None = None
    """Training rows to draw; by default as many as the tasks have, each up to its sub-mixture's cap."""
    seed: Seed = 0
    """Decides what is drawn, and in which order."""


def build(paths: Sequence[str], settings: FlanCollectionSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Training rows drawn by sub-mixture, style and task; test rows in the order of the files.

    Raises InputError for plans and templates that cannot be used, and for few-shot rows without a tokenizer.
    """
    known, refused = read_tasks(paths, plan=settings.tasks, kind=settings.kind, templates=settings.templates)
    mmlu = {task.name for task in known if is_mmlu_task(task)}
    left_out = sorted(mmlu) if mmlu and settings.mmlu_tasks == "leave_out" else []
    known = [_usable(task, settings, refused) for task in known if task.name not in left_out]
    known = [task for task in known if task.examples]
    with naming_refused(refused):
        test = named_apart([row for task in known for row in _test_rows(task, settings.test_rows_per_task)])
    tasks = [
        replace(task, examples=task.examples[: len(task.examples) - settings.test_rows_per_task])
        for task in known
        if not ("cot" in settings.without and task.submixture == "cot")
    ]
    if not tasks:
        if refused:
            return Built(train=(), refused=refused)
        raise InputError(
            "no task is left", code="too-few-rows", do="add rows, or leave fewer out (without, mmlu_tasks)"
        )
    cells, total = _cells(tasks, settings)
    counts = counts_for([cell.share for cell in cells], total)
    if count_tokens is None and any(count and not cell.zero_shot for cell, count in zip(cells, counts, strict=True)):
        raise InputError(
            f"few-shot prompts are cut to {settings.exemplar_tokens:,} tokens, and no tokenizer counts them",
            code="no-tokenizer",
            do="name a model's folder with tokenizer=FOLDER, or leave few-shot rows out with without=few_shot",
        )
    sources = [MixtureSource(cell.name, len(cell.task.examples), cell.name) for cell in cells]
    mixture = Mixture(sources, counts, settings.seed)
    writer = Writer(settings, count_tokens)
    tally = Tally()
    rows: list[Conversation] = []
    for place in range(len(mixture)):
        draw = mixture[place]
        cell = cells[draw.source]
        rng = random.Random(f"{settings.seed} {cell.name} {draw.row} {draw.epoch}")
        try:
            row = writer.write(cell, draw.row, rng)
        except RowProblem as problem:
            source = cell.task.examples[draw.row].source
            refused.append(Refusal(source.file, source.row, problem.reason, problem.code))
            continue
        tally.count(cell, row, repeated=draw.epoch > 0)
        rows += [] if row is None else [row]
    if not rows and not refused:
        raise InputError(
            f"no exemplar fits beside its query in {settings.exemplar_tokens:,} tokens, so no row is left",
            code="no-exemplar-fits",
            where="exemplar_tokens",
            do="set more tokens, or draw zero-shot rows too (zero_shot_share)",
        )
    report = {**tally.report(cells), "test": len(test), "left_out": {"made of MMLU": left_out}}
    return Built(train=rows, test=test, report=report, refused=list(dict.fromkeys(refused)))


def _usable(task: LabelledTask, settings: FlanCollectionSettings, refused: list[Refusal]) -> LabelledTask:
    """The task without the examples that lack what one of its templates shows, which are added to ``refused``: each
    example may have to stand beside any other."""
    bare = settings.options_share == 0 and has_version_without_options(task)
    patterns = [pattern.without_options() if bare else pattern for pattern in task.templates.patterns]
    patterns += task.templates.patterns[: min(settings.test_rows_per_task, 1)]
    shown = frozenset().union(*(pattern.slots for pattern in patterns))
    kept = []
    for example in task.examples:
        if lacking := sorted(shown - example.given):
            reason = f"the row has no field '{lacking[0]}', which a template of '{task.templates.name}' has"
            refused.append(Refusal(example.source.file, example.source.row, reason, "unknown-field"))
        else:
            kept.append(example)
    return replace(task, examples=kept)


def _cells(tasks: Sequence[LabelledTask], settings: FlanCollectionSettings) -> tuple[list[Cell], int]:
    """The cells, and how many rows are drawn of all of them."""
    balanced = "balancing" not in settings.without
    weights = settings.weights if balanced else "equal"
    turned = "inversion" not in settings.without and any(map(inversion_of, tasks))
    with_choice = any(map(has_version_without_options, tasks))
    cells = make_cells(
        tasks,
        weights=weights,
        balanced=balanced,
        zero_shot=1.0 if "few_shot" in settings.without else settings.zero_shot_share,
        options=settings.options_share if with_choice else 1.0,
        inversion=settings.inversion_weight if turned else 0.0,
    )
    return cells, settings.rows or sum(rows_that_count(tasks, weights).values())


def _test_rows(task: LabelledTask, count: int) -> list[Conversation]:
    if count >= len(task.examples):
        raise InputError(
            f"the task '{task.name}' has {len(task.examples)} rows, and {count} are to be tested",
            code="too-few-rows",
            do="take a smaller test_rows_per_task, or leave the task out",
        )
    cell = Cell(task, task.templates.patterns[:1], zero_shot=True, options=True, inverted=False, share=0.0)
    rows = []
    for place in range(len(task.examples) - count, len(task.examples)):
        filled = _exemplar(cell, place, 0)
        example = task.examples[place]
        also = [fill(cell.patterns[0].targets, {**example.slots(), "answer": answer}) for answer in example.answers]
        rows.append(_row(cell, place, filled.inputs, filled.targets, also=also))
    return rows


class Writer:
    """Puts the rows of cells."""

    def __init__(self, settings: FlanCollectionSettings, count_tokens: CountTokens | None) -> None:
        self._settings = settings
        self._count_tokens = count_tokens

    def write(self, cell: Cell, place: int, rng: random.Random) -> Conversation | None:
        """The row of example ``place`` of a cell's task; None where no exemplar fits. Raises RowProblem."""
        if cell.zero_shot:
            return self._zero_shot(cell, place, rng)
        if cell.task.submixture == "niv2" and {*cell.task.templates.slots} >= NIV2_SLOTS:
            return self._defined(cell, place, rng)
        template = place % len(cell.patterns)
        five = cell.options and rng.random() < 0.5  # with options the code has both forms, without the second alone
        query = _exemplar(cell, place, rng.randrange(len(cell.patterns)) if five else template)
        layout = draw_layout(rng) if five else Layout()
        if five:
            exemplars = [
                _exemplar(cell, other, rng.randrange(len(cell.patterns))) for other in self._others(cell, place, rng)
            ]
        else:
            drawn = self._others(cell, place, rng, count=self._settings.candidates)
            same = with_template(drawn, template, templates=len(cell.patterns))[: self._settings.shots]
            shown = [_exemplar(cell, other, template) for other in same]
            exemplars = [Exemplar(one.inputs, one.targets.strip()) for one in shown]
        return self._few_shot(cell, place, query, exemplars, layout)

    def _zero_shot(self, cell: Cell, place: int, rng: random.Random) -> Conversation:
        """By the template of the example's turn; options and dialogues are written in a way that is drawn."""
        example = cell.task.examples[place]
        pattern = cell.patterns[place % len(cell.patterns)]
        if example.turns:
            said = list_dialogue(example.turns, rng, goes_on=not pattern.asks_for(DIALOGUE_SLOT))
            return _filled_row(cell, place, pattern, {**example.values, DIALOGUE_SLOT: said})
        if not (example.options and pattern.has_options):
            return _filled_row(cell, place, pattern, example.slots())
        listed = list_options(example.options, rng)
        named = dict(zip(example.options, listed.answers, strict=True))
        answers = [named[answer] for answer in (example.values["answer"], *example.answers) if answer in named]
        values = {**example.values, OPTIONS_SLOT: listed.text, "answer": answers[0]}
        targets = [fill(pattern.targets, {**values, "answer": answer}) for answer in answers]
        return _row(cell, place, fill(pattern.inputs, values), targets[0], also=targets, options=listed.answers)

    def _defined(self, cell: Cell, place: int, rng: random.Random) -> Conversation | None:
        """Super-NaturalInstructions, in two forms by halves: the task's first explained example inside the template, or
        the definition once and under it two exemplars and the query, inputs and answers alone."""
        example = cell.task.examples[place]
        given = example.values["input"]
        shown = next((worked for worked in example.worked if worked.inputs != given), None)
        if rng.random() < 0.5 and shown is not None:
            patterns = shipped_templates("definition_example").patterns
            return _filled_row(cell, place, patterns[place % len(patterns)], example.slots() | _worked_slots(shown))
        drawn = self._others(cell, place, rng, count=NIV2_SHOTS)
        exemplars = [Exemplar(o.values["input"], o.values["answer"]) for o in (cell.task.examples[k] for k in drawn)]
        query = Exemplar(given, example.values["answer"])
        above = f"{example.values['definition']}\n\n"
        return self._few_shot(cell, place, query, exemplars, draw_layout(rng), above=above)

    def _others(self, cell: Cell, place: int, rng: random.Random, *, count: int | None = None) -> list[int]:
        """Other examples of the task, drawn without repetition."""
        wanted = min(count or self._settings.shots, len(cell.task.examples) - 1)
        drawn = rng.sample(range(len(cell.task.examples) - 1), wanted)
        return [other + (other >= place) for other in drawn]

    def _few_shot(
        self, cell: Cell, place: int, query: Exemplar, exemplars: list[Exemplar], layout: Layout, *, above: str = ""
    ) -> Conversation | None:
        assert self._count_tokens is not None
        budget = self._settings.exemplar_tokens
        kept = prune(exemplars, query.inputs, layout, budget=budget, count_tokens=self._count_tokens, above=above)
        if not kept:
            return None
        return _row(cell, place, above + assemble(kept, query.inputs, layout), query.targets)


def _exemplar(cell: Cell, place: int, template: int) -> Exemplar:
    example, pattern = cell.task.examples[place], cell.patterns[template]
    values = example.slots(goes_on=not pattern.asks_for(DIALOGUE_SLOT))
    return Exemplar(fill(pattern.inputs, values), fill(pattern.targets, values))


def _worked_slots(shown: WorkedExample) -> dict[str, str]:
    return {
        "example_input": shown.inputs,
        "example_output": shown.output,
        "example_explanation": shown.explanation,
    }


def _filled_row(cell: Cell, place: int, pattern: Pattern, values: Mapping[str, str]) -> Conversation:
    return _row(cell, place, fill(pattern.inputs, values), fill(pattern.targets, values))


def _row(
    cell: Cell, place: int, inputs: str, target: str, *, also: Sequence[str] = (), options: Sequence[str] = ()
) -> Conversation:
    example: Example = cell.task.examples[place]
    listed = tuple(options) or example.options
    reasoned = cell.task.submixture == "cot" and not cell.inverted
    return Conversation(
        messages=(Message("user", inputs), Message("assistant", target)),
        source=example.source,
        references=example.answers if reasoned else tuple(dict.fromkeys((target, *also))),
        options=listed if target in listed else (),
        task=cell.task.name + ("_inverted" if cell.inverted else ""),
    )


class Tally:
    """Counts what was drawn of each sub-mixture, style and task."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()
        self._repeats: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()

    def count(self, cell: Cell, row: Conversation | None, *, repeated: bool) -> None:
        """Take in one drawn row, or None for one whose exemplars did not fit."""
        if row is None:
            self._dropped[cell.name] += 1
            return
        self._repeats[cell.task.name] += repeated
        for kind, name in self._keys(cell):
            self._rows[kind, name] += 1

    @staticmethod
    def _keys(cell: Cell) -> list[tuple[str, str]]:
        submixture = cell.task.submixture + (" inverted" if cell.inverted else "")
        return [("submixtures", submixture), ("styles", f"{submixture} {cell.style}"), ("tasks", cell.task.name)]

    def report(self, cells: Sequence[Cell]) -> dict[str, Any]:
        """Wanted and drawn shares by sub-mixture, style and task, and what was left out."""
        total = self._rows.total() // 3  # each row counts once in each of three tables
        wanted: Counter[tuple[str, str]] = Counter()
        for cell in cells:
            for key in self._keys(cell):
                wanted[key] += cell.share  # type: ignore[assignment]
        document: dict[str, Any] = {"train": total, "submixtures": {}, "styles": {}, "tasks": {}}
        for (kind, name), share in wanted.items():
            rows = self._rows[kind, name]
            document[kind][name] = {"wanted": share, "share": rows / total if total else 0.0, "rows": rows}
        for name, repeats in self._repeats.items():
            document["tasks"][name]["repeats"] = repeats
        for task in (cell.task for cell in cells if cell.task.end_marker):
            document["tasks"][task.name]["end_marker_removed"] = task.end_marker
        return document | {"no_exemplar_fits": dict(self._dropped)}
