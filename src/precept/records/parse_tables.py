"""CSV, TSV and parquet -> records."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

from precept.errors import MissingExtra
from precept.records.parse_json import RawRows, decode
from precept.records.problems import FileProblem, RowProblem

MMLU_COLUMNS = ["question", "A", "B", "C", "D", "answer"]
OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
COLUMN_NAME = re.compile(r"[A-Za-z_][\w ./()-]{0,39}")


def parse_delimited(data: bytes, *, ending: str) -> RawRows:
    """Records of a .csv (header line first, but for MMLU's, which have none) or a .tsv with or without a header line.

    A .tsv without one is question, answer[, rationale] with quotes taken literally, as MGSM and the FLAN
    chain-of-thought files are published; in the second kind a literal backslash-n stands for a line break.
    """
    text = decode(data)
    if not text.strip():
        raise FileProblem("empty-file", "empty: the file holds no rows")
    first = text.split("\n", 1)[0].rstrip("\r").split("\t")
    if ending == ".tsv" and not _is_header(first):
        return _parse_headerless(text)
    csv.field_size_limit(sys.maxsize)
    lines = csv.reader(io.StringIO(text, newline=""), dialect="excel-tab" if ending == ".tsv" else "excel")
    try:
        opening = next(lines)
        if len(opening) == len(MMLU_COLUMNS) and opening[-1] in MMLU_COLUMNS[1:-1]:
            raw = _with_header(itertools.chain([MMLU_COLUMNS, opening], lines))
            raw.notes.append(f"no header line: the columns are read as {', '.join(MMLU_COLUMNS)}")
            return raw
        return _with_header(itertools.chain([opening], lines))
    except csv.Error as error:
        raise FileProblem("bad-table", f"not a table: {error} at line {lines.line_num}") from None


def parse_parquet(path: str, data: bytes) -> RawRows:
    """Records of a parquet file. Needs the extra ``data``."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtra("pyarrow", "data", wanted_for=f"reading {path}") from None
    try:
        records: list[Any] = pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()
    except (pyarrow.ArrowException, OSError) as error:  # a damaged page is an OSError
        raise FileProblem("bad-table", f"not parquet: {str(error).splitlines()[0]}") from None
    if not records:
        raise FileProblem("empty-file", "empty: the table has no rows")
    return RawRows(records=records, numbers=list(range(1, len(records) + 1)))


def _is_header(cells: list[str]) -> bool:
    return len(set(cells)) == len(cells) and all(COLUMN_NAME.fullmatch(cell) for cell in cells)


def _with_header(lines: Iterator[list[str]]) -> RawRows:
    header = next(lines)
    separator = next((sign for sign in OTHER_SEPARATORS if len(header) == 1 and sign in header[0]), None)
    if separator is not None:
        raise FileProblem(
            "bad-table",
            f"the header line is one column ({header[0]!r:.60}): cells seem to be separated by "
            f"{OTHER_SEPARATORS[separator]}, where a .csv has commas and a .tsv tabs",
        )
    repeated = [name for name, count in Counter(header).items() if count > 1]
    if repeated:
        raise FileProblem("bad-table", f"two columns of the header line have the name '{repeated[0]}'")
    records: list[Any] = []
    numbers: list[int] = []
    raw = RawRows(records, numbers)
    number = 0
    for cells in lines:
        if not cells:
            continue
        number += 1
        if len(cells) == len(header):
            records.append(dict(zip(header, cells, strict=True)))
            numbers.append(number)
        else:
            reason = f"{len(cells)} cells under a header of {len(header)} columns"
            raw.refused.append((number, RowProblem("bad-table", reason)))
    if number == 0:
        raise FileProblem("empty-file", f"empty: no rows under the header line ({', '.join(header)[:80]})")
    return raw


def _parse_headerless(text: str) -> RawRows:
    rows = [line.rstrip("\r").split("\t") for line in text.split("\n") if line.strip()]
    width = Counter(map(len, rows)).most_common(1)[0][0]
    names = {2: ("question", "answer"), 3: ("question", "answer", "rationale")}.get(width)
    questions = sum(any(map(str.isalpha, row[0])) for row in rows)
    explained = sum(" " in row[-1] for row in rows)
    if names is None or 2 * questions < len(rows) or (width == 3 and 2 * explained < len(rows)):
        raise FileProblem(
            "unknown-format",
            f"a .tsv without a header line whose {width} columns are not question, answer[, rationale]; "
            f"first line: {text.splitlines()[0]!r:.80}",
        )
    records: list[Any] = []
    numbers: list[int] = []
    raw = RawRows(records, numbers, notes=[f"no header line: the columns are read as {', '.join(names)}"])
    if width == 3:
        raw.notes.append("a literal \\n is read as a line break")
        rows = [[cell.replace("\\n", "\n") for cell in row] for row in rows]
    for number, row in enumerate(rows, 1):
        if len(row) == width:
            records.append(dict(zip(names, row, strict=True)))
            numbers.append(number)
        else:
            reason = f"{len(row)} cells in a file of {width} columns"
            raw.refused.append((number, RowProblem("bad-table", reason)))
    return raw
