"""Dialogues of two in the Flan Collection: turns of rows, dialogues as text, the next turn, and the way back."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import WordCounter

from precept.records.instructions.dialogue_text import dialogue_block, draw_reply, list_dialogue, read_dialogue
from precept.records.instructions.flan import FlanSettings
from precept.records.instructions.flan import build as build_flan
from precept.records.instructions.flan_collection import FlanCollectionSettings, build
from precept.records.instructions.flan_templates import shipped_templates
from precept.records.instructions.options_text import collection_table
from precept.records.problems import RowProblem
from precept.types import Conversation

TURNS = ("Hi.", "Hello.", "Tea?", "Yes.")


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def talks(count: int) -> list[dict[str, Any]]:
    return [{"dialog": [f"Ask {n}.", f"Reply {n}.", f"Ask {n} again.", f"Reply {n} again."]} for n in range(count)]


def asked(row: Conversation) -> str:
    return row.messages[0].content or ""


@pytest.mark.parametrize(
    "turns",
    [
        list(TURNS),
        [{"role": role, "content": text} for role, text in zip(["user", "assistant"] * 2, TURNS, strict=True)],
        [{"from": name, "value": text} for name, text in zip(["human", "gpt"] * 2, TURNS, strict=True)],
        [{"speaker": name, "utterance": text, "frames": []} for name, text in zip("UVUV", TURNS, strict=True)],
    ],
)
def test_turns_are_read_of_texts_and_of_the_common_objects(turns: list[Any]) -> None:
    assert read_dialogue(turns) == TURNS


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ("Hi.", "its dialogue is a string, not a list of turns"),
        ([], "its dialogue is a list, not a list of turns"),
        (["Hi.", " "], "turn 2 of its dialogue has no text"),
        (["Hi.", None], "turn 2"),
        ([{"role": "user"}], "turn 1"),
        ([{"role": "user", "content": "a"}, {"role": "user", "content": "b"}], "two speakers by turns"),
        ([{"role": role, "content": role} for role in ("system", "user", "assistant")], "two speakers by turns"),
        ([{"text": "a"}, {"text": "b"}], "two speakers by turns"),  # who says it is not told
    ],
)
def test_what_is_no_dialogue_of_two_is_refused(turns: Any, reason: str) -> None:
    with pytest.raises(RowProblem, match=reason) as caught:
        read_dialogue(turns)
    assert caught.value.code == "bad-dialogue"


def test_a_drawn_reply_is_a_turn_of_the_speaker_who_did_not_begin() -> None:
    drawn = {draw_reply(TURNS, random.Random(seed)) for seed in range(30)}
    assert drawn == {(("Hi.",), "Hello."), (("Hi.", "Hello.", "Tea?"), "Yes.")}
    # of long dialogues one of the first twenty replies: turns 2 to 40
    long = [str(n) for n in range(1, 101)]
    replies = {int(draw_reply(long, random.Random(seed))[1]) for seed in range(400)}
    assert replies == set(range(2, 41, 2))
    with pytest.raises(RowProblem, match="no reply"):
        draw_reply(["Hi."], random.Random(0))


def test_a_plain_dialogue_leaves_its_last_line_to_whose_turn_it_is() -> None:
    assert dialogue_block(["Hi.", "Hello."]) == "DIALOGUE:\n- Hi.\n- Hello.\n-"
    assert dialogue_block(["Hi.", "Hello."], goes_on=False) == "- Hi.\n- Hello."


def test_a_drawn_dialogue_names_its_speakers_by_turns_and_ends_with_the_next_name() -> None:
    texts = {list_dialogue(["Hi.", "Hello.", "Tea?"], random.Random(seed)) for seed in range(4000)}
    assert "Transcript:\nPerson 1: Hi.\nPerson 2: Hello.\nPerson 1: Tea?\nPerson 2:" in texts
    assert "CHAT:\nA: Hi.\n\nB: Hello.\n\nA: Tea?\n\nB:" in texts
    assert all(text == text.rstrip(" ") for text in texts)
    back = {list_dialogue(["Hi.", "Hello."], random.Random(seed), goes_on=False) for seed in range(400)}
    table = collection_table()
    assert len(back) == len(table["dialogue_speakers"]) * len(table["dialogue_ends"])  # no header
    assert "Anna: Hi.\nBen: Hello." in back


def test_dialogues_and_their_inversion_have_ten_wordings_each() -> None:
    for kind, given, wanted in (("dialog", "{dialog_}", "{answer}"), ("dialog_inversion", "{answer}", "{dialog_}")):
        patterns = shipped_templates(kind).patterns
        assert len(set(patterns)) == 10
        assert all(given in pattern.inputs and wanted not in pattern.inputs for pattern in patterns)
        assert all(pattern.targets == wanted for pattern in patterns)


def test_the_next_turn_is_asked_and_from_a_reply_what_was_said_before(tmp_path: Path) -> None:
    settings = FlanCollectionSettings(weights="run_example", without=("few_shot",), rows=260)
    built = build([write(tmp_path, "talks.jsonl", talks(30))], settings)
    report = built.report["submixtures"]
    assert {name: entry["rows"] for name, entry in report.items()} == {"dialog": 200, "dialog inverted": 60}  # 1 : 0.3
    for row in built.train:
        answer = row.messages[1].content or ""
        if row.task == "talks":
            assert answer.startswith("Reply") and answer not in asked(row) and "Ask" in asked(row)
        else:
            assert row.task == "talks_inverted" and "Reply" in asked(row) and "Ask" in answer
    assert set(built.report["styles"]) == {"dialog zsopt", "dialog inverted zsopt"}  # no noopt version


def test_few_shot_dialogues_show_other_dialogues(tmp_path: Path) -> None:
    settings = FlanCollectionSettings(zero_shot_share=0, without=("inversion",), rows=60)
    built = build([write(tmp_path, "talks.jsonl", talks(30))], settings, count_tokens=WordCounter())
    assert built.train
    for row in built.train:
        own = row.source.row - 1
        shown = {n for n in range(30) if f"Ask {n}." in asked(row)}
        assert own in shown and 2 <= len(shown) <= 6
        assert asked(row).count("DIALOGUE:") == len(shown)


def test_a_row_may_tell_its_reply(tmp_path: Path) -> None:
    row = {"history": ["Hi.", "Hello."], "response": "Tea?", "knowledge": "x"}
    plan = tmp_path / "plan.yaml"
    plan.write_text("tasks: {talks: {kind: dialog, fields: {dialog_: history}, answer: response}}")
    path = write(tmp_path, "talks.jsonl", [row])
    made = build_flan([path], FlanSettings(tasks=plan, templates_per_task=1)).train[0]
    assert [message.content for message in made.messages] == ["DIALOGUE:\n- Hi.\n- Hello.\n-", "Tea?"]


def test_where_a_table_has_no_weight_for_dialogues_they_are_mixed_with_flans_tasks(tmp_path: Path) -> None:
    films = [{"text": f"Film {n}.", "options": ["bad", "good"], "answer": "good"} for n in range(30)]
    paths = [write(tmp_path, "talks.jsonl", talks(10)), write(tmp_path, "sst2.jsonl", films)]
    paths.append(write(tmp_path, "p3.jsonl", [{"prompt": f"{n}?", "completion": f"{n}!"} for n in range(30)]))
    settings = FlanCollectionSettings(weights="chung_b", without=("few_shot", "inversion"))
    wanted = {name: entry["wanted"] for name, entry in build(paths, settings).report["submixtures"].items()}
    # 46.0 for flan's 30 and the dialogues' 10 rows, 27.9 for P3
    total = 46.0 + 27.9
    assert wanted == pytest.approx({"flan": 34.5 / total, "dialog": 11.5 / total, "t0": 27.9 / total})


def test_rows_that_are_no_dialogues_are_refused_by_name(tmp_path: Path) -> None:
    rows = [*talks(2), {"dialog": ["alone"]}, {"dialog": None}]
    built = build([write(tmp_path, "talks.jsonl", rows)], FlanCollectionSettings(without=("few_shot",)))
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(3, "bad-dialogue"), (4, "bad-dialogue")]


def test_released_dialogues_are_read(shared_data: Path) -> None:
    files = [str(shared_data / "sgd" / "train" / "dialogues_001.json")]
    built = build(files, FlanCollectionSettings(without=("few_shot",)))
    assert not built.refused and built.report["submixtures"]["dialog"]["rows"] > 20
