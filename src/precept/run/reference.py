"""The reference pages, made from the settings classes and the command line: ``python -m precept.run.reference``."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from precept.decode.remote import RemoteSettings
from precept.evaluate.judge import JudgeSettings
from precept.evaluate.study_claims import Claim
from precept.run.data.makers import MAKERS
from precept.run.errors_page import MADE_BY, errors_page
from precept.run.errors_page import PAGE as ERRORS
from precept.run.report.study_settings import StudySettings
from precept.run.settings import CLASSES
from precept.run.where import PAGE as PAPERS
from precept.run.where import papers_page

PAGES = Path(__file__).parents[3] / "docs" / "reference"
BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "above",
    "maximum": "at most",
    "exclusiveMaximum": "below",
}
TYPES = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "boolean": "true or false",
    "object": "mapping",
}
ENDLESS = 2**63
PAPERS_HEAD = f"""{MADE_BY.replace("the code", "`src/precept/papers.yaml`")}

# Systems and papers

What a paper needs that is here, and what not; `precept where PAPER` tells the same. *works* names the recipe and the
test that runs it at tiny size; published results are not reproduced at their size anywhere in this project, since its
tests need no GPU and no downloads. *in part* names what exists; *not yet* means that nothing of the method itself does.
`sft.yaml` (`tests/recipes/test_docs_recipes.py::test_sft_tunes_on_rows_and_scores_an_unseen_task`) is plain supervised
tuning and no paper's: [page](methods/sft.md)."""


def settings_page() -> str:
    """Every flat key of a training step, of each data step and of judges, a table a settings class."""
    lines = [MADE_BY, "", "# Settings", ""]
    lines += ["Flat keys of `precept train` (`key=value`) and of `train.` steps in a recipe. `batch_size` may also be"]
    lines += ["given as the product of `per_device_train_batch_size` and `gradient_accumulation_steps`."]
    for name, cls in CLASSES.items():
        lines += _table(name, cls)
    lines += ["", "# Data steps", "", "Keys of `precept data make METHOD` and of `data.METHOD` steps in a recipe."]
    for name, maker in sorted(MAKERS.items()):
        lines += _table(f"data.{name}", maker.settings)
    lines += ["", "# Studies", "", "Keys of a recipe's step `study`; the second table is one of its claims."]
    for title, kind in (("study", StudySettings), ("claim", Claim)):
        lines += _table(title, kind)
    lines += ["", "# Judges", "", "Keys of `precept judge`; the second table with `--judge-url`."]
    for name, cls in (("judge", JudgeSettings), ("remote", RemoteSettings)):
        lines += _table(name, cls)
    return "\n".join(lines) + "\n"


def _table(name: str, cls: type[BaseModel]) -> list[str]:
    told = field_docstrings(cls)
    lines = ["", f"## {name}", "", f"{inspect.getdoc(cls)} (`{cls.__module__}.{cls.__name__}`)", ""]
    lines += ["| key | values | default | meaning |", "|---|---|---|---|"]
    whole = cls.model_json_schema()
    for key, schema in whole["properties"].items():
        default = "required" if key in whole.get("required", ()) else _default(schema.get("default"))
        cells = (f"`{key}`", values(schema), default, told[key])
        lines.append(f"| {' | '.join(_cell(cell) for cell in cells)} |")
    return lines


def commands_page() -> str:
    """Every command with its arguments and options."""
    from typer.main import get_command

    from precept.cli import app

    lines = [MADE_BY, "", "# Commands", "", f"{app.registered_callback.callback.__doc__}"]  # type: ignore[union-attr]
    for path, command in _commands(get_command(app), "precept"):
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        usage = " ".join([path, *(f"{a.name.upper()}{'...' if a.nargs < 0 else ''}" for a in arguments)])
        more = " [key=value ...]" if command.context_settings.get("allow_extra_args") else ""
        lines += ["", f"## `{usage} [options]{more}`", "", inspect.cleandoc(command.help or ""), ""]
        lines += ["| argument or option | default | meaning |", "|---|---|---|"]
        lines += [_parameter(p) for p in command.params if p.name != "help"]
    return "\n".join(lines) + "\n"


def field_docstrings(cls: type[BaseModel]) -> dict[str, str]:
    """The line under each field, on one line, by the key that users write."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    told: dict[str, str] = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(below, ast.Expr):
            told[_key(cls, field.target.id)] = " ".join(str(ast.literal_eval(below.value)).replace("``", "`").split())
    return told


def _key(cls: type[BaseModel], name: str) -> str:
    field = cls.model_fields.get(name)
    return field.alias or name if field else name


def values(schema: dict[str, Any]) -> str:
    """The values that a JSON schema admits, in words."""
    if "anyOf" in schema:
        return " or ".join(values(option) for option in schema["anyOf"] if option.get("type") != "null")
    if "$ref" in schema:
        return f"`{schema['$ref'].rpartition('/')[2].lower()}`"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{choice}`" for choice in schema["enum"])
    if schema["type"] == "array":
        return f"list of {values(schema['items'])}"
    bounds = [f"{word} {schema[key]:g}" for key, word in BOUNDS.items() if key in schema and schema[key] < ENDLESS]
    return " ".join([TYPES[schema["type"]], " and ".join(bounds)]).strip()


def _default(value: Any) -> str:
    if value is None or value == []:
        return "none"
    return f"`{str(value).lower()}`" if isinstance(value, bool) else f"`{value}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    """All commands below a group with the words that call them."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def _parameter(parameter: Any) -> str:
    names = parameter.opts if parameter.param_type_name == "option" else [parameter.name.upper()]
    default = "required" if parameter.required else "off" if parameter.default is False else _default(parameter.default)
    cells = (", ".join(f"`{name}`" for name in names), default, parameter.help or "")
    return f"| {' | '.join(_cell(cell) for cell in cells)} |"


def main() -> None:
    """Write all pages."""
    PAGES.mkdir(exist_ok=True)
    (PAGES / "settings.md").write_text(settings_page(), encoding="utf-8")
    (PAGES / "commands.md").write_text(commands_page(), encoding="utf-8")
    ERRORS.write_text(errors_page(), encoding="utf-8")
    PAPERS.write_text(papers_page(PAPERS_HEAD), encoding="utf-8")


if __name__ == "__main__":
    main()
