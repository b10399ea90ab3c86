"""ROUGE-L, exact match and the BBH rule against published values."""

import json
import math
from pathlib import Path

import pytest

from precept.evaluate.extract import bbh_cot, bbh_direct, first_line_answer, stated_answer
from precept.evaluate.metrics import (
    best_score,
    bits_per_byte,
    exact_match,
    label_match,
    normalize_answer,
    perplexity,
    rouge_l,
    rouge_l_characters,
    rouge_l_comma_split,
    rouge_l_unstemmed,
    rouge_tokens,
    same_start,
    same_text,
)
from precept.evaluate.porter import stem
from precept.evaluate.squad import squad_exact_match, squad_f1

FOX = "The quick brown fox jumps over the lazy dog"


@pytest.mark.parametrize(
    ("prediction", "reference", "stemmed", "unstemmed"),
    [
        (FOX, "The quick brown dog jumps on the log.", 0.588235, 0.588235),
        ("answers", "answer", 1.0, 0.0),
        ("Entailment", "entail", 1.0, 0.0),
        ("classification", "classify", 0.0, 0.0),
        ("a b c d", "a c b d", 0.75, 0.75),
        ("Yes, it is", "yes", 0.5, 0.5),
        ("The cats were running quickly", "a cat runs quick", 0.444444, 0.0),
        ("don't", "do not", 0.0, 0.0),
    ],
)
def test_rouge_l_gives_the_published_values(prediction, reference, stemmed, unstemmed):
    assert rouge_l(prediction, reference) == pytest.approx(stemmed, abs=1e-6)
    assert rouge_l(prediction, reference, stem=False) == pytest.approx(unstemmed, abs=1e-6)


def test_rouge_l_by_hand():
    # Common subsequence: the, brown, fox = 3 of 4 predicted and 3 of 5 expected tokens: 2 * 3 / (4 + 5).
    assert rouge_l("the old brown fox", "the quick brown red fox") == pytest.approx(6 / 9)


def test_text_in_another_script_has_no_tokens():
    assert rouge_l("यह एक वाक्य है", "यह एक वाक्य है") == 0.0


def test_an_empty_side_scores_zero():
    assert rouge_l("", "yes") == rouge_l("yes", "...") == rouge_l("", "") == 0.0


def test_tokens_longer_than_three_characters_are_stemmed():
    assert rouge_tokens(FOX) == ["the", "quick", "brown", "fox", "jump", "over", "the", "lazi", "dog"]
    assert rouge_tokens("was this his class's") == ["was", "thi", "his", "class", "s"]


# The stems of nltk 3.10.4, default mode: Porter's own examples, step by step, then NLTK's changes to them.
STEMS = """
caresses:caress ponies:poni caress:caress cats:cat feed:feed agreed:agre plastered:plaster bled:bled
motoring:motor sing:sing conflated:conflat troubled:troubl sized:size hopping:hop tanned:tan falling:fall
hissing:hiss fizzed:fizz failing:fail filing:file sky:sky relational:relat conditional:condit
rational:ration valenci:valenc hesitanci:hesit digitizer:digit radicalli:radic differentli:differ
vileli:vile analogousli:analog vietnamization:vietnam predication:predic operator:oper feudalism:feudal
decisiveness:decis hopefulness:hope callousness:callous formaliti:formal sensitiviti:sensit
sensibiliti:sensibl triplicate:triplic formative:form formalize:formal electriciti:electr electrical:electr
hopeful:hope goodness:good revival:reviv allowance:allow inference:infer airliner:airlin gyroscopic:gyroscop
adjustable:adjust defensible:defens irritant:irrit replacement:replac adjustment:adjust dependent:depend
adoption:adopt communism:commun activate:activ homologous:homolog effective:effect bowdlerize:bowdler
probate:probat rate:rate cease:ceas controll:control roll:roll happy:happi enjoy:enjoy by:by flies:fli
dies:die mules:mule died:die spied:spi dying:die news:news innings:inning succeed:succeed
theologically:theolog geology:geolog carefully:care oed:o ating:ate 2nd:2nd
"""


def test_stems_are_those_of_nltk():
    expected = dict(pair.split(":") for pair in STEMS.split())
    assert {word: stem(word) for word in expected} == expected


def test_exact_match_ignores_case_punctuation_and_runs_of_blanks():
    assert normalize_answer("The  Cat's.") == "the cats"
    assert normalize_answer("1,000") == "1000"
    assert normalize_answer("“quoted”") == "“quoted”"
    assert exact_match("The  Cat's.", "the cats") == 1.0
    assert exact_match("cats", "the cats") == 0.0


def test_the_best_reference_counts_in_any_order():
    references = ["no", "not at all", "entails"]
    assert best_score(exact_match, "Entails.", references) == 1.0
    assert best_score(rouge_l, "entailment", references) == best_score(rouge_l, "entailment", references[::-1]) == 1.0


def test_same_text_keeps_case_and_punctuation():
    assert same_text(" (A) \n", "(A)") == 1.0
    assert same_text("(a)", "(A)") == same_text("A", "(A)") == 0.0


def test_same_start_takes_an_answer_that_goes_on_in_whole_words():
    assert same_start("(A) the red book", "(A)") == same_start("Yes, because it is.", "yes") == 1.0
    assert same_start("Yesterday", "yes") == same_start("", "yes") == 0.0
    assert same_start("not entailment", "entailment") == 0.0


@pytest.mark.parametrize("reference", ["A", "(A)", "A."])
def test_same_start_takes_a_letter_as_the_name_of_an_option_and_not_as_a_word(reference):
    named = ("A", "(A)", "A.", "A) red", "(a) red", "**A** since", "A: red", "A, because", "A - red", "$A$", "a", "[A]")
    assert [text for text in named if not same_start(text, reference)] == []
    words = ("A mixture, so (C)", "a function of x, which is (B)", "A-level", "A's", "A and B", "(B) A.", "Apple", "")
    assert [text for text in words if same_start(text, reference)] == []
    assert same_start("I am not sure.", "I") == same_start("I'm not sure.", "I") == 0.0


def test_same_start_reads_a_reference_of_brackets():
    assert same_start(") ] }.", ") ] }") == same_start(")]}", ") ] }") == 1.0
    assert same_start(") }", ") ] }") == same_start("", ") ] }") == 0.0


def test_the_four_rouge_ls_differ():
    # Stemmed, "cats" is "cat"; unstemmed nothing agrees. Characters: c, a, t of 4 and 3: 2 * 3 / 7.
    pair = ("cats", "cat")
    scores = [f(*pair) for f in (rouge_l, rouge_l_unstemmed, rouge_l_comma_split, rouge_l_characters)]
    assert scores == [1.0, 0.0, 1.0, pytest.approx(6 / 7)]


def test_a_reference_split_at_commas_gives_credit_for_a_part():
    # Whole: red, car are 2 of 2 predicted and 2 of 3 expected tokens. Split: the piece " red car" is all of it.
    assert rouge_l("red car", "fast, red car") == pytest.approx(2 * 2 / (2 + 3))
    assert rouge_l_comma_split("red car", "fast, red car") == 1.0


def test_rouge_l_of_characters_gives_the_recomputed_value_of_self_guide():
    # The common subsequence has 4 of 12 and 13 characters: 2 * 4 / 25.
    assert rouge_l_characters("solar energy", "sunlight sun.") == pytest.approx(0.32)
    assert rouge_l_characters("A", "a") == rouge_l_characters("", "") == 0.0


def test_the_three_exact_matches_differ():
    labels = ["a cat", "a dog"]
    assert (exact_match("The cat.", "cat"), squad_exact_match("The cat.", "cat")) == (0.0, 1.0)
    assert exact_match("first a dog, then: a cat!", "a cat") == 0.0
    assert label_match("first a dog, then: a cat!", "a cat", labels=labels) == 1.0


def test_the_last_label_counts_and_the_longest_of_those_at_one_place():
    labels = ["entails", "neutral", "1", "10"]
    assert label_match("I think entails, no: neutral", "neutral", labels=labels) == 1.0
    assert label_match("I think entails, no: neutral", "entails", labels=labels) == 0.0
    assert label_match("it is 10", "10", labels=labels) == 1.0
    assert label_match("Neutral.", "neutral", labels=labels) == 1.0  # no label as it is written: compared whole
    assert label_match("", "neutral", labels=[""]) == 0.0


def test_squad_scores_by_hand():
    assert (squad_exact_match("the Cat.", "cat"), squad_f1("the Cat.", "cat")) == (1.0, 1.0)
    # Without the article "big cat" against "cat": one of two and one of one: 2 * 1 / 3.
    assert (squad_exact_match("a big cat", "cat"), squad_f1("a big cat", "cat")) == (0.0, pytest.approx(2 / 3))
    # A word counts as often as both sides have it: "no no" shares one with "no".
    assert squad_f1("no no", "no") == pytest.approx(2 / 3)
    assert squad_f1("x y", "y x") == 1.0


def test_a_question_without_an_answer_is_met_by_silence_alone():
    assert (squad_exact_match("", ""), squad_f1("", ""), squad_f1("The.", "")) == (1.0, 1.0, 1.0)
    assert (squad_exact_match("cat", ""), squad_f1("cat", ""), squad_f1("", "cat")) == (0.0, 0.0, 0.0)


def test_perplexity_and_bits_per_byte_by_hand():
    # Four tokens of probability 1/2 each: as if one of two were chosen each time.
    assert perplexity(4 * math.log(0.5), 4) == pytest.approx(2.0)
    assert perplexity(-1e6, 1) == math.inf
    # Six bits over the three bytes of "é!".
    assert bits_per_byte(6 * math.log(0.5), len("é!".encode())) == pytest.approx(2.0)


def read_jsonl(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_gpt3_on_natural_instructions_scores_as_published(shared_data):
    folder = shared_data / "golden" / "ni_v1_gpt3"
    tasks = json.loads((folder / "scores.json").read_text())["tasks"]
    checked = 0
    for name, encodings in tasks.items():
        rows = read_jsonl(folder / f"{name}.jsonl")
        for encoding, expected in encodings.items():
            scores = [
                best_score(rouge_l, row["prediction"], row["references"]) for row in rows if row["encoding"] == encoding
            ]
            assert len(scores) == expected["rows"]
            assert 100 * sum(scores) / len(scores) == pytest.approx(expected["rougeL"], abs=1e-5)
            checked += 1
    assert checked == 18


def test_code_davinci_on_big_bench_hard_scores_as_published(shared_data):
    folder = shared_data / "golden" / "bbh_outputs"
    files = json.loads((folder / "accuracies.json").read_text())["files"]
    assert len(files) == 30
    for name, expected in files.items():
        strict, lenient = (bbh_cot, stated_answer) if name.endswith("_cot") else (bbh_direct, first_line_answer)
        rows = read_jsonl(folder / f"{name}.jsonl")
        correct = [same_text(strict(row["prediction"]), row["target"]) for row in rows]
        assert (len(rows), sum(correct)) == (expected["rows"], expected["correct"]), name
        for row, is_right in zip(rows, correct, strict=True):
            assert same_start(lenient(row["prediction"]), row["target"]) >= is_right, (name, row)
