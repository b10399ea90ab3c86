"""Templates of FLAN's kind (Wei et al. 2021, 2109.01652): several ways to put a task, as YAML files with ``{field}``.

A file has ``about``, ``cluster``, ``templates`` and, where a field's column is known under several names, ``columns``.
A template is its input alone, then the target is ``{answer}``, or a mapping of ``inputs`` and ``targets``; ``turned``
marks those that ask for a field from the answer. ``{options_}`` stands for the list of answer options, ``{dialog_}``
for the turns of a dialogue.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from precept.errors import InputError
from precept.records.instructions.yaml_files import read_yaml
from precept.records.problems import FileProblem, RowProblem

SHIPPED = Path(__file__).with_name("templates")
SLOT = re.compile(r"\{(\w+)\}")
IN_BRACES = re.compile(r"\{+[^{}\"'\n]*\}")
"""A slot, or what was meant as one: ``{ field }``, ``{field.name}``, ``{{field}}``. Braces around quotes are text."""
OPTIONS_SLOT = "options_"
ANSWER_SLOT = "answer"
DIALOGUE_SLOT = "dialog_"
OPTIONS_PLACES = ("\n\n{options_}", "\n{options_}", "{options_}", "\n\n{options_str}")
"""What a template without options lacks, tried in this order (Flan Collection, templates.py). The last is a list of
options that the row holds as text, as ReCoRD's do."""


@dataclass(frozen=True)
class Pattern:
    """One way to put a task: texts with slots. ``turned`` ones ask for a field, given the answer."""

    inputs: str
    targets: str = "{answer}"
    turned: bool = False

    @property
    def slots(self) -> frozenset[str]:
        """Names of the slots in both texts."""
        return frozenset(SLOT.findall(self.inputs) + SLOT.findall(self.targets))

    @property
    def has_options(self) -> bool:
        """Whether the input lists the answer options."""
        return OPTIONS_SLOT in SLOT.findall(self.inputs)

    def asks_for(self, slot: str) -> bool:
        """Whether the target has a slot."""
        return slot in SLOT.findall(self.targets)

    def without_options(self) -> Pattern:
        """The same without the list of options and the line breaks before it."""
        inputs = self.inputs
        for place in OPTIONS_PLACES:
            inputs = inputs.replace(place, "")
        return Pattern(inputs, self.targets, self.turned)


@dataclass(frozen=True)
class TemplateSet:
    """The templates of a kind of task. ``columns`` is slot -> names of columns, of which the first found is taken."""

    name: str
    cluster: str
    patterns: tuple[Pattern, ...]
    columns: Mapping[str, tuple[str, ...]]

    @property
    def slots(self) -> list[str]:
        """Slots to be filled from a row's columns, in alphabetical order: all but answer and options."""
        return sorted(frozenset().union(*(p.slots for p in self.patterns)) - {ANSWER_SLOT, OPTIONS_SLOT})

    def names(self, slot: str) -> tuple[str, ...]:
        """Names of the columns that may fill a slot."""
        return self.columns.get(slot, (slot,))


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    inputs: str
    targets: str = "{answer}"
    turned: bool = False


class _Sheet(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    about: str = ""
    cluster: str
    columns: dict[str, list[str]] = Field(default_factory=dict)
    templates: list[_Entry | str] = Field(min_length=1)


def shipped_kinds() -> list[str]:
    """Names of the shipped template files."""
    return sorted(path.stem for path in SHIPPED.glob("*.yaml"))


@cache
def shipped_templates(kind: str) -> TemplateSet:
    """The templates of a shipped kind. Raises InputError listing the kinds where there is no such file."""
    if kind not in shipped_kinds():
        raise InputError(
            f"there are no templates of the kind '{kind}'",
            code="unknown-template-kind",
            found=", ".join(shipped_kinds()),
            do="choose among these, or name a file of your own with templates=FILE",
        )
    return read_template_set(SHIPPED / f"{kind}.yaml")


def read_template_set(path: Path) -> TemplateSet:
    """The templates of a file. Raises InputError where it is none."""
    try:
        sheet = _Sheet.model_validate(read_yaml(path))
    except FileProblem as problem:
        raise _bad(path, problem.reason) from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise _bad(path, f"{place}: {first['msg'].lower()}") from None
    entries = [_Entry(inputs=entry) if isinstance(entry, str) else entry for entry in sheet.templates]
    patterns = tuple(Pattern(entry.inputs, entry.targets, entry.turned) for entry in entries)
    for number, pattern in enumerate(patterns, 1):
        if fault := _fault_of(pattern):
            raise _bad(path, f"templates.{number}: {fault}")
    columns = {slot: tuple(names) for slot, names in sheet.columns.items()}
    return TemplateSet(path.stem, sheet.cluster, patterns, columns)


def _fault_of(pattern: Pattern) -> str | None:
    for text in (pattern.inputs, pattern.targets):
        for found in IN_BRACES.findall(text):
            if not SLOT.fullmatch(found):
                return f"{found} is no field: a field is one word in single braces"
    if not {*SLOT.findall(pattern.inputs)} - {OPTIONS_SLOT}:
        return "its input shows no field of a row, so that all prompts would be the same"
    return None


def _bad(path: Path, what: str) -> InputError:
    return InputError(
        what,
        code="bad-templates",
        where=str(path),
        do="write 'cluster: NAME' and 'templates:' with a text or 'inputs' and 'targets' for each",
    )


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with its slots filled; braces in the values stay as they are.

    Raises RowProblem naming a slot that has no value.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise RowProblem("unknown-field", f"the row has no field '{match[1]}'")
        return values[match[1]]

    return SLOT.sub(value, text)


def options_block(options: Sequence[str]) -> str:
    """FLAN's list of answer options: a heading and a line for each."""
    return "OPTIONS:\n- " + "\n- ".join(options)


def slots_missing(
    templates: TemplateSet, columns: Collection[str], fields: Mapping[str, str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Slots that no column fills -> the columns looked for: a plan's, by ``fields``, else those that templates know."""
    stated = fields or {}
    names = {slot: (stated[slot],) if slot in stated else templates.names(slot) for slot in templates.slots}
    return {slot: wanted for slot, wanted in names.items() if not any(name in columns for name in wanted)}
