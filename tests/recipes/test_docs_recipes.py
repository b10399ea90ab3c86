"""Every shipped recipe runs at tiny size: the loss falls, scores come out, and a second call does nothing again."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept
from tests.tiny import tiny_model_folder

from precept.run.recipe.file import SHIPPED

EXAMPLES = Path(__file__).parents[2] / "examples" / "data"
ROWS, TASK, OTHER = (EXAMPLES / name for name in ("rows.jsonl", "task001_ferry_log.json", "task002_bus_notes.json"))
QUICK = ("tune.learning_rate=1e-2", "tune.max_steps=8", "tune.batch_size=16")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("models") / "llama", "llama", max_position_embeddings=1024)


@pytest.fixture(scope="module")
def t5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("models") / "t5", "t5")


def run_recipe(name: str, output: Path, *overrides: str) -> list[dict[str, Any]]:
    """Run a recipe; returns its steps once their states and losses are as they should be."""
    command = ("run", name, "-o", output, "--json", *overrides)
    first, second = precept(*command), precept(*command)
    assert first.code == 0, first.err
    steps: list[dict[str, Any]] = first.json["steps"]
    assert {step["state"] for step in steps} == {"done"}
    losses = [step["result"] for step in steps if step["uses"].startswith("train.")]
    assert losses and all(result["loss_last"] < result["loss_first"] for result in losses)
    again = second.json["steps"]
    assert {step["state"] for step in again} == {"reused"}
    assert [step["result"] for step in again] == [step["result"] for step in steps]
    return steps


def trained_texts(model: Path, data: Path, template: str) -> list[str]:
    """What is trained of each row of a file."""
    shown = precept("data", "show", data, "--model", model, "--chat-template", template, "--limit", "1000", "--json")
    return [
        "|".join(_runs(sequence["text"], sequence["tokens"]))
        for row in shown.json["rows"]
        for sequence in row["sequences"]
    ]


def _runs(text: str, tokens: list[tuple[int, int, int, float]]) -> list[str]:
    """Texts of the runs of neighbouring trained tokens."""
    runs: list[list[int]] = []
    for _, start, end, weight in tokens:
        if weight and runs and runs[-1][1] == start:
            runs[-1][1] = end
        elif weight:
            runs.append([start, end])
    return [text[start:end] for start, end in runs]


def test_sft_tunes_on_rows_and_scores_an_unseen_task(llama: Path, tmp_path: Path) -> None:
    tune, score = run_recipe(
        *("sft", tmp_path / "out", *QUICK, f"tune.model={llama}", f"tune.data={ROWS}", "tune.chat_template=chatml"),
        *(f"eval.task={TASK}", "eval.limit=4", "eval.max_new_tokens=4", f"eval.against={llama}"),
    )
    assert tune["result"]["eval_loss"]["rows"] == 3  # a twentieth of 60
    assert score["result"]["overall"]["rouge_l"]["n"] == 4
    assert score["result"]["difference"]["rouge_l"]["n"] == 4


def test_tk_instruct_tunes_an_encoder_decoder_and_scores_it(t5: Path, tmp_path: Path) -> None:
    other = tmp_path / OTHER.name
    other.write_text(json.dumps({**json.loads(OTHER.read_text()), "Source": ["notes"]}))  # else it is left out
    make, tune, score = run_recipe(
        *("tk_instruct", tmp_path / "out", *QUICK, f"make.data={TASK}#20", f"make.data={other}"),
        *("make.test_tasks=[task002_bus_notes]", f"make.tokenizer={t5}", f"tune.model={t5}"),
        *("eval.limit=4", "eval.max_new_tokens=4"),
    )
    assert (make["result"]["train"]["rows"], make["result"]["test"]["rows"]) == (20, 20)
    assert tune["result"]["tokens"]["trained"] > 0
    assert set(score["result"]["tasks"]["task002_bus_notes"]) >= {"rouge_l", "exact_match"}


def test_dolly_tunes_on_instruction_context_response(llama: Path, tmp_path: Path) -> None:
    row = {"instruction": "Who keeps the light?", "context": "Ansel keeps the light.", "response": "Ansel."}
    rows = [{**row, "category": "closed_qa", "instruction": f"{i}. {row['instruction']}"} for i in range(80)]
    data = tmp_path / "dolly.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    words = (f"make.data={data}", "make.test_size=2", f"tune.model={llama}")
    make, tune = run_recipe("dolly", tmp_path / "out", *QUICK, *words)
    assert (make["result"]["train"]["rows"], tune["result"]["eval_loss"]["rows"]) == (78, 2)
    assert set(trained_texts(llama, Path(make["result"]["train"]["path"]), "dolly")) == {
        "Ansel.\n\n### End<|endoftext|>"
    }


def test_vicuna_trains_every_answer_of_a_conversation_with_its_end(llama: Path, tmp_path: Path) -> None:
    data = tmp_path / "sharegpt.json"
    assert precept("data", "convert", ROWS, "--to", "sharegpt", "-o", data).code == 0
    words = (f"make.data={data}", f"make.tokenizer={llama}", f"tune.model={llama}", "tune.max_length=1024")
    make, _ = run_recipe("vicuna", tmp_path / "out", *QUICK, *words)
    made = Path(make["result"]["train"]["path"])
    asked_twice = next(text for text in trained_texts(llama, made, "vicuna") if "heated" in text)
    assert asked_twice == (
        " The lower cabin is heated from October to April.<|endoftext|>"
        "| Yes, a small bar in the cabin sells coffee and tea.<|endoftext|>"
    )


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_recipe_says_what_it_needs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no folder data here
    ended = precept("run", path.stem)
    assert ended.code == 2
    left_open = re.search("'(model|data)': field required", ended.err) and f"{path} line" in ended.err
    assert left_open or ("data/" in ended.err and "missing-path" in ended.err)


def test_every_shipped_recipe_has_a_test_here() -> None:
    here = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    assert not [path.stem for path in SHIPPED.glob("*.yaml") if f"def test_{path.stem}_" not in here]
