"""Training files against evaluated items: what was seen before, and the scores of both kinds of items apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from precept.evaluate.contamination import ItemContamination, describe, find_contamination, score_apart
from precept.evaluate.items import Item
from precept.evaluate.run import ItemResult
from precept.run.console import progress_line, say
from precept.run.eval.training_files import TrainingRows
from precept.types import Row

WORDS, SHARE = 8, 0.5
"""Length of shared runs, and the share of a text that they have to exceed: the rule of Tulu 3 (2411.15124)."""


@dataclass(frozen=True)
class Searched:
    """What a search found of each item, in order, and what was searched: ``{rule, files, rows, unread}``."""

    findings: Sequence[ItemContamination]
    facts: dict[str, Any]


def search_training(items: Sequence[Item], training: Sequence[TrainingRows]) -> Searched:
    """Look for the items in training rows. Rows that cannot be read are counted, since an item that only they hold
    passes as clean."""
    read = [rows.load() for rows in training]
    total = sum(len(rows) for _, rows in read)
    with progress_line("looking for items in training rows", total=total) as progress:

        def told() -> Iterator[Row]:
            done = 0
            for _, rows in read:
                for row in rows:
                    yield row
                    done += 1
                    progress(done, total)

        findings = find_contamination(items, told(), n=WORDS, share=SHARE)
    counts = describe(findings)
    say(f"{counts['touched']} of {counts['items']} items were touched, training rows read: {total}")
    files = [file for loaded, _ in read for file in loaded.files]
    facts = {
        "rule": {"words": WORDS, "share": SHARE},
        "files": [{"path": file.path, "sha256": file.sha256, "rows": file.rows} for file in files],
        "rows": total,
        "unread": sum(len(loaded.refusals) for loaded, _ in read),
    }
    return Searched(findings, facts)


def contamination_document(
    searched: Searched, results: Sequence[ItemResult], *, against: Sequence[ItemResult] | None = None
) -> dict[str, Any]:
    """``{rule, files, rows, unread, items, touched, exact, normalized, words, short, tasks, scores, difference?,
    found}``: the part of an evaluation's document that says which items training rows touched
    (``evaluate.contamination``), with the scores of ``results``, those of the items in order, on both sides.

    ``tasks`` has counts and scores of each task, ``found`` every touched item with the rows that match best.
    """
    findings = searched.findings
    counts = describe(findings)
    tasks: dict[str, Any] = {}
    for name, entry in counts["tasks"].items():
        own = [place for place, finding in enumerate(findings) if finding.task == name]
        apart = score_apart([results[place] for place in own], [findings[place] for place in own])
        tasks[name] = {**entry, "scores": apart}
    difference = {} if against is None else {"difference": score_apart(results, findings, against=against)}
    return {
        **searched.facts,
        **counts,
        "tasks": tasks,
        "scores": score_apart(results, findings),
        **difference,
        "found": [{**asdict(finding), "match": finding.match} for finding in findings if finding.status == "touched"],
    }
