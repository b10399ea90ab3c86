"""``precept data``: show rows as rendered, count them, convert them."""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from precept.errors import InputError
from precept.records import FORMATS, describe, load, write
from precept.render import Explained
from precept.run.console import STDOUT, print_json, say
from precept.run.data.rows import read_rows, say_mappings
from precept.run.settings import RunSettings, parse_settings, parse_words, unknown_key
from precept.types import Row

SETTING = re.compile(r"[a-z_]+=")


def show(paths: Sequence[str], *, model: str, chat_template: str | None, limit: int, as_json: bool) -> None:
    """Print the first rows with their trained tokens marked."""
    from precept.render import show as show_row

    paths, settings = split_words(paths, chat_template)
    rows = read_rows(paths, bad_rows="drop").rows[:limit]
    renderer = _renderer(model, settings, rows)
    shown = []
    for row in rows:
        explained = renderer.explain(row)
        shown.append({"file": row.source.file, "row": row.source.row, **explained_json(explained)})
        if not as_json:
            STDOUT.rule(f"{row.source.file} row {row.source.row}")
            show_row(explained, STDOUT)
    if as_json:
        print_json({"rows": shown})


def stats(paths: Sequence[str], *, model: str | None, chat_template: str | None, as_json: bool) -> None:
    """Count rows by kind and refusals by reason; with a model also lengths and trained tokens."""
    paths, settings = split_words(paths, chat_template)
    loaded = load(paths)
    document: dict[str, Any] = describe(loaded)
    if model is not None and loaded.rows:
        rendered = _renderer(model, settings, loaded.rows).render(loaded.rows)
        for notice in rendered.notices:
            say(notice)
        lengths = sorted(len(sequence.ids) for sequence in rendered.sequences)
        document["tokens"] = {
            "sequences": len(lengths),
            "real": sum(lengths),
            "trained": sum(int((s.weights > 0).sum()) for s in rendered.sequences),
            "length": {p: lengths[min(len(lengths) - 1, len(lengths) * p // 100)] for p in (50, 90, 99, 100)}
            if lengths
            else {},
            "over_length": {
                policy: {"rows": rows, "tokens": count}
                for policy, (rows, count) in rendered.counts.over_length_losses.items()
            },
            "refused": [{"file": r.file, "row": r.row, "reason": r.reason} for r in rendered.refusals],
        }
        document["tokens"]["length"] = {f"p{p}": n for p, n in document["tokens"]["length"].items()}
    if as_json:
        say_mappings(loaded.files)
        print_json(document)
    else:
        _print_stats(document, loaded.files)
    if not any(entry["format"] for entry in document["files"]):
        reasons = {refusal["reason"] for entry in document["files"] for refusal in entry["refused"]}
        raise InputError(
            "no file could be read",
            code="no-readable-file",
            found="; ".join(sorted(reasons)[:5]),
            do="mend them, or name other files",
        )


def convert(paths: Sequence[str], *, to: str, output: Path, bad_rows: str, as_json: bool) -> None:
    """Write rows in another format; a row that cannot be expressed there is an error."""
    if to not in FORMATS:
        raise unknown_key(to, list(FORMATS), where=None, kind="format")
    rows = read_rows(paths, bad_rows=parse_bad_rows(bad_rows), do="--bad-rows drop").rows
    document = {"output": str(output), "format": to, **write(rows, output, to)}
    print_json(document) if as_json else say(f"{document['rows']} rows -> {output} ({to})")


def parse_bad_rows(value: str) -> Literal["error", "drop"]:
    """Check the value of ``--bad-rows``."""
    return parse_settings({"bad_rows": value}).data.bad_rows


def split_words(words: Sequence[str], chat_template: str | None) -> tuple[list[str], RunSettings]:
    """Paths, and the settings among them: ``key=value`` that is no file."""
    settings = [word for word in words if SETTING.match(word) and not Path(word).exists()]
    pairs = parse_words([*settings, *([f"chat_template={chat_template}"] if chat_template else [])])
    return [word for word in words if word not in settings], parse_settings(pairs)


def _renderer(model: str, settings: RunSettings, rows: Sequence[Row]) -> Any:
    from precept.models.folder import check_model_folder, resolve_model

    folder = resolve_model(model)
    checked = check_model_folder(folder, trust_remote_code=settings.model.trust_remote_code, weights=False)

    from precept.models.load import load_tokenizer
    from precept.run.tuning.prepare import longest_allowed, make_renderer, settings_for_texts

    tokenizer = load_tokenizer(folder)
    return make_renderer(
        tokenizer,
        checked,
        settings_for_texts(settings, tokenizer, rows),
        date=datetime.date.today(),
        max_length=longest_allowed(checked, settings),
    )


def explained_json(explained: Explained) -> dict[str, Any]:
    """A row laid open: each sequence's text and its tokens as [id, first character, one past the last, weight]."""
    return {
        "sequences": [
            {"text": s.text, "tokens": [[t.id, t.start, t.end, t.weight] for t in s.tokens]}
            for s in explained.sequences
        ],
        "refused": explained.refusal.reason if explained.refusal else None,
    }


def _print_stats(document: dict[str, Any], files: Sequence[Any]) -> None:
    for entry, file in zip(document["files"], files, strict=True):
        kinds = ", ".join(f"{entry[k]} {k}" for k in ("conversations", "comparisons", "texts") if entry[k])
        mapping = ", ".join(f"{ours} <- {theirs}" for ours, theirs in file.mapping.items())
        STDOUT.print(
            f"{entry['path']}: {entry['format'] or 'refused'}, {entry['rows']} rows ({kinds or 'none read'})",
            markup=False,
        )
        if mapping:
            STDOUT.print(f"    {mapping}", markup=False)
        for note in file.notes:
            STDOUT.print(f"    {note}", markup=False)
        for refusal in entry["refused"][:5]:
            where = f"row {refusal['row']}: " if refusal["row"] else ""
            STDOUT.print(f"    refused: {where}{refusal['reason']}", markup=False)
        if len(entry["refused"]) > 5:
            STDOUT.print(f"    and {len(entry['refused']) - 5} more refused rows", markup=False)
    if tokens := document.get("tokens"):
        lengths = ", ".join(f"{name} {value}" for name, value in tokens["length"].items())
        for reason, count in Counter(refusal["reason"] for refusal in tokens["refused"]).most_common(5):
            STDOUT.print(f"    refused by the template: {count} x {reason}", markup=False)
        for policy, lost in tokens["over_length"].items():
            STDOUT.print(f"    over_length={policy} would lose {lost['rows']} rows, {lost['tokens']:,} tokens")
        counts = f"{tokens['sequences']} sequences, {tokens['real']:,} tokens, {tokens['trained']:,} trained"
        STDOUT.print(f"{counts}; lengths {lengths}")
