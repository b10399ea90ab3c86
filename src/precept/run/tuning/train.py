"""``precept train METHOD``: one training step from rows and a model folder to a tuned model folder."""

from __future__ import annotations

import datetime
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from precept.errors import InputError
from precept.models.folder import ModelFolder, check_model_folder, resolve_model
from precept.records import data_hash
from precept.run.console import say
from precept.run.data.rows import RawData, read_data
from precept.run.fingerprint import fingerprint
from precept.run.machine import describe_machine
from precept.run.output import Output, open_output, stored_result
from precept.run.settings import CLASSES, RunSettings, parse_settings, unknown_key
from precept.run.tuning.unread import refuse_unread
from precept.settings import Settings

METHODS = ("sft",)


def train(
    method: str,
    *,
    model: str,
    data: Sequence[str],
    output: Path,
    pairs: Mapping[str, Any],
    fresh: bool = False,
    allow_changed: bool = False,
    where: Callable[[str], str | None] = lambda key: None,
    classes: Mapping[str, type[Settings]] = CLASSES,
) -> dict[str, Any]:
    """Run, resume or report one training step; returns the JSON document of ``precept train``.

    ``where`` tells the file and line of a key, ``classes`` which settings there are.
    """
    began = time.perf_counter()
    if method not in METHODS:
        raise unknown_key(method, METHODS, where=None, kind="method")
    settings = parse_settings({**pairs, "data": [*data, *pairs.get("data", ())]}, where=where, classes=classes)
    if not settings.data.data:
        raise InputError("no data was named", code="no-data", do="add --data FILE")
    folder = resolve_model(model)
    checked = check_model_folder(folder, trust_remote_code=settings.model.trust_remote_code)
    raw = read_data(settings, method=method)
    manifest = {
        "method": method,
        "model": model,
        "model_hash": fingerprint(folder),
        "data_hash": raw.hash,
        "eval_data_hash": data_hash(raw.held_out) if raw.held_out else None,
        "with": settings.flat(),
    }
    if not fresh and (result := stored_result(output, manifest)) is not None:
        say(f"{output} holds this run, completed; nothing was done (--fresh runs it again)")
        return result
    with open_output(output, manifest, fresh=fresh, allow_changed=allow_changed) as out:
        manifest["template_date"] = _template_date(settings, out).isoformat()
        return _train(out, manifest, checked, raw, settings, where=where, began=began)


def _train(
    out: Output,
    manifest: Mapping[str, Any],
    folder: ModelFolder,
    raw: RawData,
    settings: RunSettings,
    *,
    where: Callable[[str], str | None],
    began: float,
) -> dict[str, Any]:
    """Render, load, fit, save: torch is imported from here on."""
    from precept.run.proving.proofs import prove, refuse_unproven
    from precept.run.tuning.memory import tokens_per_forest, told_by_part
    from precept.run.tuning.prepare import load_for_training, render_data
    from precept.run.tuning.training import Run

    data = render_data(raw, folder, settings, date=datetime.date.fromisoformat(manifest["template_date"]))
    refuse_unproven(prove(raw, data, folder, settings, method=manifest["method"], skip=settings.proofs.skip_proof))
    with told_by_part(folder.base, settings, data.train.sequences, loaded=None, tokens=0):
        loaded, chosen = load_for_training(folder, data, settings)
    stored = (out.stored or {}).get("tokens_per_forest")
    max_tokens = tokens_per_forest(settings, data.train.sequences, loaded, stored=stored)
    with _stop_on_signal() as stop:
        run = Run(
            out,
            raw,
            data,
            loaded,
            chosen,
            settings,
            method=manifest["method"],
            max_tokens=max_tokens,
            stop_requested=lambda: bool(stop),
        )
        refuse_unread(settings, where=where)
        out.claim({**manifest, "tokens_per_forest": max_tokens})
        _compare_machine(out)
        counters = run.fit()
    result = run.save(counters, seconds=time.perf_counter() - began)
    out.complete(result)
    run.clean()
    return result


def _template_date(settings: RunSettings, out: Output) -> datetime.date:
    """The day that templates print: what was set, else the day this run was created."""
    stored = (out.stored or {}).get("template_date")
    chosen = settings.render.template_date or stored
    return datetime.date.fromisoformat(str(chosen)) if chosen else datetime.date.today()


def _compare_machine(out: Output) -> None:
    """Bit-identical resuming needs the same processor, torch and threads; a difference is named."""
    import orjson

    path = out.folder / "environment.json"
    now = describe_machine()
    if out.stored is not None and path.is_file():
        try:
            before = dict(orjson.loads(path.read_bytes()))
        except (ValueError, TypeError):
            before = {}
        pairs = {k: (before.get(k), now[k]) for k in ("processor", "threads", "device")}
        pairs["torch"] = before.get("versions", {}).get("torch"), now["versions"]["torch"]
        odd = [f"{name} {then}, now {here}" for name, (then, here) in pairs.items() if then != here]
        if odd:
            say(f"this run began with {'; '.join(odd)}: going on is exact in float32 bounds, not bit for bit")
    out.write_json("environment.json", now)


@contextmanager
def _stop_on_signal() -> Iterator[list[bool]]:
    """The first Ctrl-C asks the loop to stop after its step; the second one stops at once."""
    asked: list[bool] = []

    def ask(number: int, frame: Any) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(True)
        say("stopping after this step; press Ctrl-C again to stop at once")

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
