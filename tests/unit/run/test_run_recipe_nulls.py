"""What null means for a key of a recipe's step, whatever the step is."""

from __future__ import annotations

from pathlib import Path

from precept.run.recipe.file import read_recipe
from precept.run.recipe.resolve import resolve

RECIPE = """\
name: nulls
axes:
  part: {whole: {forms: null, size: null, seed: null}, none: {forms: cot, size: 8, seed: 3}}
steps:
  - {name: rows, uses: data.flan_collection, with: {data: d, without: "${part.forms}", tokenizer: null}}
  - {name: tune, uses: train.sft, with: {model: m, data: "${rows}", batch_size: "${part.size}", learning_rate: null}}
  - {name: ask, uses: eval, with: {model: "${tune}", task: t.jsonl, seed: "${part.seed}"}}
  - {name: shown, uses: data.promptsource, with: {data: d, templates: t.yaml, max_field_characters: null}}
"""


def test_null_leaves_a_setting_that_takes_none_at_its_default(tmp_path: Path) -> None:
    (tmp_path / "nulls.yaml").write_text(RECIPE)
    steps = {step.place: step.settings for step in resolve(read_recipe(tmp_path / "nulls.yaml"), Path("out"))}
    for name, key, value in (("rows", "without", "cot"), ("tune", "batch_size", 8), ("ask", "seed", 3)):
        assert key not in steps[f"{name}/part=whole"]
        assert steps[f"{name}/part=none"][key] == value
    # these take null: no tokenizer, a rate by method and adapter, no limit where the default is one of 2,048 characters
    assert steps["rows/part=whole"]["tokenizer"] is None and steps["tune/part=whole"]["learning_rate"] is None
    assert steps["shown"]["max_field_characters"] is None
