"""Axes repeat a step for each combination of the values that it names, and every instance finds its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import chat_rows, precept, write_rows

from precept.errors import InputError
from precept.run.eval.store import BLOCK
from precept.run.recipe.file import Step, find_recipe, override, read_recipe
from precept.run.recipe.instances import expand
from precept.run.recipe.named_steps import named_steps

GRID = """\
name: grid
axes:
  size: {tiny: {width: 96, depth: 3}, small: {width: 128, depth: 5}}
  tasks: [4, 16, all]
  seed: [0, 1]
steps:
  - {name: world, uses: data.trees, with: {data: corpus}}
  - {name: start, uses: merge, with: {adapter: "${world}", width: "${size.width}", told: "${size} of ${size.depth}"}}
  - {name: rows, uses: data.trees, with: {data: "${world}/tasks", number: "${tasks}"}}
  - {name: tune, uses: train.sft, with: {model: "${start}", data: ["${rows}/a.jsonl", b], seed: "${seed}"}}
  - {name: page, uses: study, with: {claims: [{of: "${size}.${tasks}"}]}}
"""


def read(tmp_path: Path, text: str, *words: str) -> dict[str, list[Step]]:
    """The instances of each step, in a run's folder named out."""
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    recipe = override(read_recipe(path), words)
    instances = expand(recipe, Path("out"))
    return {step.name: [own for own in instances if own.name == step.name] for step in recipe.steps}


def test_a_step_is_repeated_over_the_axes_that_it_names_and_those_of_its_references(tmp_path: Path) -> None:
    steps = read(tmp_path, GRID)
    # tune names the seed, start brings the sizes and rows the numbers of tasks: 2 x 3 x 2
    assert {name: len(own) for name, own in steps.items()} == {
        "world": 1,
        "start": 2,
        "rows": 3,
        "tune": 12,
        "page": 6,
    }
    assert steps["world"][0].axes == {} and steps["world"][0].place == "world"
    assert steps["tune"][1].axes == {"size": "tiny", "tasks": 4, "seed": 1}
    assert steps["tune"][1].place == "tune/size=tiny,tasks=4,seed=1"
    assert [step.axes["tasks"] for step in steps["rows"]] == [4, 16, "all"]


def test_a_reference_is_the_instance_with_the_same_values(tmp_path: Path) -> None:
    for step in read(tmp_path, GRID)["tune"]:
        assert step.settings == {
            "model": f"out/start/size={step.axes['size']}",
            "data": [f"out/rows/tasks={step.axes['tasks']}/a.jsonl", "b"],
            "seed": step.axes["seed"],
        }


def test_a_value_alone_keeps_its_type_and_in_a_text_it_is_told(tmp_path: Path) -> None:
    steps = read(tmp_path, GRID)
    assert steps["start"][1].settings == {"adapter": "out/world", "width": 128, "told": "small of 5"}
    assert [step.settings["number"] for step in steps["rows"]] == [4, 16, "all"]
    assert steps["page"][5].settings == {"claims": [{"of": "small.all"}]}


def test_a_named_scalar_is_its_value_alone_and_its_name_in_a_text(tmp_path: Path) -> None:
    text = (
        "axes: {how: {with: true, without: null}}\nsteps:\n- {name: a, uses: x, with: {k: '${how}', t: '<${how}>'}}\n"
    )
    first, second = read(tmp_path, text)["a"]
    assert (first.settings, second.settings) == ({"k": True, "t": "<with>"}, {"k": None, "t": "<without>"})
    assert [step.axes["how"] for step in (first, second)] == ["with", "without"]
    assert second.place == "a/how=without"


def test_signs_that_no_folder_should_hold_are_replaced(tmp_path: Path) -> None:
    text = "axes: {base: [runs/a b, '1e-4', 0.5, true, null]}\nsteps: [{name: a, uses: x, with: {m: '${base}'}}]\n"
    places = [step.place for step in read(tmp_path, text)["a"]]
    assert places == ["a/base=runs-a-b", "a/base=1e-4", "a/base=0.5", "a/base=true", "a/base=null"]


def test_overrides_change_the_step_as_written_and_choose_values(tmp_path: Path) -> None:
    words = ("axes.seed=7", "axes.seed=8", "axes.size=small", "tune.seed=${seed}", "tune.model=bundled")
    steps = read(tmp_path, GRID, *words)
    assert {step.settings["width"] for step in steps["start"]} == {128}
    assert [step.place for step in steps["tune"]] == [
        f"tune/tasks={tasks},seed={seed}" for tasks in ("4", "16", "all") for seed in (7, 8)
    ]
    assert {step.settings["model"] for step in steps["tune"]} == {"bundled"}


def test_an_error_of_an_instance_names_it(tmp_path: Path) -> None:
    step = read(tmp_path, GRID)["tune"][0]
    assert str(step.where("seed")).endswith("grid.yaml line 10, step 'tune (size=tiny, tasks=4, seed=0)'")


def test_a_recipe_without_axes_is_as_it_was(tmp_path: Path) -> None:
    (step,) = read(tmp_path, "steps: [{name: a, uses: merge, with: {adapter: m}}]")["a"]
    assert (step.place, step.title, step.axes) == ("a", "a", {})
    assert str(step.where("adapter")).endswith("line 1")


STEP = "steps:\n- {name: a, uses: train.sft, with: {model: m, data: d, seed: "
ONE = STEP + "'${seed}'}}\n"
LONG = "x" * 150

# code: the text, override words, what the message holds
WRONG: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "axis-empty": ("axes:\n  seed: []\n" + ONE, (), ("line 2", "'seed' has no values")),
    "axis-shape": ("axes:\n  seed: 3\n" + ONE, (), ("line 2", "seed: [1, 2]")),
    "axis-value": ("axes:\n  seed:\n  - 1\n  - [2]\n" + ONE, (), ("line 4", "found: [2]")),
    "axis-value-twice": ("axes: {seed: [1, 2, 1.0]}\n" + ONE, (), ("line 1", "found: 1 and 1.0")),
    "axis-folder": ("axes: {seed: [a/b, a b]}\n" + ONE, (), ("'a/b' and 'a b' as seed=a-b",)),
    "axis-folder-long": (f"axes: {{seed: [{LONG}], b: [{LONG}]}}\n{STEP}'${{seed}}${{b}}'}}}}", (), ("255 bytes",)),
    "axis-name": ("axes: {a.b: [1]}\n" + ONE, (), ("found: a.b",)),
    "axis-keys": ("axes: {seed: {a: {x: 1}, b: {y: 1}}}\n" + ONE, (), ("different keys", "a: {'x': 1}")),
    "axis-needs-key": ("axes: {seed: {a: {x: 1}}}\n" + ONE, (), ("line 3", "${seed.x}")),
    "axis-unused": ("axes:\n  seed: [1]\n  tasks: [1]\n" + ONE, (), ("line 3", "'tasks'", "${tasks}")),
    "axis-named-like-step": ("axes: {a: [1]}\n" + STEP + "'${a}'}}\n", (), ("axis 'a', step 'a'",)),
    "unknown-reference": (
        "axes: {size: {a: {wide: 1}}}\n" + STEP + "'${size.wid}'}}\n",
        (),
        ("line 3", "'size.wide'?"),
    ),
    "unknown-axis": ("axes: {seed: [1]}\n" + ONE, ("axes.sed=2",), ("did you mean 'seed'?",)),
    "unknown-axis-value": ("axes: {seed: {low: 1, high: 2}}\n" + ONE, ("axes.seed=hig",), ("did you mean 'high'?",)),
    "too-many-steps": (f"axes: {{seed: {[*range(10_001)]}}}\n" + ONE, (), ("10,001 steps",)),
    "step-name": ("axes: {seed: [1]}\n" + ONE.replace("name: a,", "name: axes,"), (), ("'axes' means the axes",)),
    "key-twice": ("axes: {seed: [1], seed: [2]}\n" + ONE, (), ("'seed' is set twice",)),
    "bad-value": ("axes: {seed: [1, x]}\n" + ONE, (), ("line 3, step 'a (seed=x)'", "found: seed='x'")),
}


@pytest.mark.parametrize("code", WRONG)
def test_a_wrong_axis_is_refused_before_anything_runs(tmp_path: Path, code: str) -> None:
    text, words, says = WRONG[code]
    (tmp_path / "r.yaml").write_text(text)
    ended = precept("run", tmp_path / "r.yaml", "-o", tmp_path / "out", *words)
    assert ended.code == 2 and f"\n  code: {code}\n" in ended.err, ended.err
    assert all(said in ended.err for said in says), ended.err
    assert not (tmp_path / "out").exists()


def test_values_of_an_override_must_differ_too(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, GRID, "axes.seed=1", "axes.seed=1")
    assert caught.value.code == "axis-value-twice" and caught.value.where == "override 'axes.seed=1'"


def test_shipped_recipes_in_folders_are_found_by_their_path() -> None:
    assert find_recipe("studies/grouping").name == "grouping.yaml"
    with pytest.raises(InputError) as caught:
        find_recipe("studies/groupings")
    assert caught.value.do == "did you mean 'studies/grouping'?"


DOLLY = [
    {"instruction": f"{n}. Who keeps the light?", "context": "", "response": "Ansel.", "category": "open_qa"}
    for n in range(20)
]


TUNED = {"chat_template": "chatml", "batch_size": 8, "sample_answers": 0}


def run(recipe: Path, output: Path, *words: str) -> list[dict[str, Any]]:
    ended = precept("run", recipe, "-o", output, "--json", *words)
    assert ended.code == 0, ended.err
    steps: list[dict[str, Any]] = ended.json["steps"]
    return steps


def write_recipe(tmp_path: Path, axes: dict[str, Any], *steps: tuple[str, str, dict[str, Any]]) -> Path:
    path = tmp_path / "made.yaml"
    listed = [{"name": name, "uses": uses, "with": settings} for name, uses, settings in steps]
    path.write_text(json.dumps({"name": "made", "axes": axes, "steps": listed}))
    return path


def test_every_instance_runs_in_its_folder_and_is_reused(tmp_path: Path) -> None:
    data = str(write_rows(tmp_path / "dolly.jsonl", DOLLY))
    recipe = write_recipe(tmp_path, {"size": [2, 3]}, ("make", "data.dolly", {"data": data, "test_size": "${size}"}))
    first = run(recipe, tmp_path / "out")
    assert [(step["name"], step["axes"], step["state"]) for step in first] == [
        ("make", {"size": 2}, "done"),
        ("make", {"size": 3}, "done"),
    ]
    assert [step["output"] for step in first] == [str(tmp_path / "out" / "make" / f"size={n}") for n in (2, 3)]
    assert [step["result"]["test"]["rows"] for step in first] == [2, 3]
    # one value more: what is there stays
    again = run(recipe, tmp_path / "out", "axes.size=4", "axes.size=3")
    assert [(step["axes"]["size"], step["state"]) for step in again] == [(4, "done"), (3, "reused")]


def test_instances_do_not_go_into_the_folder_of_the_whole_step(tmp_path: Path) -> None:
    data = str(write_rows(tmp_path / "dolly.jsonl", DOLLY))
    run(write_recipe(tmp_path, {}, ("make", "data.dolly", {"data": data, "test_size": 2})), tmp_path / "out")
    recipe = write_recipe(tmp_path, {"size": [2]}, ("make", "data.dolly", {"data": data, "test_size": "${size}"}))
    ended = precept("run", recipe, "-o", tmp_path / "out")
    assert ended.code == 2 and "code: step-ran-without-axes" in ended.err
    assert (tmp_path / "out" / "make" / "COMPLETED").is_file()


def test_an_evaluation_that_was_killed_goes_on_behind_its_last_block(base_folder: Path, tmp_path: Path) -> None:
    rows = str(write_rows(tmp_path / "rows.jsonl", chat_rows(BLOCK + 6)))
    asks = {"model": str(base_folder), "task": rows, "max_new_tokens": 1, "limit": "${limit}"}
    recipe = write_recipe(tmp_path, {"limit": [3, BLOCK + 6]}, ("ask", "eval", asks))
    _, whole = run(recipe, tmp_path / "out")
    folder = Path(whole["output"])
    (items,) = folder.glob("*.items.jsonl")
    lines = items.read_bytes().splitlines(keepends=True)
    # What a kill in the second block leaves. The mark tells an answer that was kept from one that was asked anew.
    marked = lines[0].replace(b'"output":"', b'"output":"kept ')
    items.write_bytes(b"".join([marked, *lines[1 : BLOCK + 2], lines[BLOCK + 2][:30]]))
    for name in ("COMPLETED", "result.json"):
        (folder / name).unlink()
    ended = precept("run", recipe, "-o", tmp_path / "out", "--json")
    assert ended.code == 0 and f"{BLOCK} of {BLOCK + 6} items were answered before" in ended.err
    assert [step["state"] for step in ended.json["steps"]] == ["reused", "done"]
    assert items.read_bytes() == b"".join([marked, *lines[1:]])
    # Another limit is another evaluation, and nothing of the first is kept.
    items.write_bytes(marked)
    (folder / "COMPLETED").unlink()
    other = write_recipe(tmp_path, {"limit": [3, BLOCK + 6]}, ("ask", "eval", {**asks, "shots": 0}))
    assert run(other, tmp_path / "out")[1]["state"] == "done"
    assert items.read_bytes() == b"".join(lines)


def test_a_setting_that_is_taken_back_is_asked_anew(base_folder: Path, tmp_path: Path) -> None:
    rows = str(write_rows(tmp_path / "rows.jsonl", chat_rows(4)))
    asks = {"model": str(base_folder), "task": rows, "max_new_tokens": 1}
    run(write_recipe(tmp_path, {}, ("ask", "eval", {**asks, "limit": 2})), tmp_path / "out")
    (step,) = run(write_recipe(tmp_path, {}, ("ask", "eval", asks)), tmp_path / "out")
    assert (step["state"], step["result"]["overall"]["exact_match"]["n"]) == ("done", 4)


def test_a_world_and_the_models_to_pretrain_on_it_are_made_once(tmp_path: Path) -> None:
    shape = {"num_attention_heads": 2, "intermediate_size": 32, "num_hidden_layers": 1}
    recipe = write_recipe(
        tmp_path,
        {"width": [16, 32]},
        ("world", "bundled.world", {"documents": 20}),
        ("start", "bundled.start", {"world": "${world}", "hidden_size": "${width}", **shape}),
    )
    world, narrow, wide = run(recipe, tmp_path / "out")
    assert world["result"]["documents"] == 20
    folder = tmp_path / "out" / "world"
    assert all((folder / name).exists() for name in ("corpus.jsonl", "tasks/training", "tokenizer/tokenizer.json"))
    made = json.loads((folder / "manifest.json").read_text())["files"]
    assert "corpus.jsonl" in made and not {"run.yaml", ".lock", "COMPLETED"} & set(made)
    for step, width in ((narrow, 16), (wide, 32)):
        config = json.loads((Path(step["output"]) / "config.json").read_text())
        assert (config["hidden_size"], config["num_hidden_layers"]) == (width, 1)
        # embeddings, four matrices of attention, three of the feed-forward part, three norms
        weights = width * config["vocab_size"] + 4 * width**2 + 3 * width * 32 + 3 * width
        assert step["result"]["parameters"] == weights
    assert {step["state"] for step in run(recipe, tmp_path / "out")} == {"reused"}
    ended = precept("run", recipe, "-o", tmp_path / "out", "axes.width=30", "start.num_attention_heads=4")
    assert ended.code == 2 and "step 'start (width=30)'" in ended.err and "30 is no multiple of 8" in ended.err


def test_a_study_compares_every_instance_of_an_evaluation_and_is_made_again_with_them(
    base_folder: Path, tmp_path: Path
) -> None:
    rows = str(write_rows(tmp_path / "rows.jsonl", chat_rows(3)))
    asks = {"model": str(base_folder), "task": rows, "max_new_tokens": "${length}", "chat_template": "${template}"}
    recipe = write_recipe(
        tmp_path,
        {"length": [1, 2], "template": ["chatml", "vicuna"]},
        ("ask", "eval", asks),
        ("page", "study", {"results": "ask", "x": "length", "lines": "template"}),
        ("one", "study", {"results": "ask", "x": "length", "title": "asked in ${template}"}),
    )
    steps = run(recipe, tmp_path / "out")
    assert [step["name"] for step in steps] == ["ask"] * 4 + ["page", "one", "one"]
    assert all((Path(step["output"]) / "study.html").is_file() for step in steps[4:])
    told = precept("run", recipe, "-o", tmp_path / "out").out
    assert f"page: reused -> {tmp_path / 'out' / 'page'}\n    the page: {steps[4]['output']}/study.html\n" in told
    assert "asked in vicuna" in (tmp_path / "out" / "one" / "template=vicuna" / "study.html").read_text()
    assert {step["state"] for step in run(recipe, tmp_path / "out")} == {"reused"}
    (tmp_path / "out" / "ask" / "length=1,template=vicuna" / "COMPLETED").unlink()
    states = [step["state"] for step in run(recipe, tmp_path / "out")]
    # The evaluation reads its items from the disk and says the same as the first time: no page changes.
    assert states == ["reused", "done", "reused", "reused", "reused", "reused", "reused"]
    again = run(recipe, tmp_path / "out", "axes.length=2", "axes.template=vicuna", "page.lines=null")
    assert [step["state"] for step in again] == ["reused", "done", "done"], "other evaluations stand on these pages"


STUDY = (
    "axes: {seed: [1, 2]}\n"
    + STEP.replace("name: a", "name: t")
    + ("'${seed}'}}\n- {name: a, uses: eval, with: {model: '${t}', task: r}}\n- {name: p, uses: study, with: {")
)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("results: t, x: seed", ("code: study-results", "line 5", "found: results: t", "name one of: a")),
        ("results: a, x: sed", ("code: unknown-axis", "line 5", "did you mean 'seed'?")),
        ("x: seed", ("code: bad-value", "line 5", "'results': field required")),
    ],
)
def test_a_wrong_study_is_refused_before_anything_runs(tmp_path: Path, keys: str, says: tuple[str, ...]) -> None:
    (tmp_path / "r.yaml").write_text(STUDY + keys + "}}\n")
    ended = precept("run", tmp_path / "r.yaml", "-o", tmp_path / "out")
    assert ended.code == 2 and all(said in ended.err for said in says), ended.err
    assert not (tmp_path / "out").exists()


def test_instances_that_differ_in_the_seed_alone_are_looked_at_once(
    base_folder: Path, chat_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tune = {**TUNED, "model": str(base_folder), "data": str(chat_file), "max_steps": "${steps}", "seed": "${seed}"}
    more = {**TUNED, "model": "${tune}", "data": str(chat_file), "max_steps": 1}
    recipe = write_recipe(
        tmp_path, {"steps": [2, 3], "seed": [0, 1, 2]}, ("tune", "train.sft", tune), ("more", "train.sft", more)
    )
    found = named_steps(str(recipe), words=[], model=None, data=[])
    # A model that is not made yet is looked at as its base, which does not depend on steps or seed.
    assert [(named.title, named.instances) for named in found] == [
        ("tune (steps=2)", 3),
        ("tune (steps=3)", 3),
        ("more", 6),
    ]
    ended = precept("plan", recipe, "--device", "h100", "--json")
    assert ended.code == 0, ended.err
    first, second, last = ended.json["steps"]
    assert (first["axes"], first["instances"], second["optimizer_steps"]) == ({"steps": 2}, 3, 3)
    assert (last["axes"], last["instances"]) == ({}, 6)
    total = ended.json["total"]
    assert (total["training_steps"], total["optimizer_steps"]) == (12, 3 * 2 + 3 * 3 + 6 * 1)
    assert total["seconds"]["value"] == pytest.approx(
        sum(step["instances"] * step["seconds"]["value"] for step in ended.json["steps"])
    )
    told = precept("plan", recipe, "--device", "h100", "axes.steps=2").out
    assert "tune (steps=2), each of 3 seeds: 2 optimizer steps" in told and "all 6 training steps: 9 optimizer" in told


def test_rows_that_a_model_to_come_makes_cannot_be_looked_at(
    base_folder: Path, chat_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    recipe = write_recipe(
        tmp_path,
        {},
        ("tune", "train.sft", {**TUNED, "model": str(base_folder), "data": str(chat_file)}),
        ("rows", "data.dolly", {"data": "${tune}/answers.jsonl"}),
        ("more", "train.sft", {**TUNED, "model": str(base_folder), "data": "${rows}/train.jsonl"}),
    )
    ended = precept("plan", recipe)
    assert ended.code == 2 and "code: rows-need-training" in ended.err and "'tune'" in ended.err
