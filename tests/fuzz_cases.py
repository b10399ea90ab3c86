"""Cases of the fuzzer: commands on broken rows, templates, recipes and settings of training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz_mutation import ODD_VALUES, Room, mutate_bytes, mutate_text, mutate_value

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
