"""An evaluation step is done again when anything changed that it reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from precept.errors import InputError
from precept.evaluate import load_task
from precept.run.recipe import eval_inputs as eval_inputs_module
from precept.run.recipe.eval_inputs import eval_inputs
from precept.run.recipe.file import Step

SUITE = """tasks:
  - task: own.yaml
    data: rows/*.jsonl
    each: true
    examples: ["shots/{name}.txt", "shots/all.jsonl"]
    only: names.txt
    limit: 1
"""
FILES = {
    "model/config.json": "{}",
    "suite.yaml": SUITE,
    "own.yaml": "family: references\nrouge_tokenizer: bpe\n",
    "task.yaml": "family: references\ndata: few.jsonl\nexamples: shots/all.jsonl\nrouge_tokenizer: bpe\n",
    "bpe/tokenizer.json": "{}",
    "few.jsonl": '{"prompt": "a", "references": ["b"]}\n',
    "names.txt": "one\n",
    "rows/one.jsonl": '{"prompt": "a", "references": ["b"]}\n',
    "shots/one.txt": "Q: a\nA: b\n",
    "shots/all.jsonl": '{"prompt": "a", "completion": "b"}\n',
    "template.jinja": "{{ messages }}",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def step(folder: Path, **settings: object) -> Step:
    return Step("ask", "eval", {"model": str(folder / "model"), **settings}, {"task": "ask.yaml line 5"})


def of_suite(folder: Path) -> dict[str, str]:
    template = str(folder / "template.jinja")
    return eval_inputs(step(folder, suite=str(folder / "suite.yaml"), data_dir=str(folder), chat_template=template))


def of_task(folder: Path) -> dict[str, str]:
    return eval_inputs(step(folder, task=[str(folder / "task.yaml"), str(folder / "rows")]))


OF_TASK = ("model/config.json", "task.yaml", "few.jsonl", "shots/all.jsonl", "bpe/tokenizer.json", "rows/one.jsonl")
OF_SUITE = [name for name in FILES if name not in ("task.yaml", "few.jsonl")]


@pytest.mark.parametrize(("inputs", "name"), [(of_task, n) for n in OF_TASK] + [(of_suite, n) for n in OF_SUITE])
def test_every_file_that_is_read_is_an_input(folder: Path, inputs: Callable[[Path], dict[str, str]], name: str) -> None:
    before = inputs(folder)
    assert inputs(folder) == before
    (folder / name).write_text(FILES[name] + "\n")
    assert inputs(folder) != before


def test_the_versions_of_stock_tasks_count(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only, any_kind = (step(folder, task=[str(folder / name)]) for name in ("task.yaml", "few.jsonl"))
    assert eval_inputs(only)["stock tasks"] == f"references {load_task('references').version}"
    before = eval_inputs(any_kind)
    assert "bbh_cot_few_shot 3" in before["stock tasks"].split(", ")
    monkeypatch.setattr(eval_inputs_module, "load_task", lambda name: replace(load_task(name), version=99))
    assert eval_inputs(any_kind) != before


def test_the_names_of_data_files_count_since_tasks_are_named_after_them(folder: Path) -> None:
    before = of_task(folder)
    (folder / "rows" / "one.jsonl").rename(folder / "rows" / "two.jsonl")
    assert of_task(folder) != before


def test_named_data_is_no_file(folder: Path) -> None:
    inputs = eval_inputs(step(folder, task="hf:owner/name", suite="knowledge"))
    assert inputs["hf:owner/name"] == "hf:owner/name" and inputs["bundled:unseen_tasks"] == "bundled:unseen_tasks"


def test_a_task_that_is_not_there_is_told_by_its_key(folder: Path) -> None:
    with pytest.raises(InputError) as stopped:
        eval_inputs(step(folder, task=[str(folder / "rows"), "gone.jsonl"]))
    problem = stopped.value
    assert (problem.code, problem.where, problem.found) == ("missing-path", "ask.yaml line 5", "gone.jsonl")
