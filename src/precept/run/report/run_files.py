"""The files of a run folder, read for its page. What is not there, or cannot be read, is noted and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import yaml

from precept.run.output import COMPLETED, MANIFEST

TRAINING_FILES = {
    MANIFEST: "method and settings",
    "metrics.jsonl": "the curves",
    "data_manifest.json": "files and rows",
    "environment.json": "machine and versions",
    "README.md": "the model card, written when training is done",
    COMPLETED: "written last: this training step is not done",
}


@dataclass(frozen=True)
class RunFiles:
    """A folder whose files are asked for one by one; ``missing`` grows by a line for each that does not come."""

    folder: Path
    missing: list[str] = field(default_factory=list)

    def document(self, name: str, *, holds: str) -> dict[str, Any]:
        """A JSON or YAML file that holds one mapping; empty where there is none."""
        parse: Callable[[bytes], Any] = yaml.safe_load if name.endswith(".yaml") else orjson.loads
        found = self._read(name, holds, parse)
        if found is not None and not isinstance(found, dict):
            self.note(name, "holds no mapping")
        return found if isinstance(found, dict) else {}

    def lines(self, name: str, *, holds: str) -> list[dict[str, Any]]:
        """The objects of a JSON lines file. A killed process may leave a torn last line: it is no line."""
        found = self._read(name, holds, lambda text: [orjson.loads(line) for line in text.split(b"\n")[:-1] if line])
        return [entry for entry in found or [] if isinstance(entry, dict)]

    def text(self, name: str, *, holds: str) -> str:
        """A text file."""
        return self._read(name, holds, bytes.decode) or ""

    def _read(self, name: str, holds: str, parse: Callable[[bytes], Any]) -> Any:
        path = self.folder / name
        if not path.is_file():
            self.note(name, holds)
            return None
        try:
            return parse(path.read_bytes())
        except (OSError, ValueError, yaml.YAMLError) as error:
            self.note(name, f"cannot be read: {' '.join(str(error).split())}")
            return None

    def note(self, name: str, why: str) -> None:
        """Write down that a file, or what it should hold, is not there."""
        self.missing.append(f"{self.folder / name} ({why})")
