"""What is decided by the hashes of rows: the data hash and the held-out split."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from precept.errors import InputError
from precept.records.fingerprint import text_digest
from precept.records.lazy import LazyRows, PickedRows, row_hashes
from precept.types import LongArray, Row


def data_hash(*parts: Sequence[Row]) -> str:
    """sha256 over the rows' hashes in order: equal exactly when the same rows come in the same order."""
    digest, between = hashlib.sha256(), ""
    for text in itertools.chain.from_iterable(map(_hashes, parts)):
        digest.update(f"{between}{text}".encode("ascii"))
        between = "\n"
    return digest.hexdigest()


def _hashes(rows: Sequence[Row]) -> Iterator[str]:
    if isinstance(rows, LazyRows):
        return (f"{number:016x}" for number in map(int, rows.hashes))
    return (row.source.hash for row in rows)


def split(rows: Sequence[Row], *, fraction: float, seed: int) -> tuple[Sequence[Row], Sequence[Row]]:
    """(train, held-out) with about ``fraction`` of the rows held out, both in the order of ``rows``.

    A row's place in the draw depends only on its hash and the seed, so adding rows moves few others; rows that are
    alike (``normal_text``) stay on one side. The held-out size is round(fraction * n) wherever such groups allow it.
    Raises InputError unless 0 <= fraction < 1.
    """
    if not 0 <= fraction < 1:
        raise InputError(
            "the held-out fraction must be at least 0 and below 1",
            code="bad-fraction",
            found=f"{fraction}",
            do="0.1 holds out one row in ten",
        )
    hashes = row_hashes(rows)
    texts = np.array([int.from_bytes(text_digest(row)[:8], "big") for row in rows], np.uint64)
    alike, group_of = np.unique(texts, return_inverse=True)
    smallest = np.full(len(alike), np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(smallest, group_of, hashes)  # of rows that are alike the smallest hash stands for all
    groups, group_of, sizes = np.unique(smallest[group_of], return_inverse=True, return_counts=True)
    draws = b"".join(hashlib.sha256(f"{seed}:{key:016x}".encode("ascii")).digest() for key in groups.tolist())
    words = np.frombuffer(draws, ">u8").reshape(-1, 4)
    drawn = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    held_out = np.zeros(len(groups), bool)
    left = round(fraction * len(rows))
    for group in drawn.tolist():
        if not left:
            break
        if sizes[group] <= left:
            held_out[group] = True
            left -= int(sizes[group])
    others = drawn[~held_out[drawn]]
    if left and len(others):
        over = others[sizes[others].argmin()]
        held_out[over] = sizes[over] - left < left
    chosen = held_out[group_of]
    return _picked(rows, np.flatnonzero(~chosen)), _picked(rows, np.flatnonzero(chosen))


def _picked(rows: Sequence[Row], places: LongArray) -> Sequence[Row]:
    return PickedRows(rows, places) if isinstance(rows, LazyRows) else [rows[place] for place in places.tolist()]
