"""Seconds from the command to the first optimizer step, ours and TRL's, on the same file of Alpaca-sized rows.

python -m bench.first_step --rows 50000

Both command lines read prompts and completions as messages, render them with the same template, tokenize, load the
20m model and take a step of 64 rows; ours proves the rows and the model before. The clock stops when the first step is
in our ``metrics.jsonl``, and when TRL prints its loss. Each side runs with empty caches, then again with filled ones.
TRL's preparation is also timed alone; ``bench.preparation`` does that for ours.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from bench.models import make_model
from bench.peers import TRL
from bench.preparation import write_rows
from bench.side import Work, environment
from bench.workloads import BATCH, HOME, MAX_LENGTH
from precept.render import read_template

FOLDER = HOME / "first_step"
POLL = 0.02
LIMIT = 1800


def write_conversations(path: Path, rows: int) -> Path:
    """Alpaca-sized rows as prompt and completion, each a list of messages."""
    source = write_rows(path.with_suffix(".alpaca.jsonl"), rows)
    with source.open("rb") as lines, path.open("wb") as file:
        for line in lines:
            row = orjson.loads(line)
            asked = f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]
            prompt = [{"role": "user", "content": asked}]
            completion = [{"role": "assistant", "content": row["output"]}]
            file.write(orjson.dumps({"prompt": prompt, "completion": completion}) + b"\n")
    return path


def until(command: Sequence[str], env: Mapping[str, str], done: Callable[[str], bool], log: Path) -> float:
    """Seconds until ``done`` says so of the command's log; the command and all it started are ended then."""
    began = time.perf_counter()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, env=dict(env), start_new_session=True)
    try:
        while not done(log.read_text(errors="replace")):
            if process.poll() is not None and not done(log.read_text(errors="replace")):
                raise SystemExit(f"{command[0]} ended without a step: see {log}")
            if time.perf_counter() - began > LIMIT:
                raise SystemExit(f"no step within {LIMIT} seconds: see {log}")
            time.sleep(POLL)
        return time.perf_counter() - began
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # ``trl`` starts a process of its own
        process.wait()


def ours(model: Path, rows: Path, env: Mapping[str, str], *, cache: Path) -> float:
    """Through ``precept train sft``."""
    output = FOLDER / "ours"
    shutil.rmtree(output, ignore_errors=True)
    words = ["train", "sft", "--model", str(model), "--data", str(rows), "-o", str(output)]
    settings = ["chat_template=chatml", "max_steps=2", "max_length=2048", "lr_scheduler_type=constant"]
    command = [sys.executable, "-m", "precept", *words, *settings]
    metrics = output / "metrics.jsonl"
    return until(
        command,
        {**env, "PRECEPT_CACHE": str(cache)},
        lambda log: metrics.is_file() and '"step":1,' in metrics.read_text().replace(" ", ""),
        FOLDER / "ours.log",
    )


def theirs(model: Path, rows: Path, env: Mapping[str, str], *, cache: Path) -> float:
    """Through ``trl sft``, with its defaults."""
    output = FOLDER / "theirs"
    shutil.rmtree(output, ignore_errors=True)
    config = FOLDER / "trl.yaml"
    config.write_text(json.dumps(trl_config(model, rows, output)))  # JSON is YAML
    command = [str(TRL.runner.python.parent / "trl"), "sft", "--config", str(config)]
    return until(command, {**env, "HF_HOME": str(cache)}, lambda log: "'loss'" in log, FOLDER / "theirs.log")


def trl_config(model: Path, rows: Path, output: Path) -> dict[str, Any]:
    """What ``trl sft`` reads; all else is its default."""
    template = FOLDER / "chatml.jinja"
    template.write_text(read_template("chatml"))
    return {
        "model_name_or_path": str(model.absolute()),
        "chat_template_path": str(template.absolute()),
        "datasets": [{"path": "json", "data_files": str(rows.absolute())}],
        "output_dir": str(output.absolute()),
        "max_length": MAX_LENGTH,
        "per_device_train_batch_size": 8,
        "gradient_accumulation_steps": BATCH // 8,
        "max_steps": 2,
        "logging_steps": 1,
        "use_cpu": True,
        "report_to": "none",
        "save_strategy": "no",
        "optim": "adamw_torch_fused",
        "lr_scheduler_type": "constant",
    }


def their_preparation(model: Path, rows: Path, env: Mapping[str, str], *, cache: Path) -> float:
    """Seconds that TRL takes from the file to rows ready to be batched."""
    job = FOLDER / "preparation.json"
    job.write_text(json.dumps(trl_config(model, rows, FOLDER / "theirs")))
    command = [str(TRL.runner.python.absolute()), "-m", "bench.runners.trl_preparation", str(job)]
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**env, "HF_HOME": str(cache)})
    return float(ended.stdout.split()[-1])


def measure(rows: int, *, threads: int, repeats: int) -> dict[str, Any]:
    """Seconds of each side, first with empty caches and then with filled ones, in turns."""
    TRL.install()
    model = make_model("20m")
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = write_conversations(FOLDER / f"rows-{rows}.jsonl", rows)
    env = environment(Work(file, model, "cpu", threads))
    cache = FOLDER / "cache"
    times: dict[str, list[float]] = {"ours": [], "ours_cached": [], "theirs": [], "theirs_cached": []}
    preparation = []
    for _ in range(repeats):
        for name, side in (("ours", ours), ("theirs", theirs)):
            shutil.rmtree(cache, ignore_errors=True)
            times[name].append(side(model, file, env, cache=cache))
            times[f"{name}_cached"].append(side(model, file, env, cache=cache))
        shutil.rmtree(cache, ignore_errors=True)
        preparation.append(their_preparation(model, file, env, cache=cache))
    return {
        "rows": rows,
        "threads": threads,
        "seconds": times,
        "their_preparation_rows_per_second": [rows / seconds for seconds in preparation],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps(measure(given.rows, threads=given.threads, repeats=given.repeats)))


if __name__ == "__main__":
    main()
