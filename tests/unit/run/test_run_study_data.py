"""Data steps of studies: worded tasks drawn in nested ways, with reasons or without, and a model's own answers."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import parrot_folder
from tests.tiny import CHATML, tiny_tokenizer

from precept.bundled.chains import CUE
from precept.errors import InputError
from precept.run.data.answers import AnswersSettings
from precept.run.data.answers import build as build_answers
from precept.run.data.make import make_data
from precept.run.data.worded_tasks import WordedTasksSettings, build
from precept.types import Conversation

WORDINGS = [
    {"text": f"Way {number}", "place": place, "split": "seen"}
    for number, place in enumerate(("behind", "beside", "above"))
]


def write_task(folder: Path, name: str, category: str, count: int = 4, **instance: Any) -> None:
    folder.mkdir(exist_ok=True)
    document = {
        "Categories": [category],
        "Definition": ["Say it."],
        "Wordings": WORDINGS,
        "Instances": [
            {"id": f"{name}-{n}", "input": f"{name} in {n}", "output": [f"{name} out {n}"], **instance}
            for n in range(count)
        ],
    }
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    folder = tmp_path / "tasks"
    for category, names in {"one": "abcd", "two": "ef", "three": "gh"}.items():
        for name in names:
            write_task(folder, name, category)
    return str(folder)


def make(path: str, **keys: Any) -> list[Conversation]:
    return [row for row in build([path], WordedTasksSettings(**keys)).train if isinstance(row, Conversation)]


def names(rows: list[Conversation]) -> set[str | None]:
    return {row.task for row in rows}


def test_each_instance_comes_once_and_in_every_turn_in_another_wording(tasks: str) -> None:
    assert Counter(row.task for row in make(tasks)) == dict.fromkeys("abcdefgh", 4)
    rows = [row for row in make(tasks, num_tasks=1, rows=12) if "in 2" in (row.messages[0].content or "")]
    assert len(rows) == 3  # 12 rows of 4 instances
    assert len({row.messages[0].content for row in rows}) == 3
    assert {row.messages[1].content for row in rows} == {rows[0].references[0]}
    assert len({row.source.id for row in rows}) == 3


def test_rows_are_divided_evenly_whatever_the_number_of_tasks(tasks: str) -> None:
    for count in (2, 5, 8):
        rows = make(tasks, num_tasks=count, rows=40)
        assert len(rows) == 40 and len(names(rows)) == count
        assert set(Counter(row.task for row in rows).values()) <= {40 // count, 40 // count + 1}


def test_fewer_tasks_are_among_more_and_categories_keep_their_shares(tasks: str) -> None:
    for seed in range(5):
        drawn = [names(make(tasks, num_tasks=count, seed=seed)) for count in range(1, 9)]
        assert all(few < more for few, more in pairwise(drawn))
        # tasks of 'one' stand at 1/8, 3/8, 5/8, 7/8 of the way, those of the others at 1/4 and 3/4
        assert len(drawn[3] & set("abcd")) == 2 and len(drawn[3] & set("ef")) == len(drawn[3] & set("gh")) == 1
    assert len({frozenset(names(make(tasks, num_tasks=2, seed=seed))) for seed in range(10)}) > 1


def test_categories_are_nested_and_two_steps_divide_them(tasks: str) -> None:
    groups = {"a": "one", "e": "two", "g": "three"}
    for seed in range(4):
        first = names(make(tasks, num_categories=1, seed=seed))
        assert first in ({*"abcd"}, {*"ef"}, {*"gh"})
        assert first < names(make(tasks, num_categories=2, seed=seed))
        rest = names(make(tasks, num_categories=2, first_category=1, seed=seed))
        assert not first & rest and first | rest == {*"abcdefgh"}
    assert len({groups[min(n for n in names(make(tasks, num_categories=1, seed=s)) if n)] for s in range(9)}) > 1


def test_only_the_first_wordings_are_used(tasks: str) -> None:
    prompts = [row.messages[0].content or "" for row in make(tasks, wordings_per_task=1, rows=64)]
    assert all(prompt.startswith("Way 0. ") for prompt in prompts)
    starts = {prompt.split()[1] for prompt in (r.messages[0].content or "" for r in make(tasks, wordings_per_task=2))}
    assert starts == {"0.", "1:"}


def test_a_share_of_rows_gives_the_reasons_before_the_answer(tmp_path: Path) -> None:
    write_task(tmp_path / "chains", "why", "two steps", 100, rationale="It is so.")
    write_task(tmp_path / "chains", "flat", "one step", 100)
    rows = make(str(tmp_path / "chains"), reasoning_share=0.5)
    reasoned = [row for row in rows if (row.messages[0].content or "").endswith(CUE)]
    assert names(reasoned) == {"why"} and 35 < len(reasoned) < 65  # 5 standard deviations are 25 rows
    answer = reasoned[0].references[0]
    assert reasoned[0].messages[1].content == f"It is so. So the answer is {answer}."
    assert not [row for row in make(str(tmp_path / "chains")) if (row.messages[0].content or "").endswith(CUE)]


def test_held_out_rows_are_asked_in_the_wording_that_they_name(tmp_path: Path) -> None:
    write_task(tmp_path / "held", "why", "two steps", 3, rationale="It is so.", wording=2)
    built = build([str(tmp_path / "held")], WordedTasksSettings(held_out=True, reasoning_share=1.0))
    assert not built.train
    assert [row.messages[0].content for row in built.test] == [f"why in {n}\nWay 2.{CUE}" for n in range(3)]
    assert [len(row.messages) for row in built.test] == [1, 1, 1]
    assert [row.references for row in built.test] == [(f"why out {n}",) for n in range(3)]
    assert built.report["reasoned_rows"] == 3


def test_more_than_there_is_cannot_be_drawn(tasks: str, tmp_path: Path) -> None:
    for keys in ({"num_tasks": 9}, {"num_categories": 4}, {"first_category": 3}, {"num_categories": 2, "num_tasks": 7}):
        with pytest.raises(InputError, match="fewer") as caught:
            make(tasks, **keys)
        assert caught.value.code == "too-few-tasks"
    with pytest.raises(InputError, match="reasons") as caught:
        make(tasks, reasoning_share=0.1)
    assert caught.value.code == "no-rationales"


def test_a_task_file_without_wordings_is_refused_by_name(tmp_path: Path) -> None:
    for name, wordings in (("none", None), ("empty", []), ("odd", [{"words": "x"}])):
        document = {"Definition": "x", "Wordings": wordings, "Instances": [{"input": "i", "output": ["o"]}]}
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    write_task(tmp_path, "place", "", wording="first")
    write_task(tmp_path, "reasons", "", rationale=["since"])
    built = build([str(tmp_path)], WordedTasksSettings())
    assert [refusal.code for refusal in built.refused] == ["no-wordings"] * 5
    assert not built.train


def test_rows_of_the_step_read_back(tasks: str, tmp_path: Path) -> None:
    result = make_data("worded_tasks", data=[tasks], output=tmp_path / "out", pairs={"rows": 50, "seed": 3})
    assert result["train"]["rows"] == 50 and result["test"] is None


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that says ' the' to everything."""
    folder = tmp_path_factory.mktemp("teacher") / "llama"
    return parrot_folder(folder, tiny_tokenizer(chat_template=CHATML), prompt_end="\n", says=" the", end="<|im_end|>")


def write_rows(path: Path, count: int) -> str:
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"say {n}"},
                {"role": "assistant", "content": "the" if n % 2 else "x"},
            ]
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps({**row, "references": [row["messages"][1]["content"]]}) + "\n" for row in rows))
    return str(path)


def test_a_model_answers_rows_and_references_stay(teacher: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", 4)
    built = build_answers([data], AnswersSettings(teacher=str(teacher), max_new_tokens=4))
    rows = [row for row in built.train if isinstance(row, Conversation)]
    assert [row.messages[0].content for row in rows] == [f"say {n}" for n in range(4)]
    assert [row.messages[1].content for row in rows] == ["the"] * 4
    assert [row.references for row in rows] == [("x",), ("the",)] * 2
    assert built.report == {"rows": 4, "answered": 4, "too_long": 0, "not_ended": 0, "empty": 0, "right": 0.5}


def test_a_teacher_that_ends_no_answer_is_refused(teacher: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", 3)
    with pytest.raises(InputError, match="no row") as caught:
        build_answers([data], AnswersSettings(teacher=str(teacher), max_new_tokens=1))
    assert caught.value.code == "no-answers"
    assert caught.value.found == "of 3 rows 3 not ended, 0 empty, 0 too long"


def test_fewer_answered_rows_are_among_more(teacher: Path, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", 6)
    few, more = (
        {
            row.source.row
            for row in build_answers([data], AnswersSettings(teacher=str(teacher), rows=rows, seed=1)).train
        }
        for rows in (2, 4)
    )
    assert few < more and len(few) == 2
    with pytest.raises(InputError, match="fewer rows") as caught:
        build_answers([data], AnswersSettings(teacher=str(teacher), rows=7))
    assert caught.value.code == "too-few-rows"


def test_only_conversations_are_answered(teacher: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jsonl").write_text('{"text": "plain"}\n')
    with pytest.raises(InputError, match="conversations") as caught:
        build_answers([str(tmp_path / "text.jsonl")], AnswersSettings(teacher=str(teacher)))
    assert caught.value.code == "rows-not-conversations"


def test_the_manifest_tells_a_teacher_that_has_changed(teacher: Path, tmp_path: Path) -> None:
    mine = tmp_path / "teacher"
    shutil.copytree(teacher, mine)
    out, data = tmp_path / "out", write_rows(tmp_path / "rows.jsonl", 2)

    def make() -> None:
        make_data("answers", data=[data], output=out, pairs={"teacher": str(mine), "max_new_tokens": 4})

    make()
    before = (out / "run.yaml").read_bytes()
    make()
    assert (out / "run.yaml").read_bytes() == before
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps({**config, "told": "otherwise"}))
    with pytest.raises(InputError) as caught:
        make()
    assert caught.value.code == "output-differs" and "teacher_hash" in str(caught.value.found)
