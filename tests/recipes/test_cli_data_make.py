"""``precept data make`` and ``uses: data.METHOD``: what is written, reused, refused, and read by later steps."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import chat_rows, precept, write_rows

from precept.records import load
from precept.run.data.makers import MAKERS
from precept.run.reference import field_docstrings

TASK = {
    "Source": ["a"],
    "Categories": ["Question Answering"],
    "Definition": ["Add the numbers."],
    "Positive Examples": [{"input": "1 and 1", "output": "two", "explanation": "1 + 1 is 2"}],
    "Negative Examples": [],
    "Instances": [{"id": f"i{n}", "input": f"{n} and {n}", "output": [str(2 * n), f"it is {2 * n}"]} for n in range(6)],
    "Instance License": ["CC0"],
}

OTHER = {"Source": ["b"], "Categories": ["Title Generation"], "Definition": ["Name the sum."]}


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "task1_add.json").write_text(json.dumps(TASK))
    (folder / "task2_title.json").write_text(json.dumps({**TASK, **OTHER}))
    return folder


def make(tasks: Path, output: Path, *words: str | Path) -> Any:
    return precept("data", "make", "super_ni", "--data", tasks, "-o", output, *words)


def test_rows_are_written_with_their_report_and_sources(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = make(tasks, out, "max_num_instances_per_task=4", "--json")
    assert ended.code == 0, ended.err
    assert ended.json == {
        "output": str(out),
        "method": "super_ni",
        "train": {"path": f"{out}/train.jsonl", "rows": 4},
        "test": {"path": f"{out}/test.jsonl", "rows": 6},
        "report": f"{out}/report.json",
    }
    assert json.loads((out / "COMPLETED").read_text()) == ended.json
    assert json.loads((out / "report.json").read_text())["split"] == {"train": 1, "test": 1, "excluded": 0}
    sources = json.loads((out / "sources.json").read_text())
    names = [Path(sources["files"][place]).name for place, _ in sources["train"] + sources["test"][:1]]
    assert names == ["task1_add.json"] * 4 + ["task2_title.json"]
    assert [row for _, row in sources["test"]] == [1, 2, 3, 4, 5, 6]


def test_written_rows_read_back_as_they_were_made(tasks: Path, tmp_path: Path) -> None:
    assert make(tasks, tmp_path / "out").code == 0
    built = MAKERS["super_ni"].build([str(tasks)], MAKERS["super_ni"].settings())
    for name, rows in (("train.jsonl", built.train), ("test.jsonl", built.test)):
        again = load([str(tmp_path / "out" / name)]).rows
        assert [replace(row, source=made.source) for row, made in zip(again, rows, strict=True)] == list(rows)
        assert [(row.source.id, row.source.licence) for row in again] == [(made.source.id, "CC0") for made in rows]


def test_the_same_command_does_nothing_again_and_another_one_is_refused(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = make(tasks, out, "--json")
    times = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    second = make(tasks, out, "--json")
    assert (second.code, second.json) == (0, first.json) and "nothing was done" in second.err
    assert times == {path: path.stat().st_mtime_ns for path in out.iterdir()}
    other = make(tasks, out, "seed=7")
    assert other.code == 2 and "seed: 42 -> 7" in other.err and "--fresh" in other.err
    assert make(tasks, out, "seed=7", "--fresh").code == 0
    (tasks / "task1_add.json").write_text(json.dumps({**TASK, "Definition": ["Sum."]}))
    changed = make(tasks, out, "seed=7")
    assert changed.code == 2 and "data_hash" in changed.err


def test_a_step_that_was_cut_off_is_made_anew(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    make(tasks, out)
    (out / "COMPLETED").unlink()
    ended = make(tasks, out, "test_categories=[]", "--json")
    assert ended.code == 0, ended.err
    assert ended.json["test"] is None and not (out / "test.jsonl").exists()


def test_a_folder_that_holds_something_else_stays_as_it_is(tasks: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("precious")
    ended = make(tasks, out)
    assert ended.code == 2 and "holds no run of ours" in ended.err
    (out / "run.yaml").write_text("method: sft\nwith: {}\n")
    ended = make(tasks, out)
    assert ended.code == 2 and "output-differs" in ended.err
    assert (out / "notes.txt").read_text() == "precious"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sed=1",), "unknown-key", "did you mean 'seed'?"),
        (("seed=many",), "bad-value", "seed is: Of the instances"),
        (("num_pos_examples=-1",), "bad-value", "num_pos_examples is: Positive examples shown."),
        (("num_pos_examples=true",), "bad-value", "a number is needed"),
        (("max_source_length=64",), "setting-not-read", "'max_source_length' would have no effect"),
        (("tk_instruct=true", "add_explanation=true", "test_categories=[]"), "setting-not-read", "'add_explanation'"),
        (("bad_rows=maybe",), "bad-value", "'bad_rows'"),
        (("tokenizer=nowhere",), "model-not-found", "nowhere"),
    ],
)
def test_keys_that_are_wrong_or_have_no_effect_are_errors(
    tasks: Path, tmp_path: Path, words: tuple[str, ...], code: str, said: str
) -> None:
    ended = make(tasks, tmp_path / "out", *words)
    assert ended.code == 2 and f"code: {code}" in ended.err and said in ended.err, ended.err
    assert not (tmp_path / "out" / "run.yaml").exists()


def test_a_tokenizer_that_counts_nothing_is_an_error(tasks: Path, tmp_path: Path, base_folder: Path) -> None:
    row = write_rows(tmp_path / "rows.jsonl", chat_rows(2))
    ended = precept("data", "make", "mixture", "-d", row, "-o", tmp_path / "out", f"tokenizer={base_folder}")
    assert ended.code == 2 and "'tokenizer' would have no effect" in ended.err


def test_a_tokenizer_counts_for_the_token_budget(tasks: Path, tmp_path: Path, base_folder: Path) -> None:
    from precept.models.load import load_tokenizer

    tokenizer = load_tokenizer(base_folder)
    ended = make(tasks, tmp_path / "out", f"tokenizer={base_folder}", "max_source_length=60", "--json")
    assert ended.code == 0, ended.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["token_budget"] == 60 and report["examples_shown"] == {"0 positive, 0 negative": 12}
    for row in load([ended.json["train"]["path"]]).rows:
        assert len(tokenizer(row.messages[0].content, add_special_tokens=False)["input_ids"]) <= 60


def test_rows_that_cannot_be_used_stop_the_step_or_are_left_out(tasks: Path, tmp_path: Path) -> None:
    bad = {**TASK, "Source": ["c"], "Instances": [{"input": "x"}, *TASK["Instances"]]}
    (tasks / "task3_bad.json").write_text(json.dumps(bad))
    ended = make(tasks, tmp_path / "out")
    assert ended.code == 2 and "1 of 19 rows cannot be used" in ended.err and "bad_rows=drop" in ended.err
    ended = make(tasks, tmp_path / "out", "bad_rows=drop", "--json")
    assert ended.code == 0 and ended.json["train"]["rows"] == 12


def test_unknown_methods_and_missing_data_are_errors(tasks: Path, tmp_path: Path) -> None:
    ended = precept("data", "make", "superni", "-d", tasks, "-o", tmp_path / "out")
    assert ended.code == 2 and "did you mean 'super_ni'?" in ended.err
    ended = precept("data", "make", "super_ni", "-o", tmp_path / "out")
    assert ended.code == 2 and "code: no-data" in ended.err
    ended = make(tmp_path / "nothing", tmp_path / "out")
    assert ended.code == 2 and "code: missing-path" in ended.err


def test_rows_that_reading_would_change_are_not_written_as_done(tmp_path: Path) -> None:
    ends = [{**row, "output": [f"{row['output'][0]}</s>"]} for row in TASK["Instances"]]
    (tmp_path / "task1_x.json").write_text(json.dumps({**TASK, "Instances": ends}))
    ended = make(tmp_path / "task1_x.json", tmp_path / "out")
    assert ended.code == 1 and "code: row-not-read-back" in ended.err
    assert not (tmp_path / "out" / "COMPLETED").exists()


def test_a_file_that_a_setting_names_counts_as_data(tmp_path: Path) -> None:
    examples = {"Positive Examples": [], "Negative Examples": []}
    document = {"Definition": "d", "Prompt": "p", "Examples": examples, "Instances": TASK["Instances"]}
    for name in ("subtask1_x_y", "subtask2_z_y"):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    groups = tmp_path / "groups.yaml"
    groups.write_text("one: [subtask1_x_y]\ntwo: [subtask2_z_y]\n")
    words = ["data", "make", "natural_instructions", "-d", tmp_path / "subtask1_x_y.json"]
    words += ["-d", tmp_path / "subtask2_z_y.json", "-o", tmp_path / "out", "hold_out=category", "held_out=one"]
    words += [f"categories={groups}", "first_test_instance=0"]
    ended = precept(*words, "--json")
    assert ended.code == 0, ended.err
    assert (ended.json["train"]["rows"], ended.json["test"]["rows"]) == (4, 5)  # two instances are examples
    groups.write_text("one: [subtask2_z_y]\ntwo: [subtask1_x_y]\n")
    assert "files_hash" in precept(*words).err


RECIPE = """
name: two
steps:
  - name: first
    uses: data.super_ni
    with: {data: TASKS, max_num_instances_per_task: 4}
  - name: mixed
    uses: data.mixture
    with: {data: ["${first}/train.jsonl", ROWS], weights: {first: 1, rows: 1}}
  - name: tune
    uses: train.sft
    with:
      model: MODEL
      data: ${mixed}/train.jsonl
      max_steps: 2
      learning_rate: 1.0e-2
      batch_size: 4
  - name: eval
    uses: eval
    with: {model: "${tune}", task: "${first}/test.jsonl", limit: 2, max_new_tokens: 2}
"""


@pytest.fixture
def recipe(tasks: Path, tmp_path: Path, base_folder: Path) -> Path:
    rows = write_rows(tmp_path / "rows.jsonl", chat_rows(20))
    text = RECIPE.replace("TASKS", str(tasks)).replace("ROWS", str(rows)).replace("MODEL", str(base_folder))
    path = tmp_path / "two.yaml"
    path.write_text(text)
    return path


def test_later_steps_of_a_recipe_train_on_the_rows_and_ask_them(recipe: Path, tmp_path: Path) -> None:
    command = ("run", recipe, "-o", tmp_path / "runs", "--json")
    first = precept(*command)
    assert first.code == 0, first.err
    assert [step["state"] for step in first.json["steps"]] == ["done"] * 4
    # four rows of the task, so four of the file: no row comes twice
    assert first.json["steps"][1]["result"]["train"]["rows"] == 8
    assert first.json["steps"][3]["result"]["overall"]["rouge_l"]["n"] == 2
    again = precept(*command)
    assert [step["state"] for step in again.json["steps"]] == ["reused"] * 4
    page = precept("report", tmp_path / "runs", "--json")
    assert page.code == 0, page.err


def test_check_makes_the_rows_that_it_proves(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ended = precept("check", recipe, "--json")
    assert ended.code == 0, ended.err
    assert ended.json["ok"] and (tmp_path / "runs" / "two" / "mixed" / "COMPLETED").is_file()


def test_keys_of_data_steps_are_checked_before_any_step_runs(recipe: Path, tmp_path: Path) -> None:
    recipe.write_text(recipe.read_text().replace("weights:", "wieghts:"))
    ended = precept("run", recipe, "-o", tmp_path / "runs")
    assert ended.code == 2 and "did you mean 'weights'?" in ended.err and "line 9" in ended.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", MAKERS)
def test_every_maker_has_settings_that_are_described(name: str) -> None:
    maker = MAKERS[name]
    assert maker.about and callable(maker.build)
    assert set(field_docstrings(maker.settings)) == set(maker.settings.model_fields)
    assert not set(maker.settings.model_fields) & {"data", "tokenizer", "bad_rows"}, "keys of every data step"
