"""Files, endings, compression, defects of JSON and tables: each read or refused by name."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.records import load
from precept.types import Text

ROW = b'{"prompt": "a", "completion": "b"}'


def whole_file_reason(report: Any) -> str:
    """The reason of a file that was refused whole."""
    (refusal,) = report.refused
    assert (report.format, report.rows, refusal.row) == (None, 0, None)
    return refusal.reason


@pytest.mark.parametrize(
    ("name", "data", "note"),
    [
        ("a.jsonl", ROW + b"\n\n" + ROW + b"\n", None),
        ("a.jsonl", ROW + b"\r\n" + ROW, None),
        ("a.jsonl", b"\xef\xbb\xbf" + ROW + b"\n" + ROW, None),
        ("a.json", b"\xef\xbb\xbf[" + ROW + b"," + ROW + b"]", None),
        ("a.json", ROW + b"\n" + ROW, "JSON lines in a .json file"),
        ("a.jsonl", b"[" + ROW + b",\n" + ROW + b"]", "JSON array in a .jsonl file"),
        ("a.json", b'{"data": [' + ROW + b"," + ROW + b"]}", "rows taken from the key 'data' of the file's one object"),
        ("a.json", b"[" + ROW + b",\n" + ROW + b",\n]", "trailing comma before the ']' at line 3"),
        ("a.csv", b"prompt,completion\na,b\na,b\n", None),
        ("a.tsv", b"prompt\tcompletion\na\tb\na\tb\n", None),
    ],
)
def test_two_rows_are_found_in_every_kind_of_file(read_bytes: Any, name: str, data: bytes, note: str | None) -> None:
    rows, report = read_bytes(data, name)
    assert [row.source.row for row in rows] == [1, 2]
    assert report.notes == ([note] if note else [])
    assert not report.refused


def test_an_array_called_jsonl_with_a_trailing_comma_is_read_and_both_defects_named(read_bytes: Any) -> None:
    rows, report = read_bytes(b"[\n" + ROW + b",\n" + ROW + b",\n]\n", "a.jsonl")
    assert len(rows) == 2
    assert report.notes == ["JSON array in a .jsonl file", "trailing comma before the ']' at line 4"]


def test_commas_inside_strings_are_left_alone(read_bytes: Any) -> None:
    rows, _ = read_bytes(b'[{"text": "a,] \\",}"},]', "a.json")
    assert rows[0].text == 'a,] ",}'


@pytest.mark.parametrize("packed", ["gz", "zst"])
def test_compressed_files_are_read(read_bytes: Any, packed: str) -> None:
    if packed == "gz":
        data = gzip.compress(ROW)
    else:
        data = pytest.importorskip("zstandard").ZstdCompressor().compress(ROW)
    rows, report = read_bytes(data, f"a.jsonl.{packed}")
    assert len(rows) == 1
    assert "damaged" in whole_file_reason(read_bytes(data[:-9], f"cut.jsonl.{packed}")[1]) or packed == "zst"
    assert "damaged" in whole_file_reason(read_bytes(b"plain", f"b.jsonl.{packed}")[1])
    assert report.sha256 != read_bytes(ROW, "a.jsonl")[1].sha256


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    parquet.write_table(pyarrow.Table.from_pylist([{"messages": messages}]), tmp_path / "a.parquet")
    (tmp_path / "b.parquet").write_bytes(b"not a table")
    loaded = load(["a.parquet", "b.parquet"], base=tmp_path)
    assert loaded.files[0].format == "messages"
    assert [m.content for m in loaded.rows[0].messages] == ["Hi", "Hello"]  # type: ignore[union-attr]
    assert "not parquet" in whole_file_reason(loaded.files[1])


def test_a_text_file_is_one_row(read_bytes: Any) -> None:
    rows, report = read_bytes(b"One.\n\nTwo.\n", "a.txt")
    assert isinstance(rows[0], Text)
    assert (rows[0].text, report.texts) == ("One.\n\nTwo.\n", 1)


def test_text_rows_lose_a_shared_end_marker_and_blank_ones_are_refused(read: Any) -> None:
    rows, report = read({"text": "a</s>"}, {"text": "b</s>"}, {"text": " "})
    assert [row.text for row in rows] == ["a", "b"]
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [(3, "empty text")]


def test_malformed_lines_are_refused_with_line_and_column(read_bytes: Any) -> None:
    # line 3 is row 2, since line 2 is blank; the colon is missing at its column 9
    rows, report = read_bytes(ROW + b'\n\n{"prompt" "a"}\n"text"\n' + ROW, "a.jsonl")
    assert [row.source.row for row in rows] == [1, 4]
    assert [(refusal.row, refusal.reason) for refusal in report.refused] == [
        (2, "not JSON: Expecting ':' delimiter at line 3 column 11"),
        (3, "row is a string, not an object with columns"),
    ]


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("a.json", b'[{"a": 1},\n {"b" 2}]', "not JSON: Expecting ':' delimiter at line 2 column 7"),
        ("a.json", b'[\n{"prompt": "a", "completion": "b"},\n{"prom', "at line 3 column 2"),
        ("a.jsonl", b'[\n{"a": 1,}\n,', "JSON array in a .jsonl file; trailing comma before the '}' at line 2"),
        ("a.json", b"", "empty: the file has 0 bytes"),
        ("a.jsonl", b" \n\n", "empty: the file holds no rows"),
        ("a.json", b"[]", "empty: the file holds an empty JSON array"),
        ("a.json", b"3.5", "not rows: the file holds one JSON value (3.5)"),
        ("a.json", b'["World", "Sports"]', "no rows: row is a string"),
        ("a.txt", b"\n", "empty: the file holds no text"),
        ("a.txt", b"ab\n\xff", "not UTF-8: byte 0xff at offset 3, line 2"),
        ("a.json", b'["\n\xff"]', "not UTF-8: byte 0xff at offset 3, line 2"),
        ("a.csv", b"\xff\xfea\x00", "it looks like UTF-16"),
        ("a.csv", b"prompt,completion\n", "empty: no rows under the header line (prompt, completion)"),
        ("a.csv", b"prompt;completion\na;b\n", "cells seem to be separated by semicolons"),
        ("a.csv", b"prompt\tcompletion\na\tb\n", "cells seem to be separated by tabs"),
        ("a.csv", b"a,a\n1,2\n", "two columns of the header line have the name 'a'"),
        ("a.tsv", b"1\t2\n3\t4\n", "a .tsv without a header line"),
        ("a.tsv", b"Is it?\tyes\tno\t1\n", "4 columns are not question, answer"),
        ("a.yaml", b"a: 1", "the ending '.yaml' is none of"),
        ("label", b"a", "the ending '' is none of"),
    ],
)
def test_files_that_hold_no_rows_are_refused_with_a_reason(
    read_bytes: Any, name: str, data: bytes, reason: str
) -> None:
    assert reason in whole_file_reason(read_bytes(data, name)[1])


def test_a_line_that_is_not_utf8_names_its_offset_in_the_file(read_bytes: Any) -> None:
    # the first line has 35 bytes with its line break; the bad byte is the 13th of the second
    rows, report = read_bytes(ROW + b'\n{"prompt": "\xff", "completion": "b"}', "a.jsonl")
    assert len(rows) == 1
    assert report.refused[0].reason == "not UTF-8: byte 0xff at offset 47, line 2"


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_lone_surrogates_are_refused_and_nan_is_read(read_bytes: Any, name: str) -> None:
    lines = [b'{"prompt": "\\ud800", "completion": "b"}', b'{"prompt": "a", "completion": "b", "score": NaN}']
    data = b"\n".join(lines) if name == "a.jsonl" else b"[" + b",".join(lines) + b"]"
    rows, report = read_bytes(data, name)
    assert [row.source.row for row in rows] == [2]
    assert [(refusal.row, refusal.code) for refusal in report.refused] == [(1, "lone-surrogate")]


def test_quotes_in_a_tsv_without_header_are_literal(read_bytes: Any) -> None:
    rows, report = read_bytes('"Two" and 2?\t4\nJanet’s 3\t3\n'.encode(), "mgsm.tsv")
    assert [[m.content for m in row.messages] for row in rows] == [['"Two" and 2?', "4"], ["Janet’s 3", "3"]]
    assert report.notes == ["no header line: the columns are read as question, answer"]


def test_table_rows_of_another_width_are_refused(read_bytes: Any) -> None:
    _, report = read_bytes(b'prompt,completion\n"a,\nb",c\nd\n', "a.csv")
    assert (report.conversations, report.refused[0].reason) == (1, "1 cells under a header of 2 columns")
    _, report = read_bytes(b"Is it?\tyes\nIs it?\n", "a.tsv")
    assert (report.conversations, report.refused[0].reason) == (1, "1 cells in a file of 2 columns")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """d/ with b.jsonl (2 rows), a/x.jsonl (2 rows), a README and a hidden file."""
    (tmp_path / "d" / "a").mkdir(parents=True)
    for name in ("b.jsonl", "a/x.jsonl"):
        (tmp_path / "d" / name).write_bytes(ROW + b"\n" + ROW)
    (tmp_path / "d" / "README.md").write_text("what it is")
    (tmp_path / "d" / ".hidden.jsonl").write_bytes(ROW)
    return tmp_path


def test_folders_are_walked_in_name_order(folder: Path) -> None:
    loaded = load(["d"], base=folder)
    assert [file.path for file in loaded.files] == ["d/README.md", "d/a/x.jsonl", "d/b.jsonl"]
    assert loaded.files[0].refused[0].code == "not-data"
    assert not loaded.refusals  # a README in a folder is no lost row
    assert load(["d/README.md"], base=folder).refusals[0].code == "unknown-ending"


@pytest.mark.parametrize(("spec", "counts"), [("d/b.jsonl#1", [1]), ("d#3", [0, 2, 1]), ("d/b.jsonl#9", [2])])
def test_a_number_behind_a_path_takes_the_first_rows(folder: Path, spec: str, counts: list[int]) -> None:
    assert [file.rows for file in load([spec], base=folder).files] == counts


def test_first_rows_of_a_task_file_are_instances_and_refused_ones_count(read: Any, tmp_path: Path) -> None:
    instances = [{"input": "a", "output": ["b"]}, {"output": ["b"]}, {"input": "a", "output": ["b"]}]
    (tmp_path / "t.json").write_text(json.dumps({"Definition": "D", "Instances": instances}))
    (file,) = load(["t.json#2"], base=tmp_path).files
    assert (file.rows, file.conversations, len(file.refused)) == (2, 1, 1)


def test_a_file_whose_name_ends_in_a_number_sign_is_itself(tmp_path: Path) -> None:
    (tmp_path / "a.txt#1").write_text("x")
    assert load(["a.txt#1"], base=tmp_path).files[0].path == "a.txt#1"


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("nowhere.jsonl", "missing-path"),
        ("d/b.jsonl#0", "bad-row-limit"),
        ("empty", "empty-folder"),
        ("hf:x", "bad-path"),
    ],
)
def test_paths_that_lead_nowhere_stop_at_once(folder: Path, spec: str, code: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(InputError) as stopped:
        load([spec], base=folder)
    assert (stopped.value.code, stopped.value.exit_code) == (code, 2)


def test_an_unreached_hub_is_an_input_error_within_ten_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("datasets")
    code = (
        "import sys\nfrom precept.errors import InputError\nfrom precept.records import load\n"
        "try:\n    load(['hf:nobody/nothing:train'])\n"
        "except InputError as error:\n    sys.exit(f'{error.code} {error.exit_code}')\n"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": ""}
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr.strip().splitlines()[-1] == "hub-offline 2"
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("name", "rows"), [("owner/set:test#1", "1"), ("owner/set:test[:50%]", "1"), ("owner/set:test", "2")]
)
def test_a_hub_data_set_is_read_by_name_and_split(tmp_path: Path, name: str, rows: str) -> None:
    pytest.importorskip("datasets")
    # the datasets library takes a folder of this name before it asks the hub
    (tmp_path / "owner" / "set").mkdir(parents=True)
    (tmp_path / "owner" / "set" / "test.jsonl").write_bytes(ROW + b"\n" + ROW)
    code = (
        "from precept.records import load\n"
        f"(file,) = load(['hf:{name}']).files\n"
        "print(file.path, file.format, file.rows)\n"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == [f"hf:{name.split('#')[0]}", "prompt_completion", rows], done.stderr


def test_importing_the_room_is_light() -> None:
    heavy = {"torch", "transformers", "pandas", "datasets", "pyarrow"}
    code = f"import sys, precept.records\nprint({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_no_malformed_value_makes_loading_raise(read: Any) -> None:
    rows = {
        "messages": {
            "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}],
            "tools": [{}],
        },
        "sharegpt": {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        "alpaca": {"instruction": "a", "input": "b", "output": "c", "history": [["a", "b"]], "system": "s"},
        "dolly": {"instruction": "a", "context": "b", "response": "c"},
        "prompt_completion": {"prompt": "a", "completion": "b", "ground_truth": "c", "images": []},
        "preference": {"prompt": "a", "chosen": "b", "rejected": "c", "score_chosen": 1, "score_rejected": 0},
        "labelled": {"prompt": "a", "completion": "b", "label": True},
        "annotations": {"instruction": "a", "output_1": "b", "output_2": "c", "preference": 1},
        "tokenized": {"input_ids": [1, 2], "labels": [-100, 2], "attention_mask": [1, 1]},
        "flan_cot": {"question": "a", "answer": "b", "rationale": "c"},
        "super_ni": {
            "Definition": "a",
            "Positive Examples": [{"input": "a", "output": "b"}],
            "Instances": [{"input": "a", "output": "b"}],
        },
        "bbh": {"examples": [{"input": "a", "target": "b"}]},
        "self_instruct": {"instruction": "a", "instances": [{"input": "a", "output": "b"}]},
        "text": {"text": "a"},
    }
    odd = [
        None,
        0,
        1.5,
        True,
        "",
        " ",
        "x",
        "[1]",
        "{",
        [],
        [1],
        [[1]],
        [None],
        [{}],
        {},
        {"a": 1},
        [{"role": []}],
        [{"from": 1}],
    ]
    for name, row in rows.items():
        assert read(row)[1].format == name
        for column in row:
            for value in odd:
                _, report = read(row, row, {**row, column: value})
                assert report.rows == report.conversations + report.comparisons + report.texts + len(report.refused)
                _, report = read({**row, column: value})
                assert report.rows or report.refused[0].row is None


def test_numbers_of_too_many_digits_and_values_nested_too_deep_refuse_their_row(read_bytes: Any) -> None:
    long, deep = b'{"prompt": "a", "completion": "b", "x": NaN, "n": ' + b"7" * 5000 + b"}", b"[" * 1000 + b"]" * 1000
    rows, report = read_bytes(b"\n".join([ROW, long, ROW[:-1] + b', "x": ' + deep + b"}"]), "a.jsonl")
    assert len(rows) == 1
    assert [(refusal.row, refusal.code, refusal.reason) for refusal in report.refused] == [
        (2, "bad-json", "holds a whole number with too many digits to be read at line 2"),
        (3, "nested-too-deep", "holds a value that is nested too deep"),
    ]
    _, report = read_bytes(b"[" + long + b"]", "b.json")
    assert whole_file_reason(report) == "holds a whole number with too many digits to be read"
