"""Suites: what their files may hold, how data is found, and scores averaged over tasks."""

import pytest

from precept.errors import InputError
from precept.evaluate import ItemResult, load_task
from precept.evaluate.suite import SUITES, find_data, group_scores, load_suite

# A list of ten, a list of ten of it, and so on: a million words.
MULTIPLIED = "a: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 6)
)
ENTRY = "tasks:\n  - {task: references, data: rows.jsonl}\n"


def results(*scores):
    return [ItemResult(str(n), "t", "", (), "", "", {"exact_match": score}) for n, score in enumerate(scores)]


def test_every_suite_names_tasks_that_load_and_where_its_data_comes_from():
    wanted = {"superni", "flan_heldout", "mmlu", "bbh", "tydiqa", "mgsm", "gsm8k", "ifeval", "user_instructions"}
    assert wanted | {"vicuna80", "mt_bench", "alpaca_eval", "knowledge"} <= set(SUITES)
    for name in SUITES:
        suite = load_suite(name)
        assert suite.about and suite.source and suite.name == name
        for entry in suite.tasks:
            task = load_task(entry.task)
            assert not task.shots or entry.examples


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("tasks: []", "suite-empty", "the suite is empty"),
        ("about: none", "suite-invalid", "tasks"),
        (ENTRY + "task: x", "suite-invalid", "did you mean 'tasks'?"),
        ("tasks:\n  - {task: references, dat: rows.jsonl}", "suite-invalid", "did you mean 'data'?"),
        ("tasks:\n  - {task: references, data: rows.jsonl, limit: 0}", "suite-invalid", "greater than or equal to 1"),
        ("tasks:\n  - {task: references, data: ''}", "suite-invalid", "no pattern of files"),
        ("tasks:\n  - {task: references, data: [a.json, .]}", "suite-invalid", "it names no file"),
        ("tasks:\n  - {task: references, data: /}", "suite-invalid", "key 'tasks.0.data'"),
        ("tasks:\n  - {task: references, data: a**/b}", "suite-invalid", "can only be an entire path component"),
        ("tasks:\n  - {task: references, data: a.json, examples: ''}", "suite-invalid", "key 'tasks.0.examples'"),
        ("tasks:\n  - {task: references, data: a.json, name: '{foo}'}", "suite-invalid", "found: {foo}"),
        ("tasks:\n  - {task: references, data: a.json, group: '{name}'}", "suite-invalid", "found: {name}"),
        ("about: ''\nsource: \"\\uD800\"", "suite-not-yaml", "surrogates not allowed"),
        ("a: &x {b: *x}", "suite-not-yaml", "aliases multiply it"),
        (MULTIPLIED, "suite-not-yaml", "aliases multiply it"),
        ("- a", "suite-not-yaml", "not a YAML mapping"),
    ],
)
def test_a_wrong_suite_file_is_refused(tmp_path, text, code, says):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=says.replace("?", r"\?")) as caught:
        load_suite(str(path))
    assert caught.value.code == code


def test_an_unknown_suite_is_told_the_nearest_one():
    with pytest.raises(InputError, match="did you mean 'gsm8k'") as caught:
        load_suite("gms8k")
    assert caught.value.code == "suite-unknown"


def test_the_first_pattern_that_finds_files_counts(tmp_path):
    for name in ("mmlu/test/b_test.csv", "mmlu/test/a_test.csv", "mmlu/all/test.parquet", "other/test/c.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    patterns = ["mmlu/absent/*.csv", "mmlu/test/*.csv", "mmlu/*/test*.parquet"]
    names = [path.rpartition("/")[2] for path in find_data(patterns, tmp_path)]
    assert names == ["a_test.csv", "b_test.csv"]
    assert find_data(patterns, tmp_path / "mmlu") == find_data(patterns, tmp_path)  # the folder is MMLU itself
    assert find_data(["mmlu/test/*.csv"], tmp_path / "mmlu" / "all") == []
    assert find_data(["mmlu/test/*.csv"], tmp_path / "other") == []  # no MMLU
    absolute = str(tmp_path / "mmlu" / "test" / "*.csv")
    assert find_data([absolute], tmp_path / "absent") == find_data(patterns, tmp_path)
    assert find_data(["bundled:unseen_tasks"], tmp_path) == ["bundled:unseen_tasks"]


def test_a_group_scores_the_unweighted_mean_over_its_tasks():
    # Means 3/4 and 0/1: (0.75 + 0) / 2, where all items together give 3/5.
    found = group_scores({"a": results(1, 1, 1, 0), "b": results(0)})["exact_match"]
    assert (found["value"], found["n"], found["tasks"]) == (0.375, 5, 2)
    assert 0 <= found["low"] < 0.375 < found["high"] <= 0.5  # task b has nothing to draw


def test_tasks_without_any_variation_get_the_interval_of_all_their_items():
    found = group_scores({"a": results(0, 0), "b": results(0, 0)})["exact_match"]
    assert found["value"] == found["low"] == 0
    assert found["high"] == pytest.approx(3.8415 / (4 + 3.8415), abs=1e-4)  # Wilson, z^2 / (n + z^2)
