"""Stock tasks and task files, with errors that name file, line, key and the nearest valid key."""

import pytest

from precept.errors import InputError
from precept.evaluate import extract, metrics
from precept.evaluate.task import FAMILIES, SCORES_OF, Metric, Task, family_for, load_task

MINE = "data: questions.json\nfamily: bbh\n"


@pytest.fixture
def write(tmp_path):
    (tmp_path / "questions.json").write_text("{}")

    def write(text):
        path = tmp_path / "mine.yaml"
        path.write_text(text)
        return path

    return write


def test_every_stock_task_loads():
    assert {"bbh", "bbh_cot", "choice", "references", "superni", "mmlu", "gsm8k"} <= set(FAMILIES)
    for name in FAMILIES:
        task = load_task(name)
        assert (task.name, task.family) == (name, name)
        assert task.prompt


def test_the_primary_metric_comes_first_and_its_lenient_reading_next():
    assert list(load_task("superni").metrics) == ["rouge_l", "exact_match"]
    assert list(load_task("bbh").metrics) == ["exact_match", "exact_match_lenient"]
    assert list(load_task("references").metrics) == ["exact_match", "rouge_l"]
    assert list(load_task("choice").metrics) == ["accuracy", "accuracy_normalized"]
    assert load_task("superni").primary == "rouge_l"
    assert load_task("superni").max_new_tokens == 128


def test_every_score_and_rule_can_be_named(write):
    assert {*metrics.SCORES, "rouge_l_byte_bpe"} == set(SCORES_OF["generate"])
    for rule in extract.RULES:
        assert (
            load_task(write(MINE + f"metrics: {{m: {{score: rouge_l, extract: {rule}}}}}")).metrics["m"].extract == rule
        )


def test_the_temperature_is_that_of_the_category_else_the_default_else_greedy():
    found = load_task("mt_bench")
    assert [found.temperature_of(name) for name in ("writing", "math", "cooking", None)] == [0.7, 0.0, 0.7, 0.7]
    assert Task("t", "references", "generate", {"m": Metric("rouge_l")}).temperature_of("writing") == 0.0


def test_strict_and_lenient_readings_are_both_reported_wherever_an_answer_is_extracted():
    for name in ("bbh", "bbh_cot", "bbh_few_shot", "bbh_cot_few_shot", "gsm8k", "mgsm", "tydiqa", "knowledge"):
        found = load_task(name).metrics
        assert f"{next(iter(found))}_lenient" in found


def test_the_family_follows_the_readers_format():
    assert [family_for(name) for name in ("super_ni", "bbh", "alpaca")] == ["superni", "bbh", "references"]


def test_a_file_takes_from_its_family_what_it_does_not_say(write, tmp_path):
    task = load_task(write(MINE + "max_new_tokens: 16\n"))
    stock = load_task("bbh")
    assert (task.name, task.max_new_tokens) == ("mine", 16)
    assert task.metrics == stock.metrics
    assert task.data == str(tmp_path / "questions.json")


def test_data_is_relative_to_the_file_and_keeps_its_row_count(write, tmp_path):
    assert load_task(write("data: questions.json#5\nfamily: bbh")).data == str(tmp_path / "questions.json#5")
    assert load_task(write("data: hf:owner/name\nfamily: bbh")).data == "hf:owner/name"


@pytest.mark.parametrize(
    ("text", "where", "says"),
    [
        (MINE + "max_new_token: 5", "mine.yaml line 3, key 'max_new_token'", "did you mean 'max_new_tokens'?"),
        (MINE + "max_new_tokens: many", "line 3, key 'max_new_tokens'", "found: 'many'"),
        (MINE + "max_new_tokens: 0", "line 3, key 'max_new_tokens'", "greater than or equal to 1"),
        (
            MINE + "metrics:\n  exact_match:\n    scor: rouge_l",
            "line 5, key 'metrics.exact_match.scor'",
            "did you mean 'score'?",
        ),
        (
            MINE + "metrics:\n  exact_match: {score: rouge}",
            "line 4, key 'metrics.exact_match.score'",
            "'rouge_l'",
        ),
        (MINE + "metrics: {accuracy: {score: option}}", "line 3, key 'metrics.accuracy.score'", "kind 'generate'"),
        (MINE + "metrics: {m: {score: rouge_l, extract: bbh}}", "key 'metrics.m.extract'", "did you mean 'bbh_"),
        (MINE + 'layout: {question: "{query}"}', "line 3, key 'layout.question'", "unknown field"),
        (MINE + 'layout: {question: "{question"}', "key 'layout.question'", "not a template"),
        (MINE + 'layout: {question: "{question.__class__}"}', "key 'layout.question'", "unknown field"),
        (MINE + 'layout: {head: "{question}"}', "key 'layout.head'", "unknown field"),
        (MINE + "layout: {question: Well}", "key 'layout.question'", "must hold {question}"),
        (MINE + "layout: {answer: It is so.}", "key 'layout.answer'", "must hold {answer}"),
        (MINE + "layout: {ask: Well}", "line 3, key 'layout.ask'", "use one of head, question"),
        (MINE + "shots: 2", "line 3, key 'shots'", "need a layout"),
        (MINE + "shots: -1", "line 3, key 'shots'", "greater than or equal to 0"),
        (MINE + "bins: [5, 2]", "line 3, key 'bins'", "ascend"),
        (MINE + 'stop: [""]', "line 3, key 'stop'", "empty text"),
        (MINE + "temperature: {default: -1}", "line 3, key 'temperature.default'", "greater than or equal to 0"),
        (MINE + "examples: dev.csv", "line 3, key 'examples'", "no such data file"),
        (MINE + "metrics: {}", "line 3, key 'metrics'", "at least one metric"),
        (MINE + 'metrics: {"": {score: rouge_l}}', "line 3, key 'metrics.'", "a metric has a name"),
        (MINE + "metrics: {perplexity: {score: rouge_l}}", "line 3, key 'metrics.perplexity'", "kind 'likelihood'"),
        (MINE + "metrics: {bits_per_byte: {score: rouge_l}}", "key 'metrics.bits_per_byte'", "kind 'likelihood'"),
        (MINE + "kind: choice", "key 'metrics.exact_match", "score: one of option"),
        ("data: questions.json\nfamily: bhb", "line 2, key 'family'", "did you mean 'bbh'?"),
        ("data: questions.json", "key 'family'", "one of alpaca_eval, bbh"),
        ("family: bbh\ndata: answers.json", "line 2, key 'data'", "no such data file"),
        (MINE + "family: bbh", "line 3", "stands twice"),
        ("- a", "mine.yaml", "mapping"),
        ("a: [", "mine.yaml", "not a YAML file"),
        ("? [a]\n: b", "mine.yaml", "not a YAML file"),
    ],
)
def test_a_wrong_file_is_refused_where_it_is_wrong(write, text, where, says):
    with pytest.raises(InputError) as caught:
        load_task(write(text))
    assert where in str(caught.value)
    assert says in str(caught.value)


def test_an_unknown_task_lists_the_stock_ones():
    with pytest.raises(InputError, match="did you mean 'superni'"):
        load_task("superin")
