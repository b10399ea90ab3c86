"""The recipes that tune the bundled base on real files of P3 and of Super-NaturalInstructions, on small files of the
same formats, with a tiny model in the base's place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.command_line import precept, write_rows

from precept.run.recipe.file import SHIPPED

TINY = ("tune.max_steps=6", "tune.learning_rate=1e-2", "tune.batch_size=8", "tune.max_length=256")


def p3_folder(folder: Path, name: str, words: tuple[str, str]) -> Path:
    """A data set of two templates, as P3's files are."""
    (folder / name).mkdir()
    for place, ask in enumerate(("Is {} even?\n", "{}: odd or even?\n")):
        rows = [{"prompt": ask.format(n), "completion": f"{words[n % 2]}<|endoftext|>"} for n in range(12)]
        write_rows(folder / name / f"{name}_{place}.jsonl", rows)
    return folder / name


def task_file(path: Path, count: int, category: str) -> Path:
    document = {
        "Categories": [category],
        "Source": [path.stem],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Definition": [f"Do {path.stem}."],
        "Positive Examples": [{"input": "a", "output": "b", "explanation": "so"}],
        "Negative Examples": [],
        "Instances": [{"id": f"{path.stem}-{n}", "input": f"n {n}", "output": [f"m {n % 3}"]} for n in range(count)],
    }
    path.write_text(json.dumps(document))
    return path


def run_twice(*command: str | Path) -> dict[str, Any]:
    """The results of the steps by name; a second call does nothing again."""
    first = precept(*command, "--json")
    assert first.code == 0, first.err
    assert {step["state"] for step in precept(*command, "--json").json["steps"]} == {"reused"}
    return {step["name"]: step["result"] for step in first.json["steps"]}


def test_p3_unseen_scores_data_sets_that_were_not_trained_on_against_the_base(
    base_folder: Path, tmp_path: Path
) -> None:
    trained = [p3_folder(tmp_path, name, ("yes", "no")) for name in ("qasc", "quarel")]
    asked = [p3_folder(tmp_path, name, ("Yes", "No")) for name in ("glue_mrpc", "sciq")]
    command = ["run", "p3_unseen", "-o", tmp_path / "out", *TINY]
    command += [*(f"tune.data={folder}" for folder in trained), *(f"eval.task={folder}" for folder in asked)]
    command += [f"tune.model={base_folder}", f"eval.against={base_folder}", "eval.max_new_tokens=4"]
    steps = run_twice(*command)
    assert steps["tune"]["loss_last"] < steps["tune"]["loss_first"]
    assert set(steps["eval"]["tasks"]) == {"glue_mrpc", "sciq"}  # one task a data set, over its templates
    assert steps["eval"]["tasks"]["sciq"]["exact_match"]["n"] == 24
    assert steps["eval"]["difference"]["exact_match"]["n"] == 48
    assert steps["eval"]["contamination"]["items"] == 48  # all were looked for in the training rows


def test_super_ni_unseen_scores_tasks_that_were_not_trained_on_against_the_base(
    base_folder: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    for number, category in enumerate(("Summarization", "Question Answering", "Sentiment Analysis"), 1):
        task_file(folder / f"task{number}_x.json", 20, category)
    command = ["run", "super_ni_unseen", "-o", tmp_path / "out", *TINY, "tune.num_train_epochs=1"]
    command += [f"make.data={folder}", "make.test_tasks=[task3_x]", f"make.tokenizer={base_folder}"]
    command += ["make.max_source_length=200", "make.max_num_instances_per_task=16"]
    command += [f"tune.model={base_folder}", f"eval.against={base_folder}", "eval.max_new_tokens=4"]
    steps = run_twice(*command)
    assert (steps["make"]["train"]["rows"], steps["make"]["test"]["rows"]) == (32, 20)
    assert steps["tune"]["loss_last"] < steps["tune"]["loss_first"]
    assert set(steps["eval"]["tasks"]) == {"task3_x"}
    assert {metric: entry["n"] for metric, entry in steps["eval"]["difference"].items()} == {
        "exact_match": 20,
        "rouge_l": 20,
    }


@pytest.mark.parametrize("name", ["p3_unseen", "super_ni_unseen"])
def test_the_files_that_the_recipes_name_are_those_of_the_shared_data(name: str, shared_data: Path) -> None:
    recipe = yaml.safe_load((SHIPPED / f"{name}.yaml").read_text())
    named = [step["with"].get(key, []) for step in recipe["steps"] for key in ("data", "task")]
    paths = [path for one in named for path in ([one] if isinstance(one, str) else one) if path.startswith("data/")]
    assert paths and all((shared_data.parent / path).exists() for path in paths)
    if name == "p3_unseen":
        trained, asked = ({Path(path).name for path in paths} for paths in (named[0], named[3]))
        others = {path.name for path in (shared_data / "p3").iterdir()} - trained - asked
        assert not trained & asked and others == {"dbpedia_14", "imdb"}
