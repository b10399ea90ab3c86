import pytest

from precept.evaluate.ifeval import Check, follow_all

LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
ENGLISH = "the weather is nice today and we are going to walk along the river with our friends"

# instruction, arguments, response, whether it follows
CASES = [
    # keywords are regular expressions and found inside words
    ("keywords:existence", {"keywords": ["intern", "grow"]}, "INTERNAL growth", True),
    ("keywords:existence", {"keywords": ["intern", "grow"]}, "an intern", False),
    ("keywords:existence", {"keywords": ["gr[ao]w"]}, "graw", True),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, **LEAST}, "War and warm peace", True),
    ("keywords:frequency", {"keyword": " war ", "frequency": 1, **LEAST}, "war", True),  # outer blanks go
    ("keywords:frequency", {"keyword": "war", "frequency": 2, **LESS}, "War and warm peace", False),
    ("keywords:frequency", {"keyword": "war", "frequency": 0, **LESS}, "peace", False),  # nothing is below zero
    ("keywords:frequency", {"keyword": "war", "frequency": 0, **LEAST}, "peace", True),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "sand"]}, "rocket and sandy", True),
    ("keywords:forbidden_words", {"forbidden_words": ["rock", "sand"]}, "a ROCK.", False),
    ("keywords:letter_frequency", {"letter": "T", "let_frequency": 2, "let_relation": "at least"}, "Two tins", True),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 2, "let_relation": "less than"}, "Two tins", False),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 0, "let_relation": "less than"}, "none", False),
    ("keywords:letter_frequency", {"letter": "t", "let_frequency": 0, "let_relation": "at least"}, "none", True),
    # the published code counts a random letter in place of "#"
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 4, "let_relation": "at least"}, "#a #b ##", True),
    ("keywords:letter_frequency", {"letter": "#", "let_frequency": 4, "let_relation": "at least"}, "#a #b #", False),
    ("language:response_language", {"language": "en"}, ENGLISH, True),
    ("language:response_language", {"language": "de"}, ENGLISH, False),
    ("language:response_language", {"language": "de"}, "123 456", True),  # nothing tells the language
    ("length_constraints:number_sentences", {"num_sentences": 2, **LEAST}, "Dr. Who came. He left.", True),
    ("length_constraints:number_sentences", {"num_sentences": 2, **LESS}, "Dr. Who came. He left.", False),
    ("length_constraints:number_sentences", {"num_sentences": 2, **LESS}, "Dr. Who came", True),
    # "don't stop - e-mail me" has don, t, stop, e, mail, me: 6 words (golden value 10)
    ("length_constraints:number_words", {"num_words": 6, **LEAST}, "don't stop - e-mail me", True),
    ("length_constraints:number_words", {"num_words": 7, **LEAST}, "don't stop - e-mail me", False),
    ("length_constraints:number_words", {"num_words": 6, **LESS}, "don't stop - e-mail me", False),
    ("length_constraints:number_words", {"num_words": 7, **LESS}, "don't stop - e-mail me", True),
    # golden value 10
    ("length_constraints:number_paragraphs", {"num_paragraphs": 3}, "p1\n***\np2\n***\np3", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "p1\n***\np2\n***\np3", False),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\np1\n***\np2\n***\n", True),  # blank at ends
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "p1\n***\n\n***\np2", False),  # blank between
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, "p1\n\np2", True),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 0}, "p1", False),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
        "Hi.\n\n \"weekend's over\n",
        True,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "weekend"},
        "Hi.\n\nweekend",
        False,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "hi"},
        "Hi.\n\nweekend\n\nthird",
        False,
    ),
    (  # a blank paragraph does not count, and still has a place of its own
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "b"},
        "a\n\n\n\nb",
        False,
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 2, "first_word": "a"},
        "a",
        False,
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [a [b] c]", True),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[name], [a\nb]", False),
    ("detectable_content:number_placeholders", {"num_placeholders": 0}, "none", True),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. p. s. more", True),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. PS more", False),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "Bye.\nP. P. S more", True),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.S. more", False),
    ("detectable_content:postscript", {"postscript_marker": "N.B."}, "n.b. this", True),
    ("detectable_content:postscript", {"postscript_marker": "N.B."}, "nobody", False),
    # "one", "two", "three" and "five": "**" opens no bullet (golden value 10)
    ("detectable_format:number_bullet_lists", {"num_bullets": 4}, "* one\n* two\n- three\n** four\n  * five", True),
    ("detectable_format:number_bullet_lists", {"num_bullets": 3}, "* one\n* two\n- three\n** four\n  * five", False),
    ("detectable_format:number_bullet_lists", {"num_bullets": 0}, "none", True),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe. Or not.", True),
    ("detectable_format:constrained_response", {}, "My answer is Yes.", False),
    # "**" before and after "bold" are empty; the double-star pair is one (golden value 10)
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "**bold**", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "**bold**", False),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*a* and *b*", True),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 1}, "* * and *a\nb*", False),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSECTION2 b",
        True,
    ),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "SECTION", "num_sections": 2},
        "SECTION 1\na\nSection 2\nSECTION b",
        False,
    ),
    ("detectable_format:json_format", {}, '```json\n{"a": [1, null]}\n```', True),
    ("detectable_format:json_format", {}, "```\n[]```", True),
    ("detectable_format:json_format", {}, ' "text" ', True),
    ("detectable_format:json_format", {}, "{'a': 1}", False),
    ("detectable_format:json_format", {}, "```python\n[]\n```", False),
    ("detectable_format:json_format", {}, "Here: {}", False),
    ("detectable_format:json_format", {}, "[" * 100_000, False),
    ("detectable_format:title", {}, "So:\n<<poem of joy>>", True),
    ("detectable_format:title", {}, "<< >>\n<<>>\n<a>\n<<no\nend>>", False),
    ("combination:two_responses", {}, "******\nyes\n******\nno\n******", True),
    ("combination:two_responses", {}, "yes ****** yes", False),
    ("combination:two_responses", {}, "yes", False),
    ("combination:two_responses", {}, "a ****** b ****** c", False),
    ("combination:two_responses", {}, "a ****** ****** b", False),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem. "}, " write a Poem.\n\nRoses", True),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Write a poem."}, "Sure: Write a poem.", False),
    ("startend:end_checker", {"end_phrase": "Any questions? "}, 'Fine. "any Questions?"\n', True),
    ("startend:end_checker", {"end_phrase": "Any questions?"}, "Any questions? No.", False),
    ("startend:quotation", {}, ' "all of it" ', True),
    ("startend:quotation", {}, '"', False),
    ("startend:quotation", {}, '"half', False),
    ("startend:quotation", {}, "“curly”", False),
    # IT, 'S, A, NASA and U.S. are in capitals: 5 tokens
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 5, "capital_relation": "at least"},
        "IT'S A NASA-like U.S. NASA",
        True,
    ),
    (
        "change_case:capital_word_frequency",
        {"capital_frequency": 5, "capital_relation": "less than"},
        "IT'S A NASA-like U.S. NASA",
        False,
    ),
    ("change_case:capital_word_frequency", {"capital_frequency": 1, "capital_relation": "less than"}, "none", True),
    ("change_case:english_capital", {}, "THIS IS THE BEST ANSWER TO WHAT YOU WANTED TO KNOW ABOUT THE WEATHER.", True),
    ("change_case:english_capital", {}, "THIS IS THE BEST ANSWER TO WHAT YOU WANTED TO KNOW ABOUT THE WEATHEr.", False),
    ("change_case:english_lowercase", {}, ENGLISH, True),
    ("change_case:english_lowercase", {}, f"{ENGLISH}. Yes", False),
    ("change_case:english_lowercase", {}, "das wetter ist heute schön und wir gehen mit freunden spazieren", False),
    ("change_case:english_lowercase", {}, "123", False),  # nothing in lower case
    ("punctuation:no_comma", {}, "a; b， c", True),  # the full-width comma is another character
    ("punctuation:no_comma", {}, "a, b", False),
]


def follows(check: Check, response: str) -> bool:
    (strict,) = follow_all([check], response).strict
    return strict


@pytest.mark.parametrize(("name", "arguments", "response", "expected"), CASES)
def test_a_response_follows_or_does_not(name, arguments, response, expected):
    assert follows({"id": name, **arguments}, response) is expected


def test_every_checker_has_a_case_that_follows_and_one_that_does_not():
    passed = {name for name, _, _, expected in CASES if expected}
    failed = {name for name, _, _, expected in CASES if not expected}
    assert len(passed) == len(failed) == 25


@pytest.mark.parametrize("response", ["", " \n\t"])
def test_a_blank_response_follows_nothing(response):
    assert not follows({"id": "punctuation:no_comma"}, response)
    assert not follows({"id": "keywords:frequency", "keyword": "a", "frequency": 9, **LESS}, response)


def test_the_language_of_a_short_text_is_the_same_each_time():
    answers = {follows({"id": "language:response_language", "language": "en"}, "no idea at all") for _ in range(20)}
    assert len(answers) == 1
