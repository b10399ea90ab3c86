"""``precept data make METHOD``: one data step, from files to rows that later steps train on and ask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from precept.errors import InputError, WorkError
from precept.models.folder import resolve_model
from precept.records import load, write
from precept.records.instructions.built import Built
from precept.run.console import STDOUT, say
from precept.run.data.makers import MAKERS
from precept.run.data.rows import refusals_document, settle_refusals
from precept.run.data.steps import TokenCounter, files_hash, make_counter, named_files_hash, parse_keys
from precept.run.fingerprint import TOKENIZER, fingerprint
from precept.run.output import COMPLETED, Output, open_output, read_manifest, stored_result
from precept.run.settings import Where, unknown_key
from precept.settings import Settings
from precept.types import Comparison, Conversation

TRAIN, TEST, REPORT, SOURCES = "train.jsonl", "test.jsonl", "report.json", "sources.json"
MENDED = ", or the template or setting that they fail at"
"""What else there is to mend where a maker refuses rows that can be read."""


def make_data(
    method: str,
    *,
    data: Sequence[str],
    output: Path,
    pairs: Mapping[str, Any],
    fresh: bool = False,
    where: Where = lambda key: None,
) -> dict[str, Any]:
    """Make the rows of one method; returns the JSON document of ``precept data make``.

    ``{output, method, train, test, report}``: train and test are ``{path, rows}``, or null where there are no rows.
    """
    if method not in MAKERS:
        raise unknown_key(method, list(MAKERS), where=where("name"), kind="method")
    paths = [*data, *pairs.get("data", ())]
    if not paths:
        raise InputError("no data was named", code="no-data", do="add --data FILE")
    keys, settings = parse_keys(MAKERS[method], {**pairs, "data": paths}, where)
    counter = make_counter(keys.tokenizer)
    manifest = {
        "method": f"data.{method}",
        "data": paths,
        "data_hash": files_hash(paths),
        "files_hash": named_files_hash(settings),
        "tokenizer_hash": fingerprint(counter.folder, TOKENIZER) if counter else None,
        "teacher_hash": _teacher_hash(settings),
        "with": {**settings.model_dump(mode="json"), "bad_rows": keys.bad_rows},
    }
    if not fresh and (result := stored_result(output, manifest)) is not None:
        say(f"{output} holds these rows; nothing was done (--fresh makes them again)")
        return result
    with open_output(output, manifest, fresh=fresh or _unfinished(output, method)) as out:
        built = MAKERS[method].build(paths, settings, count_tokens=counter)
        kept = len(built.train) + len(built.test)
        settle_refusals(built.refused, kept=kept, bad_rows=keys.bad_rows, more=MENDED)
        refuse_unread(method, settings, counter, where)
        out.claim(manifest)
        result = _write(out, built, method)
        out.complete(result)
    return result


def print_made(result: Mapping[str, Any]) -> None:
    """A line a file."""
    for name in ("train", "test"):
        if entry := result[name]:
            STDOUT.print(f"{name}: {entry['rows']:,} rows -> {entry['path']}", markup=False)
    STDOUT.print(f"what became of the sources: {result['report']}", markup=False)


def refuse_unread(method: str, settings: Settings, counter: TokenCounter | None, where: Where) -> None:
    """Raise InputError naming the keys that were set to something else than their default and that nothing read."""
    values = settings.model_dump()
    fields = type(settings).model_fields
    unread = [
        key for key in settings.unread_keys() if values[key] != fields[key].get_default(call_default_factory=True)
    ]
    if counter is not None and not counter.used:
        unread.append("tokenizer")
    if unread:
        names = ", ".join(f"'{key}'" for key in unread)
        raise InputError(
            f"{names} would have no effect on these rows: {method} did not read it",
            code="setting-not-read",
            where=where(unread[0]),
            do=f"remove {'them' if len(unread) > 1 else 'it'}, or set what it belongs to",
        )


def _teacher_hash(settings: Settings) -> str | None:
    """The fingerprint of the model folder that writes rows; None without one, and where a server writes them."""
    values = settings.model_dump()
    teacher = values.get("teacher")
    return None if teacher is None or values.get("teacher_url") else fingerprint(resolve_model(str(teacher)))


def _unfinished(output: Path, method: str) -> bool:
    """Whether the folder holds the beginning of a step of this method, which is nothing to keep."""
    stored = read_manifest(output) if output.is_dir() else None
    return stored is not None and stored.get("method") == f"data.{method}" and not (output / COMPLETED).is_file()


def _write(out: Output, built: Built, method: str) -> dict[str, Any]:
    """The rows, the report, and for each row the file and row that it came from."""
    parts = {"train": (TRAIN, built.train), "test": (TEST, built.test)}
    if not built.train:
        say("no row to train on: every task is tested or left out (report.json says why)")
    result: dict[str, Any] = {"output": str(out.folder), "method": method}
    for part, (name, rows) in parts.items():
        result[part] = None
        if rows:
            path = out.folder / name
            write(rows, path, "preference" if isinstance(rows[0], Comparison) else "messages")
            _check_read_back(path, rows)
            result[part] = {"path": str(path), "rows": len(rows)}
    names = {row.source.file: None for _, rows in parts.values() for row in rows}
    place = {name: number for number, name in enumerate(names)}
    sources = {part: [(place[r.source.file], r.source.row) for r in rows] for part, (_, rows) in parts.items()}
    out.write_json(SOURCES, {"files": list(names), **sources})
    out.write_json(REPORT, {"method": method, **built.report, "unusable": refusals_document(built.refused)})
    return {**result, "report": str(out.folder / REPORT)}


def _check_read_back(path: Path, rows: Sequence[Conversation | Comparison]) -> None:
    """Later steps read what was made, not something like it: each row equal but for its place and hash."""
    loaded = load([str(path)])
    found = {row.source.row: row for row in loaded.rows}
    for number, row in enumerate(rows, 1):
        again = found.get(number)
        source = row.source
        if again is not None:
            source = replace(again.source, id=row.source.id, licence=row.source.licence)
        if again != replace(row, source=source):
            reason = next(
                (refusal.reason for refusal in loaded.refusals if refusal.row == number), "it reads otherwise"
            )
            last = row.answers[-1] if isinstance(row, Comparison) else row
            raise WorkError(
                "a row does not read back as it was made",
                code="row-not-read-back",
                where=f"{row.source.file} row {row.source.row}",
                found=f"{reason}: {last.messages[-1].content!r:.200}",
                do="leave this row out, or take out of its texts what reading removes (end markers, '####')",
            )
