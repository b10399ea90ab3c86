"""The search for a peer's fastest settings: each tried once on a part of the workload, all figures kept."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bench.peers import Peer
from bench.side import Side, SideFailed, Work, running

ROWS = 32
"""Rows that a setting is timed on, after one untimed pass over them."""
HOPELESS = 1.5
"""A setting whose untimed pass took so many times the best time is not timed."""
TOLERANCE = 1e-4
"""Largest difference of step-0 losses in float32 that is taken for the same objective."""


def grid_path(peer: Peer, work: Work) -> Path:
    """Where the figures of a machine are kept."""
    device = "" if work.device == "cpu" else f"-{work.device}"
    return Path(".bench") / f"grid-{peer.name}-{work.workload.stem}-{work.model.name}{device}.json"


def best_settings(peer: Peer, work: Work, *, expected_loss: Callable[[], float]) -> dict[str, Any]:
    """The fastest entry of the grid among those whose step-0 loss is ``expected_loss``; searched once, then kept.

    ``expected_loss`` gives the other side's on the grid's rows; it is asked only for a search.
    """
    path = grid_path(peer, work)
    settings = {name: dict(given) for name, given in peer.grid_on(work.device).items()}
    document = json.loads(path.read_text()) if path.is_file() else {}
    part = Work(work.workload, work.model, work.device, work.threads, ROWS)
    if document.get("settings") != settings:
        wanted = expected_loss()
        entries = check_losses(peer, part, settings, expected_loss=wanted)
        about = {"peer": peer.name, "rows": ROWS, "threads": work.threads, "expected_loss": wanted}
        document = {**about, "settings": settings, "entries": entries}
    entries = document["entries"]

    def keep() -> None:
        path.write_text(json.dumps(document, indent=1))

    keep()
    time_entries(peer, part, entries, keep=keep)
    return fastest(entries)


def fastest(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The entry of least time, with its name."""
    timed = {name: entry for name, entry in entries.items() if "seconds" in entry}
    if not timed:
        raise SystemExit("no setting of the grid runs: " + "; ".join(f"{n}: {e}" for n, e in entries.items()))
    name = min(timed, key=lambda name: float(timed[name]["seconds"]))
    return {"name": name, **timed[name]}


def check_losses(
    peer: Peer, part: Work, settings: Mapping[str, Mapping[str, Any]], *, expected_loss: float
) -> dict[str, dict[str, Any]]:
    """An entry for each of the settings, with its step-0 loss, or why it is not to be timed."""
    entries: dict[str, dict[str, Any]] = {name: {"settings": dict(given)} for name, given in settings.items()}
    losses = _losses(peer, part, entries)
    for entry in entries.values():
        loss = losses[way_to_batch(peer, entry["settings"])]
        if isinstance(loss, str):
            entry["failed"] = loss
        elif abs(loss - expected_loss) > TOLERANCE:
            entry["failed"] = f"another loss: {loss:.6f}, not {expected_loss:.6f}"
        else:
            entry["loss"] = loss
    return entries


def time_entries(peer: Peer, part: Work, entries: Mapping[str, dict[str, Any]], *, keep: Callable[[], None]) -> None:
    """Time what is left of a search; ``keep`` is called after each entry, so that a broken one goes on there."""
    left = {name: entry for name, entry in entries.items() if not {"failed", "first_seconds"} & entry.keys()}
    if not left:
        return
    best = min((entry["seconds"] for entry in entries.values() if "seconds" in entry), default=float("inf"))
    with running(peer.runner, part, [entry["settings"] for entry in left.values()], repetitions=2) as side:
        for name, entry in left.items():
            try:
                best = min(best, _time(side, entry, best))
            except SideFailed as error:
                entry["failed"] = str(error)
            keep()
            print(f"{peer.name}: {name}: {entry.get('seconds') or entry}", file=sys.stderr)


def _losses(peer: Peer, part: Work, entries: Mapping[str, Mapping[str, Any]]) -> dict[str, float | str]:
    """Step-0 loss in float32 of each way to batch rows, or why there is none."""
    ways = {way_to_batch(peer, entry["settings"]): entry["settings"] for entry in entries.values()}
    losses: dict[str, float | str] = {}
    with running(peer.runner, part, list(ways.values()), mode="loss") as side:
        for way in ways:
            try:
                losses[way] = side.loss()
            except SideFailed as error:
                losses[way] = str(error)
    return losses


def way_to_batch(peer: Peer, settings: Mapping[str, Any]) -> str:
    """The settings as a key, without what does not matter in float32."""

    def stripped(part: Mapping[str, Any]) -> dict[str, Any]:
        kept = {key: value for key, value in part.items() if key not in peer.precision_keys}
        inner = {key: stripped(value) for key, value in kept.items() if isinstance(value, Mapping)}
        return {key: value for key, value in {**kept, **inner}.items() if value != {}}

    return json.dumps(stripped(settings), sort_keys=True)


def _time(side: Side, entry: dict[str, Any], best: float) -> float:
    """Seconds of the second pass; infinite when the first one was too slow for a second."""
    entry["first_seconds"] = side.repetition()["seconds"]
    if entry["first_seconds"] > HOPELESS * best:
        side.leave()
    else:
        entry["seconds"] = side.repetition()["seconds"]
    side.end_trial()
    return float(entry.get("seconds", "inf"))
