"""Wrong settings, recipes, tasks and arguments from the command line: found before any model is opened."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import precept

SETTINGS: dict[str, tuple[str, ...]] = {
    "max_steps=-1": ("'max_steps'", "greater than or equal to 1"),
    "max_steps=3.5": ("'max_steps'", "valid integer"),
    "max_steps=many": ("found: max_steps='many'",),
    "learning_rate=nan": ("'learning_rate'", "finite number"),
    "learning_rate=1e999": ("'learning_rate'", "finite number"),
    "learning_rate=-1": ("greater than 0",),
    "learning_rate=2026-13-45": ("'learning_rate'", "2026-13-45"),
    "batch_size=1e30": ("'batch_size'",),
    "batch_size=true": ("a number is needed",),
    "seed=99999999999999999999999": ("'seed'", "less than"),
    "seed=[1, 2]": ("'seed'",),
    "eval_fraction=1.5": ("less than 1",),
    "eval_fraction=nan": ("'eval_fraction'",),
    "num_train_epochs=inf": ("finite number",),
    "warmup_ratio=2": ("less than or equal to 1",),
    "max_length=0": ("greater than or equal to 2",),
    "template_date=2026-13-45": ("'template_date'",),
    "over_length=cut": ("'cut_turns'", "found: over_length='cut'"),
    "save_dtype=int8": ("'bfloat16'",),
    "bad_rows=perhaps": ("'error' or 'drop'",),
    "report_to=telegram": ("'tensorboard'",),
    "=3": ("is not",),
    "--odd=1": ("'odd' is not a known key",),
}


@pytest.mark.parametrize("word", SETTINGS)
def test_a_wrong_setting_is_named_with_its_value(tmp_path: Path, word: str) -> None:
    ended = precept("train", "sft", "--model", tmp_path, "--data", "x.jsonl", "-o", tmp_path / "out", word)
    assert ended.code == 2 and ended.out == "" and "Traceback" not in ended.err
    assert all(words in ended.err for words in ("error: ", *SETTINGS[word])), ended.err
    assert not (tmp_path / "out").exists()


TRAIN = "uses: train.sft, with: {model: m, data: d.jsonl"
RECIPES: dict[str, tuple[str, tuple[str, ...]]] = {
    "empty": ("", ("not a mapping of keys to values",)),
    "a list": ("- a", ("not a mapping", "line 1")),
    "no YAML": ("a: [", ("not valid YAML", "line 1, column 5")),
    "no UTF-8": ("\udcff", ("not valid YAML",)),
    "no steps": ("name: x", ("no list of steps",)),
    "unknown key": ("stepps: []", ("'stepps' is not a known key", "'steps'?")),
    "key twice": ("name: a\nname: b", ("'name' is set twice", "line 2")),
    "a key that is a list": ("? [a]\n: b", ("a key is no word",)),
    "no uses": ("steps: [{name: a}]", ("a step has no 'uses'",)),
    "unknown kind": ("steps: [{name: a, uses: train.stf}]", ("'train.stf'", "'train.sft'?")),
    "unknown setting": ("steps:\n- {name: a, " + TRAIN + ", seeed: 1}}", ("'seeed'", "'seed'?", "line 2")),
    "wrong value": ("steps:\n- {name: a, " + TRAIN + ", seed: x}}", ("'seed'", "found: seed='x'", "line 2")),
    "no date": ("steps: [{name: a, " + TRAIN + ", seed: 2026-13-45}}]", ("month must be in 1..12",)),
    "Python object": ("steps: [{name: a, " + TRAIN + ", seed: !!python/name:os.system x}}]", ("constructor",)),
    "unknown step": ("steps: [{name: a, uses: merge, with: {adapter: '${b}'}}]", ("'b' is not a known step",)),
    "step twice": ("steps: [{name: a, uses: merge}, {name: a, uses: merge}]", ("the same name", "a, a")),
    "an alias of itself": ("steps: &a [*a]", ("aliases multiply",)),
    "missing model": ("steps: [{name: a, uses: train.sft, with: {data: d}}]", ("'model'", "required")),
    "a name that leaves": ("steps: [{name: ../../a, uses: merge, with: {adapter: m}}]", ("../../a", "folder")),
    "aliases that multiply": (
        "steps:\n- name: a\n  uses: train.sft\n  with:\n    model: m\n    data: d\n    seed:\n    - &a0 [x, x]\n"
        + "".join(f"    - &a{n + 1} [*a{n}, *a{n}]\n" for n in range(60)),
        ("aliases multiply",),
    ),
}


@pytest.mark.parametrize(("text", "says"), RECIPES.values(), ids=RECIPES.keys())
def test_a_wrong_recipe_is_refused_before_its_first_step(tmp_path: Path, text: str, says: tuple[str, ...]) -> None:
    recipe = tmp_path / "broken.yaml"
    recipe.write_bytes(text.encode("utf-8", "surrogateescape"))
    ended = precept("run", recipe, "-o", tmp_path / "out")
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(words in ended.err for words in ("broken.yaml", "do: ", *says)), ended.err
    assert not (tmp_path / "out").exists() and len(ended.err) < 3000


TASKS: dict[str, tuple[str, tuple[str, ...]]] = {
    "no family": ("name: x\n", ("names the family",)),
    "no YAML": ("a: [", ("not a YAML file",)),
    "no mapping": ("- a", ("not a YAML mapping",)),
    "impossible date": ("family: 2026-13-45", ("not a YAML file", "month")),
    "key twice": ("family: bbh\nfamily: bbh", ("stands twice", "line 2")),
    "no data": ("family: bbh\ndata: gone.json", ("no such data file",)),
}


@pytest.mark.parametrize(("text", "says"), TASKS.values(), ids=TASKS.keys())
def test_a_wrong_task_file_is_refused(tmp_path: Path, base_folder: Path, text: str, says: tuple[str, ...]) -> None:
    (tmp_path / "task.yaml").write_text(text)
    ended = precept("eval", "-m", base_folder, "-t", tmp_path / "task.yaml", "-o", tmp_path / "out")
    assert ended.code == 2 and "Traceback" not in ended.err
    assert all(words in ended.err for words in ("task.yaml", *says)), ended.err


def test_an_argument_that_is_not_utf_8_is_refused() -> None:
    ended = precept("data", "stats", "caf\udce9.jsonl")
    assert ended.code == 2 and "an argument is not UTF-8" in ended.err and "caf\\udce9.jsonl" in ended.err
