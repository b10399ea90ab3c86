"""The README's commands, run in order on its own example files with a tiny model in place of `my-model`."""

from __future__ import annotations

import io
import re
import shlex
import shutil
from pathlib import Path

import pytest
from tests.command_line import precept
from tests.tiny import tiny_model_folder

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands(page: str) -> list[list[str]]:
    """The words of every line of the page's console blocks, without the leading ``precept``."""
    blocks = re.findall(r"^```console\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    words = [shlex.split(line) for line in lines]
    assert words and all(line[0] == "precept" for line in words)
    return [line[1:] for line in words]


def test_every_command_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("Who keeps the lighthouse?\n/exit\n"))
    for file in (ROOT / "examples" / "data").glob("*.json*"):
        shutil.copy(file, tmp_path)
    tiny_model_folder(tmp_path / "my-model", max_position_embeddings=1024)
    for words in commands(README):
        ended = precept(*words)
        assert ended.code == 0, f"precept {' '.join(words)}\n{ended.err}"
    for made in ("tuned", "tuned-lora", "merged", "first-run/tune", "first-run/eval"):
        assert (tmp_path / made / "COMPLETED").is_file(), made


def test_links_of_the_documents_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
        if not (page.parent / target).exists()
    ]
    assert not broken
