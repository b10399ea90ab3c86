"""``precept doctor`` tells what is there and what cannot work; ``precept init`` hands out recipes to edit."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept

from precept.run import doctor as doctor_file
from precept.run.combinations import Surroundings, find_problems
from precept.run.doctor import answers, is_offline, read_extras
from precept.run.init import describe
from precept.run.recipe.file import SHIPPED, read_recipe, shipped_recipes

RECIPES = list(shipped_recipes())
KEYS = {"processor", "memory", "devices", "versions", "extras", "disk", "offline", "problems"}


def surroundings(
    versions: Mapping[str, str] | None = None, requires: Mapping[str, Sequence[str]] | None = None
) -> Surroundings:
    """A healthy Linux machine without a CUDA device, with a few packages on top."""
    installed = {"precept": "0.1.0", "torch": "2.13.0+cpu", **(versions or {})}
    needs: Mapping[str, Sequence[str]] = {"precept": ["torch>=2.6", "gone>=1; extra == 'x'"], **(requires or {})}
    return Surroundings(
        version=installed.get, requires=lambda name: needs.get(name, ()), system="Linux", environment={}
    )


def names(around: Surroundings) -> list[str]:
    return [problem.name for problem in find_problems(around)]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    ended = precept("doctor", "--json")
    assert ended.code == 0, ended.out
    return dict(ended.json)


def test_the_document_has_what_a_person_is_told(document: dict[str, Any]) -> None:
    assert set(document) == KEYS
    assert document["problems"] == []
    assert document["offline"] is True, "tests run with HF_HUB_OFFLINE=1"
    assert 0 < document["memory"]["free"] <= document["memory"]["total"]
    assert 0 < document["disk"]["free"] <= document["disk"]["total"]
    assert document["versions"]["torch"] and document["versions"]["transformers"] and document["versions"]["python"]
    assert document["processor"]["cores"] >= 1
    assert [set(device) >= {"type", "name", "bf16"} for device in document["devices"]] == [True]


def test_people_are_told_the_same() -> None:
    ended = precept("doctor")
    assert ended.code == 0
    assert all(word in ended.out for word in ("processor", "memory", "torch", "extra quant", "offline", "disk"))
    assert "no known bad combination" in ended.out


def test_extras_are_those_of_the_package_with_what_installs_them(document: dict[str, Any]) -> None:
    assert document["extras"] == read_extras()
    assert {"data", "quant", "track", "dev"} <= set(read_extras())
    for name, extra in read_extras().items():
        assert extra["present"] == (not extra["missing"])
        assert extra["install"] == f"pip install 'precept[{name}]'"


def test_a_known_bad_combination_is_exit_1(document: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if document["devices"][0]["type"] != "cpu":
        pytest.skip("accelerate launch works beside a CUDA device")
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")  # accelerate launch sets it for what it starts
    ended = precept("doctor", "--json")
    assert ended.code == 1
    assert [problem["name"] for problem in ended.json["problems"]] == ["accelerate-launch-on-cpu"]
    assert {"name", "what", "do"} == set(ended.json["problems"][0])


def test_a_healthy_machine_has_no_problem() -> None:
    assert names(surroundings()) == []


def test_torchvision_beside_a_torch_for_processors_is_a_problem() -> None:
    assert names(surroundings({"torchvision": "0.28.0"})) == ["torchvision-beside-cpu-torch"]
    assert names(surroundings({"torchvision": "0.28.0+cpu"})) == []
    assert names(replace(surroundings({"torchvision": "0.28.0"}), cuda="12.8", cuda_devices=1)) == []
    assert names(replace(surroundings({"torchvision": "0.28.0"}), system="Darwin")) == []


def test_a_torch_that_cannot_be_imported_is_a_problem() -> None:
    assert names(replace(surroundings(), torch_error="libgomp.so.1: cannot open")) == ["torch-broken"]


def test_a_missing_or_old_requirement_is_named_with_what_is_there() -> None:
    around = surroundings({"peft": "0.16.0"}, {"precept": ["torch>=2.6", "peft>=0.17", "orjson>=3.10"]})
    (problem,) = find_problems(around)
    assert problem.name == "requirements-unmet"
    assert "peft>=0.17 is needed, 0.16.0 is installed; orjson>=3.10 is needed, none is installed" in problem.what
    assert problem.do == "pip install 'peft>=0.17' 'orjson>=3.10'"


def test_an_engine_that_pins_another_torch_wants_an_environment_of_its_own() -> None:
    pins = {"vllm": ["torch==2.14.0"]}
    assert names(surroundings({"vllm": "0.33.0"}, pins)) == ["own-environment"]
    assert names(surroundings({"vllm": "0.33.0", "torch": "2.14.0"}, pins)) == []


def test_devices_that_cannot_be_used_are_told() -> None:
    assert names(replace(surroundings(), cuda="12.8", cuda_devices=2)) == ["several-devices"]
    assert names(replace(surroundings(), has_nvidia_device=True)) == ["device-unused"]
    hidden = replace(surroundings(), has_nvidia_device=True, environment={"CUDA_VISIBLE_DEVICES": ""})
    assert names(hidden) == []


def test_a_switch_says_offline_without_a_call() -> None:
    unreachable = {"HF_ENDPOINT": "http://127.0.0.1:9"}
    assert is_offline({"HF_HUB_OFFLINE": "1"}) and is_offline({"TRANSFORMERS_OFFLINE": "true"})
    assert is_offline({"HF_HUB_OFFLINE": "0", **unreachable}), "nobody answers"


def test_a_hub_that_does_not_answer_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the call and says nothing
        began = time.perf_counter()
        assert not answers(f"http://127.0.0.1:{silent.getsockname()[1]}", patience=0.2)
        assert time.perf_counter() - began < 1
    assert doctor_file.PATIENCE < 2


def test_a_hub_that_refuses_has_answered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def refuse() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=refuse, daemon=True).start()
        assert answers(f"http://127.0.0.1:{server.getsockname()[1]}", patience=5)


@pytest.mark.parametrize("name", RECIPES)
def test_a_copy_is_the_same_recipe_with_every_key_explained(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = precept("init", name, "--json")
    assert ended.code == 0, ended.err
    file = f"{Path(name).name}.yaml"
    assert ended.json["output"] == file
    copy, shipped = read_recipe(tmp_path / file), read_recipe(SHIPPED / f"{name}.yaml")
    assert copy.name == shipped.name
    assert [(s.name, s.uses, s.settings) for s in copy.steps] == [(s.name, s.uses, s.settings) for s in shipped.steps]
    lines = (tmp_path / file).read_text().splitlines()
    assert max(map(len, lines)) <= 120
    for step in copy.steps:
        for key in step.settings:
            number = int(step.lines[key].rpartition(" ")[2])  # "FILE line 12"
            assert "#" in lines[number - 1] or lines[number - 2].lstrip().startswith("#"), key
    own = [line for line in (SHIPPED / f"{name}.yaml").read_text().splitlines() if "precept run" not in line]
    assert [line for line in lines if line in own] == own, "nothing of the recipe is left out"
    assert re.search(rf"precept run {re.escape(file)}\b", "\n".join(lines)), "the command runs the copy"


def test_what_the_recipe_leaves_to_its_user_stands_there_to_fill_in(tmp_path: Path) -> None:
    assert precept("init", "sft", "-o", tmp_path / "mine.yaml").code == 0
    text = (tmp_path / "mine.yaml").read_text()
    assert "      # model: ...\n" in text and "      # data: ...\n" in text and "      # task: ...\n" in text
    assert "Needed, here or as tune.model=...: The base" in text


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("precious")
    ended = precept("init", "sft", "-o", mine)
    assert ended.code == 2 and "nothing is overwritten" in ended.err
    assert mine.read_text() == "precious"
    assert precept("init", "sft", "-o", tmp_path).code == 2
    assert precept("init", "sft", "-o", tmp_path / "none" / "mine.yaml").code == 2


def test_recipes_are_listed_with_what_they_are_about() -> None:
    listed = precept("init", "--list", "--json").json
    assert [entry["name"] for entry in listed["recipes"]] == RECIPES
    told = precept("init", "--list").out
    assert all(f"{entry['name']} " in told and entry["about"] in told for entry in listed["recipes"])


def test_a_name_that_is_not_shipped_is_refused_with_the_nearest_one() -> None:
    ended = precept("init", "dolli")
    assert ended.code == 2 and "did you mean 'dolly'?" in ended.err
    ended = precept("init")
    assert ended.code == 2 and "choose one of: dolly," in ended.err


@pytest.mark.parametrize("kind", ["train.sft", "eval", "merge"])
def test_every_key_of_a_step_is_described(kind: str) -> None:
    told = describe(kind)
    assert "model" in told or "adapter" in told
    assert all(told.values())
