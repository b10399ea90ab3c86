"""Rows that are tokens already: ``input_ids`` with ``labels`` (-100 is context, else the token itself) or with
``weights`` (a number a token; ``completion_mask`` and ``assistant_masks`` are read the same way)."""

from __future__ import annotations

from typing import Any

import numpy as np

from precept.records.problems import RowProblem, kind_of
from precept.records.readers.reader import Columns, Layout, Reader, Record
from precept.types import FloatArray, Source, TokenSequence

IGNORED = -100  # the label that transformers' losses skip
WEIGHTS = ("weights", "completion_mask", "assistant_masks", "loss_mask")


def _match(columns: Columns) -> Layout | None:
    if not columns.has("input_ids"):
        return None
    mapping = {"ids": "input_ids"}
    if weights := columns.one_of("labels", *WEIGHTS):
        mapping["weights"] = weights
    notes = () if weights else ("no labels: every token is trained",)
    return Layout(mapping, used=frozenset({"attention_mask"}), notes=notes)


def _read(record: Record, layout: Layout, source: Source) -> TokenSequence:
    ids = _numbers(record, "input_ids", whole=True)
    if len(ids) == 0:
        raise RowProblem("empty-row", "column 'input_ids' is empty")
    if ids.min() < 0 or ids.max() > np.iinfo(np.int32).max:
        raise RowProblem("bad-token", "column 'input_ids' holds a number that is no token id")
    if record.get("attention_mask") is not None and not np.all(_numbers(record, "attention_mask", whole=True) == 1):
        raise RowProblem("padded-row", "attention_mask is not all ones: store rows without padding")
    column = layout.mapping.get("weights")
    weights = np.ones(len(ids), np.float32)
    if column == "labels":
        weights = _weights_of_labels(record, ids)
    elif column:
        weights = _numbers(record, column, whole=False).astype(np.float32)
        if len(weights) != len(ids):
            raise RowProblem("bad-weight", f"{len(weights)} {column} for {len(ids)} input_ids")
        if not np.all(np.isfinite(weights)) or weights.min() < 0:
            raise RowProblem("bad-weight", f"column '{column}' holds a number below 0 or not finite")
    if not weights.any():
        raise RowProblem("empty-answer", f"no token is trained by column '{column}'")
    return TokenSequence(ids.astype(np.int32), weights, source)


def _weights_of_labels(record: Record, ids: Any) -> FloatArray:
    labels = _numbers(record, "labels", whole=True)
    if len(labels) != len(ids):
        raise RowProblem("bad-labels", f"{len(labels)} labels for {len(ids)} input_ids")
    wrong = np.flatnonzero((labels != IGNORED) & (labels != ids))
    if len(wrong):
        at = int(wrong[0])
        shifted = " (the labels look shifted)" if np.array_equal(labels[:-1], ids[1:]) else ""
        raise RowProblem(
            "bad-labels",
            f"label {labels[at]} at position {at} is neither {IGNORED} nor the token there ({ids[at]}){shifted}",
        )
    weights: FloatArray = (labels != IGNORED).astype(np.float32)
    return weights


def _numbers(record: Record, column: str, *, whole: bool) -> Any:
    value = record.get(column)
    kinds = (int,) if whole else (int, float)
    if not isinstance(value, list) or not all(isinstance(number, kinds) for number in value):
        raise RowProblem("not-numbers", f"column '{column}' holds {kind_of(value)}, not a list of numbers")
    try:
        return np.asarray(value, np.int64 if whole else np.float64)
    except OverflowError:
        raise RowProblem("bad-token", f"column '{column}' holds a number beyond 64 bits") from None


READER = Reader(name="tokenized", columns="input_ids, labels|weights", match=_match, read=_read)
