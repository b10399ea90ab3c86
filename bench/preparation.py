"""Rows of the size of Alpaca's, made from a seed, and how fast they become proven token sequences.

    python -m bench.preparation --rows 200000
    python -m bench.preparation --rows 20000 --rows 2000000 --processes 2
    python -m bench.preparation --rows 50000 --libraries

Each measurement runs in a process of its own: reading, rendering, proving and storing the rows, then, in another one,
the same with the result kept. ``seconds`` count from the command's first look at the file to proven sequences, without
imports; ``mib`` is the peak of resident memory above what is resident before, ``process_mib`` the peak of the largest
process that helps, what it shares with the first included; ``cpu_seconds`` are those of all processes.

``--libraries`` measures what no preparation can do without that compares each row with transformers: reading JSON,
``apply_chat_template`` for the row and for its prompt, and ``encode_batch``; nothing of ours, by as many processes.
"""

from __future__ import annotations

import argparse
import datetime
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

SEED = 0
BLOCK = 2048  # rows
WORDS = 20_000
SYLLABLES = [c + v + e for c in "bcdfghklmnprstvw" for v in "aeiou" for e in ("", "n", "r", "s", "t", "l")]
ODD = ("naïve", "café", "Zürich", "“so”", "東京", "π≈3.14", "x²", "—")
"""Words of two to four bytes a character, in about one row in ten."""


def words(rng: np.random.Generator) -> list[str]:
    """A vocabulary of made-up words, the frequent ones short."""
    made: dict[str, None] = {}
    while len(made) < WORDS:
        size = 1 + min(3, int(rng.geometric(0.5 if len(made) > 500 else 0.9)) - 1 + (len(made) > 200))
        made["".join(SYLLABLES[i] for i in rng.integers(len(SYLLABLES), size=size))] = None
    return list(made)


def write_rows(path: Path, rows: int, *, seed: int = SEED) -> Path:
    """Write ``rows`` JSON lines with instruction, input (empty in three of five) and output, whose lengths are spread
    like Alpaca's: medians of 9, 12 and 40 words. Equal rows and seed give equal bytes; a file that is there stays."""
    if path.is_file():
        return path
    rng = np.random.default_rng(seed)
    vocabulary = np.array(words(rng), object)
    share = np.cumsum(1 / (np.arange(WORDS) + 2.7))  # Zipf's law with Mandelbrot's shift, as in English
    path.parent.mkdir(parents=True, exist_ok=True)

    def texts(count: int, median: float, spread: float) -> list[str]:
        sizes = np.exp(rng.normal(np.log(median), spread, count)).round().clip(1, 400).astype(int)
        drawn = np.searchsorted(share, rng.random(int(sizes.sum())) * share[-1])
        return [_text(part, rng) for part in np.split(vocabulary[drawn], np.cumsum(sizes)[:-1])]

    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        for start in range(0, rows, 10_000):
            count = min(10_000, rows - start)
            given = rng.random(count) < 0.4
            columns = texts(count, 9, 0.35), texts(count, 12, 0.7), texts(count, 40, 0.8)
            for asks, extra, answer, has in zip(*columns, given, strict=True):
                row = {"instruction": asks, "input": extra if has else "", "output": answer}
                file.write(orjson.dumps(row) + b"\n")
    partial.replace(path)
    return path


def _text(drawn: npt.NDArray[Any], rng: np.random.Generator) -> str:
    """Sentences of about a dozen words; some hold a number, a list or an odd character."""
    parts = drawn.tolist()
    if (dice := int(rng.integers(100))) < 10:
        parts[dice % len(parts)] = ODD[dice % len(ODD)] if dice < 4 else str(dice * 37)
    lines = [" ".join(parts[i : i + 12]).capitalize() for i in range(0, len(parts), 12)]
    return "\n- ".join(lines) if dice > 90 else ". ".join(lines) + "."


def make_model(folder: Path, rows: Path) -> Path:
    """A byte-level tokenizer of 16,384 entries trained on the rows, and a Llama of two small layers around it."""
    from transformers import LlamaConfig, LlamaForCausalLM

    from bench.small_models import make_tokenizer

    if not (folder / "tokenizer.json").is_file():
        tokenizer = make_tokenizer([str(rows)], vocabulary=16384)
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4}
        ends = {"bos_token_id": None, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
        config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=2048, **sizes, **ends)
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
    return folder


def measure(rows: Path, model: Path) -> dict[str, Any]:
    """Prepare the rows in this process, as ``precept train`` does."""
    from precept.models.folder import check_model_folder, resolve_model
    from precept.models.load import load_tokenizer
    from precept.run.data.rows import read_data
    from precept.run.settings import parse_settings
    from precept.run.tuning.prepare import render_data

    settings = parse_settings({"data": [str(rows)], "chat_template": "chatml"})
    folder = check_model_folder(resolve_model(str(model)), trust_remote_code=False)
    load_tokenizer(folder.path, trust_remote_code=False)
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory counts from here
    before, began, used = _status_mib("VmRSS"), time.perf_counter(), os.times()
    raw = read_data(settings, method="sft")
    read = time.perf_counter() - began
    data = render_data(raw, folder, settings, date=datetime.date(2026, 1, 1))
    seconds, after = time.perf_counter() - began, os.times()
    broken = [proof.name for proof in data.proofs if not proof.ok]
    assert not broken, broken
    return {
        "rows": len(raw.train),
        "seconds": round(seconds, 2),
        "read_seconds": round(read, 2),
        "cpu_seconds": round(sum(after[:4]) - sum(used[:4]), 2),
        "rows_per_second": round(len(raw.train) / seconds),
        "mib": round(_status_mib("VmHWM") - before),
        "process_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "import_mib": round(before),
    }


def measure_libraries(rows: Path, model: Path, *, processes: int) -> dict[str, Any]:
    """Read, render and tokenize the rows with orjson, transformers and tokenizers alone, in forked processes."""
    from precept.models.load import load_tokenizer
    from precept.render import read_template

    tokenizer = load_tokenizer(model, trust_remote_code=False)
    tokenizer.chat_template = read_template("chatml")
    lines = rows.read_bytes().splitlines()
    blocks = [lines[start : start + BLOCK] for start in range(0, len(lines), BLOCK)]
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # each process has a core of its own
    began = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(processes, _keep, (tokenizer,)) as pool:
        tokens = sum(pool.imap(_by_libraries, blocks))
    seconds = time.perf_counter() - began
    return {
        "rows": len(lines),
        "tokens": tokens,
        "seconds": round(seconds, 2),
        "rows_per_second": round(len(lines) / seconds),
    }


_kept: list[Any] = []


def _keep(tokenizer: Any) -> None:
    _kept[:] = [tokenizer]


def _by_libraries(lines: Sequence[bytes]) -> int:
    """Tokens of a block of rows."""
    (tokenizer,) = _kept
    texts = []
    for line in lines:
        row = orjson.loads(line)
        asked = f"{row['instruction']}\n\n{row['input']}" if row["input"] else row["instruction"]
        prompt = [{"role": "user", "content": asked}]
        tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
        whole = [*prompt, {"role": "assistant", "content": row["output"]}]
        texts.append(tokenizer.apply_chat_template(whole, tokenize=False))
    encodings = tokenizer.backend_tokenizer.encode_batch(texts, add_special_tokens=False)
    return sum(len(encoding.ids) for encoding in encodings)


def _status_mib(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, action="append", help="how many; may be given several times")
    parser.add_argument("--processes", type=int, default=0, help="default: one a core")
    parser.add_argument("--libraries", action="store_true", help="orjson, transformers and tokenizers alone")
    parser.add_argument("-o", "--output", type=Path, default=Path(".bench/preparation"))
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    model = arguments.output / "model"
    if arguments.measure:
        print(json.dumps(measure(arguments.measure, model)))
        return
    make_model(model, write_rows(arguments.output / "tokenizer.jsonl", 20_000))
    for count in arguments.rows or [200_000]:
        file = write_rows(arguments.output / f"{count}.jsonl", count)
        if arguments.libraries:
            processes = arguments.processes or len(os.sched_getaffinity(0))
            print(json.dumps(measure_libraries(file, model, processes=processes)), flush=True)
            continue
        cache = tempfile.mkdtemp(prefix="preparation-", dir=arguments.output)
        helpers = {"PRECEPT_PROCESSES": str(arguments.processes)} if arguments.processes else {}
        environment = {
            **os.environ,
            "PRECEPT_CACHE": str(Path(cache).resolve()),
            "PRECEPT_CACHE_GB": "100",
            **helpers,
        }
        command = [sys.executable, "-m", "bench.preparation", "-o", str(arguments.output), "--measure", str(file)]
        for kept in (False, True):
            ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            print(json.dumps({"kept": kept, **json.loads(ended.stdout)}), flush=True)
        shutil.rmtree(cache)


if __name__ == "__main__":
    main()
