"""The tables of keys: complete rules, no key twice, and only our own keys as targets."""

from __future__ import annotations

from collections import Counter

import pytest
import yaml

from precept.importers.key_tables import FOLDER, key_table
from precept.run.settings import CLASSES

NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_no_key_stands_twice_in_a_table(name: str) -> None:
    document = yaml.safe_load((FOLDER / f"{name}.yaml").read_text())
    groups = [*document["without_effect"], *document["unsupported"]]
    counted = Counter([*document["mapped"], *(key for group in groups for key in group["keys"])])
    assert [key for key, count in counted.items() if count > 1] == []
    assert all(set(group) <= {"why", "keys", "harmless"} and group["why"] for group in groups)


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_mapped_to_keys_of_ours(name: str) -> None:
    ours = {key for settings in CLASSES.values() for key in settings.model_fields}
    table = key_table(name)
    targets = {rule.to for rule in (*table.exact.values(), *table.patterns.values()) if rule.list_name == "mapped"}
    assert targets <= ours


def test_the_longest_known_beginning_of_a_path_decides() -> None:
    table = key_table("torchtune")
    found = {path: table.find(tuple(path.split("."))) for path in ("optimizer.lr", "optimizer.odd", "profiler.cpu.x")}
    assert [rule.list_name if rule else None for rule in found.values()] == ["mapped", "unsupported", "without_effect"]
    assert table.find(("no", "such")) is None


def test_places_in_a_list_and_ends_of_names_may_be_open() -> None:
    table = key_table("axolotl")
    shards, wandb = table.find(("datasets", "7", "shards")), table.find(("wandb_anything",))
    assert shards and shards.list_name == "unsupported" and shards.is_off(0) and not shards.is_off(4)
    assert wandb and not wandb.is_off("x") and wandb.is_off(False)
