"""AlpacaEval annotations -> comparisons: ``instruction``, ``output_1``, ``output_2`` and ``preference`` (1 or 2).

A preference between 1 and 2 is the probability that the second is better, plus 1. 1.5 and 0 are ties and refused.
"""

from __future__ import annotations

from precept.records.problems import RowProblem
from precept.records.readers.alpaca import join_input
from precept.records.readers.reader import Columns, Layout, Reader, Record, optional_text, text_of
from precept.types import Answer, Comparison, Message, Source


def _match(columns: Columns) -> Layout | None:
    if not columns.has("instruction", "output_1", "output_2", "preference"):
        return None
    mapping = {"prompt": "instruction", "first": "output_1", "second": "output_2", "rank": "preference"}
    return Layout(mapping, used=frozenset({"input"}))


def _read(record: Record, layout: Layout, source: Source) -> Comparison:
    preference = record.get("preference")
    if preference in (0, 1.5):
        raise RowProblem("tie", f"column 'preference' is {preference}: a tie")
    if isinstance(preference, bool) or not isinstance(preference, int | float) or not 1 <= preference <= 2:
        raise RowProblem("no-preference", f"column 'preference' holds {preference!r:.40}, not a number from 1 to 2")
    better, worse = ("output_1", "output_2") if preference < 1.5 else ("output_2", "output_1")
    question = join_input(text_of(record, "instruction"), optional_text(record, "input"))
    return Comparison(
        prompt=(Message("user", question),),
        answers=(
            Answer((Message("assistant", text_of(record, better)),), rank=1),
            Answer((Message("assistant", text_of(record, worse)),), rank=2),
        ),
        source=source,
    )


READER = Reader(name="annotations", columns="instruction, output_1, output_2, preference", match=_match, read=_read)
