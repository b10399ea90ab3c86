"""Tasks in two steps: held-out compositions, answers and reasons checked against the world, files read back."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from precept.bundled import Tasks, World
from precept.bundled.chains import CUE, HELD_OUT, RELATIONS, Chains, build_chains, with_reasons, write_chains
from precept.bundled.listing import OPERATIONS
from precept.evaluate.extract import bbh_cot
from precept.records import load


@pytest.fixture(scope="module")
def chains(world: World) -> Chains:
    return build_chains(world, seed=0)


def instances(task: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(one["input"], one["output"][0], one["rationale"]) for one in task["Instances"]]


def by_name(chains: Chains) -> dict[str, dict[str, Any]]:
    return {task["Name"]: task for task in (*chains.training, *chains.unseen)}


def test_compositions_are_trained_or_held_out_never_both(chains: Chains) -> None:
    trained, held = ({task["Name"] for task in own} for own in (chains.training, chains.unseen))
    assert held == HELD_OUT and not trained & held
    assert (len(trained), len(held)) == (57, 20)


def test_each_step_of_a_held_out_composition_is_trained_in_another(chains: Chains) -> None:
    trained = {task["Name"] for task in chains.training}
    for (kind, inner), (_, outers) in RELATIONS.items():
        assert any(name.startswith(f"{kind}_{inner}_") for name in trained)
        for outer in outers:
            ends = any(name.endswith(f"_{outer}") for name in trained)
            assert ends, f"{outer} is nowhere the second step"
    for name in HELD_OUT - {"pet_younger"}:
        first, _, second = name.rpartition("_")
        assert any(other.startswith(f"{first}_") for other in trained), name
        assert any(other.endswith(f"_{second}") for other in trained), name
    assert {"pet_older", "person_younger"} <= trained


def test_there_are_500_questions_and_no_answer_is_right_for_more_than_40_percent(chains: Chains) -> None:
    assert sum(len(task["Instances"]) for task in chains.unseen) >= 500
    for task in chains.unseen:
        counts = Counter(answer for _, answer, _ in instances(task))
        assert counts.most_common(1)[0][1] <= 0.4 * counts.total(), task["Name"]


def test_a_relation_of_a_relation_is_looked_up_twice(world: World, chains: Chains) -> None:
    for given, answer, why in instances(by_name(chains)["pet_owner_place"]):
        owner = world.find("pet", given).facts["owner"]
        assert answer == world.find("person", owner).facts["place"]
        assert why == f"{given} belongs to {owner}. {owner} lives in {answer}."


def test_an_operation_works_on_the_result_of_another(chains: Chains) -> None:
    for given, answer, why in instances(by_name(chains)["reverse_second"]):
        words = given.split(", ")
        assert answer == words[-2]
        turned = OPERATIONS["reverse"](words)
        assert why == f"In reverse order the list is {turned}. The second word is {answer}."


def test_the_younger_of_two_has_fewer_years(world: World, chains: Chains) -> None:
    for given, answer, why in instances(by_name(chains)["pet_younger"]):
        ages = {name: int(world.find("pet", name).facts["age"]) for name in given.split(" and ")}
        assert ages[answer] < max(ages.values())
        assert all(f"The age of {name} is {age}." in why for name, age in ages.items())


def test_a_word_is_picked_before_its_form_is_given(world: World, chains: Chains) -> None:
    for given, answer, _ in instances(by_name(chains)["second_word_plural"]):
        assert dict(world.plurals)[given.split(", ")[1]] == answer
    for given, answer, _ in instances(by_name(chains)["last_name_age"]):
        assert world.find("person", given.split(", ")[-1]).facts["age"] == answer


def test_reasons_come_first_and_their_answer_is_found_again(chains: Chains) -> None:
    for task in chains.unseen:
        for _, answer, why in instances(task):
            assert bbh_cot(with_reasons(why, answer)) == answer
    assert with_reasons("One and one make two.", "two") == "One and one make two. So the answer is two."
    assert not CUE.endswith(" ")


def test_the_same_seed_gives_the_same_tasks(world: World, chains: Chains) -> None:
    assert build_chains(world, seed=0) == chains
    assert build_chains(world, seed=1) != chains


def test_files_are_read_back_as_task_files_prompts_and_rationales(tasks: Tasks, chains: Chains, tmp_path: Path) -> None:
    few = Chains(chains.training[:2], chains.unseen[:1])
    write_chains(few, tasks.training[:1], tmp_path)
    loaded = load([str(tmp_path / "chains")])
    assert not loaded.refusals and {file.format for file in loaded.files} == {"super_ni"}
    assert [path.stem for path in sorted((tmp_path / "unseen_chains").iterdir())] == [few.unseen[0]["Name"]]
    labelled = tmp_path / "labelled"
    rationales = [json.loads(line) for line in (labelled / "rationales.jsonl").read_text().splitlines()]
    prompts = [json.loads(line) for line in (labelled / "prompts.jsonl").read_text().splitlines()]
    steps = sum(len(task["Instances"]) for task in few.training)
    assert (len(rationales), len(prompts)) == (steps, steps + len(tasks.training[0]["Instances"]))
    first = rationales[0]
    assert first["task"] == f"{few.training[0]['Name']}_why"
    assert (first["answer"], first["rationale"]) == instances(few.training[0])[0][1:]
    assert instances(few.training[0])[0][0] in first["question"]
