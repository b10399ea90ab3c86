"""The Flan Collection: styles, options listed in many ways, few-shot prompts, rationales, inversion and weights."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.fakes import WordCounter

from precept.errors import InputError
from precept.evaluate import load_task
from precept.evaluate.extract import RULES
from precept.evaluate.metrics import find_score
from precept.records import load
from precept.records import write as write_rows
from precept.records.instructions.few_shot_forms import Exemplar, Layout, assemble, prune, with_template
from precept.records.instructions.flan_cells import style_weights
from precept.records.instructions.flan_collection import FlanCollectionSettings, build
from precept.records.instructions.flan_templates import fill, shipped_templates
from precept.records.instructions.options_text import collection_table, list_options, numerals
from precept.records.problems import RowProblem
from precept.types import Conversation

WORDS = WordCounter()


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def nli(count: int) -> list[dict[str, Any]]:
    return [
        {"premise": f"P{n}.", "hypothesis": f"H{n}.", "options": ["yes", "no"], "answer": ["yes", "no"][n % 2]}
        for n in range(count)
    ]


def reasoned(count: int) -> list[dict[str, Any]]:
    return [{"question": f"Q{n}?", "answer": f"a{n}", "rationale": f"Since {n}."} for n in range(count)]


def defined(*positives: dict[str, str]) -> dict[str, Any]:
    """A task file of forty instances."""
    return {
        "Definition": ["Say it."],
        "Positive Examples": list(positives),
        "Instances": [{"input": f"i{n}", "output": [f"o{n}", f"or{n}"]} for n in range(40)],
    }


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    return [
        write(tmp_path, "rte.jsonl", nli(60)),
        write(tmp_path, "ecqa_train.jsonl", reasoned(60)),
        write(tmp_path, "task1_say.json", [defined()]),
        write(tmp_path, "p3.jsonl", [{"prompt": f"Prompt {n}", "completion": f"done {n}"} for n in range(60)]),
    ]


def text(row: Conversation) -> str:
    return row.messages[0].content or ""


def test_style_weights_are_products_and_those_of_weight_0_are_dropped() -> None:
    assert style_weights(0.5, 0.5) == {"zsopt": 0.25, "fsopt": 0.25, "zsnoopt": 0.25, "fsnoopt": 0.25}
    assert style_weights(1.0, 0.75) == {"zsopt": 0.75, "zsnoopt": 0.25}
    assert style_weights(0.5, 1.0) == {"zsopt": 0.5, "fsopt": 0.5}


def test_an_exemplar_is_prefix_input_delimiter_prefix_target_separator() -> None:
    layout = Layout("Q: ", "A: ", "\n", "\n\n")
    shown = assemble([Exemplar("one?", "1"), Exemplar("two?", "2")], "three?", layout)
    assert shown == "Q: one?\nA: 1\n\nQ: two?\nA: 2\n\nQ: three?\nA:"  # blanks at the end go, line breaks stay
    assert assemble([Exemplar("a", "b")], "c", Layout()) == "a\n\nb\n\n\nc\n\n"


def test_exemplars_are_kept_while_they_fit_beside_the_query() -> None:
    # the query has 2 words; exemplars 3, 2 and 1: of 7 words 5 are left, which the first two take exactly
    exemplars = [Exemplar("a b", "c"), Exemplar("d", "e"), Exemplar("f", "")]
    kept = prune(exemplars, "x y", Layout(), budget=7, count_tokens=WORDS)
    assert kept == exemplars[:2]
    # the longest beginning: a short exemplar behind one that does not fit is left out too
    assert prune(exemplars, "x y", Layout(), budget=4, count_tokens=WORDS) == []


def test_prefixes_and_what_stands_above_count_too() -> None:
    # "Q: x / A:" are 3 words, "D" above is 1; an exemplar "Q: a / A: b" is 4: 8 in all
    layout = Layout("Q: ", "A: ", "\n", "\n")
    assert prune([Exemplar("a", "b")], "x", layout, budget=8, count_tokens=WORDS, above="D ")
    assert not prune([Exemplar("a", "b")], "x", layout, budget=7, count_tokens=WORDS, above="D ")


def test_x_shot_keeps_the_exemplars_of_the_querys_template(tmp_path: Path) -> None:
    assert with_template([13, 4, 3, 23], 3, templates=10) == [13, 3, 23]
    rows = [{"question": f"Q{n}?", "answer": f" a{n} ", "rationale": f"Since {n}."} for n in range(60)]
    plan = tmp_path / "plan.yaml"
    plan.write_text("tasks: {asked: {kind: closed_book_qa}}")
    settings = FlanCollectionSettings(tasks=plan, zero_shot_share=0, options_share=0)  # the second form alone
    built = build([write(tmp_path, "asked.jsonl", rows)], settings, count_tokens=WORDS)
    turned = [place for place, p in enumerate(shipped_templates("closed_book_qa").patterns) if p.turned]
    for row in built.train:
        own = row.source.row - 1
        shown = {n for n in range(60) if f"Q{n}?" in text(row) or f"a{n}" in text(row).split()} - {own}
        assert 1 <= len(shown) <= 5 and all(n % 10 == own % 10 for n in shown)
        if own % 10 not in turned:
            assert all(f"a{n}\n\n\n" in text(row) for n in shown)  # targets of exemplars are stripped


def test_options_with_numerals_are_answered_by_their_name_and_those_behind_bullets_by_their_text() -> None:
    listed = [list_options(["red", "blue"], random.Random(seed)) for seed in range(300)]
    for options in listed:
        assert "red" in options.text and "blue" in options.text
        if options.answers != ("red", "blue"):
            assert len(set(options.answers)) == 2
            assert all(name in options.text and name == name.strip() for name in options.answers)
    answers = {options.answers for options in listed}
    assert ("red", "blue") in answers and ("(A)", "(B)") in answers and ("i.", "ii.") in answers
    assert len({options.text for options in listed}) > 150


def test_there_are_sixteen_headers_and_numerals_of_four_kinds() -> None:
    table = collection_table()
    assert len(set(table["option_headers"])) == 16 and "" in table["option_headers"]
    assert numerals("roman", 9) == ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix"]
    assert numerals("roman", 26)[-1] == "xxvi"
    assert numerals("upper_letters", 3) == ["A", "B", "C"] and numerals("lower_letters", 2) == ["a", "b"]
    assert numerals("digits", 3) == ["1", "2", "3"]


def test_more_options_than_letters_cannot_be_listed() -> None:
    with pytest.raises(RowProblem, match="27 options, and at most 26"):
        list_options([str(n) for n in range(27)], random.Random(0))


def test_input_inversion_has_eighteen_templates_for_four_maps() -> None:
    maps = Counter()
    for pattern in shipped_templates("cot_inversion").patterns:
        given = [slot for slot in ("question", "rationale", "answer") if f"{{{slot}}}" in pattern.inputs]
        asked = [slot for slot in ("question", "rationale", "answer") if f"{{{slot}}}" in pattern.targets]
        assert not set(given) & set(asked)  # what is asked for is not given
        assert len(given) + len(asked) == 3
        maps["+".join(given), "+".join(asked)] += 1
    assert maps == {
        ("rationale+answer", "question"): 3,
        ("question+answer", "rationale"): 5,
        ("rationale", "question+answer"): 6,
        ("answer", "question+rationale"): 4,
    }


@pytest.mark.parametrize("kind", ["cot", "cot_stream"])
def test_a_chain_of_thought_gives_its_reasons_before_the_answer(kind: str) -> None:
    for pattern in shipped_templates(kind).patterns:
        assert pattern.targets.startswith("{rationale}") and pattern.targets.endswith("the answer is {answer}.")
        assert "{rationale}" not in pattern.inputs and "{answer}" not in pattern.inputs


@pytest.mark.parametrize("kind", ["cot", "cot_stream"])
def test_the_suite_reads_the_answer_of_every_chain_of_thought(kind: str) -> None:
    metrics = load_task("flan_collection").metrics
    for pattern in shipped_templates(kind).patterns:
        output = fill(pattern.targets, {"rationale": "Two and two.\nSo four it is.", "answer": "(B)"})
        for metric in metrics.values():
            assert find_score(metric.score)(RULES[metric.extract](output), "(B)") == 1, output
            assert find_score(metric.score)(RULES[metric.extract]("(B)"), "(B)") == 1


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("chung_b", {"flan": 46.0, "t0": 27.9, "niv2": 24.2, "cot": 1.8}),
        ("chung_a", {"flan": 52, "t0": 15, "niv2": 30, "cot": 3}),
        ("run_example", {"flan": 0.40, "t0": 0.32, "niv2": 0.20, "cot": 0.05}),  # the rows hold no dialog
        ("code_defaults", {"flan": 4, "t0": 3, "niv2": 1, "cot": 1 + 0.3}),  # CoT-II beside CoT
        ("equal", {"flan": 1, "t0": 1, "niv2": 1, "cot": 1}),
    ],
)
def test_sub_mixtures_have_the_weights_of_the_table(paths: list[str], weights: Any, expected: dict[str, float]) -> None:
    built = build(paths, FlanCollectionSettings(weights=weights, rows=800), count_tokens=WORDS)
    of = {name: entry["wanted"] for name, entry in built.report["submixtures"].items()}
    of["cot"] += of.pop("cot inverted")
    total = sum(expected.values())
    assert of == pytest.approx({name: weight / total for name, weight in expected.items()})
    drawn = sum(entry["rows"] for entry in built.report["submixtures"].values())
    dropped = sum(built.report["no_exemplar_fits"].values())
    assert drawn == len(built.train) and drawn + dropped == 800


def test_styles_and_inversion_have_their_shares(paths: list[str]) -> None:
    built = build(paths, FlanCollectionSettings(weights="equal", rows=2000), count_tokens=WORDS)
    wanted = {name: entry["wanted"] for name, entry in built.report["styles"].items()}
    # a quarter each; flan in four styles, the others without a version that has no options
    assert wanted["flan zsopt"] == wanted["flan fsnoopt"] == pytest.approx(1 / 16)
    assert wanted["niv2 zsopt"] == wanted["t0 fsopt"] == pytest.approx(1 / 8)
    assert wanted["cot zsopt"] == pytest.approx(1 / 8 / 1.3)
    assert wanted["cot inverted zsopt"] == pytest.approx(0.3 / 8 / 1.3)
    assert built.report["styles"]["cot zsopt"]["rows"] == pytest.approx(2000 / 8 / 1.3, abs=1)


def test_a_row_shows_its_style(paths: list[str]) -> None:
    built = build(paths[:1], FlanCollectionSettings(zero_shot_share=1, options_share=0), count_tokens=WORDS)
    assert not any(
        "yes" in text(row) and "no" in text(row).split()
        for row in built.train
        if row.messages[1].content in ("yes", "no")
    )
    listed = build(paths[:1], FlanCollectionSettings(zero_shot_share=1, options_share=1), count_tokens=WORDS)
    asked = [row for row in listed.train if row.options]
    assert all(row.messages[1].content in row.options for row in asked)
    assert ("yes", "no") in {row.options for row in asked} and len({row.options for row in asked}) > 5
    few = build(paths[:1], FlanCollectionSettings(zero_shot_share=0, options_share=1), count_tokens=WORDS)
    assert all(sum(f"P{n}." in text(row) or f"H{n}." in text(row) for n in range(60)) > 1 for row in few.train)


def test_a_few_shot_prompt_never_shows_its_own_row(paths: list[str]) -> None:
    built = build(paths[3:], FlanCollectionSettings(zero_shot_share=0, weights="equal"), count_tokens=WORDS)
    for row in built.train:
        own = f"done {row.source.row - 1}"
        assert row.messages[1].content == own
        assert own not in text(row).splitlines() and f"A: {own}" not in text(row)
        assert 1 <= text(row).count("done ") <= 5


def test_a_definition_stands_once_above_two_exemplars(paths: list[str]) -> None:
    built = build(paths[2:3], FlanCollectionSettings(zero_shot_share=0), count_tokens=WORDS)
    assert built.train
    for row in built.train:
        assert text(row).startswith("Say it.\n\n") and text(row).count("Say it.") == 1
        assert sum(f"o{n}" in text(row).split() for n in range(40)) == 2


EXPLAINED = {"input": "ei", "output": "eo", "explanation": "ex"}


def test_one_explained_example_stands_inside_the_template_of_half_the_few_shot_rows(tmp_path: Path) -> None:
    path = write(
        tmp_path, "task1_say.json", [defined({"input": "i0", "output": "o0", "explanation": "why"}, EXPLAINED)]
    )
    built = build([path], FlanCollectionSettings(zero_shot_share=0, rows=400), count_tokens=WORDS)
    inline = [row for row in built.train if "why" in text(row) or "ex" in text(row).split()]
    assert 150 < len(inline) < 250
    patterns = shipped_templates("definition_example").patterns
    assert len({pattern.inputs for pattern in patterns}) == 10
    slots = {"definition", "input", "example_input", "example_output", "example_explanation", "answer"}
    assert all(pattern.slots == slots for pattern in patterns)
    for row in inline:
        own = f"i{row.source.row - 1}"
        # the first example, but never the query itself with its answer
        assert ("why" in text(row)) == (own != "i0") and text(row).count("Say it.") == 1
        values = {"definition": "Say it.", "input": own, "example_input": "i0", "example_output": "o0"}
        if own != "i0":
            assert text(row) in {fill(p.inputs, {**values, "example_explanation": "why"}) for p in patterns}
    first = next(row for row in inline if row.source.row == 11)  # row 10 counted from 0 takes template 0 of ten
    assert text(first) == "Say it.\n\ni0\no0\nWhy? why\n\ni10"


@pytest.mark.parametrize("bad", [{}, {"input": "ei", "output": "eo"}, {**EXPLAINED, "explanation": " "}])
def test_without_an_explained_example_two_exemplars_are_shown(tmp_path: Path, bad: dict[str, str]) -> None:
    path = write(tmp_path, "task1_say.json", [defined(bad)])
    built = build([path], FlanCollectionSettings(zero_shot_share=0), count_tokens=WORDS)
    assert all(sum(f"o{n}" in text(row).split() for n in range(40)) == 2 for row in built.train)


def test_tasks_made_of_mmlu_are_left_out_by_their_number(tmp_path: Path) -> None:
    numbers = (663, 664, 667, 668, 684, 685, 737, 738)
    paths = [write(tmp_path, f"task{n}_x.json", [defined()]) for n in numbers]
    left_out = ["task664_x", "task667_x", "task685_x", "task737_x"]
    built = build(paths, FlanCollectionSettings(without=("few_shot",)))
    assert built.report["left_out"] == {"made of MMLU": left_out}
    assert {row.task for row in built.train} == {f"task{n}_x" for n in (663, 668, 684, 738)}
    kept = build(paths, FlanCollectionSettings(without=("few_shot",), mmlu_tasks="keep"))
    assert kept.report["left_out"] == {"made of MMLU": []} and len({row.task for row in kept.train}) == 8
    with pytest.raises(InputError, match="no task is left"):
        build(paths[1:2], FlanCollectionSettings(without=("few_shot",)))
    assert sum(b - a + 1 for a, b in collection_table()["mmlu_tasks"]) == 57


def test_a_plan_may_put_any_task_into_any_sub_mixture(tmp_path: Path) -> None:
    """Forms of their own have the rows that hold what these show; others are put as anywhere."""
    plan = tmp_path / "plan.yaml"
    for submixture in ("niv2", "cot", "dialog"):
        plan.write_text(f"tasks: {{rte: {{submixture: {submixture}}}}}")
        settings = FlanCollectionSettings(tasks=plan, weights="run_example")
        built = build([write(tmp_path, "rte.jsonl", nli(40))], settings, count_tokens=WORDS)
        assert not built.refused and {row.task for row in built.train} == {"rte"}
    plan.write_text("tasks: {rte: {submixture: t0}}")  # as its templates list options, without them too
    built = build([write(tmp_path, "rte.jsonl", nli(40))], FlanCollectionSettings(tasks=plan), count_tokens=WORDS)
    assert {name.split()[1] for name in built.report["styles"]} == {"zsopt", "zsnoopt", "fsopt", "fsnoopt"}


def test_gsm8k_becomes_chains_of_thought(tmp_path: Path) -> None:
    rows = [{"question": f"{n}+1?", "answer": f"It is <<{n}+1={n + 1}>>{n + 1}.\n#### {n + 1}"} for n in range(30)]
    built = build([write(tmp_path, "gsm8k.jsonl", rows)], FlanCollectionSettings(without=("few_shot", "inversion")))
    assert set(built.report["submixtures"]) == {"cot"}
    row = next(row for row in built.train if row.source.row == 1)
    assert row.messages[1].content == "It is 1.\nSo the answer is 1." and row.references == ("1",)


def test_rows_whose_exemplars_do_not_fit_are_dropped_and_counted(paths: list[str]) -> None:
    settings = FlanCollectionSettings(zero_shot_share=0.5, exemplar_tokens=1, rows=40, weights="equal")
    built = build(paths[3:], settings, count_tokens=WORDS)
    assert len(built.train) == 20
    assert built.report["no_exemplar_fits"] == {"p3 fsopt": 20}


def test_ablations_take_a_part_away(paths: list[str]) -> None:
    def made(*without: str) -> dict[str, Any]:
        settings = FlanCollectionSettings(without=without, rows=400, zero_shot_share=0.5)
        return build(paths, settings, count_tokens=WORDS).report

    assert not any(name.startswith("cot") for name in made("cot")["submixtures"])
    assert "cot inverted" not in made("inversion")["submixtures"]
    assert not any(" fs" in name for name in made("few_shot")["styles"])
    # without weights: in proportion to rows, 60 + 60 + 40 + 60
    unweighted = made("balancing", "inversion")["submixtures"]
    assert {name: entry["wanted"] for name, entry in unweighted.items()} == pytest.approx(
        {"flan": 60 / 220, "t0": 60 / 220, "niv2": 40 / 220, "cot": 60 / 220}
    )


def test_released_problems_with_solutions_read_back(shared_data: Path, tmp_path: Path) -> None:
    path = str(shared_data / "gsm8k" / "train.jsonl")
    rows = build([path], FlanCollectionSettings(without=("few_shot",))).train
    assert len(rows) > 1000
    write_rows(rows, tmp_path / "again.jsonl", "messages")
    again = load([str(tmp_path / "again.jsonl")]).rows
    assert [(row.messages, row.references) for row in again] == [(row.messages, row.references) for row in rows]


def test_rows_kept_for_the_test_are_not_trained_on(paths: list[str]) -> None:
    built = build(paths, FlanCollectionSettings(test_rows_per_task=5, without=("cot",)), count_tokens=WORDS)
    assert Counter(row.task for row in built.test) == {"rte": 5, "ecqa_train": 5, "task1_say": 5, "p3": 5}
    trained = {(row.source.file, row.source.row) for row in built.train}
    assert not trained & {(row.source.file, row.source.row) for row in built.test}
    said = next(row for row in built.test if row.task == "task1_say")
    assert said.references == ("o35", "or35")  # all that is right
    chain = next(row for row in built.test if row.task == "ecqa_train")
    assert chain.references == ("a55",)
    assert chain.messages[1].content == "Since 55.\nSo the answer is a55."


def test_an_end_marker_that_all_answers_share_is_removed_and_reported(tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?\n", "completion": f"{n}<|endoftext|>"} for n in range(4)]
    built = build([write(tmp_path, "p3.jsonl", rows)], FlanCollectionSettings(without=("few_shot",)))
    assert {row.messages[1].content for row in built.train} == {"0", "1", "2", "3"}
    assert built.report["tasks"]["p3"]["end_marker_removed"] == "<|endoftext|>"
    rows[0]["completion"] = "0"
    mixed = build([write(tmp_path, "p3.jsonl", rows)], FlanCollectionSettings(without=("few_shot",)))
    assert "1<|endoftext|>" in {row.messages[1].content for row in mixed.train}


def test_the_same_seed_draws_the_same_rows(paths: list[str]) -> None:
    first, again = (build(paths, FlanCollectionSettings(rows=100), count_tokens=WORDS) for _ in range(2))
    assert list(first.train) == list(again.train)
    assert list(build(paths, FlanCollectionSettings(rows=100, seed=1), count_tokens=WORDS).train) != list(first.train)


def test_few_shot_rows_want_a_tokenizer(paths: list[str]) -> None:
    with pytest.raises(InputError, match="no tokenizer counts them"):
        build(paths, FlanCollectionSettings())
    assert build(paths, FlanCollectionSettings(without=("few_shot",))).train


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"without": ("cot",)}, "too-few-rows"),
        ({"test_rows_per_task": 60}, "too-few-rows"),
    ],
)
def test_what_cannot_be_mixed_is_an_error(paths: list[str], settings: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        build(paths[1:2], FlanCollectionSettings(**settings), count_tokens=WORDS)
    assert caught.value.code == code


def test_a_row_with_too_many_options_is_refused(tmp_path: Path) -> None:
    many = {**nli(1)[0], "options": ["yes", *map(str, range(26))]}
    path = write(tmp_path, "rte.jsonl", [many, *nli(9)])
    built = build([path], FlanCollectionSettings(zero_shot_share=1, options_share=1, rows=40))
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(1, "too-many-options")]
    assert build([write(tmp_path, "rte.jsonl", [{**many, "answer": "x"}])], FlanCollectionSettings()).train == ()


def test_the_released_rationales_are_read(shared_data: Path) -> None:
    files = [f"{shared_data / 'flan_cot' / name}_train.tsv" for name in ("aqua", "ecqa", "qasc")]
    built = build(files, FlanCollectionSettings(without=("few_shot",), rows=300))
    assert not built.refused and len(built.train) == 300
    # published sizes: AQuA 2,728, QASC 1,084; of ECQA the first 2,000
    report = build(files, FlanCollectionSettings(without=("few_shot",))).report
    assert report["train"] == 2728 + 2000 + 1084
    assert all("\\n" not in (message.content or "") for row in built.train for message in row.messages)


def test_an_example_that_lacks_a_field_is_named_itself_and_shown_beside_no_other(tmp_path: Path) -> None:
    rows = nli(40)
    rows[7]["options"] = None
    path = write(tmp_path, "rte.jsonl", rows)
    built = build([path], FlanCollectionSettings(kind="nli", rows=400), count_tokens=WORDS)
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(8, "unknown-field")]
    assert "no field 'options_', which a template of 'nli' has" in built.refused[0].reason
    assert {row.source.row for row in built.train} == {*range(1, 41)} - {8}
    assert not any("P7." in message.content for row in built.train for message in row.messages)
    # Where no options are shown it may stand.
    bare = FlanCollectionSettings(kind="nli", rows=400, options_share=0)
    built = build([path], bare, count_tokens=WORDS)
    assert not built.refused and 8 in {row.source.row for row in built.train}
