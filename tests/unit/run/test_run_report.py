"""From the files of a run to its page: what the files say, and the names of those that are not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command_line import precept

from precept.errors import InputError
from precept.evaluate.page import Evaluation, Page
from precept.evaluate.page_items import Example
from precept.run.report.find import find_steps
from precept.run.report.items import (
    CARDS_FOR,
    MOST,
    Entry,
    ItemIndex,
    ItemPages,
    Place,
    read_lines,
    take_first,
    take_in_turn,
)
from precept.run.report.report import read_run as read_run_with
from precept.run.report.report import report
from precept.run.report.run_files import RunFiles
from precept.run.report.training import changed_settings, read_card

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


def read_run(run: Path) -> Page:
    return read_run_with(run, ItemPages(run / "report.html"))


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


SCORE = {"value": 0.5, "low": 0.0, "high": 1.0, "n": 2}
ASKED = {
    "group": "direct",
    "kind": "generate",
    "shots": 3,
    "chat": False,
    "max_new_tokens": 8,
    "version": 2,
    "files": [{"path": "a.json", "sha256": "ab" * 32}],
    "metrics": {"exact_match": {"score": "exact_match", "extract": "bbh_direct"}},
    "guessing": 0.0,
    "items": 4,
}
"""How a task was asked, as ``precept eval`` writes it down."""


def write_evaluation(folder: Path, *, paired: bool = True, done: bool = True, **more: Any) -> Path:
    """Four items; the base has the first right, the tuned model the first three. ``more`` goes into the document."""
    folder.mkdir(parents=True, exist_ok=True)
    metric = {"exact_match": {"value": 0.75, "low": 0.25, "high": 1.0, "n": 4}}
    before = {"exact_match": {"value": 0.25, "low": 0.0, "high": 0.75, "n": 4}}
    tasks = {"colour": {"exact_match": SCORE}, "parity": {"exact_match": SCORE}}
    result: dict[str, Any] = {"model": "runs/tune", "model_hash": "ab12", "tasks": tasks, "overall": metric}
    result |= {"date": "2026-11-21", "seed": 0, "versions": {"precept": "0.1"}, "scope": "four questions"}
    result |= {"counts": {"too_long": 0}, "items": str(folder), "item_files": ["tune.items.jsonl"]}
    result |= {"asked": {"both": ASKED}}
    models = {"tune.items.jsonl": [True, True, True, False]}
    if paired:
        models["base.items.jsonl"] = [True, False, False, False]
        result["against"] = {"model": "base", "model_hash": "cd34", "tasks": tasks, "overall": before}
        result["against"]["item_files"] = ["base.items.jsonl"]
        half = {"exact_match": {"value": 0.5, "low": 0.0, "high": 1.0, "p": 0.5, "n": 2, "p_holm": 1.0}}
        result["difference"] = {"exact_match": {"value": 0.5, "low": 0.0, "high": 1.0, "p": 0.5, "n": 4}}
        result["task_differences"] = {"colour": half, "parity": half}
    for name, rights in models.items():
        lines = [json.dumps(item(n, f"{name} {n}", right)) for n, right in enumerate(rights)]
        (folder / name).write_text("".join(line + "\n" for line in lines))
    if done:
        (folder / "result.json").write_text(json.dumps(result | more))
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


def counts(evaluation: Evaluation) -> dict[str, dict[str, int]]:
    return {items.level: {kind.name: kind.count for kind in items.kinds} for items in evaluation.items}


def test_an_evaluation_pairs_its_items_and_shows_differences_by_task(tmp_path: Path) -> None:
    page = read_run(write_evaluation(tmp_path / "evals"))
    (evaluation,) = page.evaluations
    levels = [*evaluation.overall, *evaluation.levels]
    assert [level.name for level in levels] == ["all items", "colour", "parity"]
    # colour holds items 0 and 2: right before and after, and gained. parity holds 1 and 3: gained, and both wrong.
    assert [level.difference["exact_match"].value for level in levels] == [0.5, 0.5, 0.5]
    assert counts(evaluation) == {
        "colour": {"worse": 0, "both wrong": 0, "better": 1, "both right": 1},
        "parity": {"worse": 0, "both wrong": 1, "better": 1, "both right": 0},
    }
    assert [level.href for level in levels] == ["#items-0", "report-items/1-colour.html", "report-items/2-parity.html"]
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
    assert evaluation.base is None
    assert counts(evaluation) == {"colour": {"wrong": 0, "right": 2}, "parity": {"wrong": 1, "right": 1}}


def test_an_evaluation_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals")
    (folder / "base.items.jsonl").unlink()
    with pytest.raises(InputError) as caught:
        read_run(folder)
    assert caught.value.code == "evaluation-incomplete" and "base.items.jsonl" in str(caught.value.found)


def test_beside_other_steps_an_evaluation_that_is_not_whole_shows_no_scores_and_says_why(tmp_path: Path) -> None:
    write_training(tmp_path / "runs" / "tune")
    folder = write_evaluation(tmp_path / "runs" / "ask", model_hash="")
    page = read_run(tmp_path / "runs")
    assert not page.evaluations[0].levels and page.summary.endswith("is not whole, and has no scores to show.")
    (missing,) = page.missing
    assert (
        missing.startswith(f"{folder / 'result.json'} (this evaluation cannot be reported") and "model_hash" in missing
    )


def test_items_of_another_model_that_are_not_the_same_ones_are_not_paired(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals", asked={"both": {**ASKED, "items": None}})
    lines = (folder / "base.items.jsonl").read_text().splitlines(keepends=True)
    (folder / "base.items.jsonl").write_text("".join(lines[1:]))
    page = read_run(folder)
    assert "does not hold the items of tune.items.jsonl" in page.missing[0]
    assert counts(page.evaluations[0])["parity"] == {"wrong": 1, "right": 1}


def test_items_behind_a_damaged_line_are_named_as_missing(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"id": 1}\n{"id": 2}\n[]\n{"id": 3}\n{"id": 4')
    files = RunFiles(tmp_path)
    assert [row["id"] for _, row in read_lines(files, "items.jsonl", holds="")] == [1, 2]
    assert files.missing == [f"{tmp_path / 'items.jsonl'} (line 3 cannot be read)"]


def test_a_file_that_changes_while_its_page_is_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"id": 1}\n')
    ((place, _),) = read_lines(RunFiles(tmp_path), "items.jsonl", holds="")
    index = ItemIndex([Entry("l", "right", "t", (place,))], ("right",), lambda records: Example("t", "", (), ()))
    (tmp_path / "items.jsonl").write_text('{"i')
    with pytest.raises(InputError) as caught:
        ItemPages(tmp_path / "report.html").add(index, title="", anchor="")
    assert caught.value.code == "run-file-changed"


def test_every_item_has_its_prompt_and_both_answers_on_a_page_beside_the_page(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals")
    report(folder, output=None)
    page = (folder / "report.html").read_text()
    assert 'href="report-items/2-parity.html#both-wrong"' in page
    items = (folder / "report-items" / "2-parity.html").read_text()
    for text in ("Question 1", "Question 3", "tune.items.jsonl 3", "base.items.jsonl 3", "../report.html#items-0"):
        assert text in items
    assert "Question 2" not in items


def test_the_page_of_the_run_shows_items_of_the_first_levels_only(tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"id": 1}\n')
    ((place, _),) = read_lines(RunFiles(tmp_path), "items.jsonl", holds="")
    entries = [Entry(f"level {n}", "right", "t", (place,)) for n in range(CARDS_FOR + 2)]
    index = ItemIndex(entries, ("right",), lambda records: Example("t", "", (), ()))
    items = ItemPages(tmp_path / "report.html").add(index, title="", anchor="")
    assert [len(own.kinds[0].examples) for own in items] == [1] * CARDS_FOR + [0, 0]
    assert all(own.href and own.kinds[0].count == 1 for own in items)


def test_an_item_without_scores_is_a_damaged_file(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals", paired=False)
    rows = [{**item(n, "even", True), "scores": {}} for n in range(4)]
    (folder / "tune.items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(InputError) as caught:
        report(folder, output=None)
    assert caught.value.code == "run-file-damaged"


def test_a_page_elsewhere_leads_to_its_own_items_and_back(tmp_path: Path) -> None:
    folder = write_evaluation(tmp_path / "evals")
    report(folder, output=tmp_path / "my page#1.html")
    assert 'href="my%20page%231-items/1-colour.html"' in (tmp_path / "my page#1.html").read_text()
    items = (tmp_path / "my page#1-items" / "1-colour.html").read_text()
    assert 'href="../my%20page%231.html#items-0"' in items


def test_a_page_of_items_takes_so_many_of_a_kind_and_leads_to_the_file_of_all(tmp_path: Path) -> None:
    asked = {"both": {**ASKED, "items": MOST + 7}}
    folder = write_evaluation(tmp_path / "evals", paired=False, asked=asked)
    rows = [item(2 * n, "even", True) for n in range(MOST + 7)]
    (folder / "tune.items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    report(folder, output=None)
    page = (folder / "report-items" / "1-colour.html").read_text()
    assert f"right: {MOST + 7}" in page and page.count("<article") == MOST
    assert f'The first {MOST} are here. All items stand in <a href="../tune.items.jsonl">' in page


def test_long_items_fill_a_page_sooner_and_the_first_is_always_there() -> None:
    def entries(size: int) -> list[Entry]:
        return [Entry("l", "right", "t", (Place(Path("a"), 0, size),)) for _ in range(5)]

    assert [len(take_first(entries(size))) for size in (1, 1 << 20, 1 << 30)] == [5, 2, 1]  # of 2 MiB


def test_the_first_items_of_every_task_come_before_second_ones() -> None:
    entries = [Entry(f"{n}", "right", task, ()) for n, task in enumerate(("sort", "sort", "count", "odd one out"))]
    assert [entry.level for entry in take_in_turn(entries, 3)] == ["0", "2", "3"]


def test_a_suite_shows_means_of_groups_normalised_ones_lengths_and_how_tasks_were_asked(tmp_path: Path) -> None:
    mean = {"exact_match": {**SCORE, "tasks": 2}}
    more = {
        "suite": {"name": "bbh", "scores": {"direct": mean}},
        "parts": {"colour": {"0-2": {"exact_match": SCORE}}},
        "asked": {name: {**ASKED, "items": None, "guessing": 0.25} for name in ("colour", "parity")},
        "counts": {"too_long": 1},
    }
    (own,) = read_run(write_evaluation(tmp_path / "evals", **more)).evaluations
    names = ["direct, mean of 2 tasks", "direct, normalised: 0 is guessing, 100 is perfect"]
    assert [level.name for level in own.groups] == names
    # Both of colour are right and one of two of parity: (1 + (0.5 - 0.25) / 0.75) / 2.
    assert own.groups[1].tuned["exact_match"].value == pytest.approx((1 + 1 / 3) / 2)
    assert [(part.title, part.levels[0].name) for part in own.parts] == [("By length: colour", "0-2 words")]
    row = ("colour", "generate", "3", "plain text", "8", "exact_match: bbh_direct", "2", f"a.json ({'ab' * 8})")
    assert own.tables[0].rows[0] == row
    facts = {("longer than the context, scored wrong", "1 items"), ("versions", "precept 0.1"), ("date", "2026-11-21")}
    assert facts <= set(own.facts)


def test_a_group_with_a_task_that_guessing_solves_has_no_normalised_mean(tmp_path: Path) -> None:
    more = {
        "suite": {"name": "bbh", "scores": {"direct": {"exact_match": {**SCORE, "tasks": 2}}}},
        "asked": {name: {**ASKED, "items": None, "guessing": n} for name, n in (("colour", 1.0), ("parity", 0.25))},
    }
    (own,) = read_run(write_evaluation(tmp_path / "evals", **more)).evaluations
    assert [level.name for level in own.groups] == ["direct, mean of 2 tasks"]


def test_items_that_training_rows_hold_are_scored_apart(tmp_path: Path) -> None:
    sides = {side: {"exact_match": SCORE} for side in ("all", "clean", "touched")}
    found = {
        "rule": {"words": 8, "share": 0.5},
        "files": [],
        "rows": 900,
        "unread": 1,
        "items": 4,
        "touched": 1,
        "exact": 1,
        "normalized": 0,
        "words": 0,
        "short": 0,
        "tasks": {
            "colour": {"items": 2, "touched": 0, "scores": {"all": sides["all"], "clean": sides["clean"]}},
            "parity": {"items": 2, "touched": 1, "scores": sides},
        },
        "scores": sides,
        "difference": {"clean": {"exact_match": {**SCORE, "p": 0.5}}},
    }
    (own,) = read_run(write_evaluation(tmp_path / "evals", contamination=found)).evaluations
    (part,) = own.parts
    assert part.told.startswith("1 of 4 items were found among 900 training rows: 1 as they stand,")
    assert part.told.endswith("1 training rows or files could not be read and were not searched.")
    whole = [f"all tasks, {side}" for side in sides]
    assert [level.name for level in part.levels] == [*whole, *(f"parity, {side}" for side in sides)]
    assert part.levels[1].difference["exact_match"].p == 0.5 and part.levels[3].href == "report-items/2-parity.html"


def test_variants_and_repeats_have_their_scores_and_their_items(tmp_path: Path) -> None:
    gap = {"exact_match": {**SCORE, "p": 0.5, "p_holm": 0.5, "a12": 0.75}}
    scores = {"original": {"exact_match": SCORE}, "variant": {"exact_match": SCORE}, "gap": gap}
    tasks = {"colour": {"changed": 1, **scores}, "parity": {"changed": 1, **scores}}
    variant = {"items": 4, "changed": 2, "overall": scores, "tasks": tasks, "item_files": ["tune.case.items.jsonl"]}
    spread = {"n": 2, "mean": 0.5, "low": 0.4, "high": 0.6, "median": 0.5, "iqr": 0.1, "min": 0.45, "max": 0.55}
    repeats = {"runs": 2, "seeds": [0, 1], "greedy": ["parity"], "tasks": {"colour": {"exact_match": spread}}}
    repeats |= {"item_files": ["tune.seed1.items.jsonl"]}
    folder = tmp_path / "evals"
    folder.mkdir()
    for name in (*variant["item_files"], *repeats["item_files"]):
        (folder / name).write_text(json.dumps(item(0, "EVEN", True)) + "\n")
    write_evaluation(folder, paired=False, variants={"case": variant}, repeats=repeats)
    (own,) = read_run(folder).evaluations
    (part,) = own.parts
    assert part.title == "Asked as case" and part.told.startswith("2 of 4 items were asked in other words, too.")
    assert [level.name for level in part.levels] == ["all changed items", "colour", "parity"]
    assert part.levels[0].note == "A12: exact_match 0.75." and list(part.levels[0].baselines) == ["case"]
    assert part.levels[1].href == "report-items/3-colour_case.html"
    row = ("colour", "exact_match", "50.0", "40.0 to 60.0", "50.0", "10.0", "45.0", "55.0")
    assert own.tables[0].rows == (row,) and own.tables[0].told.endswith("would be the same: parity.")
    assert [items.level for items in own.items] == ["colour", "parity", "colour, case", "colour, again"]


def test_the_best_template_stands_beside_the_mean(tmp_path: Path) -> None:
    best = {**SCORE, "chosen": ["a/one", "a/two"]}
    templates = {"a": {"exact_match": {"mean": {**SCORE, "tasks": 2}, "best": best}}}
    suite = {"name": "flan_heldout", "scores": {"a": {"exact_match": {**SCORE, "tasks": 2}}}, "templates": templates}
    (own,) = read_run(write_evaluation(tmp_path / "evals", suite=suite)).evaluations
    assert list(own.parts[0].levels[0].baselines) == ["best: a/one, a/two"]


def test_what_so_many_items_can_show_is_told(tmp_path: Path) -> None:
    detectable = {"n": 4, "differences": {"0.1": 0.05, "0.5": None}}
    (own,) = read_run(write_evaluation(tmp_path / "evals", detectable=detectable)).evaluations
    told = "5.0 points where they differ on 10 % of items"
    assert ("smallest difference of two models that 4 items show", told) in own.facts


def test_scored_predictions_have_a_page(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"prediction": "a", "target": "a"}\n{"prediction": "b", "target": "c"}\n')
    ended = precept("eval", "--predictions", rows, "--metric", "exact_match", "-o", tmp_path / "scored")
    assert ended.code == 0, ended.err
    page = read_run(tmp_path / "scored")
    assert not page.missing and "scores 50.0 % exact_match on 2 items" in page.summary
    assert counts(page.evaluations[0]) == {"rows": {"wrong": 1, "right": 1}}


JUDGED = {
    "protocol": "pairwise",
    "judge": "j",
    "model": "a",
    "against": "b",
    "questions": 2,
    "win_rate": {"value": 0.5, "low": 0.1, "high": 0.9, "n": 2},
    "order_consistency": {"value": 1.0, "low": 0.5, "high": 1.0, "n": 2},
    "wins": 1,
    "losses": 0,
    "ties": 1,
    "unparsable": 1,
    "by_category": {
        "maths": {"win_rate": {"value": 1.0, "low": 0.2, "high": 1.0, "n": 1}}
        | {"wins": 1, "losses": 0, "ties": 0, "unparsable": 0},
        "empty": {"win_rate": None, "wins": 0, "losses": 0, "ties": 0, "unparsable": 1},
    },
    "judgments": {"path": "judgments.jsonl", "count": 2},
}


def write_judging(folder: Path, result: dict[str, Any]) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.yaml").write_text(f"method: judge.{result['protocol']}\n")
    (folder / "result.json").write_text(json.dumps(result))
    row = {"question": "81", "turn": 1, "order": "ab", "prompt": "Which is better?", "judge": "j"}
    lines = [json.dumps({**row, "reply": reply, "verdict": v}) for reply, v in (("[[A]]", "A"), ("Both.", None))]
    (folder / "judgments.jsonl").write_text("".join(line + "\n" for line in lines))
    return folder


def test_a_judging_has_a_page_with_every_judgment(tmp_path: Path) -> None:
    folder = write_judging(tmp_path / "judged", JUDGED)
    (judging,) = read_run(folder).judgings
    assert judging.told == "pairwise: a against b, 2 questions, judged by j."
    assert [rating.name for rating in judging.ratings] == ["win rate", "order consistency"]
    assert [rating.name for rating in judging.parts[0][1]] == ["maths: win rate (1 won, 0 lost, 0 tied, 0 unparsable)"]
    assert ("unparsable", "1") in judging.counts and "Both orders were asked" in judging.notes[0]
    assert [(kind.name, kind.count) for kind in judging.items[0].kinds] == [("unparsable", 1), ("read", 1)]
    report(folder, output=None)
    items = (folder / "report-items" / "1-all_judgments.html").read_text()
    assert "Which is better?" in items and "question 81, turn 1, order ab" in items and "extracted: unparsable" in items


def test_grades_are_shown_as_points(tmp_path: Path) -> None:
    grade = {"value": 0.5, "low": 0.4, "high": 0.6, "n": 2}
    graded = {"protocol": "single", "judge": "j", "model": "a", "questions": 2, "score": grade, "unparsable": 0}
    page = read_run(
        write_judging(tmp_path / "judged", {**graded, "by_turn": {"1": grade, "2": None}, "by_category": {}})
    )
    assert page.summary == "single: a, 2 questions, judged by j. Grade, 0 to 10: 0.50 (95 % 0.40 to 0.60)."
    assert [(rating.name, rating.is_grade) for rating in page.judgings[0].parts[0][1]] == [("1", True)]


def test_annotations_of_others_have_a_page_without_judgments(tmp_path: Path) -> None:
    rows = tmp_path / "annotations.json"
    rows.write_text(json.dumps([{"preference": p, "len_1": 5, "len_2": 9} for p in (1.0, 2.0, 2.0)]))
    ended = precept("judge", "alpaca_eval", "--annotations", rows, "-o", tmp_path / "judged")
    assert ended.code == 0, ended.err
    page = read_run(tmp_path / "judged")
    (judging,) = page.judgings
    assert judging.ratings[0].standard_error is not None and not judging.items and not page.missing


def test_the_cells_of_a_grid_and_their_study_are_found(tmp_path: Path) -> None:
    for cell in ("size=tiny,seed=0", "size=tiny,seed=1"):
        write_training(tmp_path / "runs" / "tune" / cell)
        write_evaluation(tmp_path / "runs" / "ask" / cell)
    page = tmp_path / "runs" / "page"
    page.mkdir()
    (page / "run.yaml").write_text("method: study\n")
    (page / "COMPLETED").write_text('{"sentences": ["More tasks help.", "Size does."]}')
    world = tmp_path / "runs" / "world"
    world.mkdir()
    (world / "run.yaml").write_text("method: bundled.world\n")
    steps = find_steps(tmp_path / "runs")
    assert [(step.kind, step.name) for step in steps] == [
        ("train", "tune/size=tiny,seed=0"),
        ("train", "tune/size=tiny,seed=1"),
        ("eval", "ask/size=tiny,seed=0"),
        ("eval", "ask/size=tiny,seed=1"),
        ("study", "page"),
    ]
    told = read_run(tmp_path / "runs")
    assert told.studies == (("More tasks help. Size does.", "page", "page/study.html"),)
    assert [evaluation.name for evaluation in told.evaluations] == ["ask/size=tiny,seed=0", "ask/size=tiny,seed=1"]


def test_of_a_grid_the_summary_says_how_many_steps_there_are(tmp_path: Path) -> None:
    for seed in range(4):
        write_evaluation(tmp_path / "runs" / "ask" / f"seed={seed}")
    assert read_run(tmp_path / "runs").summary == "4 steps of the kind 'eval'."


def test_an_evaluation_that_is_not_done_says_how_to_go_on(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_run(write_evaluation(tmp_path / "evals", done=False))
    assert caught.value.code == "evaluation-incomplete" and "it goes on where it was" in str(caught.value)


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
    assert [(step.kind, step.name) for step in steps] == [("train", "tune"), ("merge", "fold"), ("eval", "eval")]
    page = read_run(tmp_path / "runs")
    assert page.title == "runs" and page.others == (("Merge: fold", (("max_difference", "0.001"),)),)
    assert page.chat == f"precept chat {merged}" and not page.missing
    facts = page.evaluations[0].facts
    assert facts[:2] == (("model", "runs/tune"), ("compared with", "base")) and facts[-1] == ("limit", "4")


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
