"""Large files read in blocks give the same rows and reports as files read whole."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import orjson
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from precept.errors import InputError
from precept.records import data_hash, json_stream, load, parquet_stream, split
from precept.records import parse_json as parse_json_module
from precept.records.lazy import LazyRows, StreamedRows
from precept.records.parse_json import parse_json
from precept.types import Conversation


def record(number: int, **more: object) -> dict[str, object]:
    return {"instruction": f"Say {number} — 你好.", "input": "", "output": f"{number}." * (1 + number % 5), **more}


def lines(*records: object) -> str:
    return "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records)


ROWS = [record(number) for number in range(60)]
CHATS = [
    {"messages": [{"role": "user", "content": f"}}, {{ {n}"}, {"role": "assistant", "content": "], ["}] * (1 + n % 3)}
    for n in range(40)
]
ODD = [*ROWS[:7], record(7, output=""), record(8, output=None), [1], {"instruction": "a", "output": "b"}, *ROWS[8:]]
FILES = {
    "rows.jsonl": lines(*ROWS),
    "no_end.jsonl": lines(*ROWS).rstrip("\n"),
    "blank.jsonl": "\n" + lines(*ROWS[:30]) + "\n\r\n" + lines(*ROWS[30:]) + "\n",
    "broken.jsonl": lines(*ROWS[:20])
    + '{"instruction": \n'
    + lines(*ROWS[20:])
    + '{"instruction": "a", "output": NaN}\n',
    "odd.jsonl": lines(*ODD),
    "marked.jsonl": lines(*({"prompt": f"{n}", "completion": f" {n}<|endoftext|>"} for n in range(30))),
    "ids.jsonl": lines(*(record(n, id=f"{n % 50}", license="cc0") for n in range(60))),
    "lines.json": lines(*ROWS),
    "rows.json": json.dumps(ROWS),
    "indented.json": json.dumps(ROWS, indent=4, ensure_ascii=False),
    "array.jsonl": json.dumps(ROWS),
    "chats.json": json.dumps(CHATS, indent=1),
    "odd.json": json.dumps(ODD),
    "quotes.json": json.dumps([record(n, note="\\" * (n % 4) + '"}, {"' + "]" * n) for n in range(60)]),
}


PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}


@pytest.mark.parametrize("packed", ["", ".gz", ".zst"])
@pytest.mark.parametrize("name", FILES)
def test_rows_and_reports_are_those_of_the_whole_file(
    name: str, packed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", 400)  # a few rows
    path = tmp_path / f"{name}{packed}"
    path.write_bytes(PACK[packed](FILES[name].encode()))
    equal_whole_or_streamed(path)


@pytest.mark.parametrize("groups", [60, 13, 4])
def test_rows_of_parquet_are_those_of_the_whole_file(
    groups: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet_stream, "BLOCK", 5)
    table = pyarrow.Table.from_pylist([record(n, id=n, extra=None if n % 3 else [b"x", b"y"]) for n in range(60)])
    pyarrow.parquet.write_table(table, tmp_path / "rows.parquet", row_group_size=groups)
    equal_whole_or_streamed(tmp_path / "rows.parquet")
    chats = pyarrow.Table.from_pylist(CHATS)
    pyarrow.parquet.write_table(chats, tmp_path / "chats.parquet", row_group_size=groups)
    equal_whole_or_streamed(tmp_path / "chats.parquet")


@pytest.mark.parametrize("block", [1, 2, 3, 7])
def test_elements_are_told_apart_wherever_blocks_end(
    block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([record(n, note="\\" * (n % 4) + '"}, {"') for n in range(12)], ensure_ascii=False))
    monkeypatch.setattr(json_stream, "BLOCK", block)
    equal_whole_or_streamed(path)


def test_a_long_element_is_parsed_no_more_often_than_a_short_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = 0

    def count(data: bytes) -> object:
        nonlocal parsed
        parsed += len(data)
        return orjson.loads(data)

    monkeypatch.setattr(json_stream, "BLOCK", 4000)
    monkeypatch.setattr(json_stream, "orjson", SimpleNamespace(loads=count, JSONDecodeError=orjson.JSONDecodeError))
    path = tmp_path / "chats.json"
    path.write_text(json.dumps([{"messages": chat["messages"] * 500} for chat in CHATS[:12]]))
    equal_whole_or_streamed(path)
    # once for the index, once for each of the readings above, and what lies in the block of a row asked for alone
    assert parsed < 20 * path.stat().st_size


def test_lines_that_strict_json_refuses_are_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def count(text: bytes) -> int:
        nonlocal measured
        measured += 1
        return len(text)

    monkeypatch.setattr(parse_json_module, "len", count, raising=False)
    assert len(parse_json(b'{"a": NaN}\n' * 300, ending=".jsonl").records) == 300
    assert 300 <= measured < 10 * 300  # adding up the bytes before each line measures 44,850 of them


def test_a_line_of_other_bytes_is_refused_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", 400)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(lines(*ROWS[:20]).encode() + b'{"text": "\xff"}\n' + lines(*ROWS[20:]).encode())
    equal_whole_or_streamed(path)


def open_files() -> dict[int, int]:
    """The open files of this process and the bytes of each."""
    found = {}
    for number in range(1000):
        with suppress(OSError):
            found[number] = os.fstat(number).st_size
    return found


def equal_whole_or_streamed(path: Path) -> None:
    whole, streamed = load([str(path)]), load([str(path)], stream_from=0)
    assert isinstance(streamed.rows, LazyRows)
    assert list(streamed.rows) == whole.rows
    assert streamed.files == whole.files
    assert [streamed.rows[place] for place in (0, -1, 11)] == [whole.rows[place] for place in (0, -1, 11)]
    assert [streamed.rows[a:b] for a, b in ((0, 3), (5, 25), (25, 99), (7, 7))] == [
        whole.rows[a:b] for a, b in ((0, 3), (5, 25), (25, 99), (7, 7))
    ]
    assert data_hash(streamed.rows) == data_hash(whole.rows)
    parts = [split(rows, fraction=0.3, seed=1) for rows in (whole.rows, streamed.rows)]
    assert [list(rows) for rows in parts[0]] == [list(rows) for rows in parts[1]]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cut.json", json.dumps(ROWS)[:-40]),
        ("comma.json", json.dumps(ROWS)[:-1] + ",]"),
        ("wrapped.json", json.dumps({"data": ROWS})),
        ("one.jsonl", json.dumps(ROWS[0])),
        ("bytes.jsonl", "\xff" + lines(*ROWS)),
        ("orders.jsonl", lines(*({"output": "a", "instruction": "b"} if n % 2 else ROWS[n] for n in range(9)))),
        ("damaged.jsonl.gz", lines(*ROWS)),
        ("damaged.jsonl.zst", lines(*ROWS)),
        ("damaged.parquet", lines(*ROWS)),
        ("rows.csv", "instruction,output\n" + "a,b\n" * 9),
    ],
)
def test_other_layouts_are_read_whole(name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "BLOCK", 400)
    (tmp_path / name).write_text(text, encoding="latin-1" if name == "bytes.jsonl" else "utf-8", errors="replace")
    whole, streamed = load([str(tmp_path / name)]), load([str(tmp_path / name)], stream_from=0)
    assert list(streamed.rows) == list(whole.rows)
    assert streamed.files == whole.files


def test_files_follow_one_another_whether_streamed_or_not(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(*ROWS))
    (tmp_path / "b.jsonl").write_text(lines(*ROWS[:5]))
    loaded = load([str(tmp_path)], stream_from=2000)
    assert [row.source.row for row in loaded.rows][58:63] == [59, 60, 1, 2, 3]
    assert [row.source.row for row in loaded.rows[59:62]] == [60, 1, 2]
    assert loaded.rows[61] == load([str(tmp_path)]).rows[61]


def test_of_a_row_twelve_bytes_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(*ROWS))
    loaded = load([str(tmp_path / "a.jsonl")], stream_from=0)
    rows = loaded.rows._files[0]  # type: ignore[attr-defined]
    assert isinstance(rows, StreamedRows)
    assert rows.hashes.itemsize + rows._places.itemsize == 12
    assert isinstance(rows[0], Conversation)


def test_parquet_is_read_in_any_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_stream, "BLOCK", 7)
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, row_group_size=25)
    whole, streamed = load([str(path)]).rows, load([str(path)], stream_from=0).rows
    for place in (3, 50, 51, 20, 24, 25, 59, 0, 8, 1):
        assert streamed[place] == whole[place]
    one, other = iter(streamed), iter(streamed)
    assert [next(one) for _ in range(9)] == whole[:9] and [next(other) for _ in range(30)] == whole[:30]
    assert list(one) == whole[9:]


def test_files_that_were_read_to_their_end_are_closed(tmp_path: Path) -> None:
    for number in range(5):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), tmp_path / f"{number}.parquet")
    before = open_files().keys()
    loaded = load([str(tmp_path)], stream_from=0)
    assert len(list(loaded.rows)) == 5 * 60
    assert open_files().keys() == before


def test_a_damaged_page_of_parquet_is_told_as_of_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), path, compression="gzip")
    data = bytearray(path.read_bytes())
    data[4:400] = b"\xff" * 396  # its footer stays whole
    path.write_bytes(data)
    whole, streamed = load([str(path)]), load([str(path)], stream_from=0)
    assert streamed.files == whole.files
    assert [refusal.code for refusal in whole.files[0].refused] == ["bad-table"]


def test_what_was_unpacked_goes_with_its_rows(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(lines(*ROWS).encode()))
    loaded = load([str(tmp_path / "a.jsonl.gz")], stream_from=0)
    (tmp_path / "a.jsonl.gz").unlink()  # its contents stay readable, and lie in no folder
    assert len(list(loaded.rows)) == 60
    assert not list(tmp_path.iterdir())


def test_compressed_files_are_unpacked_into_one(tmp_path: Path) -> None:
    wrapped = json.dumps({"data": ROWS}).encode()  # of no layout that can be read in blocks
    packed = {f"{n}.json": lines(*ROWS[n:]).encode() for n in range(5)} | {"3a.json": wrapped, "4a.jsonl": b"{"}
    for name, data in packed.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(data))
    (tmp_path / "2a.json.gz").write_bytes(gzip.compress(packed["2.json"])[:-9])  # damaged
    before = open_files().keys()
    whole, streamed = load([str(tmp_path)]), load([str(tmp_path)], stream_from=0)
    (opened,) = open_files().keys() - before
    assert open_files()[opened] == sum(len(packed[f"{n}.json"]) for n in range(5))
    assert list(streamed.rows) == whole.rows and streamed.files == whole.files
    del streamed
    assert open_files().keys() == before


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(lines(*ROWS))
    loaded = load([str(tmp_path / "a.jsonl")], stream_from=0)
    (tmp_path / "a.jsonl").write_text(lines(*ROWS, ROWS[0]))
    loaded.rows._files[0]._stream._at = -1  # type: ignore[attr-defined]  # forget the block in memory
    with pytest.raises(InputError, match="changed while it was read"):
        list(loaded.rows)
