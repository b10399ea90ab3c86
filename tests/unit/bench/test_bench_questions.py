"""Questions of Big-Bench Hard as requests, and two sides that take turns."""

import json
import sys

import pytest
from bench.alternate import Side, compare
from bench.questions import make_questions
from tests.tiny import tiny_tokenizer

TOKENIZER = tiny_tokenizer().backend_tokenizer
LISTED = "Which is a colour?\nOptions:\n(A) red\n(B) six"
SIDE = """
import json, sys
sys.path.insert(0, ".")
from bench.alternate import answer_questions
answer_questions(lambda question: {"seconds": SECONDS * question["part"]})
"""


def questions(tmp_path, examples, items=2):
    (tmp_path / "bbh").mkdir()
    (tmp_path / "bbh" / "some_task.json").write_text(json.dumps({"examples": examples}))
    return make_questions("bbh", TOKENIZER, data=tmp_path, items=items)


def text(ids):
    return TOKENIZER.decode(list(ids), skip_special_tokens=False)


def test_listed_options_follow_the_question_after_three_worked_examples(tmp_path):
    asked = questions(tmp_path, [{"input": LISTED, "target": "(A)"}] * 6)
    assert len(asked) == 2
    assert [text(option) for option in asked[0].options] == [" (A)", " (B)"]
    assert text(asked[0].context).count("A: (A)\n\n") == 3
    assert text(asked[0].context).endswith(f"Q: {LISTED}\nA:")
    assert asked[0].task == "some task"


def test_without_a_list_the_answers_of_the_file_are_the_options(tmp_path):
    asked = questions(tmp_path, [{"input": f"Is {n} even?", "target": ("Yes", "No")[n % 2]} for n in range(5)])
    assert [text(option) for option in asked[0].options] == [" No", " Yes"]


def test_a_file_of_too_many_answers_asks_nothing(tmp_path):
    assert questions(tmp_path, [{"input": f"Sort {n}", "target": f"answer {n}"} for n in range(30)]) == []


def test_ratios_are_taken_pair_by_pair_after_a_warm_up(tmp_path):
    def side(seconds):
        program = SIDE.replace("SECONDS", str(seconds))
        return Side([sys.executable, "-c", program], tmp_path / f"{seconds}.log")

    with side(0.5) as ours, side(2) as theirs:
        result = compare(ours, theirs, pairs=3, part=2)
    assert result["ratio"] == {"median": 4.0, "low": 4.0, "high": 4.0, "pairs": [4.0, 4.0, 4.0]}
    assert result["ours"]["seconds"] == 1.0
    assert result["theirs"]["peak_mib"] > 0


def test_a_side_that_ends_is_told_with_its_log(tmp_path):
    program = "import sys; print('no such model', file=sys.stderr)"
    with (
        Side([sys.executable, "-c", program], tmp_path / "log") as side,
        pytest.raises(SystemExit, match="no such model"),
    ):
        side.ask(part=1)
