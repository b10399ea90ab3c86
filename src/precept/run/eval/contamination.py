"""Training files against evaluated items: what was seen before, and the scores of both kinds of items apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from precept.evaluate.contamination import describe, find_contamination, score_apart
from precept.evaluate.items import Item
from precept.evaluate.run import ItemResult
from precept.records import load
from precept.run.console import progress_line, say
from precept.run.data.rows import STREAM_FROM
from precept.types import Row


def check_contamination(
    items: Sequence[Item],
    results: Sequence[ItemResult],
    paths: Sequence[str],
    *,
    n: int = 8,
    share: float = 0.5,
) -> dict[str, Any]:
    """``{rule, files, items, touched, short, tasks, scores, found}``: the part of an evaluation's document that says
    which items the training rows in ``paths`` touched (``evaluate.contamination``).

    ``results`` are those of the items, in order. Rows of large JSON files are read one by one and not kept; rows that
    cannot be read are counted, since an item that only they hold passes as clean.
    """
    loaded = load(paths, stream_from=STREAM_FROM)
    with progress_line("looking for items in training rows", total=len(loaded.rows)) as progress:

        def told() -> Iterator[Row]:
            for number, row in enumerate(loaded.rows, start=1):
                yield row
                progress(number, len(loaded.rows))

        found = find_contamination(items, told(), n=n, share=share)
    if loaded.refusals:
        say(f"{len(loaded.refusals)} training rows or files could not be read, and were not searched")
    counts = describe(found)
    say(f"{counts['touched']} of {counts['items']} items were touched by {len(loaded.rows)} training rows")
    return {
        "rule": {"words": n, "share": share},
        "files": [{"path": file.path, "sha256": file.sha256, "rows": file.rows} for file in loaded.files],
        "unread": len(loaded.refusals),
        **counts,
        "scores": score_apart(results, found),
        "found": [asdict(finding) for finding in found if finding.status == "touched"],
    }
