"""The form of an answer, apart from its being right."""

from __future__ import annotations

import pytest

from precept.evaluate.answer_form import AnswerForm, form_of, same_form


def test_a_form_is_words_parts_number_capital_and_end() -> None:
    assert form_of(" Anna lives in Arden. ") == AnswerForm(4, 1, False, True, ".")
    assert form_of("pear, plum, fig") == AnswerForm(3, 3, False, False, "")
    assert form_of("14") == AnswerForm(1, 1, True, False, "")
    assert form_of("") == AnswerForm(0, 1, False, False, "")


@pytest.mark.parametrize(
    ("prediction", "reference", "score"),
    [
        ("Ben", "Anna", 1.0),  # wrong, and a name
        ("red", "Anna", 0.0),  # no name
        ("12", "14", 1.0),
        ("twelve", "14", 0.0),
        ("fig, pear", "plum, fig", 1.0),
        ("fig pear", "plum, fig", 0.0),
        ("red.", "blue", 0.0),  # goes on to end a sentence
        ("red red red", "blue", 0.0),
        ("", "blue", 0.0),
    ],
)
def test_same_form_compares_how_answers_look(prediction: str, reference: str, score: float) -> None:
    assert same_form(prediction, reference) == score
