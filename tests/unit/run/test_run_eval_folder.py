"""The folder that an evaluation writes: nothing of others is overwritten, and what is replaced is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command_line import Ended, precept, write_rows
from tests.tiny import tiny_model_folder

from precept.errors import InputError
from precept.run.eval.folder import check_folder

ASKED = {"base.mine.items.jsonl": {"model_hash": "ab", "seed": 0}}
EVALUATED = {"model": "base", "tasks": {}, "item_files": ["base.mine.items.jsonl"]}
SCORED = {"predictions": "a.jsonl", "tasks": {}}
JUDGED = {"protocol": "single", "judge": "m"}


def folder_of(root: Path, files: dict[str, str]) -> Path:
    root.mkdir()
    for name, text in files.items():
        (root / name).write_text(text)
    return root


@pytest.mark.parametrize(
    "files",
    [
        {},
        {".lock": "", "x.partial": ""},
        {".eval.lock": "", "base.mine.items.jsonl": "", "asked.json": "{"},
        {"asked.json": json.dumps(ASKED), "base.mine.items.jsonl": ""},
        {"result.json": json.dumps(EVALUATED), "notes.txt": ""},
        {"predictions.json": json.dumps(SCORED), "predictions.items.jsonl": ""},
        {"run.yaml": "method: eval", "COMPLETED": "{}"},
    ],
    ids=lambda files: "+".join(files) or "empty",
)
def test_a_new_folder_and_one_of_ours_are_taken(tmp_path: Path, files: dict[str, str]) -> None:
    check_folder(tmp_path / "absent")
    check_folder(folder_of(tmp_path / "out", files))


@pytest.mark.parametrize(
    "files",
    [
        {"notes.txt": ""},
        {"config.json": "{}", "model.safetensors": ""},
        {"result.json": '{"accuracy": 1}'},
        {"asked.json": '{"who": "me"}'},
        {"predictions.json": "[1]"},
        {"run.yaml": "method: judge.single", "result.json": json.dumps(JUDGED)},
        {"asked.json": json.dumps(ASKED), "predictions.json": '{"a": 1}'},
    ],
    ids=lambda files: "+".join(files),
)
def test_a_folder_with_things_of_others_is_refused_and_stays_as_it_is(
    tmp_path: Path, base: Path, rows: Path, scored: Path, files: dict[str, str]
) -> None:
    out = folder_of(tmp_path / "out", files)
    for words in (["-m", base, "-t", rows], ["-m", base, "-t", rows, "--fresh"], ["--predictions", scored]):
        ended = precept("eval", *words, "-o", out)
        assert ended.code == 2 and "code: output-foreign\n" in ended.err, ended.err
        assert {path.name: path.read_text() for path in out.iterdir()} == files


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(InputError) as refused:
        check_folder(tmp_path / "out")
    assert refused.value.code == "output-is-a-file"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "base")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "mine.jsonl", [{"prompt": "What is 5 * 7?", "completion": "35"}])


@pytest.fixture
def scored(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "scored.jsonl", [{"prediction": "35", "target": "35"}])


def test_another_evaluation_in_the_folder_says_what_it_replaces(base: Path, rows: Path, tmp_path: Path) -> None:
    def evaluate(*words: str | Path) -> Ended:
        ended = precept("eval", "-m", base, "-o", tmp_path / "out", "--max-new-tokens", "2", *words)
        assert ended.code == 0, ended.err
        return ended

    other = write_rows(tmp_path / "other.jsonl", [{"prompt": "Why?", "completion": "so"}])
    evaluate("-t", rows)
    assert "is replaced" not in evaluate("-t", rows).err
    assert f"told of {base} on mine: it is replaced, the items of both stay" in evaluate("-t", other).err
    assert "is replaced" not in evaluate("-t", rows, "-t", other, "--against", base).err
    assert f"told of {base} on mine, other: it is replaced" in evaluate("-t", rows, "-t", other).err


def test_other_predictions_in_the_folder_say_what_they_replace(tmp_path: Path, scored: Path) -> None:
    other = write_rows(tmp_path / "other.jsonl", [{"prediction": "35", "target": "35"}])
    told = [precept("eval", "--predictions", path, "-o", tmp_path / "out").err for path in (scored, scored, other)]
    assert "is replaced" not in told[0] + told[1] and f"told of {scored}: it is replaced" in told[2]
