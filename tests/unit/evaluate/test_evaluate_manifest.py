"""What a score lacks before it may be reported."""

import copy

import pytest

from precept.evaluate.manifest import REQUIRED, check_manifest, items_without_prompt
from precept.evaluate.run import ItemResult

SCORE = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100}
COMPLETE = {
    "model": "out",
    "model_hash": "a3f1",
    "date": "2026-11-21",
    "seed": 0,
    "versions": {"precept": "0.1.0", "torch": "2.13"},
    "item_files": ["out.bbh.items.jsonl"],
    "scope": "English questions of 23 kinds, three examples each",
    "tasks": {"bbh": {"exact_match": SCORE}},
    "overall": {"exact_match": SCORE},
    "asked": {"bbh": {"metrics": {"exact_match": {"score": "same_text", "extract": "bbh_direct"}}}},
}


def test_a_complete_document_lacks_nothing():
    assert check_manifest(COMPLETE) == []
    asked = {**COMPLETE, "metrics": COMPLETE["asked"]["bbh"]["metrics"]}
    del asked["asked"]
    assert check_manifest(asked) == []


@pytest.mark.parametrize("key", REQUIRED)
def test_every_key_is_missed(key):
    document = copy.deepcopy(COMPLETE)
    del document[key]
    (line,) = check_manifest(document)
    assert line.startswith(f"{key}: ")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model_hash", " "),
        ("date", "yesterday"),
        ("seed", True),
        ("versions", {"torch": "2.13"}),
        ("item_files", []),
        ("scope", None),
    ],
)
def test_a_key_without_a_value_is_missed(key, value):
    (line,) = check_manifest({**COMPLETE, key: value})
    assert line.startswith(f"{key}: ")


def test_a_model_that_is_compared_with_needs_its_own_hash_and_items():
    assert check_manifest({**COMPLETE, "against": {"model": "b", "model_hash": "c", "item_files": ["b.jsonl"]}}) == []
    assert [line.split(":")[0] for line in check_manifest({**COMPLETE, "against": {"model": "b"}})] == [
        "against.model_hash",
        "against.item_files",
    ]


def test_a_score_needs_its_items_and_its_interval():
    document = copy.deepcopy(COMPLETE)
    document["tasks"]["bbh"]["exact_match"] = {"value": 0.5}
    assert [line.split(":")[0] for line in check_manifest(document)] == [
        f"tasks.bbh.exact_match.{key}" for key in ("n", "low", "high")
    ]


def test_a_metric_needs_its_rule_and_a_document_its_scores():
    document = {**COMPLETE, "overall": {"exact_match": SCORE, "rouge_l": SCORE}}
    assert check_manifest(document) == ["rouge_l: by which rule its answer is taken"]
    assert "tasks, overall: no score is there" in check_manifest({**COMPLETE, "tasks": {}, "overall": {}})


def test_any_document_is_judged():
    assert len(check_manifest({})) == len(REQUIRED) + 1
    assert check_manifest({"tasks": [1], "overall": {"x": 3}, "asked": {"t": None}})


def test_items_without_their_prompt_are_named():
    results = [ItemResult(name, "t", prompt, ("x",), "x", "x", {}) for name, prompt in (("a", "Q: ?"), ("b", " "))]
    assert items_without_prompt(results) == ["b"]
