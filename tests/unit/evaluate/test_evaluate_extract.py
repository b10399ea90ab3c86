from precept.evaluate.extract import RULES


def test_first_line_is_the_first_that_is_not_blank():
    assert RULES["first_line"]("\n \n yes, it is \nbecause") == "yes, it is"
    assert RULES["first_line"]("") == ""


def test_bbh_direct_reads_up_to_the_first_line_feed_and_drops_one_period():
    assert RULES["bbh_direct"](" (A).\n\nQ: next") == "(A)"
    assert RULES["bbh_direct"]("True..") == "True."
    assert RULES["bbh_direct"]("\nTrue") == ""


def test_bbh_cot_reads_after_the_last_phrase_of_the_first_paragraph():
    output = "The answer is hidden. So the answer is no, so the answer is (B).\n\nQ: the answer is (C)."
    assert RULES["bbh_cot"](output) == "(B)"
    assert RULES["bbh_cot"](" (B).\nQ") == "(B).\nQ"


def test_first_line_answer_takes_the_phrase_in_any_case_and_nothing_after_the_line():
    assert RULES["first_line_answer"]("\nSo The Answer Is: (B) red.\n\nQ: next\nThe answer is C") == "(B) red."
    assert RULES["first_line_answer"]("(B)\nthe answer is (C)") == "(B)"


def test_stated_answer_reads_the_first_paragraph_that_states_one():
    output = "Let us think.\n\nThe answer is red? No: the answer is\n(B) blue\nas asked.\n\nQ: the answer is (C)"
    assert RULES["stated_answer"](output) == "(B) blue"
    assert RULES["stated_answer"]("\n(B)\nthat is all") == "(B)"


def test_none_keeps_the_output_as_it_is():
    assert RULES["none"](" a \n") == " a \n"
