"""``precept where``: a paper's recipe, files, tests and page, all of which exist."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from precept.errors import InputError
from precept.run.recipe.file import SHIPPED
from precept.run.where import read_papers, where

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("asked", ["tk-instruct", "Tk Instruct", "2204.07705", "super-naturalinstructions"])
def test_a_paper_is_found_by_each_of_its_names(asked: str) -> None:
    (found,) = where(asked)["papers"]
    assert found["recipes"][0] == "tk_instruct" and "studies/instances_per_task" in found["recipes"]


def test_part_of_a_name_finds_all_that_hold_it() -> None:
    assert {paper["name"] for paper in where("flan")["papers"]} == {"FLAN"}  # the whole name comes first
    assert {paper["name"] for paper in where("instruct")["papers"]} >= {"InstructGPT", "Self-Instruct"}


def test_an_unknown_paper_gets_the_nearest_name() -> None:
    with pytest.raises(InputError) as caught:
        where("self-instuct")
    assert caught.value.code == "unknown-paper"
    assert "Self-Instruct" in str(caught.value)


def test_what_papers_name_is_there() -> None:
    for paper in read_papers():
        assert all((SHIPPED / f"{name}.yaml").is_file() for name in paper.recipes), paper.name
        assert all(importlib.import_module(f"precept.{name}") for name in paper.files)
        for test in paper.tests:
            file, _, name = test.partition("::")
            assert f"def {name}(" in (ROOT / file).read_text(), test
        assert paper.page is None or (ROOT / paper.page).is_file(), paper.page
        assert paper.state != "works" or (paper.recipes and paper.tests and paper.files), paper.name
