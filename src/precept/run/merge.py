"""``precept merge``: fold an adapter into its full-precision base, with the measured difference."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from precept.models.folder import check_adapter, resolve_model
from precept.run.console import print_json, say
from precept.run.fingerprint import fingerprint
from precept.run.output import open_output, stored_result


def merge(adapter: str, *, output: Path, fresh: bool, as_json: bool) -> None:
    """Merge, measure, save. Refuses an output folder that holds something else; a finished merge is told again."""
    folder = resolve_model(adapter)
    check_adapter(folder)
    manifest = {
        "method": "merge",
        "model": adapter,
        "model_hash": fingerprint(folder),
        "with": {},
    }
    document = None if fresh else stored_result(output, manifest)
    if document is None:
        with open_output(output, manifest, fresh=fresh) as out:
            out.claim(manifest)
            document = fold_into(adapter, output)
            out.complete(document)
    if as_json:
        print_json(document)
        return
    for key, value in document.items():
        say(f"{key}: {value}")


def fold_into(adapter: str, output: Path) -> dict[str, Any]:
    """Fold an adapter folder into its base in ``output``; returns what was measured."""
    folder = resolve_model(adapter)
    check_adapter(folder)

    from precept.models.merge import merge as fold

    return {"output": str(output), **asdict(fold(folder, output))}
