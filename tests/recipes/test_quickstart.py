"""The quickstart: one run of the real command on the bundled base, read by every test here."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept

from precept.bundled import build_tasks, build_world
from precept.bundled.cloze import cloze_accuracy
from precept.bundled.tasks import questions
from precept.evaluate.metrics import SCORES
from precept.models.folder import BUNDLED

LEVELS = ("unseen_instances", "unseen_wordings", "unseen_combinations", "unseen_tasks")
METRICS = {"exact_match", "rouge_l"}
KNOWN = 0.9
"""A base has a skill when it goes on rightly in this share of the cloze questions."""


@pytest.fixture(scope="module")
def items(quickstart_document: dict[str, Any]) -> list[dict[str, Any]]:
    lines = Path(quickstart_document["items"]).read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def base_skills() -> dict[str, float]:
    return {skill: score["value"] for skill, score in cloze_accuracy(str(BUNDLED)).items()}


def test_the_document_has_four_levels_with_all_columns(quickstart_document: dict[str, Any]) -> None:
    assert tuple(quickstart_document["levels"]) == LEVELS
    assert {"seconds", "model", "report", "items"} <= set(quickstart_document)
    for level in quickstart_document["levels"].values():
        columns = [level["base"], level["tuned"], *level["baselines"].values()]
        for column in columns:
            assert set(column) == METRICS
            for score in column.values():
                assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
                assert score["n"] >= 1500
        assert set(level["difference"]) == METRICS
        assert {"copy the input", "most frequent answer", "first example's answer"} <= set(level["baselines"])
        ways = {name for name in level["baselines"] if name.startswith("base")} | {level["base_way"]}
        assert len(ways) == 4


def test_scores_are_those_of_the_stored_items(quickstart_document: dict[str, Any], items: list[dict[str, Any]]) -> None:
    counts = Counter(item["level"] for item in items)
    for name, level in quickstart_document["levels"].items():
        own = [item for item in items if item["level"] == name]
        for who in ("base", "tuned"):
            for metric in METRICS:
                values = [SCORES[metric](item[who], item["references"][0]) for item in own]
                assert level[who][metric]["value"] == pytest.approx(sum(values) / len(values), abs=1e-12)
        best = max([level["base"], *level["baselines"].values()], key=lambda column: column["exact_match"]["value"])
        gap = level["tuned"]["exact_match"]["value"] - best["exact_match"]["value"]
        assert level["best_other"]["difference"]["exact_match"]["value"] == pytest.approx(gap, abs=1e-12)
        assert counts[name] == level["tuned"]["exact_match"]["n"]


def test_what_was_asked_was_not_trained_on(quickstart_document: dict[str, Any], items: list[dict[str, Any]]) -> None:
    rows = (Path(quickstart_document["model"]).parent / "tasks" / "training.jsonl").read_text().splitlines()
    trained = {json.loads(row)["messages"][0]["content"] for row in rows}
    assert len(trained) > 20_000
    assert not trained & {item["prompt"] for item in items}


def test_seen_tasks_are_learned(quickstart_document: dict[str, Any]) -> None:
    levels = quickstart_document["levels"]
    assert levels["unseen_instances"]["tuned"]["exact_match"]["value"] >= 0.80
    assert levels["unseen_wordings"]["tuned"]["exact_match"]["value"] >= 0.65


def test_skills_of_the_base_are_brought_out(quickstart_document: dict[str, Any], base_skills: dict[str, float]) -> None:
    tasks = quickstart_document["levels"]["unseen_instances"]["tasks"]
    known = [task["exact_match"] for name, task in tasks.items() if base_skills[name] >= KNOWN]
    assert len(known) >= 60
    assert sum(score["value"] * score["n"] for score in known) / sum(score["n"] for score in known) >= 0.90


def test_combinations_of_known_parts_are_above_everything_else(quickstart_document: dict[str, Any]) -> None:
    difference = quickstart_document["levels"]["unseen_combinations"]["best_other"]["difference"]["exact_match"]
    assert difference["value"] > 0
    assert difference["p"] < 0.01


def test_whole_unseen_tasks_are_reported_as_they_came_out(quickstart_document: dict[str, Any]) -> None:
    level = quickstart_document["levels"]["unseen_tasks"]
    assert (
        level["tuned"]["exact_match"]["value"]
        < quickstart_document["levels"]["unseen_wordings"]["tuned"]["exact_match"]["value"]
    )
    assert level["best_other"]["name"] in level["told"]
    assert len(level["tasks"]) == 15


def test_the_tuned_model_is_an_ordinary_folder(quickstart_document: dict[str, Any]) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(quickstart_document["model"])
    model = AutoModelForCausalLM.from_pretrained(quickstart_document["model"])
    task = next(
        task for task in build_tasks(build_world(0)).levels["unseen_instances"] if task["Name"] == "reverse_name"
    )
    asked = next(questions(task)).prompt
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": asked}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    answer = model.generate(**ids, max_new_tokens=30, do_sample=False)[0, ids["input_ids"].shape[1] :]
    assert answer[-1] in (model.generation_config.eos_token_id, [model.generation_config.eos_token_id])


def test_the_page_shows_levels_and_answers(quickstart_document: dict[str, Any]) -> None:
    page = Path(quickstart_document["report"]).read_text(encoding="utf-8")
    for level in LEVELS:
        assert level.replace("_", " ") in page
        assert quickstart_document["levels"][level]["told"].partition("(p")[0].strip() in page
    assert "precept chat" in page


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep me")
    ended = precept("quickstart", "-o", tmp_path)
    assert ended.code == 2
    assert "new folder" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
