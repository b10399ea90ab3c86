"""Evaluations through templates that print the day: one day for every prompt, whenever the evaluation goes on."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.command_line import precept, write_rows
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.run.eval.store import BLOCK

DATED = "{{ strftime_now('%d %B %Y') }}" + CHATML


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dated") / "dated"
    return tiny_model_folder(folder, tokenizer=tiny_tokenizer(chat_template=DATED))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    records = [{"prompt": f"{n}?", "completion": "yes"} for n in range(BLOCK + 2)]
    return write_rows(tmp_path_factory.mktemp("rows") / "mine.jsonl", records)


def set_day(monkeypatch: pytest.MonkeyPatch, day: str) -> None:
    class Day(datetime.date):
        @classmethod
        def today(cls) -> Day:
            return cls.fromisoformat(day)

    for module in ("opened", "eval.evaluate"):
        monkeypatch.setattr(f"precept.run.{module}.datetime", SimpleNamespace(date=Day))


def evaluate(output: Path, *words: str | Path) -> Any:
    ended = precept("eval", "-o", output, "--max-new-tokens", "1", "--json", *words)
    assert ended.code == 0, ended.err
    return ended.json


def days(path: Path) -> set[str]:
    return {json.loads(line)["prompt"].partition("<|im_start|>")[0] for line in path.read_text().splitlines()}


def test_an_evaluation_that_goes_on_another_day_prints_the_day_it_was_begun_on(
    dated: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--model", dated, "--task", rows)
    set_day(monkeypatch, "2026-01-02")
    begun = evaluate(tmp_path, *words)
    path = tmp_path / "dated.mine.items.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:BLOCK]))
    (tmp_path / "result.json").unlink()
    set_day(monkeypatch, "2026-01-03")
    ended = evaluate(tmp_path, *words)
    assert days(path) == {"02 January 2026"} and len(path.read_text().splitlines()) == BLOCK + 2
    assert begun["template_date"] == ended["template_date"] == "2026-01-02"
    assert evaluate(tmp_path, *words, "--fresh")["template_date"] == "2026-01-03" and days(path) == {"03 January 2026"}


def test_both_models_of_a_comparison_are_asked_with_one_day(
    dated: Path, base: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_day(monkeypatch, "2026-01-02")
    tuned = tiny_model_folder(tmp_path / "tuned", tokenizer=tiny_tokenizer(chat_template=DATED))
    (tuned / "run.yaml").write_text("template_date: '2020-02-03'\n")
    for first, second in ((dated, tuned), (base, tuned), (tuned, base)):
        output = tmp_path / f"{first.name}-{second.name}"
        document = evaluate(output, "--model", first, "--task", rows, "--limit", "2", "--against", second)
        assert document["template_date"] == document["against"]["template_date"] == "2020-02-03"
        assert days(output / f"{first.name}.mine.items.jsonl") == {"03 February 2020"}
        assert days(output / f"{second.name}.mine.items.jsonl") == {"03 February 2020"}


def test_no_day_is_kept_where_none_is_printed(base: Path, dated: Path, rows: Path, tmp_path: Path) -> None:
    for words in (("--model", base, "--chat-template", "chatml"), ("--model", dated, "--plain")):
        assert "template_date" not in evaluate(tmp_path, *words, "--task", rows, "--limit", "1")
    assert "template_date" not in (tmp_path / "asked.json").read_text()
