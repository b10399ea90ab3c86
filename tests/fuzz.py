"""A seeded fuzzer of the command line: broken rows, bytes, recipes and templates must end in a few clear lines.

``python -m tests.fuzz [--cases N] [--seed S] [--seconds T]`` runs commands in this process. A case fails when it shows
a traceback or an error that nobody meant, ends with an exit code other than 0, 1 or 2, or takes longer than its alarm.
Case i of seed S is always the same: ``--seed S --only i`` repeats it.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import yaml

from tests.command_line import Ended, precept

SECONDS_A_CASE = 20
UNMEANT = ("Traceback (most recent call last)", "run again with --debug to see where")
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 3.5, 1e308, float("nan"), float("inf"), 10**30, "", " ", "\n", [], {}, [None], [[]]),
    *({"": ""}, [{}], "\x00", "é🙂", "\ud800", "<|im_end|>", "<|endoftext|>", "assistant", "user", "tool", "a" * 5000),
    *("${a}", "{{ x }}", "../..", "hf:", "2026-13-45", "1e999", "-0", "null", "[1", "\ufeff"),
)
ROWS: tuple[dict[str, Any], ...] = (
    {"messages": [{"role": "user", "content": "Hi?"}, {"role": "assistant", "content": "Yes."}]},
    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi?"}]},
    {
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Look."}]},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}],
            },
            {"role": "tool", "content": "1", "tool_call_id": "a"},
            {"role": "assistant", "content": "One.", "reasoning_content": "Well."},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}],
    },
    {"instruction": "Add.", "input": "1 and 2", "output": "3"},
    {"conversations": [{"from": "human", "value": "Hi?"}, {"from": "gpt", "value": "Yes."}], "system": "Be brief."},
    {"prompt": "Hi?", "completion": "Yes."},
    {"prompt": "Hi?", "chosen": "Yes.", "rejected": "No."},
    {"prompt": "Hi?", "responses": ["Yes.", "No."], "scores": [1.0, 0.5]},
    {"text": "The cat sat on the mat."},
    {"input_ids": [5, 6, 7], "labels": [-100, 6, 7], "attention_mask": [1, 1, 1]},
    {"inputs": "Hi?", "targets": "Yes."},
    {"instruction": "Add.", "context": "", "response": "3", "category": "sums"},
    {"question": "Hi?", "answer": "Yes.", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "A"},
)
SUPER_NI: dict[str, Any] = {
    "Contributors": ["x"],
    "Definition": ["Add the numbers."],
    "Positive Examples": [{"input": "1 2", "output": "3", "explanation": "sum"}],
    "Negative Examples": [],
    "Instances": [{"id": "t-1", "input": "2 2", "output": ["4"]}],
}
BBH: dict[str, Any] = {"canary": "none", "examples": [{"input": "True and False is", "target": "False"}]}
RECIPE: dict[str, Any] = {
    "name": "tune",
    "about": "A recipe.",
    "steps": [
        {"name": "tune", "uses": "train.sft", "with": {"model": "MODEL", "data": "DATA", "max_steps": 2}},
        {"name": "scores", "uses": "eval", "with": {"model": "${tune}", "task": ["DATA"], "limit": 3}},
    ],
}
TEMPLATES = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}",
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}Q: {{ m.content | trim }}\n{% else %}"
    "A: {{ m.content }}{{ eos_token }}\n{% endif %}{% endfor %}{% if add_generation_prompt %}A: {% endif %}",
    "{% set ns = namespace(s='') %}{% for m in messages %}{% set ns.s = ns.s ~ m.content %}{{ ns.s }}{% endfor %}"
    "{% if tools %}{{ tools | tojson(indent=2) }}{% endif %}{{ strftime_now('%Y') }}{{ eos_token }}",
)
TEMPLATE_WORDS = (
    *("{{", "}}", "{%", "%}", "{% endfor %}", "{% endif %}", "{% for x in range(99999) %}", "{{ 9 ** 9 ** 9 }}"),
    *("{{ messages[9].content }}", "{{ raise_exception('no') }}", "{{ x.y.z }}", "{{ 'a' * 10**9 }}", "{{ self }}"),
    *(
        "{% set ns.s = ns.s + ns.s %}",
        "{{ messages | tojson }}",
        "| trim",
        "<|im_end|>",
        "{# ",
        "{% raw %}",
        "{{ 1/0 }}",
    ),
    *(
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{% block b %}{% endblock %}",
        "{{ super() }}",
    ),
    *("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{{ messages.__class__ }}", "{{ ''.format_map(1) }}"),
    *(
        "{% generation %}",
        "{% break %}",
        "{{ caller() }}",
        "{{ namespace(_a=1) }}",
        "{{ dict([1]) }}",
        "{{ lipsum() }}",
    ),
    *("{{ cycler() }}", "{{ joiner }}", "{% do 1 %}", "{{ messages | sort }}", "{{ messages | map('x') | list }}"),
    *("{{ m.content | int | string }}", "{{ m | xmlattr }}", "{{ strftime_now(1) }}", "{{ 'a' | replace(1, 2) }}"),
    *("{{ messages | groupby(1) }}", "{{ messages | batch(0) | list }}", "{{ 'x' | wordwrap(0) }}", "{{ loop }}"),
)


class Hang(BaseException):
    """A case outlived its alarm. Not an Exception, so that the command line does not take it for one."""


@dataclass(frozen=True)
class Room:
    """Where the cases of one run work: a tiny model folder, and a folder that each case finds empty."""

    model: Path
    case: Path


def mutate_value(value: Any, rng: random.Random) -> Any:
    """A JSON value with one thing in it wrong: replaced, removed, doubled, renamed or wrapped."""
    if isinstance(value, dict) and value and rng.random() < 0.85:
        key = rng.choice(list(value))
        changed = dict(value)
        action = rng.randrange(6)
        if action == 0:
            del changed[key]
        elif action == 1:
            changed[rng.choice((key + "s", key.upper(), "", "role", "text", "id", "content"))] = changed.pop(key)
        elif action == 2:
            changed[rng.choice(("id", "extra", "output", "input", "text", "tools", "system"))] = rng.choice(ODD_VALUES)
        else:
            changed[key] = mutate_value(value[key], rng)
        return changed
    if isinstance(value, list) and value and rng.random() < 0.85:
        at = rng.randrange(len(value))
        action = rng.randrange(5)
        if action == 0:
            return value[:at] + value[at + 1 :]
        if action == 1:
            return [*value, value[at]]
        if action == 2:
            return rng.sample(value, len(value))
        return [*value[:at], mutate_value(value[at], rng), *value[at + 1 :]]
    if isinstance(value, str) and value and rng.random() < 0.4:
        return mutate_text(value, rng, ("<|im_end|>", "\x00", "\u2028", "🙂", "</think>", "\r\n", " " * 50))
    return rng.choice(ODD_VALUES) if rng.random() < 0.8 else [value]


def mutate_text(text: str, rng: random.Random, words: tuple[str, ...]) -> str:
    """A text with pieces cut, doubled or put in."""
    for _ in range(rng.randint(1, 4)):
        at, end = sorted(rng.randrange(len(text) + 1) for _ in range(2))
        action = rng.randrange(3)
        if action == 0:
            text = text[:at] + text[min(end, at + 12) :]
        elif action == 1:
            text = text[:end] + text[at:]
        else:
            text = text[:at] + rng.choice(words) + text[at:]
    return text


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes with some flipped, cut, doubled, or those of another encoding."""
    action = rng.randrange(6)
    if action == 0:
        return data[: rng.randrange(len(data) + 1)]
    if action == 1:
        return data.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-8-sig", "utf-32")))
    changed = bytearray(data)
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(changed) + 1)
        if action == 2 or at == len(changed):
            changed[at:at] = rng.randbytes(rng.randint(1, 4))
        elif action == 3:
            del changed[at : at + rng.randint(1, 30)]
        else:
            changed[at] = rng.randrange(256)
    return bytes(changed)


def data_file(folder: Path, rng: random.Random) -> Path:
    """A file of rows of a known format, or of several, with rows, bytes or the ending broken."""
    base = rng.choice((*ROWS, SUPER_NI, BBH))
    rows = [base if rng.random() < 0.8 else rng.choice(ROWS) for _ in range(rng.randint(1, 6))]
    for _ in range(rng.randint(0, 4)):
        at = rng.randrange(len(rows))
        rows[at] = mutate_value(rows[at], rng)
    ending = rng.choice((".jsonl", ".jsonl", ".json", ".json", ".csv", ".tsv", ".txt", ".json.gz", ".parquet", ".zst"))
    if ending in (".csv", ".tsv"):
        sign = "," if ending == ".csv" else "\t"
        cells = [[json.dumps(value) for value in row.values()] for row in rows if isinstance(row, dict)]
        text = "\n".join(sign.join(row) for row in ([list(base), *cells] if rng.random() < 0.7 else cells))
    elif ending == ".json" and rng.random() < 0.8:
        text = json.dumps(rows[0] if base in (SUPER_NI, BBH) else rows, indent=rng.choice((None, 1)))
    else:
        text = "".join(json.dumps(row, ensure_ascii=rng.random() < 0.9) + "\n" for row in rows)
    data = text.encode("utf-8", "surrogatepass")
    path = folder / f"rows{ending}"
    path.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.4 else data)
    return path


def stats_case(room: Room, rng: random.Random) -> list[str]:
    """``data stats`` of one or two broken files."""
    words = ["data", "stats", str(data_file(room.case, rng))]
    if rng.random() < 0.2:
        words.append(str(room.case))
    return [*words, "--json"] if rng.random() < 0.5 else words


def convert_case(room: Room, rng: random.Random) -> list[str]:
    """``data convert`` of a broken file to any format."""
    to = rng.choice(("messages", "sharegpt", "alpaca", "prompt_completion", "text", "preference", "odd"))
    out = room.case / "out" / rng.choice(("a.json", "a.jsonl", "a.jsonl.gz", "a.txt", "a"))
    bad = rng.choice(("error", "drop", "drop", "never"))
    return ["data", "convert", str(data_file(room.case, rng)), "--to", to, "-o", str(out), "--bad-rows", bad]


def show_case(room: Room, rng: random.Random) -> list[str]:
    """``data show`` or ``data stats`` with a tokenizer and the folder's own template."""
    command = rng.choice((["data", "show"], ["data", "stats"]))
    return [*command, str(data_file(room.case, rng)), "--model", str(room.model)]


def template_case(room: Room, rng: random.Random) -> list[str]:
    """A broken template over sound or broken rows."""
    text = mutate_text(rng.choice(TEMPLATES), rng, TEMPLATE_WORDS)
    template = room.case / "template.jinja"
    data = text.encode()
    template.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.1 else data)
    rows = room.case / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS[:3]))
    words = ["data", rng.choice(("show", "stats")), str(rows), "--model", str(room.model)]
    return [*words, "--chat-template", str(template)]


def recipe_case(room: Room, rng: random.Random) -> list[str]:
    """A broken recipe whose first step names a model that is not there: it ends in checking at the latest."""
    document: Any = RECIPE
    for _ in range(rng.randint(1, 3)):
        document = mutate_value(document, rng)
    text = yaml.safe_dump(document, allow_unicode=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    path = room.case / "recipe.yaml"
    path.write_bytes(mutate_bytes(text, rng) if rng.random() < 0.5 else text)
    keys = ("max_steps", "learning_rate", "model", "adapter", "max_length", "seed", "data", "eval_fraction", "odd", "")
    odd = [f"tune.{rng.choice(keys)}={rng.choice(ODD_VALUES)}" for _ in range(rng.randrange(3))]
    return ["run", str(path), "-o", str(room.case / "out"), *(word.replace("\x00", "") for word in odd)]


def settings_case(room: Room, rng: random.Random) -> list[str]:
    """Settings of all kinds with wrong values, without a model to train."""
    keys = (
        *("max_steps", "learning_rate", "batch_size", "adapter", "lora_r", "max_length", "over_length", "bad_rows"),
        *("warmup_ratio", "weight_decay", "max_grad_norm", "eval_fraction", "eval_steps", "save_steps", "seed"),
        *("save_dtype", "report_to", "template_date", "train_on", "turns", "num_train_epochs", "lr_scheduler_type"),
        *("per_device_train_batch_size", "gradient_accumulation_steps", "max_tokens_per_forest", "odd", "", "-"),
    )
    words = [f"{rng.choice(keys)}={rng.choice(ODD_VALUES)}" for _ in range(rng.randint(1, 4))]
    data = str(data_file(room.case, rng))
    return ["train", "sft", "--model", str(room.case / "none"), "--data", data, "-o", str(room.case / "out"), *words]


KINDS: tuple[tuple[Callable[[Room, random.Random], list[str]], int], ...] = (
    (stats_case, 3),
    (convert_case, 3),
    (show_case, 2),
    (template_case, 3),
    (recipe_case, 3),
    (settings_case, 2),
)


def run_case(room: Room, seed: int, index: int) -> tuple[str, list[str], str | None]:
    """The kind of a case, its command, and what was wrong with how it ended, or None."""
    rng = random.Random(f"{seed}/{index}")
    shutil.rmtree(room.case, ignore_errors=True)
    room.case.mkdir()
    make = rng.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])[0]
    words = make(room, rng)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CASE)
    try:
        ended = precept(*words)
    except Hang:
        return make.__name__, words, f"took longer than {SECONDS_A_CASE} s"
    except Exception as error:  # noqa: BLE001 - the command line must let nothing through
        return make.__name__, words, f"{type(error).__name__} came through: {error}"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return make.__name__, words, judge(ended)


def judge(ended: Ended) -> str | None:
    """What is wrong with how a command ended, or None."""
    if any(mark in ended.err or mark in ended.out for mark in UNMEANT):
        return ended.err[-600:]
    if ended.code not in (0, 1, 2):
        return f"exit code {ended.code}: {ended.err[-300:]}"
    if ended.code and "error: " not in ended.err.lower():
        return f"exit code {ended.code} without an error's message: {ended.err[-300:]}"
    return None


def _ring(number: int, frame: FrameType | None) -> None:
    raise Hang


def main() -> int:
    """Run the cases; 1 when one of them failed."""
    parser = argparse.ArgumentParser(description="Fuzz the command line with broken input.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="Stop after this time.")
    parser.add_argument("--only", type=int, help="Run this one case and keep its folder.")
    chosen = parser.parse_args()

    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")  # before anything reads them
    from tests.tiny import CHATML, tiny_model_folder

    signal.signal(signal.SIGALRM, _ring)
    folder = Path(tempfile.mkdtemp(prefix="precept-fuzz-"))
    room = Room(tiny_model_folder(folder / "model", chat_template=CHATML), folder / "case")
    indices = range(chosen.cases) if chosen.only is None else [chosen.only]
    began, done, failed = time.perf_counter(), Counter[str](), 0
    for index in indices:
        if time.perf_counter() - began > chosen.seconds:
            break
        kind, words, wrong = run_case(room, chosen.seed, index)
        done[kind] += 1
        if wrong is not None:
            failed += 1
            print(
                f"FAILED --seed {chosen.seed} --only {index} ({kind}): {' '.join(map(ascii, words))}\n    {wrong}",
                flush=True,
            )
    seconds = time.perf_counter() - began
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(done.items()))
    print(f"{done.total()} cases in {seconds:.0f} s ({done.total() / seconds:.0f} a second), {failed} failed: {kinds}")
    if chosen.only is None:
        shutil.rmtree(folder)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
