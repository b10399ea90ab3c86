"""The rows that both sides of a comparison train on, as token ids with trained positions.

python -m bench.workloads

Rows come from the real files of ``$PRECEPT_SHARED/data`` (by default ``../shared/data``), else from
``bench.generated``. Precept's own readers and renderer (template chatml) make the sequences; every side gets the same
ids and the same labels. Prints what each workload looks like.
"""

from __future__ import annotations

import datetime
import itertools
import json
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench import generated
from precept.forest import distinct_tokens
from precept.records import load
from precept.render import Renderer, RenderSettings
from precept.types import Conversation, Message, Source, TokenSequence

DATA = Path(os.environ.get("PRECEPT_SHARED", "../shared")) / "data"
HOME = Path(".bench/sft")
BATCH = 64
"""Rows of an optimizer step."""
MAX_LENGTH = 2048
SEED = 0
DAY = datetime.date(2026, 1, 1)

ROWS = {
    "superni": 64,
    "bbh_cot": 64,
    "p3": 128,
    "alpaca": 128,
    "chat": 128,
    "superni_200": 64,
    "alpaca_200": 128,
}
"""Rows of a repetition: one optimizer step or two."""
SPARE = 3
"""Rows drawn for each one needed: those over the length limit are left out."""
FOR_TOKENIZER = 3000
"""Rows of a workload that the tokenizer is trained on."""


@dataclass(frozen=True)
class Workload:
    """Token sequences in the order drawn, optimizer step by optimizer step.

    ``tasks`` counts the tasks that the rows belong to; ``origin`` is "real files" or "generated".
    """

    name: str
    sequences: tuple[TokenSequence, ...]
    tasks: int
    origin: str

    @property
    def batches(self) -> list[tuple[TokenSequence, ...]]:
        """The sequences of each optimizer step."""
        return [self.sequences[i : i + BATCH] for i in range(0, len(self.sequences), BATCH)]

    @property
    def real_tokens(self) -> int:
        return sum(len(sequence.ids) for sequence in self.sequences)

    @property
    def trained_tokens(self) -> int:
        """Tokens with a loss; the first of a sequence has none, whatever its weight."""
        return sum(int(np.count_nonzero(sequence.weights[1:])) for sequence in self.sequences)

    @property
    def distinct_share(self) -> float:
        """Distinct tokens of the whole global batches, uncut, over real tokens."""
        return sum(distinct_tokens(batch) for batch in self.batches) / self.real_tokens


def draw_rows(name: str, count: int, *, seed: int = SEED, data: Path = DATA) -> tuple[list[Conversation], str]:
    """``count`` rows of a workload in random order, and where they are from."""
    make, files = GENERATED[name], REAL.get(name)
    if files is None or not data.is_dir():
        return make(count, seed), "generated"
    rows = files(data)
    random.Random(f"{name} {seed}").shuffle(rows)
    return rows[:count], "real files"


def render(rows: Sequence[Conversation], tokenizer: Any) -> list[tuple[Conversation, TokenSequence]]:
    """Each row with its token sequence; rows that are refused or too long are left out."""
    settings = RenderSettings(chat_template="chatml", over_length="drop", turns="whole")
    renderer = Renderer(tokenizer, settings, template_date=DAY, max_length=MAX_LENGTH)
    places = {id(row.source): row for row in rows}
    return [(places[id(sequence.source)], sequence) for sequence in renderer.render(rows).sequences]


def make_workload(name: str, tokenizer: Any, *, seed: int = SEED, rows: int | None = None) -> Workload:
    """The workload's sequences, ``rows`` of them where it is not the usual number."""
    wanted = rows or ROWS[name]
    drawn, origin = draw_rows(name, SPARE * wanted, seed=seed)
    rendered = render(drawn, tokenizer)[:wanted]
    if len(rendered) < wanted:
        raise SystemExit(f"workload {name}: {len(rendered)} of {wanted} rows fit in {MAX_LENGTH} tokens")
    tasks = {task_of(row) for row, _ in rendered}
    return Workload(name, tuple(sequence for _, sequence in rendered), len(tasks), origin)


def task_of(row: Conversation) -> str:
    """What the row's prompt shares with others of its kind: the named task, else its first paragraph."""
    return row.task or (row.messages[0].content or "").split("\n\n")[0]


def save_workload(workload: Workload, path: Path) -> None:
    """Write ids, trained positions and row bounds as arrays, and the rest as JSON, for sides without Precept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lengths = [len(sequence.ids) for sequence in workload.sequences]
    np.savez(
        path,
        ids=np.concatenate([sequence.ids for sequence in workload.sequences]),
        trained=np.concatenate([sequence.weights > 0 for sequence in workload.sequences]),
        start=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        about=np.array(json.dumps({"name": workload.name, "tasks": workload.tasks, "origin": workload.origin})),
    )


def load_workload(path: Path) -> Workload:
    """What ``save_workload`` wrote."""
    with np.load(path) as arrays:
        about = json.loads(str(arrays["about"]))
        ids, trained, start = arrays["ids"], arrays["trained"], arrays["start"]
    sequences = [
        TokenSequence(ids[a:b], trained[a:b].astype(np.float32), Source(str(path), row + 1, f"{row:016x}"))
        for row, (a, b) in enumerate(itertools.pairwise(start))
    ]
    return Workload(about["name"], tuple(sequences), about["tasks"], about["origin"])


def _read(*paths: Path) -> list[Conversation]:
    return [row for row in load([str(path) for path in paths]).rows if isinstance(row, Conversation)]


def _few_shot(data: Path) -> list[Conversation]:
    """BBH questions behind the published chain-of-thought prompt of their task; the closing sentence is trained."""
    rows = []
    for prompt in sorted((data / "bbh" / "cot-prompts").glob("*.txt")):
        shots = prompt.read_text().split("-----\n", 1)[-1].strip()
        for row in _read(data / "bbh" / f"{prompt.stem}.json"):
            question, target = row.messages[0].content, row.references[0]
            messages = (
                Message("user", f"{shots}\n\nQ: {question}\nA: Let's think step by step."),
                Message("assistant", f"So the answer is {target}."),
            )
            rows.append(replace(row, messages=messages))
    return rows


def _templates(data: Path) -> list[Conversation]:
    """P3: every row of every template; a file is a task."""
    return [replace(row, task=Path(row.source.file).stem) for row in _read(data / "p3")]


def _chat(data: Path) -> list[Conversation]:
    """As many conversations of several turns as there are with tool calls."""
    calls = _read(data / "llama_factory" / "glaive_toolcall_en_demo.json")
    talks = _read(data / "fastchat" / "dummy_conversation.json")
    return calls + random.Random(SEED).sample(talks, min(len(talks), len(calls)))


REAL: dict[str, Callable[[Path], list[Conversation]]] = {
    "superni": lambda data: _read(data / "superni"),
    "bbh_cot": _few_shot,
    "p3": _templates,
    "alpaca": lambda data: _read(data / "llama_factory" / "alpaca_en_demo.json"),
    "chat": _chat,
}
GENERATED: dict[str, Callable[[int, int], list[Conversation]]] = {
    "superni": lambda count, seed: generated.super_ni_rows(count, tasks=7, seed=seed),
    "bbh_cot": lambda count, seed: generated.few_shot_rows(count, seed=seed),
    "p3": lambda count, seed: generated.template_rows(count, seed=seed),
    "alpaca": lambda count, seed: generated.alpaca_rows(count, seed=seed),
    "chat": lambda count, seed: generated.chat_rows(count, seed=seed),
    "superni_200": lambda count, seed: generated.super_ni_rows(count, tasks=200, seed=seed),
    "alpaca_200": lambda count, seed: generated.alpaca_rows(count, seed=seed, tasks=200),
}


def describe(workload: Workload) -> str:
    """A line of the table: how long the rows are, what is trained, what is shared."""
    lengths = [len(sequence.ids) for sequence in workload.sequences]
    low, middle, high = (int(x) for x in np.percentile(lengths, [5, 50, 95]))
    return (
        f"| {workload.name} | {workload.origin} | {len(lengths)} | {workload.tasks} | {low} / {middle} / {high} |"
        f" {workload.real_tokens:,} | {workload.trained_tokens:,} | {100 * workload.distinct_share:.0f} % |"
    )


def main() -> None:
    from bench.models import make_tokenizer_folder
    from precept.models.load import load_tokenizer

    tokenizer = load_tokenizer(make_tokenizer_folder())
    print("| workload | from | rows | tasks | length, 5 / 50 / 95 % | tokens | trained | distinct |")
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    for name in ROWS:
        print(describe(make_workload(name, tokenizer)), flush=True)


if __name__ == "__main__":
    main()
