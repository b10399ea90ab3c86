"""Reframing at tiny size: raw and reframed prompts of the same instances, asked of a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept
from tests.tiny import CHATML, tiny_model_folder

from precept.records import load
from precept.run.data.reframing import ReframingSettings, build
from precept.types import Conversation

TASK: dict[str, Any] = {
    "Definition": ["In this task, you are given a number. Your task is to say whether it is even. Answer yes or no."],
    "Positive Examples": [
        {"input": "2", "output": "yes", "explanation": "-"},
        {"input": "5", "output": "no", "explanation": "-"},
    ],
    "Negative Examples": [],
    "Instances": [{"input": str(n), "output": ["yes" if n % 2 == 0 else "no"]} for n in range(20)],
}
FIRST: dict[str, Any] = {
    "Title": "Even",
    "Prompt": "Say whether it is even.",
    "Definition": "You are given a number. You should say whether it is even.",
    "Things to Avoid": "Long answers.",
    "Emphasis & Caution": "-",
    "Examples": {
        "Positive Examples": [
            {"input": "2", "output": "yes", "reason": "-"},
            {"input": "5", "output": "no", "reason": "-"},
        ],
        "Negative Examples": ["-"],
    },
    "Instances": TASK["Instances"],
}


def prompts(path: str) -> list[str]:
    rows = [row for row in load([path]).rows if isinstance(row, Conversation)]
    return [row.messages[0].content or "" for row in rows]


def test_reframing_asks_the_same_instances_in_both_ways(base_folder: Path, tmp_path: Path) -> None:
    task = tmp_path / "task007_even.json"
    task.write_text(json.dumps(TASK))
    command = ["run", "reframing", "-o", tmp_path / "out", f"raw.data={task}", f"reframed.data={task}", "--json"]
    command += [f"ask_raw.model={base_folder}", f"ask_reframed.model={base_folder}"]
    command += [f"{step}.first_test_instance=12" for step in ("raw", "reframed")]
    command += [f"{step}.max_new_tokens=2" for step in ("ask_raw", "ask_reframed")]
    first = precept(*command)
    assert first.code == 0, first.err
    raw, reframed, *asked = first.json["steps"]
    before, after = (prompts(step["result"]["test"]["path"]) for step in (raw, reframed))
    assert before[0] == (
        "In this task, you are given a number. Your task is to say whether it is even. Answer yes or no.\n\n"
        "2\nAnswer: yes\n\n5\nAnswer: no\n\n12\nAnswer:"
    )
    assert after[0] == (
        "You are given a number. Say whether it is even. Answer yes or no.\n\n2\nAnswer with yes or no.\n"
        "Answer: yes\n\n5\nAnswer with yes or no.\nAnswer: no\n\n12\nAnswer with yes or no.\nAnswer:"
    )
    assert len(before) == len(after) == 7  # places 12 to 18: the last instance is never asked
    assert all(prompt.count("Answer with yes or no.") == 3 for prompt in after)
    for step in asked:
        assert next(iter(step["result"]["overall"])) == "rouge_l_comma_split"  # the paper's
        assert step["result"]["overall"]["rouge_l_comma_split"]["n"] == 7
    told = json.loads((tmp_path / "out" / "reframed" / "report.json").read_text())["tasks"]["task007_even"]
    assert {name: entry["taken"] for name, entry in told["techniques"].items()} == {
        "specialization": True,
        "pattern": False,
        "itemizing": False,
        "restraining": True,
    }
    assert told["against_suffix"] == 0
    again = precept(*command)
    assert [step["state"] for step in again.json["steps"]] == ["reused"] * 4


def test_instances_numbered_in_each_file_are_told_apart(tmp_path: Path) -> None:
    instances = [{"id": str(n), **instance} for n, instance in enumerate(TASK["Instances"])]
    for name in ("task007_even", "task008_even"):
        (tmp_path / f"{name}.json").write_text(json.dumps({**TASK, "Instances": instances}))
    settings = ReframingSettings(first_test_instance=12, num_test_instances=1)
    rows = build([str(tmp_path)], settings).test
    assert [row.source.id for row in rows] == ["task007_even:12", "task008_even:12"]


def test_tasks_of_the_first_collection_and_templates_made_by_hand_are_taken(tmp_path: Path) -> None:
    (tmp_path / "tasks").mkdir()
    (tmp_path / "by_hand").mkdir()
    for name in ("subtask002_even", "subtask052_even", "subtask022_even"):
        (tmp_path / "tasks" / f"{name}.json").write_text(json.dumps(FIRST))
    (tmp_path / "by_hand" / "subtask022_even.txt").write_text("Even?\\n{0}\\n\\n{1}\\nEven:\n Say yes or no.\n")
    made = precept(
        *("data", "make", "reframing", "-d", tmp_path / "tasks", "-o", tmp_path / "out", "--json", "gpt2=true"),
        *("first_test_instance=15", "num_test_instances=1", "num_dev_outputs=4", "released_line_end=true"),
        f"templates={tmp_path / 'by_hand'}",
    )
    assert made.code == 0, made.err
    bullets = (
        "- You are given a number.\n- You should say whether it is even.\n- Say whether it is even.\n"
        "- Prefer short answers.\n\n"
    )
    by_name = {
        json.loads(line)["task"]: prompt
        for line, prompt in zip(
            Path(made.json["test"]["path"]).read_text().splitlines(), prompts(made.json["test"]["path"]), strict=True
        )
    }
    assert by_name["subtask002_even"] == f"{bullets}15\nAnswer with yes or no.\nAnswer:\n"  # no example for GPT-2
    assert by_name["subtask022_even"] == (
        "Even?\n2 Say yes or no.\nAnswer: yes\n\n5 Say yes or no.\nAnswer: no\n\n15 Say yes or no.\nEven:\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["first_test_instance=12", "techniques=[decomposition]"], "decomposition needs a teacher"),
        (["first_test_instance=12", "by_teacher=[itemizing]"], "no teacher was named"),
        ([], "the first to be tested is number 60 from 0"),
        ([], "do: mend them, or the template or setting that they fail at"),
        (
            ["by_teacher=[itemizing]", "teacher=m", "teacher_url=http://127.0.0.1:9/v1", "chat_template=chatml"],
            "a server writes its own prompts",
        ),
        (["first_test_instance=12", "templates=."], "no-template-used"),
    ],
)
def test_what_cannot_be_reframed_ends_in_a_clear_error(tmp_path: Path, words: list[str], message: str) -> None:
    task = tmp_path / "task007_even.json"
    task.write_text(json.dumps(TASK))
    words = [word.replace("=.", f"={tmp_path}") for word in words]
    ended = precept("data", "make", "reframing", "-d", task, "-o", tmp_path / "out", *words)
    assert ended.code == 2
    assert message in ended.err


def test_a_model_folder_is_asked_as_the_teacher_and_named_in_the_report(tmp_path: Path) -> None:
    teacher = tiny_model_folder(tmp_path / "teacher", "llama", max_position_embeddings=2048, chat_template=CHATML)
    task = tmp_path / "task007_even.json"
    task.write_text(json.dumps(TASK))
    made = precept(
        *("data", "make", "reframing", "-d", task, "-o", tmp_path / "out", "--json", "first_test_instance=12"),
        *("techniques=[itemizing]", "by_teacher=[itemizing]", f"teacher={teacher}"),
    )
    assert made.code == 0, made.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["teacher"]["teacher"] == str(teacher) and len(report["teacher"]["teacher_hash"]) == 64
    told = report["tasks"]["task007_even"]["techniques"]["itemizing"]
    assert (told["by"], told["taken"]) == ("teacher", False)  # a random model writes no list
    assert prompts(made.json["test"]["path"])[0].startswith("In this task, you are given a number.")


def test_a_teacher_without_a_template_of_its_own_is_asked_in_the_one_named(tmp_path: Path) -> None:
    teacher = tiny_model_folder(tmp_path / "teacher", "llama", max_position_embeddings=2048)
    (tmp_path / "own.jinja").write_text(CHATML)
    task = tmp_path / "task007_even.json"
    task.write_text(json.dumps(TASK))
    words = ["first_test_instance=12", "techniques=[itemizing]", "by_teacher=[itemizing]", f"teacher={teacher}"]
    command = ["data", "make", "reframing", "-d", task, "-o", tmp_path / "out", *words]
    refused = precept(*command)
    assert refused.code == 2 and "no chat template" in refused.err and "chat_template" in refused.err
    made = precept(*command, f"chat_template={tmp_path / 'own.jinja'}")
    assert made.code == 0, made.err
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["teacher"]["chat_template"] == str(tmp_path / "own.jinja")


def test_the_real_task_files_are_reframed(shared_data: Path, tmp_path: Path) -> None:
    tasks = shared_data / "superni" / "tasks"
    made = precept("data", "make", "reframing", "-d", tasks, "-o", tmp_path / "out", "--json")
    assert made.code == 0, made.err
    assert made.json["test"]["rows"] == 7 * 50
    told = json.loads((tmp_path / "out" / "report.json").read_text())["tasks"]
    taken = {name: [n for n, entry in task["techniques"].items() if entry["taken"]] for name, task in told.items()}
    assert taken["task363_sst2_polarity_classification"] == ["specialization", "restraining"]
    assert taken["task1290_xsum_summarization"] == ["specialization"]
