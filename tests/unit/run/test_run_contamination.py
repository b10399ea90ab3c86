"""Training files on disk against items: files, and folders of runs."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from tests.command_line import write_rows

from precept.errors import InputError
from precept.evaluate import Item, ItemResult
from precept.run.eval.contamination import contamination_document, search_training
from precept.run.eval.training_files import TrainingRows, find_training
from precept.types import Message

WORDS = [f"word{number}" for number in range(12)]


def row(question: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": "yes"}]}


def run_folder(folder: Path, data: list[str], **manifest: Any) -> Path:
    """A folder as ``precept train`` leaves it, as far as it tells its data."""
    folder.mkdir()
    settings = {"data": data, **manifest.pop("settings", {})}
    (folder / "run.yaml").write_text(yaml.safe_dump({"method": "sft", "with": settings, **manifest}))
    loaded, _ = TrainingRows("", tuple(data)).load()
    files = [{"path": file.path, "sha256": file.sha256} for file in loaded.files]
    (folder / "data_manifest.json").write_bytes(orjson.dumps({"files": files}))
    return folder


def rows_of(paths: list[str]) -> list[str]:
    return [row.messages[0].content for found in find_training(paths) for row in found.load()[1]]


def test_items_found_in_training_files_are_named_and_scored_apart(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "train.jsonl", [row("hello"), row(" ".join(WORDS)), {"messages": []}])
    items = [
        Item(str(n), f"t{n}", (Message("user", text),), ("yes",))
        for n, text in enumerate((" ".join(WORDS), "what now"))
    ]
    results = [ItemResult(str(n), f"t{n}", "", ("yes",), "yes", "yes", {"exact_match": 1.0 - n}) for n in range(2)]
    searched = search_training(items, find_training([str(path)]))
    found = contamination_document(searched, results, against=results)
    assert (found["rule"], found["touched"], found["items"], found["unread"]) == ({"words": 8, "share": 0.5}, 1, 2, 1)
    assert (found["exact"], found["normalized"], found["words"], found["rows"]) == (1, 0, 0, 2)
    assert [(entry["id"], entry["rows"], entry["match"]) for entry in found["found"]] == [("0", 1, "exact")]
    assert found["scores"]["clean"]["exact_match"]["value"] == 0.0
    assert found["scores"]["touched"]["exact_match"] == {
        **found["scores"]["touched"]["exact_match"],
        "value": 1.0,
        "n": 1,
    }
    assert "clean" not in found["tasks"]["t0"]["scores"] and found["tasks"]["t1"]["touched"] == 0
    assert found["difference"]["clean"]["exact_match"]["value"] == 0.0
    assert found["files"][0]["path"] == str(path) and orjson.dumps(found)


def test_a_run_is_searched_by_the_rows_that_it_trained_and_those_of_the_run_before(tmp_path: Path) -> None:
    first = write_rows(tmp_path / "first.jsonl", [row("a"), row("b"), row("c")])
    second = write_rows(tmp_path / "second.jsonl", [row("d")])
    held_out = write_rows(tmp_path / "held_out.jsonl", [row("e")])
    base = run_folder(tmp_path / "base", [f"{first}#2"])
    settings = {"eval_data": [str(held_out)], "eval_fraction": 0.5}
    tuned = run_folder(tmp_path / "tuned", [str(second)], model=str(base), settings=settings)
    assert rows_of([str(base)]) == ["a", "b"]
    assert rows_of([str(tuned)]) == ["a", "b", "d"]
    merged = tmp_path / "merged"
    merged.mkdir()
    (merged / "run.yaml").write_text(yaml.safe_dump({"method": "merge", "with": {"adapter": str(tuned)}}))
    assert rows_of([str(merged), str(held_out)]) == ["a", "b", "d", "e"]


def test_a_run_that_began_at_random_weights_has_its_own_rows_alone(tmp_path: Path) -> None:
    start = tmp_path / "start"
    start.mkdir()
    (start / "run.yaml").write_text(yaml.safe_dump({"method": "bundled.start", "with": {"world": "world"}}))
    corpus = write_rows(tmp_path / "corpus.jsonl", [row("a")])
    base = run_folder(tmp_path / "base", [str(corpus)], model=str(start))
    assert (rows_of([str(base)]), rows_of([str(start)])) == (["a"], [])


def test_rows_that_a_run_held_out_are_no_training_rows(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [row(f"question {n}") for n in range(20)])
    half = run_folder(tmp_path / "half", [str(data)], settings={"eval_fraction": 0.5, "seed": 3})
    assert len(rows_of([str(half)])) == 10


def test_of_made_rows_those_for_training_count(tmp_path: Path) -> None:
    made = tmp_path / "made"
    made.mkdir()
    write_rows(made / "train.jsonl", [row("a")])
    write_rows(made / "test.jsonl", [row("b")])
    (made / "run.yaml").write_text(yaml.safe_dump({"method": "data.flan", "with": {}}))
    assert rows_of([str(made)]) == ["a"]


def refused(*paths: Path) -> str:
    with pytest.raises(InputError) as caught:
        rows_of(list(map(str, paths)))
    return caught.value.code


def test_training_data_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    data = write_rows(tmp_path / "rows.jsonl", [row("a")])
    run = run_folder(tmp_path / "run", [str(data)])
    write_rows(data, [row("another")])
    assert refused(run) == "training-file-changed"
    (run / "data_manifest.json").write_text("{")
    assert refused(run) == "training-untold"
    (run / "data_manifest.json").unlink()
    assert refused(run) == "training-untold"
    assert refused(tmp_path / "absent.jsonl") == "missing-path"
    assert refused(write_rows(tmp_path / "none.jsonl", [{"messages": []}])) in ("no-usable-rows", "no-readable-file")
