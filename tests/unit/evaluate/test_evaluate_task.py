"""Stock tasks and task files, with errors that name file, line, key and the nearest valid key."""

import pytest

from precept.errors import InputError
from precept.evaluate import extract, metrics
from precept.evaluate.task import FAMILIES, OPTION_SCORES, Rule, Score, family_for, load_task

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
    assert FAMILIES == ("bbh", "bbh_cot", "choice", "references", "superni")
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


def test_every_score_and_rule_can_be_named():
    assert set(Score.__args__) == {*metrics.SCORES, *OPTION_SCORES}
    assert set(Rule.__args__) == set(extract.RULES)


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
        (MINE + "metrics: {accuracy: {score: option}}", "line 3, key 'metrics.accuracy'", "kind 'generate'"),
        (MINE + "metrics: {}", "line 3, key 'metrics'", "at least one metric"),
        (MINE + "kind: choice", "key 'metrics.exact_match'", "score: one of option, option_normalized"),
        ("data: questions.json\nfamily: bhb", "line 2, key 'family'", "did you mean 'bbh'?"),
        ("data: questions.json", "key 'family'", "one of bbh, bbh_cot"),
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
