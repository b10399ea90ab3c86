"""Supervised tuning beside another tool: same rows, model, optimizer, threads and torch, in alternating repetitions.

python -m bench.sft --peer trl --workload superni --size 20m --settings tuned

Both sides get the same token ids and labels; nothing is timed before their step-0 losses agree to 1e-4 in float32. A
repetition is one or two optimizer steps of 64 rows. After one untimed repetition each, the sides take turns.
``--workload all`` prints a table. docs/bench.md says what is compared and how peers are set up.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from bench.flops import LlamaShape, workload_flops
from bench.grid import TOLERANCE, best_settings
from bench.models import SHAPES, make_model
from bench.peers import PEERS, PRECEPT, Peer
from bench.ratios import rates, ratio
from bench.side import Side, Work, environment, running, step_zero_loss
from bench.workloads import HOME, ROWS, Workload, load_workload, make_workload, save_workload

RESULTS = HOME / "results"


def prepare(workload: str, size: str, *, device: str, threads: int, rows: int | None) -> tuple[Workload, Work]:
    """The workload's file and the model's folder; ``rows`` other than None makes a smaller workload, for a trial."""
    from precept.models.load import load_tokenizer

    model = make_model(size)
    path = HOME / "workloads" / f"{workload}{rows or ''}.npz"
    made = make_workload(workload, load_tokenizer(model), rows=rows)
    save_workload(made, path)
    return load_workload(path), Work(path, model, device, threads)


def compare(
    peer: Peer,
    workload: str,
    size: str,
    *,
    settings: str,
    device: str,
    threads: int,
    pairs: int,
    few: int | None = None,
) -> dict[str, Any]:
    """Time both sides; returns the JSON document. ``few`` rows make a trial, whose result is not kept."""
    peer.install()
    rows, work = prepare(workload, size, device=device, threads=threads, rows=few)
    loss = step_zero_loss(PRECEPT, work, {})
    if settings != "tuned":
        given = dict({"stock": peer.stock, **peer.grid_on(device)}[settings])
        chosen: dict[str, Any] = {"name": settings, "settings": given, "loss": step_zero_loss(peer.runner, work, given)}
    else:
        best = best_settings(peer, work, expected_loss=loss)
        chosen = {key: best[key] for key in ("name", "settings", "loss")}
    their_loss = chosen["loss"]
    if abs(loss - their_loss) > TOLERANCE:
        raise SystemExit(f"step-0 losses differ, so nothing is timed: precept {loss:.6f}, {peer.name} {their_loss:.6f}")
    before = matrix_rate(work)
    ours, theirs, peaks, computed = alternate(peer, work, chosen["settings"], pairs=pairs)
    after = matrix_rate(work)
    matrix = {kind: {at: max(before[kind][at], after[kind][at]) for at in before[kind]} for kind in before}
    flops = workload_flops(LlamaShape.read(work.model), rows.batches)
    counts = {"real_tokens": rows.real_tokens, "trained_tokens": rows.trained_tokens, "flops": flops}
    sides = {}
    for name, seconds, peak, loss_0 in (("ours", ours, peaks[0], loss), ("theirs", theirs, peaks[1], their_loss)):
        figures = rates(seconds, **counts)
        share = {at: figures["flops_per_second"] / rate for at, rate in matrix["bfloat16"].items()}
        sides[name] = {**figures, "share_of_matrix_rate": share, "peak_bytes": peak, "loss": loss_0}
    document = {
        "workload": workload,
        "peer": peer.name,
        "settings": settings,
        "size": size,
        "tasks": rows.tasks,
        "distinct_share": rows.distinct_share,
        "ratio": ratio(ours, theirs),
        "ours": {**sides["ours"], "computed_tokens": computed},
        "theirs": {**sides["theirs"], "settings": chosen},
        "peak_ratio": peaks[0] / peaks[1],
        "matrix_rate": matrix,
        "rows": len(rows.sequences),
        "origin": rows.origin,
        "counts": counts,
        "machine": machine(device, threads),
    }
    if few is None:
        RESULTS.mkdir(parents=True, exist_ok=True)
        name = "-".join([peer.name, workload, size, settings.replace(", ", "_").replace(" ", "_"), device])
        (RESULTS / f"{name}.json").write_text(json.dumps(document, indent=1))
    return document


def alternate(
    peer: Peer, work: Work, settings: Mapping[str, Any], *, pairs: int
) -> tuple[list[float], list[float], tuple[int, int], int]:
    """Seconds of both sides pair by pair, their peaks in bytes, and the tokens that ours computed in a repetition."""
    with (
        running(PRECEPT, work, [{}], repetitions=pairs + 1) as ours,
        running(peer.runner, work, [settings], repetitions=pairs + 1) as theirs,
    ):
        computed = int(ours.repetition()["computed_tokens"])
        theirs.repetition()
        times: dict[Side, list[float]] = {ours: [], theirs: []}
        for pair in range(pairs):
            for side in (ours, theirs) if pair % 2 == 0 else (theirs, ours):
                times[side].append(float(side.repetition()["seconds"]))
        for side in times:
            side.end_trial()
        return times[ours], times[theirs], (ours.peak_bytes(), theirs.peak_bytes()), computed


def matrix_rate(work: Work) -> dict[str, dict[str, float]]:
    """The machine's rates now, in a process of its own with the sides' number of threads."""
    command = [sys.executable, "-m", "bench.matrix_rate", "--model", str(work.model), "--device", work.device]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment(work))
    measured: dict[str, dict[str, float]] = json.loads(ended.stdout)
    return measured


def machine(device: str, threads: int) -> dict[str, Any]:
    """What the figures hold for."""
    from precept.run.machine import describe_machine

    return {**describe_machine(), "device": device, "threads": threads, "date": f"{datetime.date.today()}"}


HEAD = (
    "| workload | tasks | distinct | peer's settings | ratio (low to high) | real tokens/s | theirs"
    " | trained tokens/s | theirs | peak | theirs | bf16 matrix rate | theirs |\n"
    "|---|---:|---:|---|---" + "|---:" * 8 + "|"
)


def line(document: Mapping[str, Any]) -> str:
    """A line of the table."""
    ours, theirs, times = document["ours"], document["theirs"], document["ratio"]
    cells = [
        f"{document['workload']} {document['size']}",
        f"{document['tasks']}",
        f"{100 * document['distinct_share']:.0f} %",
        theirs["settings"]["name"] + (" (best)" if document["settings"] == "tuned" else ""),
        f"**{times['median']:.2f}** ({times['low']:.2f} to {times['high']:.2f})",
    ]
    for key in ("real_tokens_per_second", "trained_tokens_per_second"):
        cells += [f"{ours[key]:,.0f}", f"{theirs[key]:,.0f}"]
    cells += [f"{ours['peak_bytes'] / 2**20:,.0f} MiB", f"{theirs['peak_bytes'] / 2**20:,.0f} MiB"]
    cells += [f"{100 * side['share_of_matrix_rate']['cube']:.1f} %" for side in (ours, theirs)]
    return "| " + " | ".join(cells) + " |"


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=sorted(PEERS), default="trl")
    parser.add_argument("--workload", choices=["all", *ROWS], default="all")
    parser.add_argument("--size", choices=sorted(SHAPES), default="20m")
    parser.add_argument("--settings", default="tuned", help="tuned, stock, or the name of an entry of the peer's grid")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--rows", type=int, help="so many rows, to see that all works; the result is not kept")
    parser.add_argument("--json", action="store_true", help="one JSON document, a list for several workloads")
    given = parser.parse_args(words)
    peer = PEERS[given.peer]
    if given.settings not in ("tuned", "stock", *peer.grid_on(given.device)):
        parser.error(f"--settings: tuned, stock, or one of {'; '.join(peer.grid_on(given.device))}")
    names = list(ROWS) if given.workload == "all" else [given.workload]
    documents = []
    if not given.json:
        print(HEAD)
    for name in names:
        documents.append(
            compare(
                peer,
                name,
                given.size,
                settings=given.settings,
                device=given.device,
                threads=given.threads,
                pairs=given.pairs,
                few=given.rows,
            )
        )
        if not given.json:
            print(line(documents[-1]), flush=True)
    if given.json:
        print(json.dumps(documents if given.workload == "all" else documents[0]))


if __name__ == "__main__":
    main()
