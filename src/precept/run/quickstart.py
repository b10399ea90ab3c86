"""``precept quickstart``: the bundled base tuned on the bundled tasks, and both asked on four levels of novelty."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from precept.bundled import build_tasks, build_world, write_replay, write_tasks
from precept.bundled.tasks import Tasks, questions
from precept.errors import InputError
from precept.evaluate.score_tables import format_p
from precept.models.folder import resolve_model
from precept.run.console import say
from precept.run.eval.evaluate import RESULT
from precept.run.levels import Asked, ask_base, ask_rules, ask_tuned, score_level
from precept.run.merge import merge
from precept.run.output import write_atomic
from precept.run.report.levels import ITEMS
from precept.run.tuning.train import train

MODEL = "bundled"
TEMPLATE = "plain"
FOLDER = "quickstart"
TUNING: Mapping[str, Any] = {
    "chat_template": TEMPLATE,
    "adapter": "lora",
    "lora_r": 16,
    "lora_alpha": 32,
    "learning_rate": 5e-3,
    "lr_scheduler_type": "linear",
    "warmup_ratio": 0.04,
    "adam_beta2": 0.95,
    "batch_size": 24,
    "max_steps": 700,
    "dtype": "float32",
    "eval_fraction": 0.01,
    "sample_answers": 0,
    "save_steps": 10_000,
}
"""Limited by steps, so that the result does not depend on the machine's speed. An adapter, since it leaves what the
base knows in place: with all weights trained it learns the same tasks and loses the words behind new wordings."""
SIGNIFICANT = 0.01


def quickstart(*, output: Path | None, seed: int, began: float) -> dict[str, Any]:
    """Tune, ask, write the page; returns the JSON document. Always a new folder, so that nothing is reused.

    ``began`` is the ``time.perf_counter()`` from which seconds are counted.
    """
    resolve_model(MODEL)
    folder = _new_folder(output)
    world = build_world(0)
    tasks = build_tasks(world)
    write_tasks(tasks, folder / "tasks")
    write_replay(world, folder / "tasks" / "replay.jsonl")
    adapter, tuned = folder / "adapter", folder / "tuned"
    data = [str(folder / "tasks" / name) for name in ("training.jsonl", "replay.jsonl")]
    train("sft", model=MODEL, data=data, output=adapter, pairs={**TUNING, "seed": seed})
    merge(str(adapter), output=tuned, fresh=False, as_json=False)
    result = {"model": str(tuned), "seed": seed, **_measure(tasks, tuned, folder / "levels")}
    stored = folder / "levels" / RESULT
    write_atomic(stored, orjson.dumps(result))

    from precept.run.report.report import report

    page = report(folder, output=None)["report"]  # reads what is stored so far
    document = {**result, "report": page, "seconds": time.perf_counter() - began}
    write_atomic(stored, orjson.dumps(document, option=orjson.OPT_INDENT_2))
    return document


def _measure(tasks: Tasks, tuned: Path, folder: Path) -> dict[str, Any]:
    """Ask everyone every question and write the items; returns where they are, and the scores by level."""
    from precept.run.opened import open_model

    asked = [Asked(level, q) for level, own in tasks.levels.items() for task in own for q in questions(task)]
    say(f"{len(asked):,} questions on {len(tasks.levels)} levels, to the base in four ways and to the tuned model")
    base = ask_base(open_model(MODEL, chat_template=TEMPLATE), asked)
    ours = ask_tuned(open_model(str(tuned), chat_template=None), asked)
    rules = ask_rules(asked)
    levels: dict[str, Any] = {}
    lines = []
    for level in tasks.levels:
        places = [place for place, entry in enumerate(asked) if entry.level == level]
        own = [asked[place] for place in places]
        base_own, rules_own = _at(base, places), _at(rules, places)
        answers = [ours[place] for place in places]
        entry = score_level(own, answers, base_own, rules_own)
        levels[level] = {**entry, "told": _tell(level, entry)}
        lines += [
            _item(one, ours=ours_one, theirs=theirs)
            for one, ours_one, theirs in zip(own, answers, base_own[entry["base_way"]], strict=True)
        ]
    folder.mkdir()
    items = folder / ITEMS
    write_atomic(items, b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return {"levels": levels, "items": str(items)}


def _at(answers: Mapping[str, Sequence[str]], places: Sequence[int]) -> dict[str, list[str]]:
    return {name: [own[place] for place in places] for name, own in answers.items()}


def _item(entry: Asked, *, ours: str, theirs: str) -> dict[str, Any]:
    question = entry.question
    return {
        "task": question.task,
        "level": entry.level,
        "prompt": question.prompt,
        "references": [question.reference],
        "base": theirs,
        "tuned": ours,
        "id": question.id,
        "wording": question.wording,
    }


def _tell(level: str, entry: Mapping[str, Any]) -> str:
    """The sentence below a level's scores: against the best of everything else on the same items."""
    best = entry["best_other"]
    difference = best["difference"]["exact_match"]
    told = f"Best of all others: {best['name']}; tuned is {100 * difference['value']:+.1f} points from it"
    told += f" (p {format_p(difference['p'])})."
    significant = difference["p"] < SIGNIFICANT
    if level != "unseen_tasks":
        return told if significant else f"{told} The difference is not significant."
    if significant and difference["value"] > 0:
        return f"{told} Read the tasks one by one: a score here often comes from a near relative among trained tasks."
    return f"{told} A model of this size does not carry over to whole kinds of task that it was not tuned on."


def _new_folder(output: Path | None) -> Path:
    """The folder asked for, which must be new or empty, or the first free name."""
    if output is None:
        names = (Path(FOLDER if number == 1 else f"{FOLDER}-{number}") for number in count(1))
        output = next(name for name in names if not name.exists())
    elif output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(
            "the quickstart works in a new folder",
            code="output-not-empty",
            where=str(output),
            found="a folder with files" if output.is_dir() else "a file",
            do="name another with -o",
        )
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "the folder cannot be made",
            code="unwritable-path",
            where=str(output),
            found=error.strerror,
            do="name another",
        ) from None
    return output
