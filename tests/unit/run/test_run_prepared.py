"""Rows are prepared once: what matters makes an entry of its own, and what is damaged is made again."""

from __future__ import annotations

import datetime
import errno
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.command_line import chat_rows, write_rows
from tests.tiny import CHATML, tiny_model_folder

from precept.errors import InputError
from precept.models.folder import check_model_folder
from precept.render.store import Packed, SequenceWriter, StoredSequences
from precept.run.data.cache import make_entry
from precept.run.data.rows import read_data
from precept.run.settings import parse_settings
from precept.run.tuning import blocks
from precept.run.tuning.prepare import RenderedData, render_data

TODAY = datetime.date(2026, 1, 2)
DATED = "{{ strftime_now('%d %B %Y') }}" + CHATML


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model_folder(tmp_path_factory.mktemp("prepared") / "llama", chat_template=DATED)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRECEPT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "data"


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.jsonl", chat_rows(50))


def prepare(model: Path, rows: Path, date: datetime.date = TODAY, **pairs: Any) -> RenderedData:
    settings = parse_settings({"data": [str(rows)], **pairs})
    folder = check_model_folder(model, trust_remote_code=False)
    return render_data(read_data(settings, method="sft"), folder, settings, date=date)


def entries(cache: Path) -> set[str]:
    return {folder.name for folder in cache.iterdir()}


def told(data: RenderedData) -> list[Any]:
    """All that preparing gives."""
    parts = [part for part in (data.train, data.held_out) if part is not None]
    sequences = [[s.ids.tolist(), s.weights.tolist(), s.source] for part in parts for s in part.sequences]
    rest = [[p.refusals, p.dropped, p.counts, p.notices, p.stop_ids, p.places.tolist()] for p in parts]
    return [sequences, rest, data.proofs]


def test_a_second_run_reuses_the_result(model: Path, rows: Path, cache: Path) -> None:
    first = prepare(model, rows, eval_fraction=0.2)
    files = {path: path.stat().st_mtime_ns for path in cache.rglob("sequences.bin")}
    assert len(files) == 2  # of the rows to train and of those held out
    again = prepare(model, rows, eval_fraction=0.2)
    assert told(again) == told(first)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("sequences.bin")} == files
    assert all(proof.ok for proof in first.proofs)


def test_what_matters_makes_another_entry(model: Path, rows: Path, cache: Path, tmp_path: Path) -> None:
    prepare(model, rows)
    made = [entries(cache)]
    text = rows.read_text()
    stamp = rows.stat()

    def prepares_anew(**pairs: Any) -> bool:
        prepare(pairs.pop("model", model), rows, **pairs)
        made.append(entries(cache))
        return len(made[-1]) == len(made[-2]) + 1

    assert prepares_anew(date=TODAY + datetime.timedelta(days=1)), "the template prints the date"
    assert prepares_anew(train_on="last")
    assert prepares_anew(max_length=200)
    assert prepares_anew(chat_template="chatml")
    other = tiny_model_folder(tmp_path / "other", chat_template=DATED)
    config = other / "tokenizer_config.json"
    config.write_text(config.read_text().rstrip() + "\n\n")
    assert prepares_anew(model=other), "bytes of the tokenizer's files"
    changed = re.sub(r'("content": ?")[A-Za-z]', r"\1Q", text, count=1)
    assert changed != text
    rows.write_text(changed)
    os.utime(rows, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert rows.stat().st_size == stamp.st_size
    assert prepares_anew(), "one byte of one row, at the same size and time"
    assert not prepares_anew(learning_rate=1e-3), "what the sequences do not depend on"
    os.utime(rows)
    assert not prepares_anew(), "a file that was touched"
    assert prepares_anew(chat_template="chatml"), "the changed file in another template"
    assert not prepares_anew(chat_template="chatml", date=datetime.date(2030, 1, 1)), "which prints no date"


@pytest.mark.parametrize("name", ["0/sequences.bin", "0/index.bin", "result.json"])
@pytest.mark.parametrize("fault", ["torn", "changed", "missing"])
def test_a_damaged_entry_is_made_again(model: Path, rows: Path, cache: Path, name: str, fault: str) -> None:
    first = told(prepare(model, rows))
    path = cache / entries(cache).pop() / name
    data = bytearray(path.read_bytes())
    if fault == "missing":
        path.unlink()
    elif fault == "torn":
        path.write_bytes(data[: len(data) // 2])
    else:
        data[-20] ^= 1
        path.write_bytes(data)
    assert told(prepare(model, rows)) == first
    assert len(entries(cache)) == 1
    assert path.stat().st_size == len(data)


def test_blocks_and_processes_change_nothing(
    model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for number, (block, processes) in enumerate([(2048, 1), (7, 1), (7, 2)]):
        monkeypatch.setenv("PRECEPT_CACHE", str(tmp_path / str(number)))
        monkeypatch.setenv("PRECEPT_PROCESSES", str(processes))
        monkeypatch.setattr(blocks, "BLOCK", block)
        monkeypatch.setattr(blocks, "FEWEST_FOR_PROCESSES", 0)
        found.append(told(prepare(model, rows, eval_fraction=0.2, max_length=100, over_length="drop", bad_rows="drop")))
    assert found[0] == found[1] == found[2]


def test_a_cache_that_cannot_be_written_is_done_without(
    model: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("PRECEPT_CACHE", str(tmp_path / "file"))
    data = prepare(model, rows)
    assert len(data.train.sequences) == 50
    assert "are not kept" in capsys.readouterr().err


def test_the_entries_used_longest_ago_go_first(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for age, name in enumerate(("newest", "older", "oldest")):
        (cache / name / "0").mkdir(parents=True)
        (cache / name / "result.json").write_bytes(bytes(10))
        (cache / name / "0" / "sequences.bin").write_bytes(bytes(990))
        os.utime(cache / name / "result.json", (1000 - age, 1000 - age))
    monkeypatch.setenv("PRECEPT_CACHE_GB", "0.000002")
    made = make_entry(cache / "made", lambda folder: (folder / "sequences.bin").write_bytes(bytes(500)))
    assert made and entries(cache) == {"made", "newest"}


def test_the_entry_just_made_stays_whatever_its_size(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPT_CACHE_GB", "0.000002")
    assert make_entry(cache / "made", lambda folder: (folder / "sequences.bin").write_bytes(bytes(5000)))
    assert entries(cache) == {"made"}


def test_a_cache_whose_disk_is_full_is_done_without(
    model: Path, rows: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = SequenceWriter.append

    def append(writer: SequenceWriter, packed: Packed) -> None:
        if Path(writer._file.name).is_relative_to(cache):
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(writer, packed)

    monkeypatch.setattr(SequenceWriter, "append", append)
    assert len(prepare(model, rows).train.sequences) == 50
    assert "No space left on device" in capsys.readouterr().err
    assert not entries(cache)


@pytest.mark.parametrize("size", ["20GB", "-1", "nan"])
def test_a_size_of_the_cache_that_is_no_number_is_refused(
    model: Path, rows: Path, cache: Path, size: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PRECEPT_CACHE_GB", size)
    with pytest.raises(InputError, match="a number of gigabytes") as caught:
        prepare(model, rows)
    assert (caught.value.code, caught.value.found) == ("bad-cache-size", size)


@pytest.mark.parametrize("processes", ["two", "0", "-1"])
def test_a_number_of_processes_that_is_none_is_refused(processes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRECEPT_PROCESSES", processes)
    with pytest.raises(InputError, match="a whole number above 0") as caught:
        blocks.usable_processes(blocks.FEWEST_FOR_PROCESSES)
    assert (caught.value.code, caught.value.found) == ("bad-processes", processes)


def test_sequences_stay_on_disk(model: Path, rows: Path, cache: Path) -> None:
    sequences = prepare(model, rows).train.sequences
    assert isinstance(sequences, StoredSequences)
    assert sequences.entries.nbytes == 21 * len(sequences)
    assert np.array_equal(sequences.lengths, [len(one.ids) for one in sequences])
