"""The day that a model's templates print."""

from __future__ import annotations

import datetime
from pathlib import Path

from precept.run.output import read_manifest


def stored_template_date(folder: Path) -> datetime.date | None:
    """The template date of the run that made a folder: its templates print the same day ever after."""
    stored = (read_manifest(folder) or {}).get("template_date")
    return datetime.date.fromisoformat(str(stored)) if stored else None
