"""Answers that another system wrote, as items with scores: rows with a prediction and its references, no model."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from precept.errors import InputError
from precept.evaluate.extract import EXACT, LENIENT, RULES
from precept.evaluate.gsm8k import read_number
from precept.evaluate.metrics import TASK_SCORES, Split, best_score, find_score, label_match
from precept.evaluate.run import ItemResult
from precept.evaluate.task_file import nearest

Score = Callable[[str, str], float]
METRICS = (*TASK_SCORES, "label_match")


class PredictionProblem(Exception):
    """A row that cannot be scored. ``reason`` is one line for the user, ``code`` a stable name."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Prediction:
    """One output, and the answers of which any is right. ``row`` counts from 1; ``id`` is the row's own, if any;
    ``prompt`` is what was asked, where the row tells."""

    row: int
    task: str
    id: str | None
    prediction: str
    references: tuple[str, ...]
    prompt: str = ""

    @property
    def item_id(self) -> str:
        """What its item is called within the task: "row N" where the row has no id."""
        return self.id or f"row {self.row}"


@dataclass(frozen=True, slots=True)
class Reading:
    """One number of the result: a score over what a rule takes from the output."""

    score: str
    extract: str


def read_prediction(record: Any, *, row: int, task: str) -> Prediction:
    """A row ``{"prediction", "references" or "target", "task"?, "id"?}``. Of other keys a text under "prompt" or
    "input" is kept with the item.

    Texts may be whole numbers. Either name takes one reference or a list of them. ``task`` is for rows that name none.
    Raises PredictionProblem.
    """
    if not isinstance(record, dict):
        raise PredictionProblem("prediction-not-object", "not an object with 'prediction' and 'references'")
    if record.get("prediction") is None:
        raise PredictionProblem("no-prediction", "no 'prediction'; an empty answer is the prediction \"\"")
    if isinstance(record["prediction"], list):
        raise PredictionProblem(
            "prediction-not-text", f"'prediction' is a list of {len(record['prediction'])}: one answer a row is scored"
        )
    given = [key for key in ("references", "target") if record.get(key) is not None]
    if len(given) == 2:
        raise PredictionProblem("two-references", "both 'references' and 'target': keep one of them")
    if not given or record[given[0]] == []:
        raise PredictionProblem(
            "no-references", "no 'references' or 'target'; that of an unanswerable question is \"\""
        )
    references = record[given[0]]
    return Prediction(
        row=row,
        task=task if record.get("task") is None else _text(record["task"], "task"),
        id=None if record.get("id") is None else _text(record["id"], "id"),
        prediction=_text(record["prediction"], "prediction"),
        references=tuple(
            _text(entry, given[0]) for entry in (references if isinstance(references, list) else [references])
        ),
        prompt=next((_text(record[key], key) for key in ("prompt", "input") if isinstance(record.get(key), str)), ""),
    )


def _text(value: Any, key: str) -> str:
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise PredictionProblem("prediction-not-text", f"'{key}' holds half of a character (a lone surrogate)")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise PredictionProblem(
        "prediction-not-text", f"'{key}' holds {value!r:.40}, which is no text: write it as a string"
    )


def plan_readings(metrics: Sequence[str], rule: str) -> dict[str, Reading]:
    """Name -> reading for each metric, the lenient reading NAME_lenient after it where the rule has a counterpart.

    ``exact_match`` is the exact match of the rule (``extract.EXACT``). Raises InputError for an unknown name, with the
    nearest.
    """
    unknown = next((name for name in metrics if name not in METRICS), None)
    if unknown is not None:
        raise InputError(
            f"no metric is called '{unknown}'",
            code="unknown-metric",
            do=f"--metric: one of {', '.join(METRICS)}{nearest(unknown, METRICS)}",
        )
    if rule not in RULES:
        raise InputError(
            f"no extraction rule is called '{rule}'",
            code="unknown-extraction",
            do=f"--extract: one of {', '.join(RULES)}{nearest(rule, tuple(RULES))}",
        )
    readings = {}
    for name in dict.fromkeys(metrics):
        readings[name] = _reading(name, rule)
        if rule in LENIENT:
            readings[f"{name}_lenient"] = _reading(name, LENIENT[rule])
    return readings


def _reading(metric: str, rule: str) -> Reading:
    return Reading(EXACT.get(rule, metric) if metric == "exact_match" else metric, rule)


def score_predictions(
    predictions: Sequence[Prediction], readings: Mapping[str, Reading], *, split: Split | None = None
) -> list[ItemResult]:
    """One result a prediction, in order, by the reference that fits best.

    The labels of ``label_match`` are all references of the task; ``split`` is the tokenizer of a score that needs one.
    """
    by_task: dict[str, dict[str, None]] = {}
    for entry in predictions:
        by_task.setdefault(entry.task, {}).update(dict.fromkeys(entry.references))
    labels = {task: tuple(references) for task, references in by_task.items()}
    results = []
    for entry in predictions:
        texts = {reading.extract: RULES[reading.extract](entry.prediction) for reading in readings.values()}
        scores = {
            name: best_score(_score(reading.score, labels[entry.task], split), texts[reading.extract], entry.references)
            for name, reading in readings.items()
        }
        results.append(
            ItemResult(
                id=entry.item_id,
                task=entry.task,
                prompt=entry.prompt,
                references=entry.references,
                output=entry.prediction,
                extracted=next(iter(texts.values())),
                scores=scores,
            )
        )
    return results


def _score(name: str, labels: tuple[str, ...], split: Split | None) -> Score:
    return partial(label_match, labels=labels) if name == "label_match" else find_score(name, split=split)


def without_number(predictions: Sequence[Prediction], readings: Mapping[str, Reading]) -> list[Prediction]:
    """Where a reading compares numbers: the predictions one of whose references is none, which no answer could meet."""
    if all(reading.score != "same_number" for reading in readings.values()):
        return []
    return [entry for entry in predictions if any(read_number(reference) is None for reference in entry.references)]


def pair_results(ours: Sequence[ItemResult], theirs: Sequence[ItemResult], *, where: str) -> list[ItemResult]:
    """Their results in the order of ours, by task and id. Raises InputError, naming the file ``where`` theirs are from,
    unless both answered the same questions."""
    mine, others = ({(result.task, result.id): result for result in results} for results in (ours, theirs))
    one_sided = sorted(mine.keys() ^ others.keys())
    differing = [key for key in mine if not one_sided and set(mine[key].references) != set(others[key].references)]
    if one_sided or differing:
        (task, item), why = (one_sided or differing)[0], "is in one file only" if one_sided else "has other references"
        raise InputError(
            "the files compared do not hold the same items",
            code="predictions-not-paired",
            where=where,
            found=f"{item} of task {task} {why}; {len(one_sided or differing)} such items",
            do="compare answers to the same questions, with the same tasks, ids and references",
        )
    return [others[key] for key in mine]
