"""The tasks: counts, splits without leakage, answers checked against the world, files that are read back."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer

from precept.bundled import Tasks, World, build_tasks, write_replay, write_tasks
from precept.bundled.corpus import REPLAYED
from precept.bundled.instances import UNSEEN_OPERATIONS, UNSEEN_RELATIONS
from precept.bundled.make import main, make
from precept.bundled.tasks import LEVELS, rows
from precept.bundled.tokenizer import split_words
from precept.bundled.world import build_world, read_words
from precept.records import load

N = 8  # words of a shared n-gram


def instances(task: dict[str, Any]) -> list[tuple[str, str]]:
    return [(instance["input"], instance["output"][0]) for instance in task["Instances"]]


def by_name(tasks: tuple[dict[str, Any], ...]) -> dict[str, dict[str, Any]]:
    return {task["Name"]: task for task in tasks}


def everything(tasks: Tasks) -> Iterator[tuple[str, dict[str, Any]]]:
    for level, own in {"training": tasks.training, **tasks.levels}.items():
        for task in own:
            yield level, task


def test_tasks_are_many_and_the_same_for_the_same_seed(world: World, tasks: Tasks) -> None:
    assert build_tasks(world, seed=0) == tasks
    assert build_tasks(world, seed=1) != tasks
    assert len(tasks.training) >= 60
    assert len({task["Categories"][0] for task in tasks.training}) >= 12


def test_levels_have_1500_items_and_held_out_tasks_100_each(tasks: Tasks) -> None:
    assert tuple(tasks.levels) == LEVELS
    for level, own in tasks.levels.items():
        assert sum(len(task["Instances"]) for task in own) >= 1500, level
    for level in ("unseen_combinations", "unseen_tasks"):
        assert min(len(task["Instances"]) for task in tasks.levels[level]) >= 100


def test_three_whole_categories_with_15_tasks_are_held_out(tasks: Tasks) -> None:
    held = tasks.levels["unseen_tasks"]
    categories = {task["Categories"][0] for task in held}
    assert len(held) >= 15 and len(categories) >= 3
    assert not categories & {task["Categories"][0] for task in tasks.training}


def test_no_answer_is_right_for_more_than_40_percent_of_a_task(tasks: Tasks) -> None:
    for level in LEVELS:
        for task in tasks.levels[level]:
            counts = Counter(answer for _, answer in instances(task))
            assert counts.most_common(1)[0][1] <= 0.4 * counts.total(), task["Name"]


def test_held_out_instances_are_not_trained_on(tasks: Tasks) -> None:
    trained = {name: set(instances(task)) for name, task in by_name(tasks.training).items()}
    for level in ("unseen_instances", "unseen_wordings"):
        for task in tasks.levels[level]:
            assert not {given for given, _ in instances(task)} & {given for given, _ in trained[task["Name"]]}


def test_facts_are_split_by_thing_over_all_relations(tasks: Tasks) -> None:
    trained = {
        given
        for name, task in by_name(tasks.training).items()
        if name.startswith("person_")
        for given, _ in instances(task)
    }
    held = [task for task in tasks.levels["unseen_instances"] if task["Name"].startswith("person_")]
    assert len(held) == 7
    for task in held:
        assert not trained & {given for given, _ in instances(task)}


def test_two_way_tables_are_not_learned_from_the_other_direction(tasks: Tasks) -> None:
    trained = by_name(tasks.training)
    held = by_name(tasks.levels["unseen_instances"])
    for one, other in (("opposite", "opposite"), ("plural", "singular"), ("past", "present")):
        back = {(answer, given) for given, answer in instances(trained[other])}
        assert not back & set(instances(held[one]))


def test_held_out_cells_are_trained_in_each_part_but_never_together(tasks: Tasks) -> None:
    trained = set(by_name(tasks.training))
    held = set(by_name(tasks.levels["unseen_combinations"]))
    assert held == {f"{kind}_{relation}" for relation, kind in UNSEEN_RELATIONS} | {
        f"{operation}_{kind}" for operation, kind in UNSEEN_OPERATIONS
    }
    assert not held & trained
    for operation, kind in UNSEEN_OPERATIONS:
        assert any(name.startswith(f"{operation}_") for name in trained)
        assert any(name.endswith(f"_{kind}") for name in trained)
    for relation, kind in UNSEEN_RELATIONS:
        assert any(name.startswith(f"{kind}_") for name in trained)
        assert any(name.endswith(f"_{relation}") for name in trained)


def test_each_task_has_12_to_20_wordings_that_differ(tasks: Tasks) -> None:
    new = by_name(tasks.levels["unseen_wordings"])
    for task in tasks.training:
        seen = {(wording["text"], wording["place"]) for wording in task["Wordings"]}
        other = {(wording["text"], wording["place"]) for wording in new[task["Name"]]["Wordings"]}
        assert 12 <= len(seen) + len(other) <= 20
        assert not seen & other


def test_new_combinations_hold_seen_parts_and_new_key_words_do_not(tasks: Tasks) -> None:
    entry = read_words("wordings")["operations"]["last"]
    cores = [core.format(k="fruit") for core in entry["cores"]]
    new = [core.format(k="fruit") for core in entry["new"]]
    trained = by_name(tasks.training)["last_fruit"]["Wordings"]
    assert all(any(core in wording["text"] for wording in trained) for core in cores)
    assert not any(core in wording["text"] for wording in trained for core in new)
    unseen = by_name(tasks.levels["unseen_wordings"])["last_fruit"]["Wordings"]
    assert Counter(wording["split"] for wording in unseen) == {"new_combination": 4, "new_key_word": 2}
    for wording in unseen:
        known = cores if wording["split"] == "new_combination" else new
        assert any(wording["text"].endswith(core) for core in known)


def test_training_and_held_out_categories_share_no_template() -> None:
    seen, unseen = read_words("wordings"), read_words("unseen")
    entries = [*seen["relations"].values(), *seen["operations"].values(), *seen["others"].values()]
    known = {core for entry in entries for core in (*entry["cores"], *entry["new"])}
    held = {core for entry in unseen["tasks"].values() for core in entry["cores"]}
    assert not known & held
    assert not set(seen["asks"]) & {ask for entry in unseen["tasks"].values() for ask in entry["asks"]}
    assert set(seen["openings"]) & set(unseen["openings"]) == {""}


def test_training_and_held_out_categories_share_no_8_words(tasks: Tasks) -> None:
    def definitions(own: tuple[dict[str, Any], ...]) -> set[tuple[str, ...]]:
        grams = set()
        for task in own:
            for wording in task["Wordings"]:
                words = wording["text"].lower().split()
                grams |= {tuple(words[i : i + N]) for i in range(len(words) - N + 1)}
        return grams

    trained, held = definitions(tasks.training), definitions(tasks.levels["unseen_tasks"])
    assert len(trained) > 100 and len(held) > 50
    assert not trained & held


def test_facts_are_those_of_the_world(world: World, tasks: Tasks) -> None:
    checked = 0
    for _, task in everything(tasks):
        kind, _, relation = task["Name"].partition("_")
        if task["Categories"][0] == f"{kind} facts":
            for given, answer in instances(task):
                assert world.find(kind, given).facts[relation] == answer
                checked += 1
    assert checked > 2000


def test_lists_are_answered_right(tasks: Tasks) -> None:
    checked = 0
    for _, task in everything(tasks):
        operation, _, kind = task["Name"].rpartition("_")
        if task["Categories"][0] not in ("picking", "rearranging", "counting"):
            continue
        for given, answer in instances(task):
            words = given.split(", ")
            at = {"first": 0, "second": 1, "third": 2, "last": len(words) - 1}
            if operation in at:
                assert words[at[operation]] == answer
            elif operation == "count":
                assert given.count(",") + 1 == int(answer)
            elif operation == "reverse":
                assert sorted(answer.split(", ")) == sorted(words) and answer.split(", ")[0] == words[-1]
            else:
                assert given in (f"{words[0]}, {answer}", f"{answer}, {words[-1]}")
            checked += 1
        assert kind
    assert checked > 10_000


def test_words_sums_and_choices_are_answered_right(world: World, tasks: Tasks) -> None:
    tables = {"opposite": world.opposites, "plural": world.plurals, "past": world.past}
    for _, task in everything(tasks):
        name = task["Name"]
        for given, answer in instances(task):
            if name in tables:
                assert (given, answer) in tables[name] or (name == "opposite" and (answer, given) in tables[name])
            elif name in ("plus", "minus"):
                a, b = map(int, given.split(" and "))
                assert int(answer) == (a + b if name == "plus" else a - b)
            elif name == "group":
                assert given in world.groups[answer]
            elif name.startswith("choose_"):
                group = world.groups[name.removeprefix("choose_")]
                assert [word for word in given.split(", ") if word in group] == [answer]
            elif name.startswith("complete_"):
                assert any(f"{given} {answer}." in fact.sentences for fact in world.facts)


def test_held_out_categories_are_answered_right(world: World, tasks: Tasks) -> None:
    for task in tasks.levels["unseen_tasks"]:
        name = task["Name"]
        for given, answer in instances(task):
            if name.startswith("story_"):
                assert answer in given
            elif name in ("bigger", "smaller"):
                assert int(answer) == (max if name == "bigger" else min)(map(int, given.split(" and ")))
            elif name == "biggest":
                assert int(answer) == max(map(int, given.split(", ")))
            elif name in ("older", "younger", "dearer"):
                kind, relation = ("object", "price") if name == "dearer" else ("person", "age")
                a, b = (world.find(kind, part) for part in given.split(" and "))
                other = b if answer == a.name else a
                gap = int(world.find(kind, answer).facts[relation]) - int(other.facts[relation])
                assert gap < 0 if name == "younger" else gap > 0
            elif name == "swap":
                assert given.split()[::-1][0].rstrip(".") == answer.split()[0] and given.split()[1] == answer.split()[1]
            else:
                assert given != answer and given.split()[:2][-1] != "" and answer.endswith(".")


def test_examples_are_no_held_out_instances_and_wrong_ones_are_wrong(tasks: Tasks) -> None:
    for level, task in everything(tasks):
        positive, negative = task["Positive Examples"], task["Negative Examples"]
        assert len(positive) == len(negative) == 2
        for good, bad in zip(positive, negative, strict=True):
            assert good["input"] == bad["input"] and good["output"] != bad["output"]
            assert good["explanation"] and "{" not in good["explanation"]
            if level != "training":
                assert good["input"] not in {given for given, _ in instances(task)}


def test_going_round_the_instances_meets_another_wording() -> None:
    wordings = [{"text": text, "place": "beside", "split": "seen"} for text in ("Say it", "Name it")]
    task = {"Name": "t", "Wordings": wordings, "Instances": [{"id": "i", "input": "x", "output": ["y"]}]}
    prompts = [row["messages"][0]["content"] for row in rows(task, count=3)]
    assert prompts == ["Say it: x", "Name it: x", "Say it: x"]


def test_written_tasks_are_read_back(tasks: Tasks, tmp_path: Path) -> None:
    write_tasks(tasks, tmp_path)
    for level, own in tasks.levels.items():
        count = sum(len(task["Instances"]) for task in own)
        for path, form in ((tmp_path / level, "super_ni"), (tmp_path / f"{level}.jsonl", "messages")):
            loaded = load([str(path)])
            assert not loaded.refusals
            assert {file.format for file in loaded.files} == {form}
            assert len(loaded.rows) == count
    (first, *_) = load([str(tmp_path / "training.jsonl#1")]).rows
    line = json.loads((tmp_path / "training.jsonl").read_text().splitlines()[0])
    assert (first.references, first.task) == (tuple(line["references"]), line["task"])


def test_make_writes_the_same_bytes_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = make(tmp_path / "a", count=2000, seed=0)
    assert main(["--out", str(tmp_path / "b"), "--documents", "2000"]) == 0
    assert json.loads(capsys.readouterr().out)["corpus_hash"] == manifest["corpus_hash"]
    assert json.loads((tmp_path / "b" / "manifest.json").read_text()) == manifest


def test_make_writes_the_passages_that_the_quickstart_replays(tmp_path: Path) -> None:
    made = make(tmp_path / "made", count=5)
    write_replay(build_world(0), tmp_path / "replay.jsonl")
    written = (tmp_path / "made" / "tasks" / "replay.jsonl").read_bytes()
    assert written == (tmp_path / "replay.jsonl").read_bytes()
    assert len(written.splitlines()) == REPLAYED
    assert "tasks/replay.jsonl" in made["files"]


def test_make_refuses_no_documents_and_keeps_words_whole_with_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--out", str(tmp_path), "--documents", "0"]) == 2
    assert "1 or more" in capsys.readouterr().err
    make(tmp_path, count=5)
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer" / "tokenizer.json"))
    assert split_words(tokenizer, build_world(0)) == []
