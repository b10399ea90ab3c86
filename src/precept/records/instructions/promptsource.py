"""promptsource (Bach et al. 2022, 2202.01279), the templates of P3 and T0: YAML files of Jinja templates -> rows.

A template file holds templates for the rows of one data set. What a template writes before ``|||`` is the prompt and
what follows is the answer, both without outer blanks; ``answer_choices``, a template of its own, lists the possible
answers. A rendering that is empty on a row has nothing to ask of it (T0's rule), which the report counts.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
import yaml
from pydantic import Field

from precept.errors import InputError
from precept.records.instructions.built import Built, CountTokens, Seed, naming_refused
from precept.records.instructions.prompt_sandbox import Choose, PromptEnvironment
from precept.records.instructions.raw_records import RawRecord, read_raw_records
from precept.records.instructions.yaml_files import parse_yaml
from precept.records.problems import FileProblem, RowProblem
from precept.settings import Settings
from precept.types import Conversation, Message

SEPARATOR = "|||"
PROTECTED = "\ufdd0\ufdd1\ufdd0"  # stands for the separator in the fields of a row; no text holds these code points
# the same as it stands in lists that are printed, where such code points are written as escapes
GUARDED = re.compile(rf"{PROTECTED}|\\+ufdd0\\+ufdd1\\+ufdd0", re.IGNORECASE)
MAX_FILE_BYTES = 16_000_000


class PromptsourceSettings(Settings):
    """How rows meet the templates of a file."""

    templates: Path
    """The YAML file with the templates of the rows' data set."""
    template_names: tuple[str, ...] = ()
    """Names of the templates to use; by default all of the file."""
    template_choice: Literal["all", "round_robin", "random"] = "all"
    """Each row with each template, as P3 does; with one after the other; or with one drawn."""
    original_task_only: bool = False
    """Leave out templates that do not ask for the data set's own task, as T0's evaluation does."""
    max_field_characters: Annotated[int, Field(ge=16)] | None = 2048
    """What a template writes between `{{ }}` is cut to so many characters at a blank, as promptsource does; null for
    whole texts, as T0 was trained on."""
    max_rows: Annotated[int, Field(ge=1)] | None = None
    """At most so many of the data's rows, the first ones; by default all."""
    seed: Seed = 0
    """What the filter `choice` and `template_choice=random` draw from."""


@dataclass(frozen=True)
class PromptTemplate:
    """One template as its file has it. ``original_task`` is None where the file does not say."""

    name: str
    jinja: str
    answer_choices: str | None
    original_task: bool | None
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Prompted:
    """What a template makes of a row. ``choices`` are the possible answers, empty where the template is open."""

    prompt: str
    answer: str
    choices: tuple[str, ...]


class _Loader(yaml.SafeLoader):
    """YAML's plain types, and promptsource's two tags as mappings; any other tag is an error."""


def _mapping(loader: yaml.SafeLoader, node: yaml.Node) -> dict[Any, Any]:
    if not isinstance(node, yaml.MappingNode):
        raise yaml.YAMLError(f"{node.tag} is no mapping at line {node.start_mark.line + 1}")
    return dict(loader.construct_mapping(node, deep=True))


for _tag in ("!Template", "!TemplateMetadata"):
    _Loader.add_constructor(_tag, _mapping)


def read_templates(path: Path) -> list[PromptTemplate]:
    """The templates of a promptsource file in its order. Raises InputError where it is none."""
    try:
        data = path.expanduser().read_bytes()
    except OSError as error:
        raise _bad_file(path, f"cannot be opened: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise _bad_file(path, f"holds {len(data):,} bytes, which no template file does")
    try:
        document = parse_yaml(data, loader=_Loader)
    except FileProblem as problem:
        raise _bad_file(path, problem.reason) from None
    held = document.get("templates") if isinstance(document, dict) else None
    if not isinstance(held, dict) or not held:
        raise _bad_file(path, "has no 'templates' with a template for each id")
    templates = [_template(path, str(key), value) for key, value in held.items()]
    repeated = [name for name, count in Counter(template.name for template in templates).items() if count > 1]
    if repeated:
        raise _bad_file(path, f"two templates have the name '{repeated[0]}'")
    return templates


def _template(path: Path, key: str, value: Any) -> PromptTemplate:
    if not isinstance(value, dict):
        raise _bad_file(path, f"template {key} is no mapping")
    name, jinja, choices = value.get("name"), value.get("jinja"), value.get("answer_choices")
    if not isinstance(name, str) or not isinstance(jinja, str) or not isinstance(choices, str | None):
        raise _bad_file(path, f"template {name or key} needs 'name' and 'jinja' as texts, and 'answer_choices' as text")
    if SEPARATOR not in jinja:
        raise _bad_file(path, f"template '{name}' has no '{SEPARATOR}' between prompt and answer")
    metadata = value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    metrics = metadata.get("metrics")
    return PromptTemplate(
        name=name,
        jinja=jinja,
        answer_choices=choices or None,
        original_task=metadata.get("original_task"),
        metrics=tuple(map(str, metrics)) if isinstance(metrics, list) else (),
    )


def _bad_file(path: Path, what: str) -> InputError:
    return InputError(
        what,
        code="bad-prompt-templates",
        where=str(path),
        do="name a promptsource file: 'templates' with 'name' and 'jinja' (prompt ||| answer) for each id",
    )


class PromptRenderer:
    """A compiled template. ``fields`` are the columns that it reads."""

    def __init__(self, template: PromptTemplate, *, where: str, max_field_characters: int | None = 2048) -> None:
        """Raises InputError where the template is not Jinja or uses what the sandbox does not have."""
        self.template = template
        self._longest = max_field_characters
        self._environment = PromptEnvironment()
        try:
            self._jinja, fields = self._environment.template(template.jinja)
            self._choices, choice_fields = self._environment.template(template.answer_choices or "")
        except (jinja2.TemplateError, RecursionError) as error:
            raise InputError(
                f"template '{template.name}' cannot be used: {getattr(error, 'message', None) or 'nested too deep'}",
                code="bad-prompt-templates",
                where=where,
                do="correct the template or leave it out with template_names",
            ) from None
        self.fields = (fields | choice_fields) - {"answer_choices"}

    def render(self, columns: Mapping[str, Any], *, choose: Choose) -> Prompted | None:
        """Prompt, answer and choices of a row, None where the template says nothing of it.

        ``choose`` is what the filter ``choice`` does. Raises RowProblem naming template and field.
        """
        name = self.template.name
        for field in sorted(self.fields - columns.keys()):
            raise RowProblem("unknown-field", f"template '{name}': the row has no field '{field}'")
        if "answer_choices" in columns:
            raise RowProblem("restricted-field", f"template '{name}': the row has a field 'answer_choices' of its own")
        try:
            guarded = _protect(columns)
        except RecursionError:
            raise RowProblem("nested-too-deep", "holds a value that is nested too deep") from None
        choices = None
        if self.template.answer_choices is not None:
            written = self._write(self._choices, guarded, choose, longest=None)
            choices = [_restore(choice.strip()) for choice in written.split(SEPARATOR)]
        values = {**guarded, "answer_choices": choices and list(map(_protect, choices))}
        written = self._write(self._jinja, values, choose, longest=self._longest)
        parts = [_restore(part).strip() for part in written.split(SEPARATOR)]
        if len(parts) > 2:
            raise RowProblem("too-many-parts", f"template '{name}' writes '{SEPARATOR}' {len(parts) - 1} times")
        if len(parts) < 2 or not all(parts):
            return None
        return Prompted(parts[0], parts[1], tuple(choices or ()))

    def _write(
        self, template: jinja2.Template, values: Mapping[str, Any], choose: Choose, *, longest: int | None
    ) -> str:
        try:
            return self._environment.write(template, values, choose, longest=longest)
        except (jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
            reason = str(error) if isinstance(error, jinja2.TemplateError) else f"{type(error).__name__}: {error}"
            raise RowProblem("template-failed", f"template '{self.template.name}': {reason:.200}") from None


def _protect(value: Any) -> Any:
    """A copy without the separator in any text. (promptsource protects the texts at the top of the row alone.)"""
    if isinstance(value, str):
        return value.replace(SEPARATOR, PROTECTED)
    if isinstance(value, Mapping):
        return {_protect(key): _protect(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_protect(held) for held in value]
    return value


def _restore(text: str) -> str:
    return GUARDED.sub(SEPARATOR, text)


def build(paths: Sequence[str], settings: PromptsourceSettings, *, count_tokens: CountTokens | None = None) -> Built:
    """Rows for each record and template, records in order. The report counts rows by template, and records of which a
    template says nothing.

    Raises InputError for template files and templates that cannot be used.
    """
    records, refused = read_raw_records(paths)
    if not records and refused:
        return Built((), refused=refused)
    records = records[: settings.max_rows]
    renderers = [
        PromptRenderer(template, where=str(settings.templates), max_field_characters=settings.max_field_characters)
        for template in _wanted(settings)
    ]
    with naming_refused(refused):
        _check_fields(renderers, records, str(settings.templates))
    made: Counter[str] = Counter()
    silent: Counter[str] = Counter()
    rows: list[Conversation] = []
    for place, record in enumerate(records):
        for renderer in _chosen(renderers, place, settings):
            name = renderer.template.name
            rng = random.Random(f"{settings.seed} {name} {place} {record.source.hash}")
            try:
                prompted = renderer.render(record.columns, choose=rng.choice)
            except RowProblem as problem:
                refused.append(record.refusal(problem))
                continue
            if prompted is None:
                silent[name] += 1
                continue
            made[name] += 1
            rows.append(_row(record, name, prompted))
    if not rows and not refused:
        raise InputError(
            "no template says anything of any row",
            code="no-prompts",
            where=str(settings.templates),
            do="name the template file of the rows' own data set",
        )
    report = {"records": len(records), "rows_by_template": dict(made), "says_nothing": dict(silent)}
    return Built(train=rows, report=report, refused=refused)


def _row(record: RawRecord, name: str, prompted: Prompted) -> Conversation:
    source = record.source
    return Conversation(
        messages=(Message("user", prompted.prompt), Message("assistant", prompted.answer)),
        source=replace(source, id=f"{source.id}:{name}") if source.id else source,  # one a template
        references=(prompted.answer,),
        options=prompted.choices if prompted.answer in prompted.choices else (),
        task=record.stem,
    )


def _wanted(settings: PromptsourceSettings) -> list[PromptTemplate]:
    templates = read_templates(settings.templates)
    known = {template.name: template for template in templates}
    for name in settings.template_names:
        if name not in known:
            raise InputError(
                f"there is no template '{name}'",
                code="unknown-prompt-template",
                where=str(settings.templates),
                found=", ".join(known),
                do="choose among these names",
            )
    chosen = [known[name] for name in settings.template_names] or templates
    if settings.original_task_only:
        chosen = [template for template in chosen if template.original_task]
    if not chosen:
        raise InputError(
            "no template of the file asks for the original task",
            code="unknown-prompt-template",
            where=str(settings.templates),
            do="leave original_task_only out",
        )
    return chosen


def _check_fields(renderers: Sequence[PromptRenderer], records: Sequence[RawRecord], where: str) -> None:
    """Raise InputError for a field that a template reads and no row has."""
    known = {column for record in records for column in record.columns}
    for renderer in renderers:
        for field in sorted(renderer.fields - known):
            raise InputError(
                f"template '{renderer.template.name}' reads the field '{field}', which no row has",
                code="unknown-template-field",
                where=where,
                found=f"fields of the rows: {', '.join(sorted(known))[:300]}",
                do="name the rows of the templates' own data set, or choose templates with template_names",
            )


def _chosen(renderers: list[PromptRenderer], place: int, settings: PromptsourceSettings) -> list[PromptRenderer]:
    if settings.template_choice == "all":
        return renderers
    if settings.template_choice == "round_robin":
        return [renderers[place % len(renderers)]]
    return [random.Random(f"{settings.seed} template {place}").choice(renderers)]
