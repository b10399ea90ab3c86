"""From items to the numbers of ``precept eval``, with a sampler that speaks from a script."""

import json
import os

import pytest

from precept.evaluate import (
    ItemResult,
    append_items,
    by_task,
    evaluate,
    load_task,
    read_items,
    summarize,
    write_items,
)
from precept.evaluate.answers import write_answers
from precept.evaluate.choice import Choice
from precept.evaluate.items import Item
from precept.evaluate.run import by_words, cut_at, replace_file
from precept.types import Generation, Message

ITEMS = [
    Item("q1", "colours", (Message("user", "Sky?"),), ("blue", "azure")),
    Item("q2", "colours", (Message("user", "Grass?"),), ("green",)),
    Item("q3", "sizes", (Message("user", "Ant?"),), ("very small",)),
]


def said(text):
    """What is generated for one item; None is a prompt that does not fit."""
    if text is None:
        return [Generation((), "", False, refused="prompt of 9 tokens + 128 new exceeds the context of 130")]
    return [Generation((1,), text, True)]


def answer(*texts, family="references", items=ITEMS):
    return evaluate(
        items,
        load_task(family),
        prompt_text=lambda item, _: f"User: {item.messages[-1].content}",
        answer=lambda asked: [said(text) for _, text in zip(asked, texts, strict=True)],
    )


def test_each_item_keeps_prompt_output_and_scores():
    first, _, third = answer("Azure.", "red", "small")
    assert (first.id, first.task, first.prompt, first.output) == ("q1", "colours", "User: Sky?", "Azure.")
    assert first.scores == {"exact_match": 1.0, "rouge_l": 1.0}
    # One of one predicted and one of two expected tokens: 2 * 1 / (1 + 2).
    assert third.scores == {"exact_match": 0.0, "rouge_l": pytest.approx(2 / 3)}


def test_a_prompt_longer_than_the_context_is_counted_and_scored_wrong():
    results = answer("blue", None, "very small")
    assert results[1].scores == {"exact_match": 0.0, "rouge_l": 0.0}
    assert results[1].refused.startswith("prompt of 9 tokens")
    summary = summarize(by_task(results))
    assert summary["counts"] == {"too_long": 1}
    assert summary["tasks"]["colours"]["exact_match"]["value"] == 0.5


def test_strict_and_lenient_readings_stand_side_by_side():
    items = [Item("q1", "dates", (Message("user", "When?"),), ("(A)",))]
    (result,) = answer("(A) 01/02/2003.\nBecause.", family="bbh", items=items)
    assert result.extracted == "(A) 01/02/2003"
    assert result.scores == {"exact_match": 0.0, "exact_match_lenient": 1.0}


def test_overall_is_over_all_items_whatever_their_task():
    summary = summarize(by_task(answer("blue", "green", "large")))
    assert list(summary["tasks"]) == ["colours", "sizes"]
    assert list(summary["overall"]) == ["exact_match", "rouge_l"]
    assert summary["tasks"]["colours"]["exact_match"]["value"] == 1.0
    assert summary["tasks"]["sizes"]["exact_match"]["value"] == 0.0
    overall = summary["overall"]["exact_match"]
    assert (overall["value"], overall["n"]) == (pytest.approx(2 / 3), 3)
    assert overall["low"] < overall["value"] < overall["high"]
    assert "difference" not in summary


def test_the_metric_asked_for_comes_first_with_its_lenient_reading():
    results = by_task(answer("blue", "green", "large"))
    assert list(summarize(results, primary="rouge_l")["overall"]) == ["rouge_l", "exact_match"]
    lenient = by_task(answer("blue", "green", "large", family="bbh"))
    assert list(summarize(lenient, primary="exact_match")["overall"]) == ["exact_match", "exact_match_lenient"]


def test_the_difference_is_paired_item_by_item():
    ours, theirs = answer("blue", "green", "large"), answer("red", "red", "large")
    difference = summarize(by_task(ours), against=by_task(theirs))["difference"]["exact_match"]
    # Differences 1, 1, 0: of 4 sign patterns 2 reach a sum of 2.
    assert (difference["value"], difference["p"], difference["n"]) == (pytest.approx(2 / 3), 0.5, 3)


def test_choice_tasks_score_the_chosen_option():
    options = ("rot", "blue", "grün")
    items = [Item("q1", "colours", (Message("user", "Sky?"),), ("blue",), options=options)] * 2
    # Over characters: -3/3 = -1, -1.9/1 = -1.9, -2/4 = -0.5: the third.
    choices = [
        Choice((-3.0, -1.9, -2.0), (1, 1, 1), (3, 1, 4)),
        Choice((), refused="prompt with option of 9 tokens ..."),
    ]
    right, refused = evaluate(items, load_task("choice"), prompt_text=lambda *_: "Sky?", choose=lambda _: choices)
    assert right.output == "blue"
    assert right.scores == {"accuracy": 1.0, "accuracy_normalized": 0.0}
    assert right.option_logps == {"rot": -3.0, "blue": -1.9, "grün": -2.0}
    assert refused.scores == {"accuracy": 0.0, "accuracy_normalized": 0.0}


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_another(tmp_path, monkeypatch):
    path, seen = tmp_path / "a.jsonl", []
    path.write_bytes(b"old")

    def sync(handle):
        seen.append((os.fstat(handle).st_size, path.read_bytes()))

    monkeypatch.setattr(os, "fsync", sync)
    replace_file(path, b"newer")
    assert seen == [(5, b"old")] and path.read_bytes() == b"newer"
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_items_are_written_a_line_each(tmp_path):
    path = tmp_path / "new" / "items.jsonl"
    write_items(answer("blé", "green", None), path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["id"] for line in lines] == ["q1", "q2", "q3"]
    assert lines[0] | {"scores": None} == {
        "id": "q1",
        "task": "colours",
        "prompt": "User: Sky?",
        "references": ["blue", "azure"],
        "output": "blé",
        "extracted": "blé",
        "scores": None,
        "refused": None,
        "option_logps": {},
        "category": None,
        "several": {},
        "turns": [],
        "likelihood": {},
    }
    assert lines[2]["refused"]
    assert [child.name for child in path.parent.iterdir()] == ["items.jsonl"]


def test_an_output_is_cut_at_the_first_stop_text():
    assert cut_at("42\n\nQ: next\n\n", ["Q:", "\n\n"]) == "42"
    assert cut_at("42", ["Q:"]) == "42"


def test_instructions_are_pooled_over_prompts_and_prompts_count_whole():
    no_comma = {"id": "punctuation:no_comma"}
    items = [
        Item("1", "ifeval", (Message("user", "Write."),), (), checks=(no_comma, {"id": "startend:quotation"})),
        Item("2", "ifeval", (Message("user", "Write."),), (), checks=(no_comma,)),
    ]
    found = answer("plain text", "a, b", family="ifeval", items=items)
    # Prompt 1 follows 1 of 2 instructions, prompt 2 none of 1: prompts 0 of 2, instructions 1 of 3.
    overall = summarize(by_task(found))["overall"]
    assert (overall["prompt_strict"]["value"], overall["prompt_strict"]["n"]) == (0.0, 2)
    assert (overall["instruction_strict"]["value"], overall["instruction_strict"]["n"]) == (pytest.approx(1 / 3), 3)
    assert found[0].scores["instruction_strict"] == 0.5


def test_answers_for_a_judge_are_scored_by_whether_they_ended():
    items = [Item("81", "mt_bench", (Message("user", "Write."), Message("user", "Again.")), (), category="writing")]
    task = load_task("mt_bench")
    turns = [[Generation((1,), "First.", True), Generation((1,), "Second, cut off", False)]]

    def tell(item, said):
        return " ".join(["Write.", *(generation.text for generation in said), "Again."])

    (found,) = evaluate(items, task, prompt_text=tell, answer=lambda _: turns)
    assert found.prompt == "Write. First. Again."  # the second turn was asked after the first answer
    assert found.scores == {"ended": 0.0}
    assert (found.turns, found.output, found.category) == (("First.", "Second, cut off"), "Second, cut off", "writing")


def test_scores_are_given_by_the_length_of_the_reference():
    lengths = [1, 2, 3, 5, 6, 11, 40]
    found = [ItemResult(str(n), "t", "", ("word " * n,), "", "", {}) for n in lengths]
    bins = {name: [int(result.id) for result in part] for name, part in by_words(found, [2, 5, 10]).items()}
    assert bins == {"0-2": [1, 2], "3-5": [3, 5], "6-10": [6], ">10": [11, 40]}


def test_results_read_back_from_disk_are_the_results_up_to_a_torn_line(tmp_path):
    path = tmp_path / "items.jsonl"
    wanted = answer("blue", "green", None)
    append_items(wanted[:2], path)
    append_items(wanted[2:], path)
    assert read_items(path) == wanted
    path.write_bytes(path.read_bytes()[:-20])
    assert read_items(path) == wanted[:2]
    assert read_items(tmp_path / "absent.jsonl") == []


def test_answers_are_written_as_judges_read_them(tmp_path):
    items = [Item("81", "mt_bench", (Message("user", "Write."), Message("user", "Again.")), ())]
    found = [ItemResult("81", "mt_bench", "", (), "two", "two", {}, turns=("one", "two"))]
    write_answers(items, found, tmp_path / "a.jsonl", format="fastchat", model="mine")
    line = json.loads((tmp_path / "a.jsonl").read_text())
    assert (line["question_id"], line["model_id"]) == (81, "mine")
    assert line["choices"] == [{"index": 0, "turns": ["one", "two"]}] and line["answer_id"]
    asked = [Item("x", "alpaca_eval", (Message("user", "Name one."),), ("ref",))]
    said_ = [ItemResult("x", "alpaca_eval", "", (), "one", "one", {})]
    write_answers(asked, said_, tmp_path / "b.json", format="alpaca_eval", model="mine")
    assert json.loads((tmp_path / "b.json").read_text()) == [
        {"instruction": "Name one.", "output": "one", "generator": "mine"}
    ]
