"""Evaluation, recipes and chat from the command line, on a tiny model tuned on two small Super-NI tasks."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.command_line import Ended, precept
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.evaluate import Item
from precept.run.chat import Chat, talk
from precept.run.opened import make_chooser, open_model
from precept.types import Message

PARITY, COLOUR = "task001_parity", "task002_colour"
TRAINING = ("max_steps=30", "batch_size=8", "learning_rate=1e-2", "sample_answers=0", "over_length=drop")
LONG = "7 " * 400  # more tokens than the 256 that the tiny model has places for


def task_document(definition: str, instances: list[tuple[str, str]]) -> dict[str, Any]:
    return {
        "Definition": [definition],
        "Positive Examples": [{"input": i, "output": o, "explanation": ""} for i, o in instances[:2]],
        "Negative Examples": [],
        "Instances": [{"id": f"{n}", "input": i, "output": [o]} for n, (i, o) in enumerate(instances)],
    }


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of two Super-NI task files; the second one ends in an instance that fits no context."""
    folder = tmp_path_factory.mktemp("tasks")
    parity = [(str(number), "even" if number % 2 == 0 else "odd") for number in range(20)]
    colour = [(f"{thing} {n}", c) for n in range(10) for thing, c in (("sky", "blue"), ("blood", "red"))]
    documents = {
        PARITY: task_document("Is the number even or odd?", parity),
        COLOUR: task_document("Name the colour.", [*colour, (LONG, "red")]),
    }
    for name, document in documents.items():
        (folder / f"{name}.json").write_text(json.dumps(document))
    return folder


@dataclass(frozen=True)
class Tuned:
    """The model tuned on both tasks, and how ``eval --against`` its base ended."""

    folder: Path
    items: Path
    ended: Ended


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, base_folder: Path, tasks: Path) -> Tuned:
    root = tmp_path_factory.mktemp("tuned")
    ended = precept("train", "sft", "--model", base_folder, "--data", tasks, "-o", root / "out", *TRAINING)
    assert ended.code == 0, ended.err
    files = [word for name in (PARITY, COLOUR) for word in ("--task", tasks / f"{name}.json")]
    words = ["eval", "--model", root / "out", "--against", base_folder, *files, "-o", root / "items", "--json"]
    return Tuned(root / "out", root / "items", precept(*words, "--max-new-tokens", "4"))


def test_eval_prints_tasks_overall_and_the_paired_difference(tuned: Tuned) -> None:
    assert tuned.ended.code == 0, tuned.ended.err
    result = tuned.ended.json
    assert set(result) >= {"model", "tasks", "overall", "against", "difference"}
    assert result["model"] == str(tuned.folder)
    assert list(result["tasks"]) == [PARITY, COLOUR]
    for scores in (*result["tasks"].values(), result["overall"], result["against"]["overall"]):
        assert list(scores) == ["rouge_l", "exact_match"]
        for score in scores.values():
            assert list(score) == ["value", "low", "high", "n"]
            assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1
    counts = [result["tasks"][name]["exact_match"]["n"] for name in (PARITY, COLOUR)]
    assert counts == [20, 21] and result["overall"]["rouge_l"]["n"] == 41
    for metric, difference in result["difference"].items():
        assert list(difference) == ["value", "low", "high", "p", "n"] and difference["n"] == 41
        ours, theirs = result["overall"][metric]["value"], result["against"]["overall"][metric]["value"]
        assert difference["value"] == pytest.approx(ours - theirs)


def test_tuning_on_the_tasks_beats_the_base(tuned: Tuned) -> None:
    result = tuned.ended.json
    assert result["overall"]["exact_match"]["value"] >= 0.3 > result["against"]["overall"]["exact_match"]["value"]
    assert result["difference"]["exact_match"]["low"] > 0 and result["difference"]["exact_match"]["p"] < 0.05


def test_every_item_is_on_disk_and_the_scores_are_their_means(tuned: Tuned) -> None:
    values = []
    for name, count in ((PARITY, 20), (COLOUR, 21)):
        lines = (tuned.items / f"out.{name}.items.jsonl").read_text().splitlines()
        items = [json.loads(line) for line in lines]
        assert len(items) == count and (tuned.items / f"llama.{name}.items.jsonl").is_file()
        for item in items:
            assert set(item) >= {"id", "task", "prompt", "references", "output", "extracted", "scores"}
        values += [item["scores"]["exact_match"] for item in items]
    assert tuned.ended.json["overall"]["exact_match"]["value"] == pytest.approx(sum(values) / len(values))


def test_the_document_is_kept_beside_its_items(tuned: Tuned) -> None:
    assert json.loads((tuned.items / "result.json").read_text()) == tuned.ended.json
    assert all((tuned.items / name).is_file() for name in tuned.ended.json["item_files"])


def test_a_real_training_step_and_its_evaluation_make_whole_pages(tuned: Tuned, tmp_path: Path) -> None:
    for folder, shows in ((tuned.folder, "Tokens over the run"), (tuned.items, "Items before and after")):
        ended = precept("report", folder, "-o", tmp_path / "page.html", "--json")
        assert ended.code == 0 and ended.json["missing"] == [], ended.err
        assert shows in (tmp_path / "page.html").read_text()


def test_a_prompt_longer_than_the_context_is_counted_and_scored_wrong(tuned: Tuned) -> None:
    assert tuned.ended.json["counts"]["too_long"] == 1
    assert f"{COLOUR}: 21 items, 1 longer than the context, scored wrong" in tuned.ended.err
    last = json.loads((tuned.items / f"out.{COLOUR}.items.jsonl").read_text().splitlines()[-1])
    assert LONG.strip() in last["prompt"] and last["refused"]
    assert last["output"] == "" and set(last["scores"].values()) == {0.0}


def test_limit_takes_the_first_items_of_each_task(tuned: Tuned, tasks: Path, tmp_path: Path) -> None:
    words = ["--task", tasks / f"{PARITY}.json", "--limit", "3", "--max-new-tokens", "2", "-o", tmp_path, "--json"]
    result = precept("eval", "--model", tuned.folder, *words).json
    assert result["overall"]["exact_match"]["n"] == 3
    assert "against" not in result and "difference" not in result


@pytest.mark.parametrize("words", [("--limit", "0"), ("--limit", "-2"), ("--max-new-tokens", "0")])
def test_a_number_below_one_is_refused(tuned: Tuned, tasks: Path, tmp_path: Path, words: tuple[str, str]) -> None:
    ended = precept("eval", "--model", tuned.folder, "--task", tasks, "-o", tmp_path, *words)
    assert ended.code == 2 and words[0] in ended.err


def test_two_folders_with_parts_of_one_task_count_together(tuned: Tuned, tasks: Path, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(tasks / f"{PARITY}.json", tmp_path / name)
    files = ["--task", tmp_path / "first", "--task", tmp_path / "second", "-o", tmp_path / "items", "--json"]
    ended = precept("eval", "--model", tuned.folder, *files, "--limit", "3", "--max-new-tokens", "2")
    assert ended.json["tasks"][PARITY]["exact_match"]["n"] == 6  # 3 of each folder
    assert ended.json["overall"]["exact_match"]["n"] == 6


def test_a_choice_task_scores_the_likeliest_option(tuned: Tuned, tasks: Path, tmp_path: Path) -> None:
    task = tmp_path / "parity.yaml"
    task.write_text(f"family: choice\ndata: {tasks / PARITY}.json\noptions: [even, odd]\n")
    ended = precept("eval", "--model", tuned.folder, "--task", task, "-o", tmp_path / "items", "--json")
    assert ended.code == 0, ended.err
    assert list(ended.json["tasks"]["parity"]) == ["accuracy", "accuracy_normalized"]
    assert ended.json["overall"]["accuracy"]["n"] == 20
    items = [json.loads(line) for line in (tmp_path / "items" / "out.parity.items.jsonl").read_text().splitlines()]
    for item in items:
        likeliest = max(item["option_logps"], key=item["option_logps"].get)
        assert item["scores"]["accuracy"] == float([likeliest] == item["references"])


@pytest.mark.parametrize("family", ["llama", "t5"])
def test_the_likelihood_of_an_option_is_that_of_its_own_tokens(tmp_path: Path, family: str) -> None:
    folder = tiny_model_folder(tmp_path / family, family, tokenizer=tiny_tokenizer(chat_template=CHATML))
    model = open_model(str(folder), chat_template=None)
    options, question = ("even", "it is odd"), (Message("user", "Is 4 even?"),)
    (choice,) = make_chooser(model)([Item("1", "parity", question, ("even",), options=options)])
    network, prompt = model.loaded.model, torch.as_tensor(model.renderer.prompt_ids(question, ()))[None].long()
    for option, logp in zip(options, choice.logps, strict=True):
        ids = torch.tensor([model.loaded.tokenizer.encode(option)])
        if family == "t5":  # its decoder starts from token 0
            logits = network(prompt, decoder_input_ids=torch.cat([torch.tensor([[0]]), ids], 1)).logits
        else:
            logits = network(torch.cat([prompt, ids], 1)).logits
        own = logits[0, -1 - ids.shape[1] : -1].float().log_softmax(-1).gather(1, ids.T)
        assert logp == pytest.approx(float(own.sum()), rel=1e-2)  # bfloat16 where the machine has it


def test_a_task_with_an_unknown_key_names_file_and_line(tuned: Tuned, tasks: Path, tmp_path: Path) -> None:
    task = tmp_path / "parity.yaml"
    task.write_text(f"family: choice\ndata: {tasks / PARITY}.json\noption: [even, odd]\n")
    ended = precept("eval", "--model", tuned.folder, "--task", task, "-o", tmp_path / "items")
    assert ended.code == 2 and f"{task} line 3" in ended.err and "'options'?" in ended.err


def recipe(path: Path, model: Path, tasks: Path) -> Path:
    path.write_text(
        f"""\
name: two-steps
steps:
  - name: tune
    uses: train.sft
    with:
      model: {model}
      data: {tasks / PARITY}.json
      max_steps: 2
      batch_size: 8
      sample_answers: 0
  - name: score
    uses: eval
    with:
      model: ${{tune}}
      task: {tasks / PARITY}.json
      limit: 4
      max_new_tokens: 2
"""
    )
    return path


def test_a_recipe_runs_its_steps_once_and_again_from_the_first_that_changed(
    tmp_path: Path, base_folder: Path, tasks: Path
) -> None:
    command = ["run", recipe(tmp_path / "two.yaml", base_folder, tasks), "-o", tmp_path / "runs", "--json"]

    def states(*words: str) -> list[str]:
        ended = precept(*command, *words)
        assert ended.code == 0, ended.err
        return [step["state"] for step in ended.json["steps"]]

    assert states() == ["done", "done"]
    assert json.loads((tmp_path / "runs" / "tune" / "COMPLETED").read_text())["steps"] == 2
    score = json.loads((tmp_path / "runs" / "score" / "COMPLETED").read_text())
    assert score["model"] == str(tmp_path / "runs" / "tune")
    assert states() == ["reused", "reused"]
    assert states("score.limit=3") == ["reused", "done"]
    assert states("tune.max_steps=3", "--fresh") == ["done", "done"]
    assert json.loads((tmp_path / "runs" / "tune" / "COMPLETED").read_text())["steps"] == 3


def test_a_recipe_whose_training_step_changed_is_refused_by_key(tmp_path: Path, base_folder: Path, tasks: Path) -> None:
    command = ["run", recipe(tmp_path / "two.yaml", base_folder, tasks), "-o", tmp_path / "runs"]
    assert precept(*command).code == 0
    ended = precept(*command, "tune.learning_rate=1e-3")
    assert ended.code == 2 and "learning_rate: None -> 0.001" in ended.err and "--fresh" in ended.err


def test_a_recipe_scores_anew_when_the_data_of_a_task_file_changed(
    tmp_path: Path, base_folder: Path, tasks: Path
) -> None:
    data = shutil.copy(tasks / f"{PARITY}.json", tmp_path / "parity.json")
    (tmp_path / "parity.yaml").write_text("family: superni\ndata: parity.json\n")
    path = recipe(tmp_path / "two.yaml", base_folder, tasks)
    command = ["run", path, "-o", tmp_path / "runs", "--json", f"score.task={tmp_path / 'parity.yaml'}"]
    states = [[step["state"] for step in precept(*command).json["steps"]] for _ in range(2)]
    Path(data).write_text(Path(data).read_text().replace("even", "equal"))
    states.append([step["state"] for step in precept(*command).json["steps"]])
    assert states == [["done", "done"], ["reused", "reused"], ["reused", "done"]]


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("max_steps: 2", "max_step: 2", ("two.yaml line 8", "'max_step'", "'max_steps'?")),
        ("batch_size: 8", "batch_size: 0", ("two.yaml line 9", "batch_size", "found")),
        ("uses: eval", "uses: evil", ("two.yaml line 11", "'evil'", "'eval'?")),
        ("model: ${tune}", "model: ${tone}", ("two.yaml line 14", "'tone'", "'tune'?")),
        ("limit: 4", "limits: 4", ("two.yaml line 16", "'limits'", "'limit'?")),
    ],
    ids=lambda value: value if isinstance(value, str) and ":" in value else "",
)
def test_what_is_wrong_in_a_recipe_is_named_with_file_and_line_before_any_step_runs(
    tmp_path: Path, base_folder: Path, tasks: Path, before: str, after: str, says: tuple[str, ...]
) -> None:
    path = recipe(tmp_path / "two.yaml", base_folder, tasks)
    path.write_text(path.read_text().replace(before, after))
    ended = precept("run", path, "-o", tmp_path / "runs")
    assert ended.code == 2 and all(words in ended.err for words in says), ended.err
    assert not (tmp_path / "runs").exists()


def test_an_override_of_an_unknown_key_names_the_nearest(tmp_path: Path, base_folder: Path, tasks: Path) -> None:
    path = recipe(tmp_path / "two.yaml", base_folder, tasks)
    ended = precept("run", path, "-o", tmp_path / "runs", "tune.seeds=1")
    assert ended.code == 2 and "tune.seeds=1" in ended.err and "'seed'?" in ended.err


def test_chat_answers_obeys_commands_and_ends_with_the_input(tuned: Tuned) -> None:
    lines = ["Is 4 even?", "/system Be brief.", "/reset", "/nonsense", "", "Is 5 even?"]
    words = [sys.executable, "-m", "precept", "chat", str(tuned.folder), "--max-new-tokens", "4", "--temperature", "0"]
    done = subprocess.run(words, input="\n".join(lines), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("\n")
    assert answers[0] and answers[1]  # one line an answer, then the line that ends the conversation
    assert [line for line in answers[2:] if line] == []
    told = ["system message set to: Be brief.", "forgotten", "no such command: /nonsense"]
    assert all(words in done.stderr for words in told) and "Traceback" not in done.stderr


def test_chat_leaves_at_exit_and_answers_the_same_to_the_same_seed(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = []
    for _ in range(2):
        monkeypatch.setattr("sys.stdin", io.StringIO("Is 4 even?\n/exit\nnever read\n"))
        ended = precept("chat", tuned.folder, "--max-new-tokens", "8", "--seed", "3")
        assert ended.code == 0
        said.append(ended.out)
    assert said[0] == said[1] and said[0].count("\n") == 1


def test_a_line_that_cannot_be_asked_is_told_and_the_conversation_goes_on(
    tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"Is <|im_end|> even?\n{LONG}\nIs 4 even?\n"))
    ended = precept("chat", tuned.folder, "--max-new-tokens", "4", "--temperature", "0")
    assert ended.code == 0 and "Traceback" not in ended.err
    assert "holds '<|im_end|>'" in ended.err
    assert "does not fit the model's context" in ended.err and "/reset" in ended.err
    assert len(ended.out.split()) == 1  # the third line was asked without the two before it


def test_an_answer_ends_where_the_context_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model_folder(tmp_path / "gpt2", "gpt2", chat_template=CHATML, n_positions=48)
    monkeypatch.setattr("sys.stdin", io.StringIO("Is 4 even?\n"))
    ended = precept("chat", model, "--max-new-tokens", "1000", "--temperature", "0")
    assert ended.code == 0 and len(ended.out) > 1


class StdinWithCtrlC(io.StringIO):
    """Lines, then a Ctrl-C at the prompt."""

    def readline(self, size: int | None = -1, /) -> str:
        line = super().readline()
        if not line:
            raise KeyboardInterrupt
        return line


def test_ctrl_c_stops_an_answer_and_leaves_at_the_prompt(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[Message]] = []

    def reply(messages: list[Message]) -> Iterator[str]:
        asked.append(messages)
        yield "It is"
        raise KeyboardInterrupt

    monkeypatch.setattr("sys.stdin", StdinWithCtrlC("Is 4 even?\nWell?\n"))
    talk(Chat(reply, system=None))
    said = capsys.readouterr()
    assert said.out.split() == ["It", "is", "It", "is"] and said.err.count("(stopped)") == 2
    assert [(message.role, message.content) for message in asked[1]] == [
        ("user", "Is 4 even?"),
        ("assistant", "It is"),
        ("user", "Well?"),
    ]
