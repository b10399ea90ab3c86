"""Threats to validity from the command line: leaks, other words, repeats, whole manifests, scores for every script."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.command_line import precept, write_rows
from tests.tiny import tiny_model_folder

from precept.errors import InputError, WorkError
from precept.evaluate import ItemResult
from precept.evaluate.metrics import rouge_l_byte_bpe
from precept.run.eval.byte_bpe import hash_byte_bpe, load_byte_bpe
from precept.run.eval.complete import read_complete, refuse_incomplete

LEAKED = "Of all the words in this long line not one was ever meant to be trained on by anybody."


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama without a chat template, whose tokenizer is a byte-level BPE."""
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "base", max_position_embeddings=512)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four questions: one that training rows hold, two sums, and one that no variant can be sure of."""
    questions = [(LEAKED, "yes"), ("What is 12 + 30?", "42"), ("What is 5 * 7?", "35"), ("Why", "so")]
    records = [{"prompt": question, "completion": answer} for question, answer in questions]
    return write_rows(tmp_path_factory.mktemp("rows") / "mine.jsonl", records)


def evaluate(base: Path, output: Path, *words: str | Path) -> Any:
    ended = precept("eval", "--model", base, "-o", output, "--max-new-tokens", "2", "--json", *words)
    assert ended.code == 0, ended.err
    return ended.json


def refused(*words: str | Path) -> str:
    ended = precept("eval", *words)
    assert ended.code == 2, ended.err
    return ended.err.rpartition("code: ")[2].strip()


def test_leaks_and_other_words_are_told_beside_the_scores(base: Path, rows: Path, tmp_path: Path) -> None:
    other = {"prompt": "Who sings?", "completion": "nobody"}
    training = write_rows(tmp_path / "train.jsonl", [{"prompt": LEAKED, "completion": "yes"}, other])
    words = ("--task", rows, "--training", training, "--variants", "renumber", "--against", base)
    document = evaluate(base, tmp_path / "out", *words)
    assert document["tasks"]["mine"]["exact_match"]["n"] == 4  # variants are no items of the task
    found = document["contamination"]
    assert (found["touched"], found["exact"], found["found"][0]["id"]) == (1, 1, "mine.jsonl:1")
    assert [found["scores"][side]["exact_match"]["n"] for side in ("all", "clean", "touched")] == [4, 3, 1]
    assert found["difference"]["clean"]["exact_match"]["n"] == 3
    varied = document["variants"]["renumber"]
    assert (varied["items"], varied["changed"]) == (4, 2)
    assert list(varied["overall"]["gap"]["exact_match"]) == ["value", "low", "high", "p", "n", "a12", "p_holm"]
    assert document["against"]["variants"]["renumber"]["changed"] == 2
    lines = (tmp_path / "out" / varied["item_files"][0]).read_text().splitlines()
    assert len(lines) == 2 and "12 + 30" not in lines[0]
    assert list(document["p_holm"]) == list(document["difference"])
    assert document["detectable"]["n"] == 4 and document["detectable"]["differences"]["0.1"] is None
    assert read_complete(tmp_path / "out") == document
    again = precept("eval", "--model", base, "-o", tmp_path / "out", "--max-new-tokens", "2", *words)
    assert again.code == 0 and "0 by runs of words), training rows read: 2" in " ".join(again.out.split())
    assert "1 of 4 items were touched, training rows read: 2" in again.err
    assert "items in other words" in again.out and "too few to show a difference" in again.err


def test_drawn_answers_are_drawn_again_and_greedy_ones_are_not(base: Path, rows: Path, tmp_path: Path) -> None:
    task = tmp_path / "drawn.yaml"
    task.write_text(f"family: references\ndata: {rows}\ntemperature: {{default: 1.0}}\n")
    words = ("--task", task, "--task", rows, "--repeats", "3", "--seed", "5", "--against", base)
    document = evaluate(base, tmp_path / "out", *words)
    repeats = document["repeats"]
    assert (repeats["runs"], repeats["seeds"], repeats["greedy"]) == (3, [5, 6, 7], ["mine"])
    assert list(repeats["tasks"]) == ["drawn"] and repeats["tasks"]["drawn"]["rouge_l"]["n"] == 3
    # One model against itself: the runs are the same ones.
    assert repeats["difference"]["drawn"]["rouge_l"] == {"p": 1.0, "a12": 0.5}
    outputs = [
        [json.loads(line)["output"] for line in (tmp_path / "out" / name).read_text().splitlines()]
        for name in ("base.drawn.items.jsonl", *repeats["item_files"])
    ]
    assert len(outputs) == 3 and outputs[0] != outputs[1]
    again = precept("eval", "-m", base, "-o", tmp_path / "out", "--max-new-tokens", "2", *words)
    assert "3 runs, seeds 5 to 7" in again.out


def test_repeats_of_the_likeliest_answers_are_one(base: Path, rows: Path, tmp_path: Path) -> None:
    ended = precept("eval", "-m", base, "-t", rows, "-o", tmp_path, "--max-new-tokens", "2", "--repeats", "4")
    assert ended.code == 0 and "repeats are equal, and each task was asked once" in ended.out
    assert json.loads((tmp_path / "result.json").read_text())["repeats"]["runs"] == 1


def test_a_step_of_a_recipe_takes_the_same_keys(base: Path, rows: Path, tmp_path: Path) -> None:
    asks = {"model": str(base), "task": str(rows), "variants": "renumber", "training": str(rows), "max_new_tokens": 2}
    recipe = tmp_path / "ask.yaml"
    recipe.write_text(json.dumps({"name": "ask", "steps": [{"name": "eval", "uses": "eval", "with": asks}]}))
    ended = precept("run", recipe, "-o", tmp_path / "out", "--json", "eval.repeats=2", "eval.seed=1")
    assert ended.code == 0, ended.err
    result = ended.json["steps"][0]["result"]
    assert result["contamination"]["exact"] == 4 and result["variants"]["renumber"]["changed"] == 2
    assert result["seed"] == 1 and result["repeats"]["greedy"] == ["mine"]


def test_templates_of_a_data_set_are_averaged_and_the_best_is_named(base: Path, tmp_path: Path) -> None:
    (tmp_path / "p3" / "films").mkdir(parents=True)
    for template in ("short", "long"):
        asked = [{"prompt": f"{template} {n}?", "completion": "yes<|endoftext|>"} for n in range(4)]
        write_rows(tmp_path / "p3" / "films" / f"{template}.jsonl", asked)
    data = tmp_path / "own"
    (data / "flan_heldout").mkdir(parents=True)
    named = [{"prompt": f"{n} {n % 2}?", "completion": "yes", "task": f"rte/{n % 2}"} for n in range(8)]
    write_rows(data / "flan_heldout" / "rows.jsonl", named)
    for folder, dataset, template in ((tmp_path, "films", "short"), (data, "rte", "rte/0")):
        suite = folder / "mine.yaml"
        suite.write_text(
            "tasks:\n- {task: references, data: [flan_heldout/*.jsonl, p3/*/*.jsonl], each: true,"
            " group: '{dataset}', rows: without_options}\n"
        )
        words = ("--suite", suite, "--data-dir", folder)
        document = evaluate(base, folder / "out", *words)
        found = document["suite"]["templates"][dataset]["exact_match"]
        assert (found["mean"]["tasks"], found["mean"]["n"], found["best"]["n"]) == (2, 8, 4)
        assert template in document["tasks"] and set(found["best"]["chosen"]) <= set(document["tasks"])
        assert list(document["suite"]["scores"]) == [dataset]


def test_the_cross_lingual_track_is_asked_where_a_tokenizer_is_given(base: Path, tmp_path: Path) -> None:
    instance = {"id": "1", "input": "\u5bd2\u3044", "output": ["\u6691\u3044"]}
    document = {"Definition": ["x"], "Positive Examples": [], "Negative Examples": [], "Instances": [instance]}
    folder = tmp_path / "superni"
    (folder / "tasks").mkdir(parents=True)
    for name, track in (("task1_here", "default"), ("task2_there", "xlingual")):
        (folder / "tasks" / f"{name}.json").write_text(json.dumps(document))
        (folder / "splits" / track).mkdir(parents=True)
        (folder / "splits" / track / "test_tasks.txt").write_text(f"{name}\ntask9_absent\n")
    words = ("--suite", "superni", "--data-dir", tmp_path)
    ended = precept("eval", "-m", base, "-o", tmp_path / "one", "--max-new-tokens", "2", "--json", *words)
    assert list(ended.json["suite"]["scores"]) == ["all"] and "superni_xlingual is left out" in ended.err
    assert "1 of the 2 tasks of" in ended.err
    found = evaluate(base, tmp_path / "two", *words, "--rouge-tokenizer", base)
    assert list(found["suite"]["scores"]["xlingual"]) == ["rouge_l_byte_bpe", "exact_match"]
    assert found["asked"]["task2_there"]["rouge_tokenizer"]["sha256"] == hash_byte_bpe(str(base))


def test_what_would_give_a_wrong_number_is_refused(base: Path, rows: Path, tmp_path: Path) -> None:
    model = ("-m", base, "-o", tmp_path / "out")
    assert refused(*model, "-t", rows, "--variants", "translate") == "unknown-variant"
    assert refused(*model, "-t", rows, "--variants", "swap_names") == "variant-changes-answers"
    assert refused(*model, "-t", rows, "--variants", "shuffle_options") == "variant-without-effect"
    assert refused(*model, "-t", rows, "--rouge-tokenizer", base) == "rouge-tokenizer-unused"
    assert refused(*model, "-t", rows, "--metric", "rouge_l") == "option-not-read"
    assert refused(*model, "-t", rows, "--training", tmp_path / "absent") == "missing-path"
    task = tmp_path / "task.yaml"
    task.write_text(f"family: superni_xlingual\ndata: {rows}\n")
    assert refused(*model, "-t", task) == "rouge-tokenizer-missing"
    assert refused(*model, "-t", task, "--rouge-tokenizer", tmp_path) == "rouge-tokenizer"
    assert refused(*model, "-t", rows, "-t", rows) == "duplicate-task"
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    write_rows(mixed / "a.jsonl", [{"prompt": "a", "completion": "b"}])
    (mixed / "b.json").write_text(json.dumps({"examples": [{"input": "a", "target": "b"}]}))
    assert refused(*model, "-t", mixed) == "several-families"


def test_rows_that_are_left_out_are_told_in_the_document_and_on_the_page(base: Path, tmp_path: Path) -> None:
    good = {"prompt": "What is 5 * 7?", "completion": "35"}
    rows = write_rows(tmp_path / "mine.jsonl", [good, {"prompt": "What is 5?", "completion": ""}, good])
    words = ("-m", base, "-t", rows, "-o", tmp_path / "out", "--max-new-tokens", "2")
    ended = precept("eval", *words)
    assert ended.code == 2 and "go on without them with --bad-rows drop (" in ended.err
    document = precept("eval", *words, "--bad-rows", "drop", "--json").json
    dropped = document["dropped"]
    assert document["overall"]["exact_match"]["n"] == 2 and dropped["count"] == 1
    (entry,) = dropped["entries"]
    assert (entry["file"], entry["row"]) == (str(rows), 2) and dropped["by_code"] == {entry["code"]: 1}
    assert read_complete(tmp_path / "out") == document
    assert precept("report", tmp_path / "out").code == 0
    assert f"1: 1 x {entry['reason']}" in (tmp_path / "out" / "report.html").read_text()


def test_predictions_are_scored_by_the_tokens_of_a_tokenizer(base: Path, tmp_path: Path) -> None:
    scored = write_rows(tmp_path / "scored.jsonl", [{"prediction": "a", "target": "a"}])
    words = ("--predictions", scored, "--metric", "rouge_l_byte_bpe")
    assert refused(*words) == "rouge-tokenizer-missing"
    ended = precept("eval", *words, "--rouge-tokenizer", base, "--json")
    assert ended.json["overall"]["rouge_l_byte_bpe"]["value"] == 1.0


def test_items_that_nothing_tells_of_are_not_removed_in_silence(base: Path, rows: Path, tmp_path: Path) -> None:
    evaluate(base, tmp_path, "--task", rows)
    items = (tmp_path / "base.mine.items.jsonl").read_bytes()
    (tmp_path / "asked.json").write_text("{")
    assert refused("-m", base, "-o", tmp_path, "-t", rows, "--max-new-tokens", "2") == "evaluation-differs"
    assert (tmp_path / "base.mine.items.jsonl").read_bytes() == items


@pytest.fixture(scope="module")
def finished(base: Path, rows: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole evaluation."""
    folder = tmp_path_factory.mktemp("finished")
    evaluate(base, folder, "--task", rows)
    return folder


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("result.json", lambda text: b"", "no result.json"),
        ("result.json", lambda text: text.replace(b'"model_hash"', b'"hash"'), "model_hash: "),
        ("base.mine.items.jsonl", lambda text: text[: text.index(b"\n") + 1], "1 of 4 items"),
        ("base.mine.items.jsonl", lambda text: text.replace(b'"prompt":"Why"', b'"prompt":""'), "without the prompt"),
        ("base.mine.items.jsonl", lambda text: text[:-9], "line 4 is no item"),
        ("base.mine.items.jsonl", None, "the file is not there"),
    ],
)
def test_an_evaluation_that_is_not_whole_is_not_read(
    finished: Path, tmp_path: Path, name: str, change: Any, says: str
) -> None:
    for path in finished.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    read_complete(tmp_path)
    if change is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
    with pytest.raises(InputError) as caught:
        read_complete(tmp_path)
    assert caught.value.code == "evaluation-incomplete" and says in str(caught.value)


def test_no_score_is_told_without_what_must_stand_beside_it(finished: Path) -> None:
    document = orjson.loads((finished / "result.json").read_bytes())
    refuse_incomplete(document, [])
    with pytest.raises(WorkError) as caught:
        refuse_incomplete({**document, "date": None}, [ItemResult("7", "t", " ", ("x",), "", "", {})])
    assert caught.value.code == "manifest-incomplete"
    assert "date: " in str(caught.value) and "prompt of item 7" in str(caught.value)


def byte_bpe(folder: Path) -> Path:
    """Letters a and b, a blank, and the one merge of a blank with the a behind it."""
    folder.mkdir()
    (folder / "vocab.json").write_text(json.dumps({"a": 0, "b": 1, "\u0120": 2, "\u0120a": 3}))
    (folder / "merges.txt").write_text("#version: 0.2\n\u0120 a\n")
    return folder


def test_tokens_lose_the_mark_of_their_blank_and_keep_their_case(tmp_path: Path) -> None:
    split = load_byte_bpe(str(byte_bpe(tmp_path / "bpe")))
    # " a" is one token, " b" two: the blank alone stays, empty.
    assert split("a a b") == ["a", "a", "", "b"]
    # The common tokens of "a a b" and "a b" are a, the blank and b: 2 * 3 / (4 + 3).
    assert rouge_l_byte_bpe("a a b", "a b", split=split) == 6 / 7


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"model": 3}',
        '{"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, "added_tokens": []}',
    ],
)
def test_other_tokenizers_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(InputError) as caught:
        load_byte_bpe(str(tmp_path))
    assert caught.value.code == "rouge-tokenizer" and str(tmp_path) in str(caught.value)
