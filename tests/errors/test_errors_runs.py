"""Each error of an output folder, a run's command or its training, by its smallest case."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.command_line import precept

TASK = "family: references\n"
PAIRS = '{"prompt": "p", "chosen": "a", "rejected": "b"}\n'

# code: the files of the case, and the command, in which BASE is a tiny model and CHAT a file of rows for it
RUNS: dict[str, tuple[dict[str, str], str]] = {
    "config-unreadable": ({}, "import-config gone.yaml"),
    "count-without-device": ({}, "plan -m BASE -d CHAT --count 2"),
    "duplicate-task": ({}, "eval -m BASE -t CHAT -t CHAT"),
    "manifest-damaged": ({"o/run.yaml": "- a"}, "train sft -m BASE -d CHAT -o o"),
    "max-length-beyond-context": ({}, "train sft -m BASE -d CHAT -o o max_length=257"),
    "no-recipe": ({}, "init"),
    "no-training-step": ({}, "check"),
    "output-differs": ({"o/run.yaml": "with: {seed: 9}"}, "train sft -m BASE -d CHAT -o o"),
    "output-foreign": ({"o/x": ""}, "train sft -m BASE -d CHAT -o o"),
    "output-is-a-file": ({"o": ""}, "train sft -m BASE -d CHAT -o o"),
    "recipe-and-model": ({}, "check sft --model BASE --data CHAT"),
    "task-without-data": ({"t.yaml": TASK}, "eval -m BASE -t t.yaml"),
    "unknown-device": ({}, "plan -m BASE -d CHAT --device h1000"),
    "unknown-tool": ({"a.yaml": "a: 1"}, "import-config a.yaml --from tlr"),
    "wrong-kind-of-rows": ({"p.jsonl": PAIRS}, "train sft -m BASE -d p.jsonl -o o"),
}


@pytest.mark.parametrize("code", RUNS)
def test_the_command_ends_in_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base_folder: Path, chat_file: Path, code: str
) -> None:
    files, words = RUNS[code]
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    paths = {"BASE": str(base_folder), "CHAT": str(chat_file)}
    ended = precept(*(paths.get(word, word) for word in words.split()))
    assert ended.code in (1, 2) and "\n  do: " in ended.err and f"\n  code: {code}\n" in ended.err, ended.err
