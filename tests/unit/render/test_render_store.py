"""Sequences on disk are those that were written, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from precept.render.store import INDEX, DamagedStore, SequenceWriter, StoredSequences, pack
from precept.types import Source, TokenSequence


def sequence(number: int, *, encoder: bool = False) -> TokenSequence:
    """``number`` tokens of context, two of weight 1, one of weight 0.5."""
    ids = np.arange(number + 3, dtype=np.int32)
    weights = np.array([0.0] * number + [1.0, 1.0, 0.5], np.float32)
    source = Source("rows.jsonl", number + 1, f"{number:016x}", "cc0" if number else None, "näme" if number else None)
    return TokenSequence(ids, weights, source, ids[::-1].copy() if encoder else None)


SEQUENCES = [sequence(0), sequence(3), sequence(40_000), sequence(2, encoder=True), sequence(300_000), sequence(1)]


def store(folder: Path) -> dict[str, int]:
    writer = SequenceWriter(folder)
    for start in (0, 4):  # two blocks
        part = SEQUENCES[start : start + 4]
        writer.append(pack(part, np.arange(start, start + len(part), dtype=np.int32), [True] * len(part)))
    return writer.close()


def same(a: TokenSequence, b: TokenSequence) -> bool:
    arrays = [[one.ids.tolist(), one.weights.tolist()] for one in (a, b)]
    encoders = [None if one.encoder_ids is None else one.encoder_ids.tolist() for one in (a, b)]
    return arrays[0] == arrays[1] and encoders[0] == encoders[1] and a.source == b.source


def test_what_was_written_is_read_by_place_by_slice_and_in_order(tmp_path: Path) -> None:
    stored = StoredSequences.open(tmp_path, store(tmp_path))
    assert len(stored) == 6
    assert all(map(same, stored, SEQUENCES))
    assert all(same(stored[place], SEQUENCES[place]) for place in (-1, 0, 2, 3))
    assert all(map(same, stored[1:4], SEQUENCES[1:4]))
    assert stored.lengths.tolist() == [3, 6, 40_003, 5, 300_003, 4]
    assert stored.places.tolist() == [0, 1, 2, 3, 4, 5]
    assert [str(stored[1].ids.dtype), str(stored[1].weights.dtype)] == ["int32", "float32"]
    with pytest.raises(IndexError):
        stored[6]


def test_the_index_takes_21_bytes_a_sequence(tmp_path: Path) -> None:
    stored = StoredSequences.open(tmp_path, store(tmp_path))
    assert INDEX.itemsize == 21
    assert stored.entries.nbytes == 21 * 6


@pytest.mark.parametrize("name", ["sequences.bin", "index.bin"])
@pytest.mark.parametrize("fault", ["torn", "changed"])
def test_a_file_that_is_not_whole_is_damaged(tmp_path: Path, name: str, fault: str) -> None:
    expected = store(tmp_path)
    data = bytearray((tmp_path / name).read_bytes())
    if fault == "torn":
        del data[-10:]
    else:
        data[-10] ^= 1
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DamagedStore):
        StoredSequences.open(tmp_path, expected)


def test_no_sequences_are_a_store_too(tmp_path: Path) -> None:
    stored = StoredSequences.open(tmp_path, SequenceWriter(tmp_path).close())
    assert list(stored) == []
