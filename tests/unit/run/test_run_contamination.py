"""Training files on disk against items."""

from pathlib import Path

import orjson
from tests.command_line import write_rows

from precept.evaluate import Item, ItemResult
from precept.run.eval.contamination import check_contamination
from precept.types import Message

WORDS = [f"word{number}" for number in range(12)]


def test_items_found_in_training_files_are_named_and_scored_apart(tmp_path: Path) -> None:
    leak = {"messages": [{"role": "user", "content": " ".join(WORDS)}, {"role": "assistant", "content": "yes"}]}
    other = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "there"}]}
    path = write_rows(tmp_path / "train.jsonl", [other, leak, {"messages": []}])
    items = [
        Item(str(n), "t", (Message("user", text),), ("yes",)) for n, text in enumerate((" ".join(WORDS), "what now"))
    ]
    results = [ItemResult(str(n), "t", "", ("yes",), "yes", "yes", {"exact_match": 1.0 - n}) for n in range(2)]
    found = check_contamination(items, results, [str(path)])
    assert (found["rule"], found["touched"], found["items"], found["unread"]) == ({"words": 8, "share": 0.5}, 1, 2, 1)
    assert [(entry["id"], entry["rows"], entry["touches"][0]["row"]) for entry in found["found"]] == [("0", 1, 2)]
    assert found["scores"]["clean"]["exact_match"]["value"] == 0.0
    assert found["scores"]["touched"]["exact_match"]["value"] == 1.0
    assert found["files"][0]["path"] == str(path) and orjson.dumps(found)
