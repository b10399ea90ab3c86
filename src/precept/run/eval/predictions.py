"""``precept eval --predictions``: scores of answers that another system wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import orjson

from precept.errors import InputError
from precept.evaluate.metrics import WITH_TOKENIZER
from precept.evaluate.predictions import (
    Prediction,
    PredictionProblem,
    Reading,
    pair_results,
    plan_readings,
    read_prediction,
    score_predictions,
    without_number,
)
from precept.evaluate.run import ItemResult, by_task, summarize, write_items
from precept.evaluate.statistics import holm, verdict
from precept.records.files import DataFile, find_files, parse_file, read_bytes
from precept.records.problems import FileProblem
from precept.run.console import STDOUT, say
from precept.run.data.rows import refusals_document, settle_refusals
from precept.run.eval.byte_bpe import load_byte_bpe, refuse_unused
from precept.run.eval.folder import LOCK, PREDICTIONS, check_folder, read_json
from precept.run.output import locked, write_atomic
from precept.types import Refusal

ITEMS, RESULT = "predictions.items.jsonl", PREDICTIONS
NESTED = "outputs"  # the key of BIG-Bench Hard's published outputs


def score_file(
    path: str,
    *,
    metrics: Sequence[str],
    extract: str = "none",
    against: str | None = None,
    rouge_tokenizer: str | None = None,
    bad_rows: Literal["error", "drop"] = "error",
    output: Path | None = None,
) -> dict[str, Any]:
    """The JSON document of ``precept eval --predictions``; with ``output`` it is kept there beside the items.

    ``against`` is another system's file on the same items: by id, or row by row where rows have none.
    """
    readings = plan_readings(metrics, extract)
    if output is not None:
        check_folder(output)
    task = _file(path).stem
    refuse_unused(rouge_tokenizer, used=WITH_TOKENIZER in metrics)
    split = load_byte_bpe(rouge_tokenizer) if WITH_TOKENIZER in metrics else None

    dropped: list[Refusal] = []

    def score(path: str) -> list[ItemResult]:
        predictions, refused = _read(path, task, readings, bad_rows)
        dropped.extend(refused)
        return score_predictions(predictions, readings, split=split)

    ours = score(path)
    theirs = None if against is None else pair_results(ours, score(against), where=against)
    summary = summarize(by_task(ours), against=None if theirs is None else by_task(theirs))
    document: dict[str, Any] = {
        "predictions": path,
        "tasks": summary["tasks"],
        "overall": summary["overall"],
        "metrics": {name: asdict(reading) for name, reading in readings.items()},
        "counts": {
            "empty": sum(not result.output.strip() for result in ours),
            "nothing_extracted": sum(not result.extracted.strip() for result in ours),
        },
    }
    if dropped:
        document["dropped"] = refusals_document(dropped)
    if theirs is not None:
        other = summarize(by_task(theirs))
        document["against"] = {"predictions": against, "tasks": other["tasks"], "overall": other["overall"]}
        difference = document["difference"] = summary["difference"]
        document["p_holm"] = holm({metric: found["p"] for metric, found in difference.items()})
        document["verdict"] = {metric: verdict(found) for metric, found in difference.items()}
    if output is not None:
        document["items"] = str(output / ITEMS)
        _write(document, ours, output)
    return document


def _write(document: Mapping[str, Any], results: Sequence[ItemResult], output: Path) -> None:
    with locked(output, LOCK):
        before = read_json(output / RESULT)
        if before is not None and before["predictions"] != document["predictions"]:
            say(f"{output / RESULT} told of {before['predictions']}: it is replaced, and its items with it")
        write_items(results, output / ITEMS)
        say(f"{document['predictions']}: {len(results)} items -> {output / ITEMS}")
        write_atomic(output / RESULT, orjson.dumps(document, option=orjson.OPT_INDENT_2))


def read_predictions(path: str, *, task: str) -> tuple[list[Prediction], list[Refusal]]:
    """The rows of a file, and those that cannot be scored. Raises InputError for a path that cannot be opened."""
    file = _file(path)
    try:
        raw = parse_file(file, read_bytes(file))
    except FileProblem as problem:
        return [], [Refusal(path, None, problem.reason, problem.code)]
    refused = [Refusal(path, row, problem.reason, problem.code) for row, problem in raw.refused]
    predictions = []
    seen: dict[tuple[str, str], int] = {}
    for row, record in _rows(raw.records, raw.numbers, path):
        try:
            entry = read_prediction(record, row=row, task=task)
            if (first := seen.setdefault((entry.task, entry.item_id), row)) != row:
                raise PredictionProblem("duplicate-ids", f"the id '{entry.item_id}' stands in row {first} already")
        except PredictionProblem as problem:
            refused.append(Refusal(path, row, problem.reason, problem.code))
        else:
            predictions.append(entry)
    return predictions, refused


def print_predictions(document: Mapping[str, Any]) -> None:
    """Scores in per cent with 95 % intervals, a row a task and metric, and the paired difference."""
    from precept.run.summary import print_evaluation

    other = document.get("against", {}).get("predictions")
    print_evaluation({**document, "model": document["predictions"], "against": {"model": other}})
    for metric, found in document.get("verdict", {}).items():
        STDOUT.print(f"{metric}: {found}", markup=False)


def _read(
    path: str, task: str, readings: Mapping[str, Reading], bad_rows: Literal["error", "drop"]
) -> tuple[list[Prediction], list[Refusal]]:
    """The rows of a file that can be scored, and the others. Raises InputError where there are any of these, unless
    they are dropped."""
    predictions, refused = read_predictions(path, task=task)
    numberless = refuse_numberless(path, predictions, readings)
    rows = {refusal.row for refusal in numberless}
    kept = [entry for entry in predictions if entry.row not in rows]
    refused += numberless
    settle_refusals(refused, kept=len(kept), bad_rows=bad_rows, do="--bad-rows drop", more="")
    return kept, refused


def refuse_numberless(path: str, predictions: Sequence[Prediction], readings: Mapping[str, Reading]) -> list[Refusal]:
    """The rows with a reference that is no number, where a reading compares numbers."""
    rows = sorted({entry.row for entry in without_number(predictions, readings)})
    reason = "the rule compares numbers, and a reference is none"
    return [Refusal(path, row, reason, "reference-without-number") for row in rows]


def _file(path: str) -> DataFile:
    files = find_files(path, base=None)
    if files[0].walked:
        raise InputError(
            "predictions are one file, and this is a folder",
            code="predictions-folder",
            where=path,
            do="name the file; its rows may belong to several tasks",
        )
    return files[0]


def _rows(records: Sequence[Any], numbers: Sequence[int], path: str) -> Iterator[tuple[int, Any]]:
    """Records with their row numbers, also those of a document that holds them under one key or as two columns."""
    only = records[0] if len(records) == 1 and isinstance(records[0], dict) else {}
    nested, predictions, references = (only.get(key) for key in (NESTED, "predictions", "references"))
    if isinstance(nested, list) and "prediction" not in only:
        return iter(enumerate(nested, start=1))
    if not (isinstance(predictions, list) and isinstance(references, list)):
        return iter(zip(numbers, records, strict=True))
    if len(predictions) != len(references):
        raise InputError(
            "there are not as many references as predictions",
            code="references-of-another-length",
            where=path,
            found=f"{len(predictions)} predictions, {len(references)} references",
            do="give one reference, or one list of references, for each prediction",
        )
    pairs = zip(predictions, references, strict=True)
    return iter(enumerate(({"prediction": ours, "references": right} for ours, right in pairs), start=1))
