"""``precept check``: the proofs of every training step of a recipe, or of one model and data."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from precept.models.folder import check_model_folder, resolve_model
from precept.prove.proof import Proof
from precept.run.data.rows import read_data
from precept.run.proving.proofs import prove
from precept.run.recipe.file import Step
from precept.run.recipe.named_steps import asked_by, named_steps
from precept.run.recipe.resolve import training_pairs
from precept.run.recipe.step_kinds import TrainKeys
from precept.run.settings import parse_settings
from precept.types import Row


def check(recipe: str | None, *, words: Sequence[str], model: str | None, data: Sequence[str]) -> dict[str, Any]:
    """``{ok, proofs}``; where a recipe trains more than once, each proof names its ``step``. Instances of a step that
    differ in the seed alone are proven once."""
    steps = named_steps(recipe, words=words, model=model, data=data)
    asked = asked_by(recipe, words)
    proofs: list[dict[str, Any]] = []
    for named in steps:
        step = {"step": named.title} if len(steps) > 1 else {}
        proofs += [{**asdict(proof), **step} for proof in _prove_step(named.step, named.base, asked)]
    return {"ok": all(proof["ok"] for proof in proofs), "proofs": proofs}


def _prove_step(step: Step, base: str, asked: Sequence[Row]) -> list[Proof]:
    from precept.run.tuning.prepare import render_data

    keys = TrainKeys(**step.settings)
    data = [keys.data] if isinstance(keys.data, str) else keys.data
    settings = parse_settings({**training_pairs(step), "data": data}, where=step.where)
    folder = check_model_folder(resolve_model(base), trust_remote_code=settings.model.trust_remote_code)
    method = step.uses.partition(".")[2]
    raw = read_data(settings, method=method)
    stated = settings.render.template_date
    date = datetime.date.fromisoformat(stated) if stated else datetime.date.today()
    rendered = render_data(raw, folder, settings, date=date)
    return prove(raw, rendered, folder, settings, method=method, asked=asked)


def print_check(document: dict[str, Any]) -> None:
    """The proofs as a table: what holds, what was measured, and on what."""
    from rich.table import Table

    from precept.run.console import STDOUT

    table = Table()
    for column in ("proof", "", "value", "bound", "what was seen"):
        table.add_column(column, justify="right" if column in {"value", "bound"} else "left", overflow="fold")
    for proof in document["proofs"]:
        state = "holds" if proof["ok"] else "FAILS"
        numbers = ("" if proof[key] is None else f"{proof[key]:.3g}" for key in ("value", "bound"))
        name = f"{proof['step']}: {proof['name']}" if "step" in proof else proof["name"]
        table.add_row(name, state if proof["applies"] else "-", *numbers, proof["detail"])
    STDOUT.print(table, markup=False)
    broken = [proof["name"] for proof in document["proofs"] if not proof["ok"]]
    STDOUT.print(f"{', '.join(broken)}: training would refuse" if broken else "all that apply hold", markup=False)
