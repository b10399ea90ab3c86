"""FLAN: templates, labelled rows, the assignment of templates, held-out clusters and mixing."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.records import load
from precept.records import write as write_rows
from precept.records.instructions.flan import FlanSettings, build
from precept.records.instructions.flan_templates import (
    Pattern,
    fill,
    options_block,
    read_template_set,
    shipped_kinds,
    shipped_templates,
)
from precept.records.instructions.labelled_answers import with_solution_split
from precept.records.problems import RowProblem
from precept.types import Conversation

NLI = {"premise": "It rains.", "hypothesis": "It is wet.", "options": ["yes", "no"], "answer": "yes"}


def write(folder: Path, name: str, *rows: Any) -> str:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def numbered(count: int, **row: Any) -> list[dict[str, Any]]:
    return [{**NLI, "premise": f"Line {n}.", **row} for n in range(count)]


def texts(row: Conversation) -> tuple[str | None, str | None]:
    return row.messages[0].content, row.messages[1].content


def test_options_are_a_heading_and_a_line_each() -> None:
    assert options_block(["yes", "no"]) == "OPTIONS:\n- yes\n- no"


def test_slots_are_filled_once_and_braces_in_values_stay() -> None:
    assert fill("{a} and {b}", {"a": "{b}", "b": "{}"}) == "{b} and {}"
    with pytest.raises(RowProblem, match="no field 'c'"):
        fill("{c}", {"a": "x"})


def test_without_options_a_template_loses_the_list_and_the_breaks_before_it() -> None:
    # the four places, tried in the order of the collection's code
    for inputs in ("Q\n\n{options_}", "Q\n{options_}", "Q{options_}", "Q\n\n{options_str}"):
        assert Pattern(inputs).without_options() == Pattern("Q")


@pytest.mark.parametrize("kind", shipped_kinds())
def test_shipped_templates_are_ten_ways_to_put_a_task(kind: str) -> None:
    templates = shipped_templates(kind)
    turned = sum(pattern.turned for pattern in templates.patterns)
    assert len(set(templates.patterns)) >= 10 or kind == "prompt"  # a prompt that is written already has one way
    assert turned <= 3  # "up to three" in the paper
    known = {*templates.slots, "answer", "options_"}
    assert all(pattern.slots <= known for pattern in templates.patterns)
    forward = [pattern for pattern in templates.patterns if not pattern.turned]
    inverted = kind in ("cot_inversion", "dialog_inversion")
    assert all("{answer}" in pattern.targets for pattern in forward) or inverted
    assert not any("{answer}" in pattern.inputs for pattern in forward) or inverted


def test_each_template_serves_as_often_and_the_rest_is_left_out(tmp_path: Path) -> None:
    # 34 rows and 10 templates: 3 rows each, 4 left over
    built = build([write(tmp_path, "rte.jsonl", *numbered(34))], FlanSettings())
    assert len(built.train) == 30
    assert built.report["tasks"]["rte"]["without_a_template"] == 4
    first = next(row for row in built.train if row.source.row == 1)
    assert texts(first) == (
        'Line 0.\n\nGoing by this text alone, is it true that "It is wet."?\n\nOPTIONS:\n- yes\n- no',
        "yes",
    )
    by_template = Counter((row.source.row - 1) % 10 for row in built.train)
    assert set(by_template.values()) == {3}


def test_a_template_drawn_for_each_row_leaves_none_out(tmp_path: Path) -> None:
    path = write(tmp_path, "rte.jsonl", *numbered(34))
    built = build([path], FlanSettings(assignment="random"))
    assert sorted(row.source.row for row in built.train) == list(range(1, 35))
    assert build([path], FlanSettings(assignment="random")).train == built.train
    assert build([path], FlanSettings(assignment="random", seed=1)).train != built.train


def test_turned_around_templates_ask_for_a_field_and_can_be_left_out(tmp_path: Path) -> None:
    path = write(tmp_path, "rte.jsonl", *numbered(10))
    turned = [row for row in build([path], FlanSettings()).train if row.messages[1].content != "yes"]
    assert [(row.options, row.source.row) for row in sorted(turned, key=lambda r: r.source.row)] == [((), 9), ((), 10)]
    assert {row.messages[1].content for row in turned} == {"It is wet.", "Text: Line 9.\nClaim: It is wet."}
    plain = build([path], FlanSettings(turned_around=False)).train  # 8 templates, 2 rows left over
    assert [row.messages[1].content for row in plain] == ["yes"] * 8


def test_fewer_templates_and_no_options_are_settings(tmp_path: Path) -> None:
    built = build([write(tmp_path, "rte.jsonl", NLI)], FlanSettings(templates_per_task=1, list_options=False))
    assert texts(built.train[0])[0] == 'It rains.\n\nGoing by this text alone, is it true that "It is wet."?'


def test_a_held_out_cluster_is_tested_and_those_that_it_excludes_are_left_out(tmp_path: Path) -> None:
    pair = {"sentence1": "A.", "sentence2": "B.", "options": ["no", "yes"], "label": 1}
    paths = [
        write(tmp_path, "rte.jsonl", *numbered(12)),
        write(tmp_path, "glue_mrpc.jsonl", *[pair] * 12),
        write(tmp_path, "sst2.jsonl", *[{"text": f"Fine {n}.", "answer": "good"} for n in range(12)]),
    ]
    settings = FlanSettings(held_out="entailment", list_options=False)
    built = build(paths, settings)
    assert {row.task for row in built.train} == {"sst2"}
    assert [row.task for row in built.test] == ["rte"] * 12  # all rows, none left out
    assert built.report["left_out"] == ["glue_mrpc"]  # paraphrase and entailment exclude each other
    assert {row.messages[1].content for row in built.test} == {"yes"}  # none turned around
    assert built.test[0].options == ("yes", "no")


def test_tested_rows_may_be_put_by_every_template(tmp_path: Path) -> None:
    films = write(tmp_path, "sst2.jsonl", *[{"text": f"Fine {n}.", "answer": "good"} for n in range(12)])
    path = write(tmp_path, "rte.jsonl", {**NLI, "id": "a"}, {**NLI, "id": "b"}, {**NLI, "premise": None})
    settings = FlanSettings(held_out="entailment", list_options=False, test_templates="all", templates_per_task=3)
    built = build([path, films], settings)
    assert [row.task for row in built.test] == ["rte/1", "rte/1", "rte/2", "rte/2", "rte/3", "rte/3"]
    assert len({texts(row)[0] for row in built.test}) == 3  # the two rows say the same
    assert [row.source.id for row in built.test][1:3] == ["rte/1:b", "rte/2:a"]
    assert built.report["tasks"]["rte"]["held_out"] == 6
    assert [refusal.row for refusal in built.refused] == [3]


def test_tested_rows_have_ids_of_their_own(tmp_path: Path) -> None:
    """Rows numbered in each file begin with their task; evaluation would refuse the same id twice."""
    films = write(tmp_path, "sst2.jsonl", *[{"text": f"Fine {n}.", "answer": "good"} for n in range(12)])
    numbered_rows = [{**row, "id": n} for n, row in enumerate(numbered(2))]
    paths = [write(tmp_path, f"{name}.jsonl", *numbered_rows) for name in ("rte", "cb")]
    settings = FlanSettings(held_out="entailment", list_options=False)
    assert [row.source.id for row in build([*paths, films], settings).test] == ["rte:0", "rte:1", "cb:0", "cb:1"]
    assert [row.source.id for row in build([paths[0], films], settings).test] == ["0", "1"]
    with pytest.raises(InputError) as caught:
        build([write(tmp_path, "rte.jsonl", *numbered_rows, numbered_rows[1]), films], settings)
    assert (caught.value.code, caught.value.where) == ("duplicate-ids", f"{tmp_path}/rte.jsonl row 3")
    assert caught.value.found == f"'1', which {tmp_path}/rte.jsonl row 2 has too"


def test_rows_above_the_cap_add_no_weight(tmp_path: Path) -> None:
    # golden 4 at a hundredth: sizes 10, 30 and 300, cap 30 -> 1/7, 3/7, 3/7
    paths = [write(tmp_path, f"{name}.jsonl", *numbered(n)) for name, n in (("cb", 10), ("rte", 30), ("snli", 300))]
    built = build(paths, FlanSettings(mixing_cap=30))
    shares = {name: entry["share"] for name, entry in built.report["tasks"].items()}
    assert shares == pytest.approx({"cb": 1 / 7, "rte": 3 / 7, "snli": 3 / 7})
    # no row twice: 10 of cb, so 70 in all
    assert Counter(row.task for row in built.train) == {"cb": 10, "rte": 30, "snli": 30}
    longer = build(paths, FlanSettings(mixing_cap=30, rows=140))
    assert {name: entry["repeats"] for name, entry in longer.report["tasks"].items()} == {
        "cb": 10,
        "rte": 30,
        "snli": 0,
    }


def test_only_the_first_rows_of_a_task_are_used(tmp_path: Path) -> None:
    built = build([write(tmp_path, "rte.jsonl", *numbered(40))], FlanSettings(max_examples=20))
    assert max(row.source.row for row in built.train) == 20


def test_a_plan_says_what_the_rows_do_not(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        'cluster: sentiment\ntemplates:\n  - "{text} Good or bad?\\n{options_}"\n'
        '  - {inputs: "A {answer} one:", targets: "{text}", turned: true}\n'
    )
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "tasks:\n  films:\n    templates: own.yaml\n    cluster: [sentiment, films]\n    fields: {text: said}\n"
        "    answer: stars\n    options: [bad, good]\n    labels: {0: bad, 1: good, -1: none}\n"
    )
    path = write(tmp_path, "films.jsonl", {"said": "Nice.", "stars": 1}, {"said": "Dull.", "stars": 0})
    built = build([path], FlanSettings(tasks=plan))
    assert sorted(map(texts, built.train)) == [
        ("A bad one:", "Dull."),
        ("Nice. Good or bad?\nOPTIONS:\n- bad\n- good", "good"),
    ]
    assert built.report["tasks"]["films"]["clusters"] == ["sentiment", "films"]


def test_rows_of_common_sources_are_read(tmp_path: Path) -> None:
    """ARC's choices with a key, SQuAD's list of answers, a task column, and a task file with its definition."""
    arc = {"question": "Q?", "choices": {"text": ["a", "b"], "label": ["A", "B"]}, "answerKey": "B", "task": "arc_easy"}
    squad = {"context": "C.", "question": "Q?", "answers": {"text": ["x", "y"]}, "task": "squad_v1"}
    definition = {
        "Definition": ["Say it."],
        "Positive Examples": [],
        "Instances": [{"input": "i", "output": ["o", "p"]}],
    }
    paths = [write(tmp_path, "rows.jsonl", arc, squad), write(tmp_path, "task1_x.json", definition)]
    rows = {row.task: row for row in build(paths, FlanSettings(templates_per_task=1)).train}
    assert texts(rows["arc_easy"]) == ("Q?\n\nOPTIONS:\n- a\n- b", "b")
    assert texts(rows["squad_v1"]) == ("C.\n\nQ?", "x")
    assert rows["squad_v1"].references == ("x", "y")
    assert texts(rows["task1_x"]) == ("Say it.\n\ni", "o")
    # a known name, and rows that its templates do not fit: the definition is there
    named = build([write(tmp_path, "sst2.json", definition)], FlanSettings(templates_per_task=1)).train
    assert texts(named[0]) == ("Say it.\n\ni", "o")


SOLVED = {"question": "How many?", "answer": "She has 2 * 9 = $<<2*9=18>>18.\nThat is 1,018 in all.\n#### 1,018"}


def test_the_direct_form_of_a_gsm8k_row_asks_for_the_bare_answer(tmp_path: Path) -> None:
    path = write(tmp_path, "gsm8k.jsonl", SOLVED)
    direct = build([path], FlanSettings(kind="math", templates_per_task=1)).train[0]
    assert (texts(direct), direct.references) == (("How many?", "1,018"), ("1,018",))


def test_the_reasoned_form_of_a_gsm8k_row_has_its_steps_without_calculator_notes(tmp_path: Path) -> None:
    reasoned = build([write(tmp_path, "gsm8k.jsonl", SOLVED)], FlanSettings(templates_per_task=1)).train[0]
    assert texts(reasoned)[1] == "She has 2 * 9 = $18.\nThat is 1,018 in all.\nSo the answer is 1,018."
    assert read_back(tmp_path, reasoned)


def read_back(folder: Path, *rows: Conversation) -> bool:
    """Whether the rows are the same after writing and reading them, but for their place and hash."""
    write_rows(rows, folder / "again.jsonl", "messages")
    again = load([str(folder / "again.jsonl")]).rows
    return [replace(row, source=rows[0].source) for row in again] == [replace(r, source=rows[0].source) for r in rows]


@pytest.mark.parametrize(
    ("answer", "split"),
    [
        ("#### -3", ("-3", None)),  # no steps: no rationale
        ("a\n#### 1\nb\n#### 2.5", ("2.5", "a\n#### 1\nb")),  # the last mark counts
        ("It is so.\n#### Conclusion", None),  # a heading
        ("a #### 4", None),  # not at a line's start
        ("a\n##### 4", None),
        ("a\n#### 4\nand so on", None),
        ("18", None),
    ],
)
def test_a_solution_ends_in_a_line_with_the_mark_and_a_number(
    answer: str, split: tuple[str, str | None] | None
) -> None:
    columns = {"question": "q", "answer": answer}
    found = with_solution_split(columns)
    assert (found["answer"], found.get("rationale")) == (split or (answer, None))
    assert with_solution_split({**columns, "rationale": "own"}).get("rationale") == "own"
    assert with_solution_split({"solution": answer}, "solution")["solution"] == (split or (answer,))[0]


def test_blank_answers_beside_others_are_no_answers(tmp_path: Path) -> None:
    path = write(tmp_path, "rows.jsonl", {"question": "Q?", "answers": ["", "x", " "]})
    row = build([path], FlanSettings(kind="closed_book_qa", templates_per_task=1)).train[0]
    assert (texts(row)[1], row.references) == ("x", ("x",))


def test_an_answer_that_is_nothing_but_the_shared_end_marker_is_refused(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "completion": "b<|endoftext|>"}, {"prompt": "c", "completion": "<|endoftext|>"}]
    built = build([write(tmp_path, "p3.jsonl", *rows)], FlanSettings())
    assert [texts(row) for row in built.train] == [("a", "b")]
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(2, "empty-answer")]


def test_rows_with_inputs_and_targets_are_prompts_or_have_a_definition(tmp_path: Path) -> None:
    prompt, defined = {"inputs": "Say i.", "targets": "o"}, {"definition": "Say it.", "inputs": "i", "targets": "o"}
    for name, row, asked in (("flan", prompt, "Say i."), ("ni", defined, "Say it.\n\ni")):
        built = build([write(tmp_path, f"{name}.jsonl", row)], FlanSettings(templates_per_task=1))
        assert texts(built.train[0]) == (asked, "o")


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        ({"answer": "perhaps"}, "no-right-option", "'perhaps' is none of its options"),
        ({"options": ["yes", "yes"]}, "repeated-option", "two of its options are the same"),
        ({"options": "yes, no"}, "bad-options", "no list of texts"),
        ({"answer": None, "label": 2}, "no-label", "label 2 counts beyond its 2 options"),
        ({"answer": None, "label": -1}, "no-label", "label -1"),
        ({"answer": None}, "no-answer", "no answer"),
        ({"answer": float("nan"), "options": None}, "no-answer", "no answer"),  # of a table
        ({"answer": " ", "options": None}, "empty-answer", "empty answer"),
        ({"options": None}, "unknown-field", "no field 'options_', which a template of 'nli' has"),
        ({"premise": None}, "unknown-field", "no text in the field 'premise'"),
        ({"answer": None, "answerKey": "C", "choices": {"text": ["a"], "label": ["A"]}}, "no-label", "answerKey 'C'"),
    ],
)
def test_a_row_that_cannot_be_put_is_refused_by_name(tmp_path: Path, change: Any, code: str, reason: str) -> None:
    built = build([write(tmp_path, "rte.jsonl", NLI, {**NLI, **change})], FlanSettings(templates_per_task=1))
    assert len(built.train) == 1
    ((row, found, why),) = [(refusal.row, refusal.code, refusal.reason) for refusal in built.refused]
    assert (row, found) == (2, code)
    assert reason in why


def test_a_plan_may_name_a_column_that_templates_do_not_know(tmp_path: Path) -> None:
    own, plan = tmp_path / "own.yaml", tmp_path / "plan.yaml"
    own.write_text('cluster: x\ncolumns: {text: [content]}\ntemplates: ["{text}"]')
    path = write(tmp_path, "films.jsonl", {"body": "Nice.", "answer": "good"})
    plan.write_text("tasks: {films: {templates: own.yaml, fields: {text: body}}}")
    assert texts(build([path], FlanSettings(tasks=plan)).train[0]) == ("Nice.", "good")
    plan.write_text("tasks: {films: {templates: own.yaml, fields: {text: bodi}}}")
    with pytest.raises(InputError) as caught:
        build([path], FlanSettings(tasks=plan))
    assert (caught.value.code, caught.value.found) == (
        "unknown-template-field",
        "fields of the rows: body, answer; looked for bodi",
    )


def test_a_label_without_a_name_in_the_plan_is_refused(tmp_path: Path) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text('tasks:\n  rte:\n    answer: label\n    labels: {0: "yes", 1: "no"}\n')
    path = write(tmp_path, "rte.jsonl", {**NLI, "label": 0}, {**NLI, "label": 7})
    built = build([path], FlanSettings(tasks=plan, templates_per_task=1))
    assert [refusal.code for refusal in built.refused] == ["no-label"]


@pytest.mark.parametrize(
    ("settings", "rows", "code"),
    [
        ({"kind": "nly"}, [NLI], "unknown-template-kind"),
        ({"kind": "nli", "templates": Path("own.yaml")}, [NLI], "two-template-sets"),
        ({"kind": "sentiment"}, [NLI], "unknown-template-field"),
        ({"held_out": "nli"}, [NLI], "unknown-cluster"),
        ({"held_out": "entailment"}, [NLI], "empty-task-split"),
        ({"held_out": "sentiment"}, [NLI], "empty-task-split"),
        ({"held_out": "sentiment", "train_tasks": 5}, [NLI], "two-task-splits"),
        ({}, [NLI], "too-few-rows"),
    ],
)
def test_what_cannot_be_done_is_an_error(tmp_path: Path, settings: Any, rows: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        build([write(tmp_path, "rte.jsonl", *rows)], FlanSettings(**settings))
    assert caught.value.code == code


def test_a_task_of_unknown_kind_is_told_which_kinds_fit(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        build([write(tmp_path, "mine.jsonl", NLI)], FlanSettings())
    assert caught.value.code == "no-templates"
    assert "kinds that fit them: completion, nli" in str(caught.value.found)


def test_the_error_of_an_unknown_field_names_template_and_field(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the templates 'coreference' have a field 'pronoun', which no row"):
        build([write(tmp_path, "rte.jsonl", {"text": "a", "answer": "b"})], FlanSettings(kind="coreference"))


def test_braces_around_quotes_are_text(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text('cluster: x\ntemplates: [\'{"text": "{a}", "of": {b}}\']')
    (pattern,) = read_template_set(tmp_path / "own.yaml").patterns
    assert fill(pattern.inputs, {"a": "1", "b": "2"}) == '{"text": "1", "of": 2}'


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("templates: [", "not YAML"),
        ("templates: [a]", "cluster: field required"),
        ("cluster: x\ntemplates: []", "templates: "),
        ("cluster: x\ntemplates: [{inputs: a, answer: b}]", "extra inputs"),
        ("cluster: x\ntemplates: ['Text: { sentence }']", "templates.1: { sentence } is no field"),
        ("cluster: x\ntemplates: ['{a}', '{b-1} {a}']", "templates.2: {b-1} is no field"),
        ("cluster: x\ntemplates: ['{a} {}']", "{} is no field"),
        ("cluster: x\ntemplates: ['{a} {{b}}']", "{{b} is no field"),
        ("cluster: x\ntemplates: [{inputs: '{a}', targets: '{answer.text}'}]", "{answer.text} is no field"),
        ("cluster: x\ntemplates: ['Say it.']", "shows no field of a row"),
        ('cluster: x\ntemplates: ["Say it.\\n{options_}"]', "shows no field of a row"),
        (None, "cannot be opened"),
    ],
)
def test_a_bad_template_file_is_an_error(tmp_path: Path, text: str | None, what: str) -> None:
    path = tmp_path / "own.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_template_set(path)
    assert (caught.value.code, caught.value.where) == ("bad-templates", str(path))
    assert what in caught.value.what


def test_templates_that_are_all_turned_around_cannot_be_tested(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text('cluster: x\ntemplates: [{inputs: "{answer}", targets: "{premise}", turned: true}]')
    with pytest.raises(InputError, match="all turned around"):
        build([write(tmp_path, "rte.jsonl", NLI)], FlanSettings(templates=own, turned_around=False))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("tasks: [", "bad-task-plan"),
        ("tasks: {rte: {knd: nli}}", "bad-task-plan"),
        (None, "bad-task-plan"),
        ("tasks: {mnli: {kind: nli}}", "unknown-plan-task"),
        ("tasks: {rte: {kind: nli, fields: {text: premise}}}", "unknown-plan-field"),
    ],
)
def test_a_bad_plan_is_an_error(tmp_path: Path, text: str | None, code: str) -> None:
    plan = tmp_path / "plan.yaml"
    if text is not None:
        plan.write_text(text)
    with pytest.raises(InputError) as caught:
        build([write(tmp_path, "rte.jsonl", NLI)], FlanSettings(tasks=plan))
    assert caught.value.code == code


def test_a_task_file_without_instances_is_refused_and_so_is_an_instance_without_input(tmp_path: Path) -> None:
    task = {"Definition": ["Say it."], "Positive Examples": []}
    empty = write(tmp_path, "task1_x.json", {**task, "Instances": []})
    some = [{"input": "i", "output": ["o"]}, {"output": ["p"]}, "q"]
    paths = [empty, write(tmp_path, "task2_x.json", {**task, "Instances": some})]
    built = build(paths, FlanSettings(templates_per_task=1))
    assert [texts(row) for row in built.train] == [("Say it.\n\ni", "o")]
    assert {(Path(r.file).name, r.row, r.code) for r in built.refused} == {
        ("task1_x.json", None, "empty-task"),
        ("task2_x.json", 2, "unknown-field"),
        ("task2_x.json", 3, "not-an-object"),
    }
    nothing = build([empty], FlanSettings(held_out="entailment"))  # that there is no row goes before the hold-out
    assert (list(nothing.train), [refusal.code for refusal in nothing.refused]) == ([], ["empty-task"])


def test_bad_files_and_rows_are_refused_and_the_rest_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "README.md").write_text("no data")
    (folder / "empty.jsonl").write_text("")
    (folder / "rte.jsonl").write_text(f"{json.dumps(NLI)}\n[1]\nnot json\n{json.dumps(NLI)}\n")
    built = build([str(folder)], FlanSettings(templates_per_task=1))
    assert len(built.train) == 2
    assert [(Path(r.file).name, r.row, r.code) for r in built.refused] == [
        ("empty.jsonl", None, "empty-file"),
        ("rte.jsonl", 2, "not-an-object"),
        ("rte.jsonl", 3, "bad-json"),
    ]
    first = build([f"{folder / 'rte.jsonl'}#1"], FlanSettings(templates_per_task=1))
    assert [row.source.row for row in first.train] == [1]
    (folder / "snli.jsonl").write_text(3 * f"{json.dumps(NLI)}\n")
    limited = build([f"{folder}#6"], FlanSettings(templates_per_task=1))  # 1 + 4 rows, the refused ones too, then 1
    assert sorted(row.task or "" for row in limited.train) == ["rte", "rte", "snli"]


def test_a_number_that_may_be_an_option_or_its_place_is_refused(tmp_path: Path) -> None:
    row = {"question": "1+1?", "options": [1, 2, 3], "answer": 2}
    twins = [{**row, "options": ["1", "2", "3"]}, {**row, "answer": 3}]  # 3 is the third, or counts beyond them
    clear = [{**row, "answer": "2"}, {**row, "options": [0, 1, 2]}, {**row, "options": ["one", "two", "three"]}]
    path = write(tmp_path, "sums.jsonl", row, *twins, *clear)
    settings = FlanSettings(kind="multiple_choice", assignment="random", turned_around=False)
    built = build([path], settings)
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [(n, "two-meanings") for n in (1, 2, 3)]
    assert sorted(texts(row)[1] or "" for row in built.train if isinstance(row, Conversation)) == ["2", "2", "three"]
    plan = tmp_path / "plan.yaml"
    plan.write_text('tasks: {sums: {kind: multiple_choice, labels: {1: "1", 2: "2", 3: "3"}}}')
    named = build(
        [write(tmp_path, "sums.jsonl", row, *twins)], settings.model_copy(update={"kind": None, "tasks": plan})
    )
    assert sorted(texts(row)[1] or "" for row in named.train if isinstance(row, Conversation)) == ["2", "2", "3"]
