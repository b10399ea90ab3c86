"""What must stand beside a score before it may be reported: guideline 5 of validity threats of large language models
(2312.08055), execution metadata."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from precept.evaluate.run import ItemResult


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_date(value: Any) -> bool:
    try:
        return bool(datetime.date.fromisoformat(str(value)[:10]))
    except ValueError:
        return False


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_text, value))


def _are_versions(value: Any) -> bool:
    return isinstance(value, Mapping) and _is_text(value.get("precept"))


REQUIRED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "model": (_is_text, "what was asked"),
    "model_hash": (_is_text, "which weights answered, as a hash: a name may stand for others tomorrow"),
    "date": (_is_date, "the day on which it was asked, as YYYY-MM-DD"),
    "seed": (_is_whole, "the seed of answers that are drawn; a whole number also where none are"),
    "versions": (_are_versions, "the versions of precept and of what it ran on"),
    "item_files": (_are_texts, "the files that hold every item with its full prompt and output"),
    "scope": (_is_text, "what the score speaks for: domain, language, kind of use"),
}
"""Keys of the document of ``precept eval``, when a value is given, and what it says."""
OF_EACH_MODEL = ("model", "model_hash", "item_files")
"""Those of which a model that is compared with has its own."""


def check_manifest(document: Mapping[str, Any]) -> list[str]:
    """What the document of an evaluation lacks, a line each; empty where it is complete and may be reported.

    Beside ``REQUIRED`` every score of ``tasks`` and ``overall`` needs its number of items and its interval, and every
    metric its extraction rule, under ``asked`` or ``metrics``. A model that is compared with needs its name, hash and
    items, too.
    """
    missing = [f"{key}: {says}" for key, (is_given, says) in REQUIRED.items() if not is_given(document.get(key))]
    if "against" in document:
        other = _mapping(document["against"])
        missing += [
            f"against.{key}: {says}"
            for key, (is_given, says) in REQUIRED.items()
            if key in OF_EACH_MODEL and not is_given(other.get(key))
        ]
    scores = list(_scores(document))
    if not scores:
        missing.append("tasks, overall: no score is there")
    for place, metric, score in scores:
        given = {key for key, value in score.items() if isinstance(value, int | float) and not isinstance(value, bool)}
        missing += [f"{place}.{metric}.{key}: {says}" for key, says in _SCORE_KEYS.items() if key not in given]
    rules = _rules(document)
    metrics = dict.fromkeys(metric for _, metric, _ in scores)
    missing += [f"{metric}: by which rule its answer is taken" for metric in metrics if metric not in rules]
    return missing


def items_without_prompt(results: Sequence[ItemResult]) -> list[str]:
    """Ids of the items whose full prompt was not stored."""
    return [result.id for result in results if not result.prompt.strip()]


_SCORE_KEYS = {"value": "the score", "n": "how many items it is over", "low": "its interval", "high": "its interval"}


def _scores(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Every score with its place, tasks.NAME or overall, and its metric."""
    tasks = {f"tasks.{name}": metrics for name, metrics in _mapping(document.get("tasks")).items()}
    for place, metrics in {**tasks, "overall": document.get("overall")}.items():
        for metric, score in _mapping(metrics).items():
            yield place, metric, _mapping(score)


def _rules(document: Mapping[str, Any]) -> set[str]:
    """Metrics whose extraction rule is named."""
    asked = [_mapping(task).get("metrics") for task in _mapping(document.get("asked")).values()]
    named = [_mapping(metrics) for metrics in (*asked, document.get("metrics"))]
    return {name for metrics in named for name, metric in metrics.items() if _is_text(_mapping(metric).get("extract"))}


def _mapping(value: Any) -> Mapping[str, Any]:
    """The value where it is a mapping, else nothing: the document may be anyone's."""
    return value if isinstance(value, Mapping) else {}
