"""``precept data``: settings beside paths, and a folder that holds no weights."""

from __future__ import annotations

from pathlib import Path

from tests.command_line import chat_rows, precept, write_rows


def test_settings_stand_beside_the_paths(base_folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    write_rows(rows, chat_rows(3))
    whole = precept("data", "stats", str(rows), "-m", str(base_folder), "--json")
    prompts = precept("data", "stats", str(rows), "prompt_weight=0.5", "-m", str(base_folder), "--json")
    assert (whole.code, prompts.code) == (0, 0), prompts.err
    assert prompts.json["tokens"]["trained"] > whole.json["tokens"]["trained"]
    wrong = precept("data", "show", str(rows), "prompt_wait=0.5", "-m", str(base_folder))
    assert wrong.code == 2
    assert "did you mean 'prompt_weight'?" in wrong.err


def test_a_tokenizer_and_a_configuration_are_enough_to_look_at_rows(base_folder: Path, tmp_path: Path) -> None:
    rows, folder = tmp_path / "rows.jsonl", tmp_path / "light"
    write_rows(rows, chat_rows(1))
    folder.mkdir()
    for path in base_folder.iterdir():
        if path.suffix in {".json", ".jinja"}:
            (folder / path.name).write_bytes(path.read_bytes())
    shown = precept("data", "show", str(rows), "-m", str(folder))
    assert shown.code == 0, shown.err
    assert "tokens" in shown.out
