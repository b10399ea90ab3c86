"""Super-NaturalInstructions as a data step: the split by category, what is drawn, and what is reported."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import WordCounter

from precept.errors import InputError
from precept.records.instructions.splits import TaskFacts, balanced_places, split_by_category
from precept.records.instructions.super_ni import SuperNISettings, build
from precept.records.instructions.task_files import read_task_files
from precept.types import Conversation

QUESTIONS = ("Question Answering",)
SUMMARY = ("Summarization",)


def facts(name: str, category: str, *sources: str, languages: tuple[str, ...] = ("English",)) -> TaskFacts:
    return TaskFacts(name, (category,), sources, languages)


TASKS = (
    facts("task1_qa", "Question Answering", "squad"),
    facts("task2_titles", "Title Generation", "news"),
    facts("task3_news_qa", "Question Answering", "news", "other"),
    facts("task4_de_qa", "Question Answering", "xquad", languages=("English", "German")),
    facts("task5_de_nli", "Textual Entailment", "xnli", languages=("German",)),
    facts("task1415_youtube", "Grammar Error Correction", "youtube"),
    facts("task6_xnli_qa", "Question Answering", "xnli"),
    facts("task7_old", "Question Answering", languages=()),
)


def parts(**how: Any) -> dict[str, str]:
    return {name: placed.part for name, placed in split_by_category(TASKS, **how).items()}


def test_the_english_track_tests_english_tasks_of_the_held_out_categories() -> None:
    assert parts() == {
        "task1_qa": "train",
        "task2_titles": "test",
        "task3_news_qa": "excluded",  # shares 'news' with task2
        "task4_de_qa": "excluded",  # not English alone
        "task5_de_nli": "excluded",  # of a held-out category, not English
        "task1415_youtube": "excluded",  # bad data
        "task6_xnli_qa": "excluded",  # its source is that of task5, which is held out in either track
        "task7_old": "train",  # states no language
    }


def test_the_task_of_bad_data_is_left_out_whatever_is_held_out() -> None:
    assert parts(track="all", categories=())["task1415_youtube"] == "excluded"


def test_the_cross_lingual_track_tests_the_others_and_trains_on_all_languages() -> None:
    found = parts(track="xlingual")
    assert found["task5_de_nli"] == "test"
    assert found["task2_titles"] == "excluded"  # of a held-out category, English
    assert found["task3_news_qa"] == "excluded"  # still shares a source with it
    assert found["task4_de_qa"] == found["task1_qa"] == "train"


def test_without_a_track_languages_do_not_matter() -> None:
    found = parts(track="all")
    assert (found["task2_titles"], found["task5_de_nli"], found["task4_de_qa"]) == ("test", "test", "train")


def test_test_instances_are_balanced_over_labels() -> None:
    # 6 of a, 3 of b, 1 of c: rounds a b c, a b, a b, a give 8 with 4, 3 and 1
    labels = ["a", "a", "a", "b", "a", "c", "a", "b", "b", "a"]
    chosen = balanced_places(labels, 8, rng=random.Random(123))
    assert len(set(chosen)) == 8
    assert [labels[place] for place in chosen] == ["a", "b", "c", "a", "b", "a", "b", "a"]
    assert sorted(balanced_places(labels, 50, rng=random.Random(1))) == list(range(10))


def write_task(folder: Path, name: str, **changes: Any) -> None:
    document = {
        "Source": [name],
        "Categories": ["Question Answering"],
        "Definition": [f"Do {name}."],
        "Input_language": ["English"],
        "Output_language": ["English"],
        "Positive Examples": [{"input": "p1", "output": "o1", "explanation": "e1"}, {"input": "p2", "output": "o2"}],
        "Negative Examples": [{"input": "n1", "output": "w1", "explanation": "f1"}],
        "Instances": [
            {"id": f"{name}-{n}", "input": f"{name} question {n}", "output": [f"{name} answer {n}", "or so"]}
            for n in range(12)
        ],
        "Instance License": ["CC0"],
    } | changes
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(document))


@pytest.fixture
def tasks(tmp_path: Path) -> str:
    folder = tmp_path / "tasks"
    for name in ("task1_a", "task2_b"):
        write_task(folder, name)
    write_task(folder, "task3_c", Categories=["Title Generation"])
    return str(folder)


def settings(**keys: Any) -> SuperNISettings:
    return SuperNISettings(**keys)


def test_training_rows_are_drawn_and_test_rows_are_the_first(tasks: str) -> None:
    built = build([tasks], settings(max_num_instances_per_task=5, max_num_instances_per_eval_task=4))
    assert Counter(row.task for row in built.train) == {"task1_a": 5, "task2_b": 5}
    assert [row.source.id for row in built.test] == ["task3_c-0", "task3_c-1", "task3_c-2", "task3_c-3"]
    first = built.test[0]
    assert first.references == ("task3_c answer 0", "or so")
    assert [message.role for message in first.messages] == ["user"]  # asked, not answered
    assert (first.source.licence, first.task) == ("CC0", "task3_c")
    for row in built.train:
        prompt, answer = (message.content or "" for message in row.messages)
        number = prompt.rpartition(" question ")[2].split(".")[0]
        assert answer in row.references == (f"{row.task} answer {number}", "or so")
    assert built.report["split"] == {"train": 2, "test": 1, "excluded": 0}
    assert built.report["tasks"]["task3_c"]["part"] == "test"


def test_test_rows_numbered_in_each_file_are_told_apart(tmp_path: Path) -> None:
    def write(name: str, ids: str) -> None:
        instances = [{"id": number, "input": name, "output": ["x"]} for number in ids]
        write_task(tmp_path / "t", name, Categories=["Title Generation"], Instances=instances)

    write("task1_a", "01")
    write("task2_b", "01")
    built = build([str(tmp_path / "t")], settings())
    assert [row.source.id for row in built.test] == ["task1_a:0", "task1_a:1", "task2_b:0", "task2_b:1"]
    write("task2_b", "00")
    with pytest.raises(InputError) as caught:
        build([str(tmp_path / "t")], settings())
    assert caught.value.code == "duplicate-ids"


def test_draws_depend_on_the_seed_and_on_the_row_alone(tasks: str, tmp_path: Path) -> None:
    once = build([tasks], settings(max_num_instances_per_task=5)).train
    write_task(tmp_path / "tasks", "task0_new")
    again = build([tasks], settings(max_num_instances_per_task=5)).train
    assert [row.messages for row in again if row.task != "task0_new"] == [row.messages for row in once]
    other = build([tasks], settings(max_num_instances_per_task=5, seed=43)).train
    assert [row.messages for row in other] != [row.messages for row in again]
    both = {message.content for row in once for message in row.messages if message.role == "assistant"}
    assert "or so" in both and len(both) > 1  # any reference may be the answer


def test_fewer_training_tasks_are_among_more(tmp_path: Path) -> None:
    for number in range(6):
        write_task(tmp_path / "t", f"task{number}_x")
    drawn = [
        {row.task for row in build([str(tmp_path / "t")], settings(num_train_tasks=count)).train} for count in (1, 3, 6)
    ]
    assert [len(names) for names in drawn] == [1, 3, 6] and drawn[0] < drawn[1] < drawn[2]


def test_tk_instruct_draws_an_encoding_for_each_training_row(tasks: str) -> None:
    built = build([tasks], settings(tk_instruct=True))
    heads = Counter()
    for row in built.train:
        text = row.messages[0].content or ""
        shape = (text.startswith("Definition"), "Positive" in text, "Negative" in text, "Explanation" in text)
        heads[shape] += 1
    # definition alone; examples alone; both; both with a negative one; both with explanations
    assert set(heads) == {
        (True, False, False, False),
        (False, True, False, False),
        (True, True, False, False),
        (True, True, True, False),
        (True, True, False, True),
    }
    assert all("Positive Example 2 -" in (row.messages[0].content or "") for row in built.test)


def test_a_token_budget_leaves_examples_out_and_is_reported(tasks: str) -> None:
    # words: definition 3, a question 6 + 4 + 1 = 11, an example 4 + 2 + 2 = 8: 14, 22, 30
    built = build([tasks], settings(max_source_length=29, max_num_instances_per_task=1), count_tokens=WordCounter())
    assert built.report["examples_shown"] == {"1 positive, 0 negative": 14}
    assert (built.report["token_budget"], built.report["prompts_cut"]) == (29, 0)
    assert all(WordCounter()(row.messages[0].content or "") == 22 for row in built.train)


def test_the_test_can_be_balanced_anew(tmp_path: Path) -> None:
    outputs = ["no"] * 6 + ["yes"] * 2
    instances = [{"id": str(n), "input": f"{n}", "output": [output]} for n, output in enumerate(outputs)]
    write_task(tmp_path / "t", "task1_x", Categories=["Word Analogy"], Instances=instances)
    keys: dict[str, Any] = {"max_num_instances_per_eval_task": 4, "balance_test": True}
    built = build([str(tmp_path / "t")], settings(**keys))
    assert [row.references for row in built.test] == [("no",), ("yes",), ("no",), ("yes",)]


def test_older_files_state_categories_as_text_and_no_source(tmp_path: Path) -> None:
    write_task(tmp_path / "t", "task1_x", Categories="Summarization", Source=None)
    write_task(tmp_path / "t", "task2_y", Categories=None, Input_language=None, Output_language=None)
    built = build([str(tmp_path / "t")], settings(test_categories=SUMMARY))
    assert {row.task for row in built.test} == {"task1_x"}
    keys = ("language_not_stated", "category_not_stated", "source_not_stated")
    assert [built.report[key] for key in keys] == [1, 1, 1]


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"test_categories": ("Titel Generation",)}, "did you mean 'Title Generation'?"),
        ({"test_tasks": ("task9",)}, "did you mean 'task"),
        ({"test_tasks": ("elsewhere",)}, "leave test_tasks out"),
    ],
)
def test_holding_out_what_is_not_there_is_an_error(tasks: str, keys: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        build([tasks], settings(**keys))
    assert caught.value.code == "nothing-held-out" and said in str(caught.value)


def test_a_category_of_the_paper_may_be_missing(tmp_path: Path) -> None:
    write_task(tmp_path / "t", "task1_x")
    assert not build([str(tmp_path / "t")], settings()).test


def test_files_that_are_no_tasks_and_bad_rows_are_refused(tasks: str, tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    (folder / "README.md").write_text("about")
    (folder / "labels.json").write_text('["a", "b"]')
    (folder / "other.json").write_text('{"a": 1}')
    (folder / "broken.json").write_text("{")
    write_task(folder, "task4_empty", Instances=[])
    write_task(folder, "task5_no_definition", Definition="")
    write_task(folder, "task6_rows", Instances=[{"input": "x"}, "y", {"input": "x", "output": ["z"]}])
    (folder / "task7_old.json").write_text(
        json.dumps({"Definition": "d", "Examples": {}, "Instances": [{"input": "x", "output": ["y"]}]})
    )
    built = build([tasks], settings())
    found = {(Path(refusal.file).name, refusal.row, refusal.code) for refusal in built.refused}
    assert found == {
        ("labels.json", None, "not-a-task"),
        ("other.json", None, "not-a-task"),
        ("broken.json", None, next(r.code for r in built.refused if r.file.endswith("broken.json"))),
        ("task4_empty.json", None, "empty-task"),
        ("task5_no_definition.json", None, "bad-task"),
        ("task6_rows.json", 1, "missing-column"),
        ("task6_rows.json", 2, "not-an-object"),
        ("task7_old.json", None, "bad-task"),
    }
    assert [row.source.row for row in built.train if row.task == "task6_rows"] == [3]


def test_a_limit_takes_the_first_instances(tasks: str) -> None:
    files = read_task_files([f"{tasks}/task1_a.json#3"])
    assert [instance.source.id for instance in files.read(files.tasks[0]).usable] == [
        "task1_a-0",
        "task1_a-1",
        "task1_a-2",
    ]
    assert [task.listed for task in read_task_files([f"{tasks}#15"]).tasks] == [12, 3]


def test_one_task_in_two_files_is_an_error(tmp_path: Path) -> None:
    write_task(tmp_path / "x", "task1_a")
    write_task(tmp_path / "y", "task1_a")
    with pytest.raises(InputError) as caught:
        read_task_files([str(tmp_path / "x"), str(tmp_path / "y")])
    assert caught.value.code == "task-twice"


def test_hub_rows_are_no_task_files() -> None:
    with pytest.raises(InputError) as caught:
        read_task_files(["hf:owner/name"])
    assert caught.value.code == "task-files-needed"


def test_tasks_of_one_file_are_numbered(tmp_path: Path) -> None:
    write_task(tmp_path / "t", "task1_a")
    line = (tmp_path / "t" / "task1_a.json").read_text() + "\n"
    (tmp_path / "both.jsonl").write_text(line * 2)
    files = read_task_files([str(tmp_path / "both.jsonl")])
    assert [task.name for task in files.tasks] == ["both_1", "both_2"]
    assert [files.read(task).usable[0].source.row for task in files.tasks] == [1, 13]


def test_real_task_files_split_by_their_own_categories(shared_data: Path) -> None:
    # 7 tasks; 'Summarization' is one of them, and no two of them state the same source
    built = build([str(shared_data / "superni" / "tasks")], settings(test_categories=SUMMARY))
    assert (len(built.train), len(built.test), list(built.refused)) == (600, 100, [])


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("Categories", [["Data to Text"]], "'Categories' holds a list of other things than text"),
        ("Source", 5, "'Source' holds a number, not text or a list of texts"),
        ("Input_language", {}, "'Input_language' holds an object"),
        ("Instance License", 5, "'Instance License' holds a number"),
    ],
)
def test_a_task_whose_category_source_language_or_licence_is_no_text_is_refused(
    tmp_path: Path, field: str, value: Any, reason: str
) -> None:
    document = {"Definition": ["Say it."], "Categories": ["Question Answering"], "Input_language": ["English"]}
    document |= {"Output_language": ["English"], "Positive Examples": [{"input": "a", "output": "b"}]}
    document |= {"Instances": [{"input": "x", "output": ["y"]}]}
    (tmp_path / "task1_bad.json").write_text(json.dumps({**document, field: value}))
    (tmp_path / "task2_good.json").write_text(json.dumps(document))
    built = build([str(tmp_path)], SuperNISettings())
    assert [row.task for row in built.train if isinstance(row, Conversation)] == ["task2_good"]
    (refusal,) = built.refused
    assert refusal.file.endswith("task1_bad.json") and refusal.reason.startswith(reason)
