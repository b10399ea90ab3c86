"""Every study runs from its world to its page, at tiny size: small grids, a random model of two layers, two steps."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept
from tests.fakes import parrot_folder
from transformers import AutoTokenizer

from precept.render import read_template
from precept.run.recipe.file import SHIPPED

TINY = "bases/base/size=tiny"
WORLD = ("world.documents=30",)
START = ("start.num_hidden_layers=2",)
SHORT = ("tune.max_steps=2", "tune.batch_size=4", "ask.limit=1", "ask.max_new_tokens=2")
GRIDS: dict[str, tuple[str, ...]] = {
    "tasks_size_cot": ("axes.base=tiny", "axes.tasks=16", "axes.seed=0", "rows.rows=40"),
    "wordings_per_task": ("axes.wordings=1", "axes.wordings=14", "axes.level=unseen_tasks", "axes.seed=0"),
    "training_clusters": ("axes.clusters=1", "axes.clusters=14", "axes.level=unseen_tasks", "axes.seed=0"),
    "zero_few_shot": ("axes.zero_shot=0.5", "axes.zero_shot=1", "axes.seed=0", "rows.rows=40"),
    "flan_collection_ablation": ("axes.mixture=whole", "axes.mixture=no_few_shot", "axes.seed=0", "rows.rows=40"),
    "instances_per_task": ("axes.instances=1", "axes.instances=4", "axes.seed=0"),
    "definition_or_examples": (
        *("axes.taught=definition", "axes.taught=both", "axes.asked=both", "axes.asked=negatives", "axes.seed=0"),
    ),
    "superficial_alignment": ("axes.instances=4", "axes.seed=0"),
    "grouping": (
        "axes.group=one",
        "axes.group=four",
        "axes.level=unseen_tasks",
        "axes.seed=0",
        "tune.eval_fraction=0.1",
    ),
}
CELLS = {"tasks_size_cot": 4, "zero_few_shot": 4, "flan_collection_ablation": 6, "definition_or_examples": 4} | {
    "superficial_alignment": 4
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder to work in, with a base of two layers made by the study ``bases``."""
    folder = tmp_path_factory.mktemp("studies")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = (*WORLD, *START, "axes.size=tiny", "base.max_steps=2", "base.eval_steps=2", "base.eval_fraction=0.2")
        ended = precept("run", "studies/bases", "-o", "bases", *words, "--json")
        assert ended.code == 0, ended.err
        shrink(folder / "bases" / "world" / "tasks")
        yield folder


def shrink(tasks: Path) -> None:
    """Leave one task of each category with thirty instances, and the first rows of other files."""
    for folder in (path for path in tasks.iterdir() if path.is_dir()):
        kept = set()
        for file in sorted(folder.glob("*.json")):
            task = json.loads(file.read_text())
            if (category := task["Categories"][0]) in kept:
                file.unlink()
                continue
            kept.add(category)
            file.write_text(json.dumps({**task, "Instances": task["Instances"][:30]}))
    for file in tasks.rglob("*.jsonl"):
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:60]))


def run(study: str, folder: Path, *words: str) -> dict[str, Any]:
    """Run a study in the folder, with the world that is there already; returns its steps' results by name."""
    shutil.copytree(folder / "bases" / "world", folder / study / "world")
    ended = precept("run", f"studies/{study}", "-o", study, *WORLD, *words, "--json")
    assert ended.code == 0, ended.err
    steps = ended.json["steps"]
    assert steps[0]["state"] == "reused"
    return {step["name"]: step["result"] for step in steps}


def test_every_study_is_run_here() -> None:
    shipped = {path.stem for path in (SHIPPED / "studies").glob("*.yaml")}
    assert shipped == {*GRIDS, "bases", "imitation"}


@pytest.mark.parametrize("study", GRIDS)
def test_a_study_ends_in_a_page_that_answers_its_claims(study: str, made: Path) -> None:
    words = [*GRIDS[study], *SHORT]
    words += [] if study == "tasks_size_cot" else [f"tune.model={TINY}"]
    words += ["rows.rows=100"] if study in ("wordings_per_task", "training_clusters") else []
    results = run(study, made, *words)
    pages = [result for result in results.values() if "claims" in result]
    assert pages
    for page in pages:
        assert Path(page["page"]).is_file()
        assert len(page["sentences"]) == len(page["claims"]) > 0
        assert all(sentence.endswith(".") for sentence in page["sentences"])
    assert len(list((made / study / "ask").iterdir())) == CELLS.get(study, 2)


def test_imitation_tunes_on_the_answers_of_another_model(made: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained("bases/world/tokenizer")
    end = tokenizer.eos_token
    tokenizer.chat_template = read_template("plain")
    says = parrot_folder(made / "parrot", tokenizer, prompt_end="\n\nAssistant:", says=" red", end=end)
    words = ("axes.base=tiny", "axes.imitated=20", "axes.imitated=40", "axes.seed=0", *SHORT)
    words += (f"teacher.model={TINY}", "teacher.max_steps=2", "all.rows=40", "half.rows=40", f"answers.teacher={says}")
    results = run("imitation", made, *words)
    rows = [json.loads(line) for line in Path(results["answers"]["train"]["path"]).read_text().splitlines()]
    assert [row["messages"][1]["content"] for row in rows] == ["red"] * 40
    assert results["form"]["metric"] == "same_form" and results["right"]["metric"] == "exact_match"
