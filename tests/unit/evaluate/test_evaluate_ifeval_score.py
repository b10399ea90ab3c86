from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError, MissingExtra
from precept.evaluate.ifeval import Followed, bind, follow_all, loose_variants, score_followed
from precept.evaluate.ifeval.checkers import CHECKERS
from precept.evaluate.ifeval.language import load_detector
from precept.records import load
from precept.records.readers.ifeval import ARGUMENTS
from precept.types import Conversation

END = "startend:end_checker"
START = "combination:repeat_prompt"


def test_the_golden_postscript_is_followed_loosely_alone():
    # strictly the text ends in "p.s. **hello**"; without asterisks it ends in the phrase
    found = follow_all([{"id": END, "end_phrase": "P.S. hello"}], "Sure!\nP.S. **hello**")
    assert found == Followed(strict=(False,), loose=(True,))


@pytest.mark.parametrize(
    ("place", "check", "response"),
    [
        # both highlights are needed: "*a*\n*b*" as it is
        (0, {"id": "detectable_format:number_highlighted_sections", "num_highlights": 2}, "*a*\n*b*"),
        (1, {"id": START, "prompt_to_repeat": "*b*"}, "a\n*b*"),  # without the first line: "*b*"
        (2, {"id": END, "end_phrase": "*a*"}, "*a*\nb"),  # without the last line: "*a*"
        (3, {"id": "detectable_format:number_bullet_lists", "num_bullets": 1}, "* a\n* b\n* c"),  # without both: "* b"
        (4, {"id": END, "end_phrase": "hello"}, "**hello**"),  # without asterisks: "hello"
        (5, {"id": START, "prompt_to_repeat": "b"}, "a\n**b**"),
        (6, {"id": END, "end_phrase": "a"}, "**a**\nb"),
        (7, {"id": "startend:quotation"}, 'a\n**"b"**\nc'),
    ],
)
def test_each_of_the_eight_variants_alone_can_pass(place, check, response):
    checker = bind(check)
    assert [bool(text.strip()) and checker(text) for text in loose_variants(response)] == [i == place for i in range(8)]
    assert follow_all([check], response) == Followed(strict=(place == 0,), loose=(True,))


def test_variants_are_stripped_before_asterisks_go():
    #  lines "a", " * b * ", "c": without both " * b * " is stripped to "* b *" and then loses its asterisks
    assert loose_variants("a\n * b * \nc") == [
        "a\n * b * \nc",
        "* b * \nc",
        "a\n * b *",
        "* b *",
        "a\n  b  \nc",
        " b  \nc",
        "a\n  b ",
        " b ",
    ]


def test_blank_variants_are_skipped():
    # "a, b" has a comma; its variants without a line are blank and must not pass for having none
    assert follow_all([{"id": "punctuation:no_comma"}], "a, b").loose == (False,)
    assert follow_all([{"id": "punctuation:no_comma"}], "a, b\n*").loose == (True,)  # the star alone, as in the paper


def test_scores_are_means_over_prompts_and_over_pooled_instructions():
    followed = [
        Followed(strict=(True, False, False), loose=(True, True, False)),
        Followed(strict=(True,), loose=(True,)),
    ]
    assert score_followed(followed) == {
        "prompt_strict": [0.0, 1.0],  # mean 1/2
        "instruction_strict": [1.0, 0.0, 0.0, 1.0],  # pooled 2/4; the mean of the prompts' means would be 2/3
        "prompt_loose": [0.0, 1.0],
        "instruction_loose": [1.0, 1.0, 0.0, 1.0],
    }


@pytest.mark.parametrize(
    ("check", "code", "told"),
    [
        ({}, "unknown-check", "None"),
        ({"id": "keywords:exist"}, "unknown-check", "keywords:exist"),
        ({"id": ["punctuation:no_comma"]}, "unknown-check", "['punctuation:no_comma']"),
        ({"id": "keywords:existence"}, "bad-check-argument", "'keywords': field required"),
        ({"id": "keywords:existence", "keywords": []}, "bad-check-argument", "'keywords'"),
        ({"id": "keywords:existence", "keywords": "word"}, "bad-check-argument", "'keywords'"),
        ({"id": "keywords:existence", "keywords": ["ok", 3]}, "bad-check-argument", "'keywords.1'"),
        ({"id": "keywords:existence", "keywords": ["("]}, "bad-check-argument", "keywords.0': is no regular"),
        ({"id": "keywords:forbidden_words", "forbidden_words": ["(?i)x"]}, "bad-check-argument", "global flags"),
        ({"id": "keywords:forbidden_words", "forbidden_words": [" "]}, "bad-check-argument", "'forbidden_words.0'"),
        ({"id": "punctuation:no_comma", "num_words": 3}, "bad-check-argument", "'num_words': extra inputs"),
        ({"id": "detectable_format:number_bullet_lists", "num_bullets": None}, "bad-check-argument", "field required"),
        ({"id": "detectable_format:number_bullet_lists", "num_bullets": -1}, "bad-check-argument", "greater than"),
        ({"id": "detectable_format:number_bullet_lists", "num_bullets": True}, "bad-check-argument", "integer"),
        ({"id": "detectable_format:number_bullet_lists", "num_bullets": 3.5}, "bad-check-argument", "integer"),
        ({"id": "detectable_format:number_bullet_lists", "num_bullets": "3"}, "bad-check-argument", "integer"),
        (
            {"id": "length_constraints:number_words", "num_words": 3, "relation": "at most"},
            "bad-check-argument",
            "'less than' or 'at least'",
        ),
        (
            {"id": "keywords:letter_frequency", "letter": "ab", "let_frequency": 1, "let_relation": "at least"},
            "bad-check-argument",
            "'letter'",
        ),
        ({"id": "language:response_language", "language": "zh"}, "bad-check-argument", "zh-cn, zh-tw"),
        ({"id": "startend:end_checker", "end_phrase": ""}, "bad-check-argument", "'end_phrase'"),
    ],
)
def test_a_check_that_cannot_be_asked_is_an_error_before_any_answer(check, code, told):
    with pytest.raises(InputError) as caught:
        bind(check, where="rows.jsonl row 3")
    assert caught.value.code == code
    assert told in str(caught.value)
    assert str(caught.value).startswith("rows.jsonl row 3")


@pytest.mark.parametrize(
    "check",
    [
        {"id": "language:response_language", "language": "en"},
        {"id": "change_case:english_capital"},
        {"id": "change_case:english_lowercase"},
    ],
)
def test_without_langdetect_the_extra_is_named_before_any_answer(check, monkeypatch):
    load_detector.cache_clear()
    monkeypatch.setitem(sys.modules, "langdetect", None)
    with pytest.raises(MissingExtra, match="langdetect") as caught:
        bind(check)
    assert caught.value.extra == "eval"


def test_the_reader_and_the_checkers_know_the_same_instructions_and_arguments():
    taken = {name: set(inspect.signature(checker).parameters) - {"response"} for name, checker in CHECKERS.items()}
    assert taken == {name: set(arguments) for name, arguments in ARGUMENTS.items()}


SAMPLES = {
    "bn": "আজ আবহাওয়া খুব সুন্দর এবং আমরা নদীর ধারে হাঁটতে যাচ্ছি।",
    "fa": "امروز هوا خوب است و ما با دوستان خود به کنار رودخانه می‌رویم و چای می‌نوشیم.",
    "kn": "ಇಂದು ಹವಾಮಾನ ತುಂಬಾ ಚೆನ್ನಾಗಿದೆ ಮತ್ತು ನಾವು ನದಿಯ ಬಳಿ ನಡೆಯುತ್ತೇವೆ.",
    "mr": "आज हवामान खूप छान आहे आणि आम्ही मित्रांसोबत नदीकाठी फिरायला जाणार आहोत.",
    "pa": "ਅੱਜ ਮੌਸਮ ਬਹੁਤ ਵਧੀਆ ਹੈ ਅਤੇ ਅਸੀਂ ਨਦੀ ਦੇ ਕੰਢੇ ਸੈਰ ਕਰਨ ਜਾ ਰਹੇ ਹਾਂ।",
    "vi": "Hôm nay thời tiết rất đẹp và chúng tôi đi dạo bên bờ sông cùng với bạn bè.",
}
ENGLISH = "the weather is nice today and we are going to walk along the river with our friends"


def oracle(check: dict[str, Any]) -> str:
    """A response that follows one instruction, written from its arguments alone."""
    arguments = {key: value for key, value in check.items() if key != "id"}
    count = next((value for key, value in arguments.items() if isinstance(value, int)), 0)
    if "less than" in arguments.values():
        return "0"  # no sentence mark, no letter, no capital, one word
    match check["id"].partition(":")[2]:
        case "existence":
            return " ".join(arguments["keywords"])
        case "frequency":
            return f"{arguments['keyword']} " * count
        case "letter_frequency":
            return arguments["letter"] * count
        case "response_language":
            return SAMPLES[arguments["language"]]
        case "number_sentences":
            return "We walk. " * count
        case "number_words" | "capital_word_frequency":
            return "WORD " * count
        case "number_paragraphs":
            return "\n***\n".join("part" for _ in range(count))
        case "nth_paragraph_first_word":
            return "\n\n".join(f"{arguments['first_word']} it is" for _ in range(arguments["num_paragraphs"]))
        case "number_placeholders":
            return "[name] " * count
        case "postscript":
            return f"Bye.\n\n{arguments['postscript_marker']} More."
        case "number_bullet_lists":
            return "* point\n" * count
        case "constrained_response":
            return "My answer is no."
        case "number_highlighted_sections":
            return "*part* " * count
        case "multiple_sections":
            return "\n".join(f"{arguments['section_spliter']} {i + 1}\ntext" for i in range(count))
        case "json_format":
            return "```json\n{}\n```"
        case "title":
            return "<<a title>>"
        case "two_responses":
            return "yes\n******\nno"
        case "repeat_prompt":
            return f"{arguments['prompt_to_repeat']}\n\nHere it is."
        case "end_checker":
            return f"Here it is. {arguments['end_phrase']}"
        case "quotation":
            return '"Here it is."'
        case "english_capital":
            return ENGLISH.upper()
    return ENGLISH  # english_lowercase, no_comma, forbidden_words


@pytest.fixture(scope="module")
def real_rows(shared_data: Path) -> list[Conversation]:
    rows = load([str(shared_data / "ifeval" / "input_data.jsonl")]).rows
    assert len(rows) == 120
    return [row for row in rows if isinstance(row, Conversation)]


def test_an_oracle_follows_every_real_instruction(real_rows):
    checks = [check for row in real_rows for check in row.checks]
    assert {check["id"] for check in checks} == set(CHECKERS)
    scores = score_followed([follow_all([check], oracle(check)) for check in checks])
    failed = [json.dumps(c) for c, ok in zip(checks, scores["instruction_strict"], strict=True) if not ok]
    assert failed == []
    assert all(sum(values) == len(values) for values in scores.values())


def test_loose_is_never_below_strict_on_real_prompts(real_rows):
    for place, row in enumerate(real_rows):
        prompt = row.messages[0].content or ""
        made_up = ("", f"Sure!\n{prompt}\nDone.", f"**{oracle(dict(row.checks[0]))}**", "* a\n* b, C.\n\n***\n[d] 1")
        found = [follow_all(row.checks, response) for response in (made_up[place % 4], made_up[(place + 1) % 4])]
        for each in found:
            assert len(each.strict) == len(each.loose) == len(row.checks)
            assert all(loose >= strict for strict, loose in zip(each.strict, each.loose, strict=True))
        scores = score_followed(found)
        assert all(
            loose >= strict for strict, loose in zip(scores["prompt_strict"], scores["prompt_loose"], strict=True)
        )
