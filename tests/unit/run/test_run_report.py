"""From the files of a run to its page: what the files say, and the names of those that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command_line import precept

from precept.errors import InputError
from precept.run.report.report import find_steps, read_run, report
from precept.run.report.steps import changed_settings, read_card

METRICS = [
    {"step": 0, "eval_loss": 7.0},
    {"step": 0, "sample": {"prompt_tail": "the last ferry?", "answer": "owl owl"}},
    {"step": 1, "loss": 7.25, "learning_rate": 1e-4, "real_tokens": 100, "distinct_tokens": 60, "trained_tokens": 9},
    {"step": 2, "loss": 5.5, "learning_rate": 0.0, "real_tokens": 100, "distinct_tokens": 40, "trained_tokens": 8},
    {"step": 2, "eval_loss": 5.0},
    {"step": 2, "sample": {"prompt_tail": "the last ferry?", "answer": "At nine."}},
]
DATA = {
    "hash": "ab" * 32,
    "files": [
        {"path": "a.jsonl", "format": "messages", "rows": 60, "kept": 58, "licence": None, "sha256": "cd" * 32}
        | {"mapping": {}, "notes": ["an end marker was removed"]}
    ],
    "rows": {"read": 58, "trained": 50, "held_out": 6, "left_out": 4},
    "left_out": [{"file": "a.jsonl", "row": n, "reason": f"{300 + n} tokens exceed 256"} for n in range(3)]
    + [{"file": "a.jsonl", "row": 9, "reason": "the answer is empty"}],
    "max_length": 256,
    "notices": [],
}
ENVIRONMENT = {"processor": "AMD EPYC", "threads": 1, "device": "cpu", "versions": {"torch": "2.13.0"}}
CARD = "---\ntags: []\n---\n# tune\n\n## Measured\n- training loss `7.25` at the first step\n"
WRITTEN_LAST = {"tokens": {"real": 200, "distinct": 100, "trained": 17}, "steps": 2}


def write_training(folder: Path, *, done: bool = True) -> Path:
    folder.mkdir(parents=True)
    manifest = {"method": "sft", "model": "base", "with": {"learning_rate": 0.001, "batch_size": 64, "adapter": "none"}}
    (folder / "run.yaml").write_text(yaml.safe_dump(manifest))
    (folder / "metrics.jsonl").write_text("".join(json.dumps(record) + "\n" for record in METRICS))
    (folder / "data_manifest.json").write_text(json.dumps(DATA))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    if done:
        (folder / "README.md").write_text(CARD)
        (folder / "COMPLETED").write_text(json.dumps(WRITTEN_LAST))
    return folder


def item(number: int, output: str, right: bool) -> dict[str, Any]:
    scores = {"rouge_l": 1.0 if right else 0.5, "exact_match": float(right)}
    task = {"id": str(number), "task": "parity" if number % 2 else "colour", "prompt": f"Question {number}"}
    return task | {"references": ["even"], "output": output, "extracted": output, "scores": scores, "refused": None}


def write_evaluation(folder: Path, *, paired: bool = True, done: bool = True) -> Path:
    """Four items; the base has the first right, the tuned model the first three."""
    folder.mkdir(parents=True, exist_ok=True)
    metric = {"exact_match": {"value": 0.75, "low": 0.25, "high": 1.0, "n": 4}}
    before = {"exact_match": {"value": 0.25, "low": 0.0, "high": 0.75, "n": 4}}
    half = {"exact_match": {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}}
    result: dict[str, Any] = {"model": "runs/tune", "tasks": {"colour": half, "parity": half}, "overall": metric}
    result |= {"counts": {"too_long": 0}, "items": str(folder), "item_files": ["tune.items.jsonl"]}
    models = {"tune.items.jsonl": [True, True, True, False]}
    if paired:
        models["base.items.jsonl"] = [True, False, False, False]
        result["against"] = {"model": "base", "tasks": result["tasks"], "overall": before}
        result["against"]["item_files"] = ["base.items.jsonl"]
        result["difference"] = {"exact_match": {"value": 0.5, "low": 0.0, "high": 1.0, "p": 0.5, "n": 4}}
    for name, rights in models.items():
        lines = [json.dumps(item(n, f"{name} {n}", right)) for n, right in enumerate(rights)]
        (folder / name).write_text("".join(line + "\n" for line in lines))
    if done:
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def test_a_training_folder_is_told_by_its_files(tmp_path: Path) -> None:
    page = read_run(write_training(tmp_path / "tune"))
    (training,) = page.trainings
    assert training.loss == ((1.0, 7.25), (2.0, 5.5)) and training.eval_loss == ((0.0, 7.0), (2.0, 5.0))
    assert training.learning_rate == ((1.0, 1e-4), (2.0, 0.0))
    assert training.tokens == {"real": 200, "distinct": 100, "trained": 17}
    assert training.left_out == (("# tokens exceed #", 3), ("the answer is empty", 1))
    assert training.settings == (("learning_rate", "0.001", "not set"),)
    assert training.samples == (("the last ferry?", "owl owl", "At nine."),)
    assert ("processor", "AMD EPYC") in training.machine and ("torch", "2.13.0") in training.machine
    assert training.card == (("Measured", ("training loss 7.25 at the first step",)),)
    assert (training.files[0].rows, training.files[0].kept) == (60, 58)
    assert page.summary == (
        "base was tuned (sft, all weights) in 2 steps:"
        " training loss 7.2500 to 5.5000, evaluation loss 7.0000 to 5.0000."
    )
    assert page.chat == f"precept chat {tmp_path / 'tune'}" and not page.missing


def test_an_unfinished_run_names_what_is_not_there(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune", done=False)
    (folder / "environment.json").unlink()
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3, "lo')  # torn by a kill
    page = read_run(folder)
    names = [line.split(" (")[0] for line in page.missing]
    assert names == [str(folder / name) for name in ("environment.json", "COMPLETED", "README.md")]
    assert "in 2 steps: " in page.summary and page.summary.endswith("; training is not done.") and page.chat is None
    assert page.trainings[0].tokens == {"real": 200, "distinct": 100, "trained": 17}  # counted in metrics.jsonl


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune")
    (folder / "environment.json").write_bytes(b'{"processor": \xff')
    (folder / "data_manifest.json").write_text("[]")
    missing = read_run(folder).missing
    assert "environment.json (cannot be read: " in missing[0] and "data_manifest.json (holds no mapping)" in missing[1]


def test_a_file_with_other_contents_is_an_input_error(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune")
    (folder / "data_manifest.json").write_text('{"files": [{"path": "a"}]}')
    with pytest.raises(InputError) as caught:
        report(folder, output=None)
    assert caught.value.code == "run-file-damaged" and caught.value.where == str(folder)


def test_an_evaluation_pairs_its_items_and_computes_differences_by_task(tmp_path: Path) -> None:
    page = read_run(write_evaluation(tmp_path / "evals"))
    (evaluation,) = page.evaluations
    assert [level.name for level in evaluation.levels] == ["overall", "colour", "parity"]
    # colour holds items 0 and 2: right before and after, and gained. parity holds 1 and 3: gained, and both wrong.
    assert [level.difference["exact_match"].value for level in evaluation.levels] == [0.5, 0.5, 0.5]
    assert [example.kind for example in evaluation.examples] == ["both right", "gained", "gained", "both wrong"]
    assert page.summary == (
        "tune scores 75.0 % exact_match on 4 items (95 % 25.0 to 100.0),"
        " +50.0 points against base (95 % +0.0 to +100.0, p = 0.5)."
    )


def test_an_evaluation_in_the_folder_of_a_model_is_on_its_page(tmp_path: Path) -> None:
    folder = write_evaluation(write_training(tmp_path / "tune"))
    page = read_run(folder)
    assert len(page.trainings) == len(page.evaluations) == 1 and page.summary.startswith("base was tuned")


def test_an_evaluation_of_one_model_has_no_base(tmp_path: Path) -> None:
    (evaluation,) = read_run(write_evaluation(tmp_path / "evals", paired=False)).evaluations
    assert evaluation.base is None and [e.kind for e in evaluation.examples] == ["right", "right", "right", "wrong"]


def test_items_that_are_not_there_are_named_and_the_rest_is_shown(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals")
    (folder / "base.items.jsonl").unlink()
    page = read_run(folder)
    assert page.missing == (f"{folder / 'base.items.jsonl'} (items and answers)",)
    assert len(page.evaluations[0].examples) == 4 and page.evaluations[0].levels[0].difference


def test_an_evaluation_without_its_result_shows_no_scores(tmp_path: Path) -> None:
    page = read_run(write_evaluation(tmp_path / "evals", done=False))
    assert "result.json" in page.missing[0] and not page.evaluations[0].levels
    assert page.summary == "The evaluation 'evals' is not done."


def test_a_recipe_folder_is_told_step_by_step_with_training_first(tmp_path: Path) -> None:
    write_evaluation(tmp_path / "runs" / "eval")
    (tmp_path / "runs" / "eval" / "run.yaml").write_text("method: eval\nwith: {model: runs/tune, limit: 4}\n")
    merged = tmp_path / "runs" / "fold"
    merged.mkdir()
    (merged / "run.yaml").write_text("method: merge\n")
    (merged / "COMPLETED").write_text('{"max_difference": 0.001}')
    write_training(tmp_path / "runs" / "tune")
    (tmp_path / "runs" / "notes").mkdir()
    steps = find_steps(tmp_path / "runs")
    assert [(kind, folder.name) for kind, folder in steps] == [("train", "tune"), ("merge", "fold"), ("eval", "eval")]
    page = read_run(tmp_path / "runs")
    assert page.title == "runs" and page.others == (("Merge: fold", (("max_difference", "0.001"),)),)
    assert page.chat == f"precept chat {merged}" and not page.missing
    assert page.evaluations[0].facts == (("model", "runs/tune"), ("compared with", "base"), ("limit", "4"))


def test_the_page_goes_into_the_folder_or_where_it_is_told_to(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune")
    assert report(folder, output=None) == {"report": str(folder / "report.html"), "missing": []}
    report(folder, output=tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, ("no such run folder", "do:")),
        (lambda path: path.mkdir(), ("holds no run", "an empty folder")),
        (lambda path: (path.mkdir(), (path / "a.txt").touch()), ("holds no run", "a.txt", "run.yaml")),
    ],
    ids=["missing", "empty", "foreign"],
)
def test_a_folder_without_a_run_is_wrong_input(tmp_path: Path, make: Any, says: tuple[str, ...]) -> None:
    make(tmp_path / "run")
    ended = precept("report", tmp_path / "run")
    assert ended.code == 2 and all(words in ended.err for words in says), ended.err


def test_an_output_that_cannot_be_written_is_wrong_input(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune")
    ended = precept("report", folder, "-o", tmp_path / "no" / "such" / "page.html")
    assert ended.code == 2 and "the page cannot be written" in ended.err and "Traceback" not in ended.err
    assert precept("report", folder, "-o", tmp_path).code == 2


def test_json_tells_where_the_page_is(tmp_path: Path) -> None:
    folder = write_training(tmp_path / "tune", done=False)
    ended = precept("report", folder, "--json")
    assert ended.code == 0 and ended.json["report"] == str(folder / "report.html") and len(ended.json["missing"]) == 2


def test_only_settings_that_differ_from_their_defaults_are_listed() -> None:
    given = {
        "batch_size": 64,
        "eval_fraction": 0.1,
        "sharing": "off",
        "data": ["a", "b"],
        "gradient_checkpointing": True,
    }
    assert changed_settings(given) == (
        ("eval_fraction", "0.1", "0.0"),
        ("sharing", "off", "auto"),
        ("data", "a, b", "none"),
        ("gradient_checkpointing", "true", "false"),
    )


def test_a_card_is_read_as_lists_under_headings() -> None:
    text = "# m\n- not below a heading\n## Data\n- `a`: 3 rows\n\ntext\n## Measured\n- loss 1\n- loss 2\n"
    assert read_card(text) == (("Data", ("a: 3 rows",)), ("Measured", ("loss 1", "loss 2")))


def test_the_folder_one_stands_in_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write_evaluation(write_training(tmp_path / "tune")))
    page = read_run(Path("."))
    assert {page.title, page.trainings[0].name, page.evaluations[0].name} == {"tune"}
