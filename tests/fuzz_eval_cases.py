"""Cases of the fuzzer: commands on broken tasks, suites, predictions, judgments, data steps and axes of recipes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz_cases import BBH, ROWS, SUPER_NI, data_file
from tests.fuzz_mutation import ODD_VALUES, Room, mutate_bytes, mutate_value

NOBODY = "http://127.0.0.1:9/v1"
"""An address where nothing listens: asking ends there at once."""
ODD_WORDS = tuple(str(value).replace("\x00", "") for value in ODD_VALUES if value != "\ud800")

CHOICES = {"question": "Hi?", "choices": ["a", "b", "ab"], "answer": 1}
DATA: dict[str, Any] = {
    "references": [{"prompt": "Add 1 and 2.", "references": ["3", "three"]}, {"prompt": "Hi?", "references": ["Yes."]}],
    "choice": [CHOICES, {**CHOICES, "question": "No?", "answer": 0}, {**CHOICES, "question": "Who?"}],
    "gsm8k": [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}.\n#### {n + 1}"} for n in range(4)],
    "ifeval": [
        {"key": 1, "prompt": "Hi?", "instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]},
        {
            "key": 2,
            "prompt": "Hi?",
            "instruction_id_list": ["keywords:existence", "length_constraints:number_words"],
            "kwargs": [{"keywords": ["a"]}, {"num_words": 3, "relation": "at least"}],
        },
    ],
    "bbh": BBH,
    "superni": SUPER_NI,
}
TASK: dict[str, Any] = {
    "name": "odd",
    "family": "references",
    "data": "rows.json",
    "max_new_tokens": 4,
    "stop": ["\n"],
    "metrics": {"exact_match": {"score": "exact_match", "extract": "first_line"}},
    "layout": {"head": "{instruction}\n\n", "question": "Q: {question}\nA:", "answer": " {answer}"},
    "shots": 1,
    "bins": [2, 5],
}
SUITE: dict[str, Any] = {
    "name": "odd",
    "about": "A suite.",
    "source": "here",
    "tasks": [
        {"task": "references", "data": "*.json", "name": "first", "limit": 1},
        {
            "task": "bbh",
            "data": ["none/*.json", "rows.json"],
            "each": True,
            "group": "{folder}",
            "guessing": {"a": 0.5},
        },
    ],
}
PREDICTIONS = (
    {"prediction": "The answer is 3.", "references": ["3", "three"], "task": "sums", "id": "a"},
    {"prediction": "#### 3", "target": 3},
    {"prediction": "", "target": ""},
    {"predictions": ["a", "b"], "references": [["a"], "c"]},
    {"outputs": [{"prediction": "a", "target": "a"}]},
)
ANNOTATION = {
    "instruction": "Hi?",
    "output_1": "Yes.",
    "output_2": "No, I would not say so.",
    "generator_1": "base",
    "generator_2": "ours",
    "annotator": "judge",
    "preference": 1.5,
    "index": 0,
}
REVIEW = {"question_id": 1, "score": [8, 6.5], "text": "8 6.5\nwhy", "category": "math"}
QUESTION = {"question_id": 1, "category": "math", "turns": ["Hi?", "Why?"], "reference": ["Yes.", "So."]}
ANSWER = {"question_id": 1, "model_id": "ours", "choices": [{"index": 0, "turns": ["Yes.", "Since."]}]}
OUTPUT = {"instruction": "Hi?", "input": "", "output": "Yes.", "generator": "ours"}
AXES: dict[str, Any] = {
    "name": "grid",
    "axes": {
        "size": {"tiny": {"lora_r": 2, "lora_alpha": 4}, "small": {"lora_r": 8, "lora_alpha": 16}},
        "rate": [0.001, "1e-4"],
        "seed": [0, 1],
    },
    "steps": [
        {
            "name": "tune",
            "uses": "train.sft",
            "with": {"model": "MODEL", "data": "DATA", "learning_rate": "${rate}", "seed": "${seed}"},
        },
        {
            "name": "adapt",
            "uses": "train.sft",
            "with": {"model": "${tune}", "data": "DATA", "adapter": "lora", "lora_r": "${size.lora_r}"},
        },
        {"name": "scores", "uses": "eval", "with": {"model": "${adapt}", "task": ["DATA", "${size}.json"], "limit": 3}},
    ],
}


def task_case(room: Room, rng: random.Random) -> list[str]:
    """A broken task file, or its broken data, exported: that reads both and lays out every item without a model."""
    family = rng.choice(list(DATA))
    _write(room.case / "rows.json", DATA[family], rng, broken=rng.random() < 0.5)
    if rng.random() < 0.2:
        name = "rows.json"
    else:
        keys = rng.sample(list(TASK), rng.randint(1, len(TASK)))
        task = {"family": family, "data": "rows.json", **{key: TASK[key] for key in keys if key != "family"}}
        name = "task.yaml"
        _write_yaml(room.case / name, task, rng)
    options = [["--limit", "1"], ["--shots", rng.choice("0159")], ["--bad-rows", rng.choice(("drop", "odd"))]]
    chosen = [word for option in options if rng.random() < 0.3 for word in option]
    return ["eval", "--export-task", str(room.case / name), "-o", str(room.case / "out"), *chosen]


def suite_case(room: Room, rng: random.Random) -> list[str]:
    """A broken suite file over sound or broken data, asked of a tiny model."""
    _write(room.case / "rows.json", DATA[rng.choice(list(DATA))], rng, broken=rng.random() < 0.3)
    _write_yaml(room.case / "suite.yaml", SUITE, rng)
    words = ["eval", "--model", str(room.model), "--suite", str(room.case / "suite.yaml")]
    return [*words, "--data-dir", str(room.case), "-o", str(room.case / "out"), "--limit", "1", "--max-new-tokens", "2"]


def predictions_case(room: Room, rng: random.Random) -> list[str]:
    """Broken rows of predictions, with metrics and rules of all names."""
    from precept.evaluate.extract import RULES
    from precept.evaluate.predictions import METRICS

    path = _rows_file(room.case / "predictions", PREDICTIONS, rng)
    words = ["eval", "--predictions", str(path)]
    for _ in range(rng.randrange(3)):
        words += ["--metric", rng.choice((*METRICS, "odd"))]
    if rng.random() < 0.5:
        words += ["--extract", rng.choice((*RULES, "odd"))]
    if rng.random() < 0.3:
        words += ["--against", str(_rows_file(room.case / "others", PREDICTIONS, rng))]
    if rng.random() < 0.3:
        words += ["-o", str(room.case / "out")]
    return [*words, *rng.choice(([], ["--json"], ["--bad-rows", "drop"], ["--bad-rows", "drop", "--json"]))]


def annotations_case(room: Room, rng: random.Random) -> list[str]:
    """Broken judgments of others, with broken tables for length control."""
    protocol, base = rng.choice((("alpaca_eval", ANNOTATION), ("relative", REVIEW), ("pairwise", ANNOTATION)))
    path = _rows_file(room.case / "annotations", (base,), rng, copies=4)
    words = ["judge", protocol, "--annotations", str(path), *rng.choice(([], ["--json"], ["--limit", "2"]))]
    tables = {
        "--difficulty": ["index,instruction_difficulty", "0,0.5", "1,-1", "2,0", "3,1"],
        "--gamed": ["std_delta_len,instruction_difficulty,preference", "0.5,1,0.6", "-1,0,0.3", "2,1,"],
    }
    for option, lines in tables.items():
        if protocol == "alpaca_eval" and rng.random() < 0.4:
            table = room.case / f"{option.strip('-')}.csv"
            data = "\n".join(line.replace("1", rng.choice(("1", "1", "nan", "x", "1e999"))) for line in lines).encode()
            table.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.4 else data)
            words += [option, str(table)]
    return [*words, "-o", str(room.case / "out")] if rng.random() < 0.3 else words


def answers_case(room: Room, rng: random.Random) -> list[str]:
    """Broken answers and questions for a judge that is not there."""
    protocol = rng.choice(("pairwise", "single", "mt_bench", "alpaca_eval", "relative"))
    base = OUTPUT if protocol == "alpaca_eval" or rng.random() < 0.3 else ANSWER
    words = ["judge", protocol, "--answers", str(_rows_file(room.case / "answers", (base,), rng, copies=1))]
    if protocol not in ("single", "mt_bench"):
        words += ["--against", str(_rows_file(room.case / "against", (base,), rng, copies=1))]
    if base is ANSWER or rng.random() < 0.3:
        words += ["--questions", str(_rows_file(room.case / "questions", (QUESTION,), rng, copies=1))]
    keys = ("judge_max_new_tokens", "judge_temperature", "seed", "timeout", "retries", "parallel", "api_key_env", "odd")
    odd = [f"{rng.choice(keys)}={rng.choice(ODD_WORDS)}" for _ in range(rng.choice((0, 0, 1)))]
    return [*words, "--judge", "m", "--judge-url", NOBODY, "-o", str(room.case / "out"), *odd]


def step_case(room: Room, rng: random.Random) -> list[str]:
    """A data step with wrong settings, over rows and task files of all kinds."""
    from precept.run.data.makers import MAKERS

    maker = MAKERS[rng.choice(list(MAKERS))]
    if rng.random() < 0.5:
        path = room.case / "task001_odd.json"
        task = {**SUPER_NI, "Instances": SUPER_NI["Instances"] * 4}
        _write(path, task if rng.random() < 0.7 else BBH, rng, broken=rng.random() < 0.5)
    else:
        path = data_file(room.case, rng)
    keys = [*maker.settings.model_fields, "tokenizer", "bad_rows", "odd"]
    values = (*ODD_WORDS, "1", "2", "0.5", "[1]", "drop", "{a: 1}", str(path), "first", "all")
    words = [f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(rng.choice((0, 0, 0, 1, 2)))]
    return ["data", "make", maker.name, "-d", str(path), "-o", str(room.case / "out"), *words]


def axes_case(room: Room, rng: random.Random) -> list[str]:
    """A broken grid of steps: run with a model that is not there, or planned with one that is."""
    path = room.case / "grid.yaml"
    rows = room.case / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS[:1] * 4))
    planned = rng.random() < 0.4
    text = json.dumps(AXES)
    if planned:
        text = text.replace("MODEL", str(room.model)).replace("DATA", str(rows))
    _write_yaml(path, json.loads(text), rng)
    keys = ("axes.seed", "axes.size", "axes.rate", "axes.odd", "axes.", "tune.seed", "adapt.lora_r", "scores.task")
    values = (*ODD_WORDS, "${size}", "${size.lora_r}", "${seed}", "tiny", "0", "1")
    odd = [f"{rng.choice(keys)}={rng.choice(values)}" for _ in range(rng.randrange(3))]
    return ["plan", str(path)] if planned else ["run", str(path), "-o", str(room.case / "out"), *odd]


def _rows_file(stem: Path, bases: Sequence[dict[str, Any]], rng: random.Random, *, copies: int = 3) -> Path:
    """Rows made of ``bases``, some broken, as JSON or JSON lines."""
    rows: list[Any] = [dict(rng.choice(bases)) for _ in range(rng.randint(1, copies))]
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(rows))
        rows[at] = mutate_value(rows[at], rng)
    path = stem.with_suffix(rng.choice((".jsonl", ".json")))
    if path.suffix == ".jsonl":
        data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    else:
        data = json.dumps(rows[0] if len(rows) == 1 else rows).encode()
    path.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.2 else data)
    return path


def _write(path: Path, document: Any, rng: random.Random, *, broken: bool) -> None:
    """A JSON file, with one thing in it wrong where ``broken``."""
    data = json.dumps(mutate_value(document, rng) if broken else document).encode()
    path.write_bytes(mutate_bytes(data, rng) if broken and rng.random() < 0.3 else data)


def _write_yaml(path: Path, document: Any, rng: random.Random) -> None:
    """A YAML file with up to three things in it wrong, or bytes, or nodes that hold each other."""
    for _ in range(rng.randrange(4)):
        document = mutate_value(document, rng)
    text = yaml.safe_dump(document, allow_unicode=rng.random() < 0.5)
    if rng.random() < 0.1:
        text = text.replace(": ", ": &x ", 1).replace("- ", "- *x ", 1) + "again: *x\n"
    data = text.encode("utf-8", "surrogatepass")
    path.write_bytes(mutate_bytes(data, rng) if rng.random() < 0.2 else data)
