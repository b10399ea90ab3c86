"""The step ``study``: folders of evaluations in, a page and its numbers out, and every way in which they do not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from precept.errors import InputError
from precept.run.report.study import Cell, check_study, run_study
from precept.run.report.study_settings import StudySettings

CLAIM = {"says": "more tasks help", "source": "Chung et al., section 3", "axis": "tasks", "trend": "rises"}
PAGE = {"results": "ask", "x": "tasks", "lines": "size"}


def write_cell(folder: Path, tasks: dict[str, list[int]], *, group: str | None = None, ids: str = "abcdefgh") -> Path:
    """The folder of an eval step: a file of items a task, with exact match and half of it as ROUGE-L."""
    folder.mkdir(parents=True)
    files = []
    for name, scores in tasks.items():
        files.append(f"model.{name}.items.jsonl")
        lines = [
            {"id": ids[n], "task": name, "prompt": "?", "references": ["yes"], "output": "", "extracted": ""}
            | {"scores": {"exact_match": float(score), "rouge_l": score / 2}, "refused": None}
            for n, score in enumerate(scores)
        ]
        (folder / files[-1]).write_text("".join(json.dumps(line) + "\n" for line in lines))
    means = {name: {"exact_match": {}, "rouge_l": {}} for name in tasks}
    document: dict[str, Any] = {"tasks": means, "item_files": files}
    document["asked"] = {name: {"group": group or "all", "items": len(scores)} for name, scores in tasks.items()}
    document |= {"suite": {"name": "mine"}} if group else {}
    (folder / "result.json").write_text(json.dumps(document))
    return folder


def write_grid(root: Path, *, group: str | None = None) -> list[Cell]:
    """Tasks 4, 16 and 64 x small and large x seeds 0 and 1; each step up gets one more of the four items right."""
    cells = []
    for place, tasks in enumerate((4, 16, 64)):
        for size in ("small", "large"):
            for seed in (0, 1):
                right = place + (size == "large") * (1 - seed)
                folder = root / f"tasks={tasks},size={size},seed={seed}"
                scores = {"easy": [int(n < right) for n in range(4)], "hard": [0, 0]}
                axes = {"tasks": tasks, "size": size, "seed": seed}
                cells.append(Cell(axes, write_cell(folder, scores, group=group)))
    return cells


def test_a_grid_becomes_a_page_with_figures_and_numbers(tmp_path: Path) -> None:
    cells = write_grid(tmp_path / "ask")
    settings = StudySettings(**PAGE, group=["easy", "overall"], chance=0.25, claims=[CLAIM])
    result = run_study(cells, settings, tmp_path / "page")
    assert json.loads(json.dumps(result))["metric"] == "exact_match"
    assert result["axes"] == {"tasks": ["4", "16", "64"], "size": ["small", "large"], "seed": ["0", "1"]}
    assert result["shown"] == {"x": "tasks", "lines": "size", "panels": None, "scale": "log"}
    assert result["averaged_over"] == result["repeats"] == ["seed"] and len(result["points"]) == 2 * 6
    first = result["points"][1]  # easy, small, 16 tasks: one of four in both seeds
    assert (first["group"], first["line"], first["x"], first["value"], first["n"]) == ("easy", "small", "16", 0.25, 4)
    overall = next(p for p in result["points"] if (p["group"], p["line"], p["x"]) == ("overall", "large", "4"))
    assert overall["value"] == pytest.approx((1 / 6 + 0) / 2) and overall["n"] == 6  # 1 of 6 in seed 0, none in seed 1
    (claim,) = result["claims"]
    assert claim["group"] == "easy" and claim["runs"] == pytest.approx((0.5, 0.5))  # two of four more at 64 than at 4
    assert result["sentences"][0].startswith(
        "Here, with 2 seeds and 4 items, exact_match of easy, averaged over size, rose"
    )
    names = {path.name for path in (tmp_path / "page").iterdir()}
    assert names == {"study.html", "study.md", "figure-1.svg", "figure-2.svg"}
    assert "](figure-2.svg)" in (tmp_path / "page" / "study.md").read_text()
    assert result["page"] == str(tmp_path / "page" / "study.html") and len(result["figures"]) == 2


def test_axes_off_the_page_are_averaged_and_only_seeds_are_runs(tmp_path: Path) -> None:
    cells = write_grid(tmp_path / "ask")
    claim = {**CLAIM, "says": "larger is better", "axis": "tasks"}
    settings = StudySettings(results="ask", x="tasks", claims=[claim], group="easy")
    result = run_study(cells, settings, tmp_path / "page")
    assert result["averaged_over"] == ["size", "seed"] and result["repeats"] == ["seed"]
    assert result["points"][0]["runs"] == pytest.approx([0.125, 0])  # large has one of four right with seed 0
    assert result["sentences"][0].startswith("Here, with 2 seeds and 4 items, exact_match, averaged over size, rose")
    page = (tmp_path / "page" / "study.md").read_text()
    assert "Each run is the mean over size (small, large)." in page and "Runs differ in seed (0, 1)." in page
    settings = StudySettings(results="ask", x="tasks", claims=[claim], group="easy", repeats=["seed", "size"])
    result = run_study(cells, settings, tmp_path / "other")
    assert result["sentences"][0].startswith("Here, with 4 runs (size x seed) and 4 items, exact_match rose")


def test_panels_are_the_values_of_an_axis(tmp_path: Path) -> None:
    settings = StudySettings(results="ask", x="tasks", panels="size", metric="rouge_l", title="By size")
    result = run_study(write_grid(tmp_path / "ask"), settings, tmp_path / "page")
    assert [p["panel"] for p in result["points"]] == ["small"] * 3 + ["large"] * 3 and result["metric"] == "rouge_l"
    text = (tmp_path / "page" / "study.md").read_text()
    assert text.startswith("# By size\n") and "\n## size large\n" in text and "](figure-2.svg)" in text


def test_a_group_of_a_suite_is_the_mean_of_its_tasks(tmp_path: Path) -> None:
    settings = StudySettings(results="ask", x="tasks", lines="size", group="direct")
    result = run_study(write_grid(tmp_path / "ask", group="direct"), settings, tmp_path / "page")
    # Large, 64 tasks: 'easy' 3 and 2 of 4, 'hard' none of 2: (0.75 + 0) / 2 and (0.5 + 0) / 2.
    assert result["points"][-1]["runs"] == pytest.approx((0.375, 0.25)) and result["points"][-1]["n"] == 6


def test_a_claim_may_be_of_another_metric_and_group(tmp_path: Path) -> None:
    settings = StudySettings(
        **PAGE, claims=[{**CLAIM, "group": "hard", "metric": "rouge_l", "where": {"size": "last"}}]
    )
    (claim,) = run_study(write_grid(tmp_path / "ask"), settings, tmp_path / "page")["claims"]
    assert (claim["group"], claim["metric"], claim["n"], claim["value"]) == ("hard", "rouge_l", 2, 0.0)


def test_axes_of_one_value_are_no_trouble(tmp_path: Path) -> None:
    folder = write_cell(tmp_path / "one", {"easy": [1, 0]})
    settings = StudySettings(results="ask", x="tasks", lines="cot", claims=[CLAIM])
    result = run_study([Cell({"tasks": 4, "cot": True, "seed": 0}, folder)], settings, tmp_path / "page")
    assert [(p["x"], p["line"], p["value"], p["over"]) for p in result["points"]] == [("4", "true", 0.5, "items")]
    assert result["claims"][0]["verdict"] == "untested" and result["averaged_over"] == []


def test_claims_that_cannot_be_tested_are_told_before_anything_runs(capsys: pytest.CaptureFixture[str]) -> None:
    settings = StudySettings(results="ask", x="tasks", claims=[CLAIM])
    check_study(settings, [{"tasks": 4, "seed": 0}])
    assert "will not be tested: one value of tasks only" in capsys.readouterr().err
    check_study(settings, [{"tasks": 4}, {"tasks": 16}])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("keys", "code", "where"),
    [
        ({"x": "task"}, "unknown-axis", "recipe line of x"),
        ({"lines": "sizes"}, "unknown-axis", "recipe line of lines"),
        ({"repeats": ["seeds"]}, "unknown-axis", "recipe line of repeats"),
        ({"claims": [{**CLAIM, "where": {"sizes": "large"}}]}, "unknown-axis", "recipe line of claims"),
        ({"x": "size", "lines": None, "scale": "linear"}, "study-scale", "recipe line of scale"),
        ({"x": "seed", "scale": "log"}, "study-scale", "recipe line of scale"),  # there is a seed 0
        ({"metric": "perplexity"}, "study-metric", "recipe line of metric"),
        ({"claims": [{**CLAIM, "metric": "bits_per_byte"}]}, "study-metric", "recipe line of claims"),
    ],
)
def test_axes_are_checked_before_anything_runs(keys: dict[str, Any], code: str, where: str) -> None:
    places = [{"tasks": 4, "size": "large", "seed": seed} for seed in (0, 1)]
    with pytest.raises(InputError) as raised:
        check_study(StudySettings(**{**PAGE, **keys}), places, lambda key: f"recipe line of {key}")
    assert (raised.value.code, raised.value.where) == (code, where) and raised.value.do


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"lines": "tasks"}, "'x', 'lines' and 'panels' need axes that differ"),
        ({"group": []}, "'group' needs one name"),
        ({"group": ["easy", "easy"]}, "several that differ"),
        ({"chance": 25}, "less than or equal to 1"),
        ({"claims": [{**CLAIM, "axes": "tasks"}]}, "a claim has no key 'axes'"),
    ],
)
def test_keys_that_do_not_fit_are_refused(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        StudySettings(**{**PAGE, **keys})


def refused(cells: list[Cell], folder: Path, **keys: Any) -> InputError:
    with pytest.raises(InputError) as raised:
        run_study(cells, StudySettings(**{**PAGE, **keys}), folder / "page")
    assert not (folder / "page").exists()
    return raised.value


def test_evaluations_that_are_not_finished_are_listed(tmp_path: Path) -> None:
    cells = write_grid(tmp_path / "ask")
    (cells[3].output / "result.json").unlink()
    problem = refused([*cells[:5], *cells[6:]], tmp_path)  # another is not there at all
    assert problem.code == "study-cells-missing"
    assert problem.found == "2 missing: (tasks 4; size large; seed 1), (tasks 16; size small; seed 1)"


@pytest.mark.parametrize("name", ["result.json", "model.easy.items.jsonl"])
def test_a_damaged_evaluation_is_named(tmp_path: Path, name: str) -> None:
    cells = write_grid(tmp_path / "ask")
    path = cells[2].output / name
    path.write_bytes(path.read_bytes()[:-20])
    problem = refused(cells, tmp_path)
    assert problem.code == "study-cell-damaged" and problem.where == str(cells[2].output)


def test_groups_and_metrics_that_nobody_scored_are_named_with_the_nearest(tmp_path: Path) -> None:
    cells = write_grid(tmp_path / "ask")
    problem = refused(cells, tmp_path, group="eazy")
    assert problem.code == "unknown-group" and problem.do == "did you mean 'easy'?"
    problem = refused(cells, tmp_path, metric="rogue_l")
    assert problem.code == "unknown-metric" and problem.do == "did you mean 'rouge_l'?"


def test_scores_that_are_not_in_0_to_1_are_refused(tmp_path: Path) -> None:
    cells = write_grid(tmp_path / "ask")
    for cell in cells:
        for path in cell.output.iterdir():
            path.write_text(path.read_text().replace("exact_match", "perplexity"))
    problem = refused(cells, tmp_path)
    assert (problem.code, problem.where) == ("study-metric", str(cells[0].output))


def test_claims_of_evaluations_with_other_items_are_refused(tmp_path: Path) -> None:
    cells = [
        Cell({"tasks": 4, "size": "s"}, write_cell(tmp_path / "a", {"easy": [1, 0]})),
        Cell({"tasks": 16, "size": "s"}, write_cell(tmp_path / "b", {"easy": [1, 0]}, ids="xy")),
    ]
    problem = refused(cells, tmp_path, claims=[CLAIM])
    assert problem.code == "study-items-differ" and problem.where == f"{tmp_path / 'a'} and {tmp_path / 'b'}"
    run_study(cells, StudySettings(**PAGE), tmp_path / "page")  # without a claim nothing is compared
