"""The recipes of the Flan Collection at tiny size: the mixture, and the mixture without each of its parts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command_line import precept

PARTS = ("all", "no_cot", "no_inversion", "no_balancing", "no_few_shot")


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """A labelled task and one with rationales."""
    folder = tmp_path / "collection"
    folder.mkdir()
    labelled = [
        {"text": f"Film {n} is fine.", "options": ["bad", "good"], "answer": ["bad", "good"][n % 2]} for n in range(30)
    ]
    reasons = [f"{n} and {n}?\t{2 * n}\tTwice {n} is {2 * n}." for n in range(30)]
    (folder / "sst2.jsonl").write_text("".join(json.dumps(row) + "\n" for row in labelled))
    (folder / "sums.tsv").write_text("".join(line + "\n" for line in reasons))
    return folder


def test_flan_collection_tunes_on_all_forms_and_scores_held_back_rows(
    base_folder: Path, collection: Path, tmp_path: Path
) -> None:
    command = ["run", "flan_collection", "-o", tmp_path / "out", f"make.data={collection}"]
    command += [f"make.tokenizer={base_folder}", "make.exemplar_tokens=120", "make.test_rows_per_task=3"]
    command += ["make.weights=equal", f"tune.model={base_folder}", "tune.max_length=256", "tune.max_steps=6"]
    command += ["tune.learning_rate=1e-2", "tune.batch_size=8", "eval.max_new_tokens=4", "--json"]
    first = precept(*command)
    assert first.code == 0, first.err
    make, tune, score = first.json["steps"]
    report = json.loads(Path(make["result"]["report"]).read_text())
    assert make["result"]["test"]["rows"] == 6
    assert {name for name, entry in report["styles"].items() if entry["rows"]} >= {"flan zsopt", "cot zsopt"}
    assert tune["result"]["loss_last"] < tune["result"]["loss_first"]
    assert set(score["result"]["tasks"]) == {"sst2", "sums"}
    assert score["result"]["asked"]["sums"]["metrics"]["exact_match"]["extract"] == "bbh_cot"
    assert [step["state"] for step in precept(*command).json["steps"]] == ["reused"] * 3


def test_flan_collection_ablation_scores_each_part_against_the_whole(
    base_folder: Path, collection: Path, tmp_path: Path
) -> None:
    words = [f"make.data={collection}", "make.test_rows_per_task=2", "axes.seed=0"]
    words += ["make.rows=400"]  # about fifteen of them rationales, a quarter of these turned around
    words += [f"tune.model={base_folder}", "tune.max_steps=1", "tune.over_length=cut_left", "eval.max_new_tokens=2"]
    ended = precept("run", "flan_collection_ablation", "-o", tmp_path / "out", *words, "--json")
    assert ended.code == 0, ended.err
    made = {s["axes"]["mixture"]: Path(s["output"]) for s in ended.json["steps"] if s["name"] == "make"}
    assert tuple(made) == PARTS
    assert len({(folder / "test.jsonl").read_text() for folder in made.values()}) == 1  # one test for all
    assert len({(folder / "train.jsonl").read_text() for folder in made.values()}) == len(PARTS)
    page = ended.json["steps"][-1]["result"]
    assert [claim["of"] for claim in page["claims"]] == ["no_cot", "no_inversion", "no_balancing", "no_few_shot"]
    assert {claim["n"] for claim in page["claims"]} == {4}  # two rows of each of two tasks
    assert len(page["sentences"]) == 4


def test_a_model_too_short_for_a_recipe_is_told_before_its_first_step(
    base_folder: Path, collection: Path, tmp_path: Path
) -> None:
    words = [f"make.data={collection}", f"make.tokenizer={base_folder}", f"tune.model={base_folder}"]
    ended = precept("run", "flan_collection", "-o", tmp_path / "out", *words)
    assert ended.code == 2
    assert "max_length 2560 is beyond the model's 256 positions" in ended.err
    assert "tune.model=" in ended.err and "config.json" in ended.err
    assert not (tmp_path / "out").exists()
