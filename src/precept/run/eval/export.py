"""``precept eval --export-task``: a task as lm-evaluation-harness runs it, with the same items, prompts and scores."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import orjson
import yaml

from precept.errors import InputError
from precept.evaluate import Choice, Item, Task
from precept.evaluate.extract import RULES
from precept.evaluate.metrics import SCORES, WITH_TOKENIZER, best_score
from precept.evaluate.run import cut_at
from precept.evaluate.task import Metric
from precept.run.console import STDOUT
from precept.run.eval.tasks import Asking, named_tasks
from precept.run.output import write_atomic

HARNESS = "lm-eval"
Results = Sequence[Any]
"""What the harness got for a document: one text, or (log-probability, greedy) for each option."""


def export_task(
    path: str,
    *,
    to: str,
    output: Path,
    limit: int | None = None,
    shots: int | None = None,
    bad_rows: Literal["error", "drop"] = "error",
) -> dict[str, Any]:
    """Write a task file or a data file with its stock task as ``NAME.yaml``, ``NAME.jsonl`` and ``NAME_scores.py``.

    The items are laid out already, so the harness adds no examples; the Python file takes answers and scores from this
    package. Returns ``{task, files, items}``. Raises InputError for kinds of tasks that the harness has no form for.
    """
    if to != HARNESS:
        raise InputError(f"no such harness: '{to}'", code="export-target", do=f"--to {HARNESS}")
    (asked,) = named_tasks([path], Asking(limit=limit, shots=shots, bad_rows=bad_rows))
    task = asked.task
    if found := without_form(task):
        raise InputError(
            "the harness has no form for this task",
            code="export-unsupported",
            where=f"task {task.name}",
            found=", ".join(found),
            do="export tasks of kind generate or choice that are answered greedily and scored without a tokenizer",
        )
    name = "precept_" + re.sub(r"\W", "_", task.name)
    if output.exists() and not output.is_dir():
        raise InputError("the output path is a file", code="output-is-a-file", where=str(output), do="name a folder")
    output.mkdir(parents=True, exist_ok=True)
    documents = [_document(item, task) for item in asked.items]
    write_atomic(output / f"{name}.jsonl", b"".join(orjson.dumps(document) + b"\n" for document in documents))
    write_atomic(output / f"{name}_scores.py", _scores_file(task).encode())
    write_atomic(output / f"{name}.yaml", _yaml(task, name, output).encode())
    files = [str(output / f"{name}{ending}") for ending in (".yaml", ".jsonl", "_scores.py")]
    return {"task": name, "files": files, "items": len(asked.items)}


def without_form(task: Task) -> list[str]:
    """What of a task the harness has no form for."""
    found = [] if task.kind in ("generate", "choice") else [f"kind {task.kind}"]
    found += [f"{name} normalized by tokens" for name, own in task.metrics.items() if own.normalization == "tokens"]
    found += [f"{name} scored as {own.score}" for name, own in task.metrics.items() if own.score == WITH_TOKENIZER]
    return found + [f"temperature {value} ({category})" for category, value in task.temperature.items() if value]


def print_export(result: Mapping[str, Any]) -> None:
    """Where the files are and how to run them."""
    folder = Path(result["files"][0]).parent
    STDOUT.print(f"{result['items']} items: {', '.join(result['files'])}", markup=False)
    STDOUT.print(
        f"python -m precept.run.eval.lm_eval run --model precept --model_args pretrained=MODEL --tasks {result['task']}"
        f" --include_path {folder}",
        markup=False,
    )


def scorer(kind: str, stop: Sequence[str], metrics: Mapping[str, Mapping[str, str]]) -> Callable[..., dict[str, float]]:
    """The harness's ``process_results`` of an exported task: (document, results) -> score by metric."""
    named = {name: Metric(**values) for name, values in metrics.items()}  # type: ignore[arg-type]

    def score_text(document: Mapping[str, Any], results: Results) -> dict[str, float]:
        output = cut_at(results[0], stop)
        return {
            name: best_score(SCORES[metric.score], RULES[metric.extract](output), document["references"])
            for name, metric in named.items()
        }

    def score_choice(document: Mapping[str, Any], results: Results) -> dict[str, float]:
        options = document["options"]
        choice = Choice(tuple(logp for logp, _ in results), characters=tuple(map(len, options)))
        return {
            name: float(options[choice.best(metric.normalization)] in document["references"])
            for name, metric in named.items()
        }

    return score_choice if kind == "choice" else score_text


def _document(item: Item, task: Task) -> dict[str, Any]:
    document = {"id": item.id, "prompt": item.text, "references": list(item.references)}
    if task.kind == "generate":
        return {**document, "target": item.references[0]}
    gold = next(place for place, option in enumerate(item.options) if option in item.references)
    return {**document, "options": list(item.options), "endings": list(item.endings), "gold": gold}


def _yaml(task: Task, name: str, output: Path) -> str:
    keys: dict[str, Any] = {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str((output / f"{name}.jsonl").resolve())}},
        "test_split": "test",
        "num_fewshot": 0,
        "doc_to_text": "prompt",
        "target_delimiter": "",
    }
    if task.kind == "choice":
        keys |= {"output_type": "multiple_choice", "doc_to_choice": "{{endings}}", "doc_to_target": "gold"}
    else:
        settings = {"until": list(task.stop), "do_sample": False, "max_gen_toks": task.max_new_tokens}
        keys |= {"output_type": "generate_until", "doc_to_target": "target", "generation_kwargs": settings}
    keys["metric_list"] = [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in task.metrics
    ]
    keys["metadata"] = {"version": task.version}
    text = yaml.safe_dump(keys, sort_keys=False, allow_unicode=True)
    return f"{text}process_results: !function {name}_scores.process_results\n"


def _scores_file(task: Task) -> str:
    metrics = {name: asdict(metric) for name, metric in task.metrics.items()}
    return (
        f'"""The scores of the Precept task {task.name}, version {task.version}."""\n\n'
        "from precept.run.eval.export import scorer\n\n"
        f"process_results = scorer({task.kind!r}, {list(task.stop)!r}, {metrics!r})\n"
    )
