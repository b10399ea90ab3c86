"""``precept eval --predictions`` and ``--list`` from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept, write_rows

from precept.run.eval.predictions import ITEMS, RESULT, score_file

ROWS: list[dict[str, Any]] = [
    {"prediction": "The answer is red.", "references": ["red"], "task": "colours", "id": "1"},
    {"prediction": "blue", "references": ["azure", "Blue!"], "task": "colours", "id": "2"},
    {"prediction": "", "target": "big", "task": "sizes", "id": "1"},
]


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "answers.jsonl", ROWS)


def test_scores_by_task_and_overall(rows: Path, tmp_path: Path) -> None:
    words = ("--metric", "exact_match", "--metric", "rouge_l", "-o", tmp_path / "out", "--json")
    ended = precept("eval", "--predictions", rows, *words)
    assert ended.code == 0, ended.err
    document = ended.json
    assert list(document) == ["predictions", "tasks", "overall", "metrics", "counts", "items"]
    assert document["predictions"] == str(rows)
    assert {name: list(scores) for name, scores in document["tasks"].items()} == {
        "colours": ["exact_match", "rouge_l"],
        "sizes": ["exact_match", "rouge_l"],
    }
    score = document["overall"]["exact_match"]
    assert list(score) == ["value", "low", "high", "n"] and (score["value"], score["n"]) == (pytest.approx(1 / 3), 3)
    # One of four predicted tokens is the one expected: 2 * 1 / 5; the second is right, the third empty.
    assert document["tasks"]["colours"]["rouge_l"]["value"] == pytest.approx((0.4 + 1) / 2)
    assert document["counts"] == {"empty": 1, "nothing_extracted": 1}
    items = [json.loads(line) for line in (tmp_path / "out" / ITEMS).read_text().splitlines()]
    assert [(item["task"], item["id"], item["output"]) for item in items] == [
        (row["task"], row["id"], row["prediction"]) for row in ROWS
    ]
    assert json.loads((tmp_path / "out" / RESULT).read_text()) == document


def test_the_table_shows_per_cent(rows: Path) -> None:
    ended = precept("eval", "--predictions", rows)
    assert ended.code == 0 and "overall" in ended.out and "33.3" in ended.out


def test_arrays_columns_and_nested_outputs_are_read(tmp_path: Path) -> None:
    plain = [{"prediction": "a", "target": "a"}, {"prediction": "b", "target": "c"}]
    documents = {
        "array.json": plain,
        "outputs.json": {"outputs": plain},
        "columns.json": {"predictions": ["a", "b"], "references": ["a", ["c"]]},
    }
    for name, document in documents.items():
        (tmp_path / name).write_text(json.dumps(document))
        found = score_file(str(tmp_path / name), metrics=["exact_match"])
        assert found["overall"]["exact_match"]["value"] == 0.5 and list(found["tasks"]) == [Path(name).stem]
    (tmp_path / "table.csv").write_text("prediction,target\na,a\nb,c\n")
    assert score_file(str(tmp_path / "table.csv"), metrics=["exact_match"])["overall"]["exact_match"]["n"] == 2


def test_two_files_are_compared_item_by_item(tmp_path: Path) -> None:
    right, wrong = ([{"prediction": text, "target": "x"} for _ in range(12)] for text in ("x", "y"))
    ours, theirs = write_rows(tmp_path / "ours.jsonl", right), write_rows(tmp_path / "theirs.jsonl", wrong)
    document = precept("eval", "--predictions", ours, "--against", theirs, "--json").json
    # Twelve items that all differ one way: of 2^12 sign patterns two are as far.
    assert document["difference"]["exact_match"]["value"] == 1.0
    assert document["difference"]["exact_match"]["p"] == document["p_holm"]["exact_match"] == 2 / 2**12
    assert document["verdict"] == {"exact_match": "better"}
    assert document["against"]["overall"]["exact_match"]["value"] == 0.0
    told = precept("eval", "--predictions", theirs, "--against", ours)
    assert told.code == 0 and "exact_match: worse" in told.out


BAD: dict[str, tuple[str | None, tuple[str, ...]]] = {
    "missing-path": (None, ("no such file",)),
    "no-readable-file": ("", ("0 bytes",)),
    "references-of-another-length": ('{"predictions": ["a"], "references": []}', ("1 predictions, 0 references",)),
    "bad-rows": (
        '{"prediction": "a", "target": "a", "id": 1}\n{"target": "a"}\n{"prediction": "a", "target": "a", "id": 1}\n',
        ("answers.jsonl row 2: no 'prediction'", "row 3: the id '1' stands in row 1 already", "--bad-rows drop"),
    ),
    "no-usable-rows": ('{"answer": "a"}\n{"answer": "b"}\n', ("2 x no 'prediction'", "do: mend them\n")),
}


@pytest.mark.parametrize("code", BAD)
def test_a_bad_file_ends_in_its_code(tmp_path: Path, code: str) -> None:
    text, says = BAD[code]
    if text is not None:
        (tmp_path / "answers.jsonl").write_text(text)
    ended = precept("eval", "--predictions", tmp_path / "answers.jsonl", "--json")
    assert (ended.code, ended.out) == (2, "") and f"code: {code}\n" in ended.err, ended.err
    assert all(word in ended.err for word in says), ended.err


OPTIONS: dict[str, tuple[list[str], str]] = {
    "unknown-metric": (["--metric", "rogue_l"], "did you mean 'rouge_l'?"),
    "unknown-extraction": (["--extract", "bbh"], "bbh_direct"),
    "option-not-read": (
        ["--model", "m", "--limit", "3", "--plain", "--fresh", "--repeats", "1", "--to", "lm-eval"],
        "found: --model, --plain, --limit, --repeats, --fresh, --to\n",
    ),
    "rouge-tokenizer-unused": (["--rouge-tokenizer", "absent"], "rouge_l_byte_bpe"),
    "output-is-a-file": (["-o", "other.jsonl"], "name a folder"),
    "predictions-not-paired": (["--against", "other.jsonl"], "in one file only"),
    "bad-rows": (["--extract", "gsm8k"], "1 x the rule compares numbers, and a reference is none"),
}


@pytest.mark.parametrize("code", OPTIONS)
def test_options_that_do_not_fit_end_in_their_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    write_rows(tmp_path / "answers.jsonl", [{"prediction": "5", "target": "5"}, {"prediction": "5", "target": "five"}])
    write_rows(tmp_path / "other.jsonl", [{"prediction": "5", "target": "5"}])
    monkeypatch.chdir(tmp_path)
    words, says = OPTIONS[code]
    ended = precept("eval", "--predictions", "answers.jsonl", *words)
    assert ended.code == 2 and f"code: {code}\n" in ended.err and says in ended.err, ended.err


def test_a_folder_of_predictions_and_nothing_at_all_are_refused(tmp_path: Path, rows: Path) -> None:
    for words, code in ((["--predictions", tmp_path], "predictions-folder"), ([], "nothing-to-evaluate")):
        ended = precept("eval", *words)
        assert ended.code == 2 and f"code: {code}\n" in ended.err


@pytest.mark.parametrize(
    ("words", "unread"),
    [
        ("--model m --task t --metric rouge_l --extract gsm8k --to lm-eval", "--metric, --extract, --to"),
        ("--model m --task t --data-dir d", "--data-dir"),
        ("--model m --suite mmlu --plain --chat-template vicuna", "--chat-template"),
        (
            "--export-task t --model m --suite s --metric x --chat --variants v --max-new-tokens 9 --repeats 3"
            " --training f --against m --limit 3 --predictions p",
            "--model, --suite, --predictions, --metric, --against, --chat, --max-new-tokens, --repeats, --variants,"
            " --training",
        ),
        ("--list --model m --json", "--model"),
    ],
)
def test_options_that_a_form_of_the_command_would_not_read_are_refused(words: str, unread: str) -> None:
    ended = precept("eval", *words.split())
    assert ended.code == 2 and "code: option-not-read\n" in ended.err and f"found: {unread}\n" in ended.err, ended.err


def test_rows_are_left_out_when_asked(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "answers.jsonl", [{"prediction": "a", "target": "a"}, {"prediction": "a"}])
    ended = precept("eval", "--predictions", path, "--bad-rows", "drop", "--json")
    assert ended.code == 0 and ended.json["overall"]["exact_match"]["n"] == 1 and "left out 1 of 2 rows" in ended.err
    reason = "no 'references' or 'target'; that of an unanswerable question is \"\""
    assert ended.json["dropped"] == {
        "count": 1,
        "by_code": {"no-references": 1},
        "entries": [{"file": str(path), "row": 2, "code": "no-references", "reason": reason}],
    }


def test_a_task_is_not_exported_onto_a_file(rows: Path) -> None:
    data = write_rows(rows.with_name("data.jsonl"), [{"prompt": "Add 1 and 2.", "references": ["3"]}])
    ended = precept("eval", "--export-task", data, "-o", rows)
    assert ended.code == 2 and "code: output-is-a-file\n" in ended.err, ended.err


def test_the_list_names_every_metric_and_rule() -> None:
    document = precept("eval", "--list", "--json").json
    metrics = {entry["name"]: entry["does"] for entry in document["metrics"]}
    rules = {entry["name"]: entry for entry in document["extract"]}
    assert {"exact_match", "rouge_l", "squad_f1", "label_match"} <= metrics.keys()
    assert all(does.endswith(".") for does in metrics.values())
    assert rules["gsm8k"]["lenient"] == "last_number" and rules["bbh_cot"]["exact_match"] == "same_text"
    told = precept("eval", "--list")
    assert told.code == 0 and all(name in told.out for name in (*metrics, *rules))


def test_published_outputs_score_as_published_from_the_command_line(shared_data: Path) -> None:
    folder = shared_data / "golden" / "bbh_outputs"
    files = json.loads((folder / "accuracies.json").read_text())["files"]
    for name, expected in files.items():
        rule = "bbh_cot" if name.endswith("_cot") else "bbh_direct"
        overall = score_file(str(folder / f"{name}.jsonl"), metrics=["exact_match"], extract=rule)["overall"]
        assert overall["exact_match"]["value"] == expected["correct"] / expected["rows"], name
        assert overall["exact_match_lenient"]["value"] >= overall["exact_match"]["value"], name


def test_predictions_on_the_user_instructions_score_as_rows(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "self_instruct" / "human_eval_predictions"
    for name, count in (("text-davinci-001", 252), ("text-davinci-002", 252), ("davinci", 120)):
        read = [json.loads(line) for line in (folder / f"{name}_predictions.jsonl").read_text().splitlines()]
        path = write_rows(
            tmp_path / f"{name}.jsonl", [{"prediction": row["response"], "target": row["target"]} for row in read]
        )
        score = score_file(str(path), metrics=["rouge_l"])["overall"]["rouge_l"]
        assert score["n"] == count and 0 < score["low"] < score["value"] < score["high"] < 1
