"""promptsource: template files, rendering, its filters, and templates that would break out or run for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from precept.errors import InputError
from precept.records.instructions.promptsource import (
    Prompted,
    PromptRenderer,
    PromptsourceSettings,
    PromptTemplate,
    build,
    read_templates,
)
from precept.records.problems import RowProblem

FILE = """
dataset: films
templates:
  1: !Template
    answer_choices: bad ||| good
    id: 1
    jinja: "{{text}}\\n\\nGood or bad? ||| {{ answer_choices[label] }}"
    metadata: !TemplateMetadata
      choices_in_prompt: true
      metrics: [Accuracy]
      original_task: true
    name: verdict
    reference: ''
  2: !Template
    answer_choices: null
    id: 2
    jinja: "{% if label == 1 %}\\nPraise a film. ||| {{text}}\\n{% endif %}"
    metadata: !TemplateMetadata
      original_task: false
    name: praise
    reference: ''
"""
ROWS = [{"text": " Dull.", "label": 0}, {"text": "Nice.", "label": 1}]


@pytest.fixture
def films(tmp_path: Path) -> tuple[str, Path]:
    data, templates = tmp_path / "films.jsonl", tmp_path / "templates.yaml"
    data.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    templates.write_text(FILE)
    return str(data), templates


def render(
    jinja: str, row: dict[str, Any] | None = None, *, choices: str | None = None, **keys: Any
) -> Prompted | None:
    renderer = PromptRenderer(PromptTemplate("t", jinja, choices, None, ()), where="f.yaml", **keys)
    return renderer.render(row or {}, choose=lambda items: items[-1])


def test_every_row_meets_every_template_and_silence_is_counted(films: tuple[str, Path]) -> None:
    built = build([films[0]], PromptsourceSettings(templates=films[1]))
    said = [(row.messages[0].content, row.messages[1].content, row.options) for row in built.train]
    assert said == [
        ("Dull.\n\nGood or bad?", "bad", ("bad", "good")),
        ("Nice.\n\nGood or bad?", "good", ("bad", "good")),
        ("Praise a film.", "Nice.", ()),
    ]
    assert built.report == {
        "records": 2,
        "rows_by_template": {"verdict": 2, "praise": 1},
        "says_nothing": {"praise": 1},
    }
    assert [(row.source.row, row.task, row.references) for row in built.train][2] == (2, "films", ("Nice.",))


def test_a_rows_id_is_told_apart_by_template(films: tuple[str, Path]) -> None:
    Path(films[0]).write_text(json.dumps({"id": 7, **ROWS[1]}) + "\n")
    built = build([films[0]], PromptsourceSettings(templates=films[1]))
    assert [row.source.id for row in built.train] == ["7:verdict", "7:praise"]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"template_names": ("praise",)}, ["Praise a film."]),
        ({"original_task_only": True}, ["Dull.\n\nGood or bad?", "Nice.\n\nGood or bad?"]),
        ({"template_choice": "round_robin"}, ["Dull.\n\nGood or bad?", "Praise a film."]),
        ({"max_rows": 1}, ["Dull.\n\nGood or bad?"]),
    ],
)
def test_templates_and_rows_are_chosen(films: tuple[str, Path], settings: Any, expected: list[str]) -> None:
    built = build([films[0]], PromptsourceSettings(templates=films[1], **settings))
    assert [row.messages[0].content for row in built.train] == expected


def test_a_template_drawn_for_each_row_depends_on_the_seed(films: tuple[str, Path]) -> None:
    made = {
        tuple(
            row.messages[0].content
            for row in build(
                [films[0]], PromptsourceSettings(templates=films[1], template_choice="random", seed=seed)
            ).train
        )
        for seed in range(12)
    }
    assert len(made) > 1


def test_jinjas_own_whitespace_rules_hold_and_both_sides_are_stripped() -> None:
    # blocks leave their line breaks: two between the items
    made = render("Options:\n{% for x in xs %}\n- {{x}}\n{% endfor %} |||\n a \n", {"xs": ["1", "2"]})
    assert made == Prompted("Options:\n\n- 1\n\n- 2", "a", ())


def test_choice_and_most_frequent_take_items() -> None:
    assert render(
        "{{ xs | choice }} ||| {{ ys | most_frequent | choice }}", {"xs": [1, 2], "ys": ["a", "b", "b", "a"]}
    ) == (
        Prompted("2", "b", ())  # both are most frequent; the last of a, b is drawn
    )


def test_filters_and_methods_that_templates_use_are_there() -> None:
    row = {"q": "is_it so?", "d": {"a": [1, 2], "b": []}, "xs": ["x", "y"]}
    made = render(
        "{{ q.replace('_', ' ') | capitalize }} {{ q | trim('?') | replace('_', '-') }} {{ xs | join(' or ') }} "
        "{% for k, v in d.items() %}{{ k ~ (v | length) }}{{ ';' if not loop.last }}{% endfor %} "
        "{% for a, b in zip(xs, d['a']) %}{{ a }}{{ b + 1 }}{% endfor %} {{ d.c | default('none') }} "
        "{{ xs[::-1] | map('upper') | list | join }} {{ d.values() | map('length') | sum }} "
        "{{ xs.index('y') }} ||| {{ (q.split(' ') | last)[:-1] }}",
        row,
    )
    assert made == Prompted("Is it so? is-it so x or y a2;b0 x2y3 none YX 2 1", "so", ())


def test_a_constant_list_is_drawn_from_for_each_row_and_not_once() -> None:
    renderer = PromptRenderer(PromptTemplate("t", "{{ [1, 2] | choice }} ||| a", None, None, ()), where="f")
    drawn = [renderer.render({}, choose=lambda items, place=place: items[place]) for place in (0, 1)]
    assert [made and made.prompt for made in drawn] == ["1", "2"]


def test_choices_come_from_a_template_of_their_own() -> None:
    row = {"choices": {"text": ["x ", "y"], "label": ["A", "B"]}, "answerKey": "B"}
    made = render(
        '{{ answer_choices | join(", ") }} ||| {{ answer_choices[choices["label"].index(answerKey)] }}',
        row,
        choices='{{ choices.text | join("|||") }}',
    )
    assert made == Prompted("x, y", "y", ("x", "y"))


def test_the_separator_inside_a_row_is_text() -> None:
    row = {"top": "a ||| b", "deep": {"text": ["c|||d"]}}
    made = render("{{top}} {{deep.text[0]}} ||| {{ answer_choices[0] }}", row, choices="{{top}}")
    assert made == Prompted("a ||| b c|||d", "a ||| b", ("a ||| b",))


def test_long_values_are_cut_at_a_blank() -> None:
    # 5 characters more than the limit are let be; else 20 - 3 characters back to a blank, and three dots
    assert render("{{x}} ||| a", {"x": "word " * 6}, max_field_characters=20) == Prompted("word word word...", "a", ())
    assert render("{{x}} ||| a", {"x": "x" * 25}, max_field_characters=20) == Prompted("x" * 25, "a", ())
    assert render("{{x}} ||| a", {"x": "word " * 1000}, max_field_characters=None) == Prompted(
        ("word " * 1000).strip(), "a", ()
    )


@pytest.mark.parametrize(
    ("jinja", "row", "code", "reason"),
    [
        ("{{x}} ||| a", {"y": 1}, "unknown-field", "template 't': the row has no field 'x'"),
        ("{{x.z}} ||| a", {"x": {"y": 1}}, "template-failed", "no attribute 'z'"),
        ("{{x[5]}} ||| a", {"x": "ab"}, "template-failed", "5"),
        ("{{x | choice}} ||| a", {"x": []}, "template-failed", "nothing to choose from"),
        ("a ||| b ||| c", {"x": 1}, "too-many-parts", "writes '|||' 2 times"),
        ("{{x}} ||| b", {"x": 1, "answer_choices": []}, "restricted-field", "answer_choices"),
        ("{{x | int + 'a'}} ||| b", {"x": "1"}, "template-failed", "TypeError"),
    ],
)
def test_a_row_that_a_template_fails_on_is_refused_by_name(jinja: str, row: Any, code: str, reason: str) -> None:
    with pytest.raises(RowProblem) as caught:
        render(jinja, row)
    assert caught.value.code == code
    assert "template 't'" in caught.value.reason and reason in caught.value.reason


@pytest.mark.parametrize(
    "jinja",
    [
        "{{ ''.__class__ }} ||| a",
        "{{ x.__init__ }} ||| a",
        "{{ namespace.__init__.__globals__ }} ||| a",
        "{{ zip.__self__ }} ||| a",
        "{{ x['__class__'] }} ||| a",
        "{{ [x] | map(attribute='__class__') | list }} ||| a",
        "{{ '{0.__class__}'.format(x) }} ||| a",
        "{{ '%s' % x }} ||| a",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %} ||| a",
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x ~ n.x %}{% endfor %} ||| a",
        "{% set n = namespace(x='ab') %}{% for i in range(99) %}{% set n.x = n.x + n.x %}{% endfor %} ||| a",
        "{{ 'a' * 1000000000 }} ||| a",
        "{{ 10 ** 10 ** 10 }} ||| a",
        "{{ ('a' * 100000) | replace('a', 'b' * 10000) }} ||| a",
        "{{ ('a' * 100000).replace('a', 'b' * 10000) }} ||| a",
        "{{ ('b' * 10000).join('a' * 10000) }} ||| a",
        "{{ ('a' * 100000) | replace(old='a', new='b' * 10000) }} ||| a",
        "{{ (['a' * 10000] * 10000) | join(d='') }} ||| a",
        "{{ dict(zip(range(10000), ['a' * 10000] * 10000)).values() | join('') }} ||| a",
        "{{ dict(zip(range(10000), ['a' * 10000] * 10000)).values() }} ||| a",
        "{{ ''.join(zip(['a' * 10000] * 10000, ['a'] * 10000)) }} ||| a",
        "{{ zip(['a' * 10000] * 10000, ['a'] * 10000) | join('') }} ||| a",
        "{% set n = namespace(x=3) %}{% for i in range(60) %}{% set n.x = n.x * n.x %}{% endfor %}{{ n.x }} ||| a",
        "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }} ||| a",
        "{% set l = [] %}{% for i in range(9999) %}{% set _ = l.append(l) %}{% endfor %}{{ l }} ||| a",
    ],
)
def test_no_template_reaches_into_python_or_runs_for_ever(jinja: str) -> None:
    with pytest.raises(RowProblem, match="template 't'"):
        render(jinja, {"x": "text"})


@pytest.mark.parametrize(
    "jinja",
    [
        "{% include 'x' %} ||| a",
        "{{ x | attr('y') }} ||| a",
        "{{ x ||| a",
        "{{ x | shout }} ||| a",
        "{% import 'os' as o %} ||| a",
    ],
)
def test_what_the_sandbox_lacks_is_an_error_of_the_file(jinja: str) -> None:
    with pytest.raises(InputError, match=r"template 't' cannot be used: [^\n]+\n  do: ") as caught:
        render(jinja, {"x": 1})
    assert caught.value.code == "bad-prompt-templates"


def test_a_field_that_no_row_has_is_an_error_naming_both(films: tuple[str, Path]) -> None:
    films[1].write_text(FILE.replace("{{text}}\\n\\nGood", "{{body}}\\n\\nGood"))
    with pytest.raises(InputError, match="template 'verdict' reads the field 'body', which no row has") as caught:
        build([films[0]], PromptsourceSettings(templates=films[1]))
    assert caught.value.code == "unknown-template-field"


def test_rows_that_fail_are_refused_and_the_others_made(films: tuple[str, Path]) -> None:
    Path(films[0]).write_text(
        "".join(json.dumps(row) + "\n" for row in [*ROWS, {"text": "No label."}, {"text": "x", "label": 7}])
    )
    built = build([films[0]], PromptsourceSettings(templates=films[1]))
    assert len(built.train) == 3
    assert [(refusal.row, refusal.code) for refusal in built.refused] == [
        (3, "unknown-field"),
        (3, "unknown-field"),
        (4, "template-failed"),
    ]


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("templates: [", "not YAML"),
        ("a: 1", "has no 'templates'"),
        ("templates: {1: x}", "template 1 is no mapping"),
        ("templates: {1: !Template x}", "!Template is no mapping at line 1"),
        ("templates: {1: !Template {name: x}}", "template x needs 'name' and 'jinja'"),
        ("templates: {1: !Template {name: x, jinja: y}}", "no '|||'"),
        ("templates: {1: {name: x, jinja: '|||'}, 2: {name: x, jinja: '|||'}}", "two templates have the name 'x'"),
        ("templates: !!python/object/apply:os.system ['echo']", "not YAML"),
        (None, "cannot be opened"),
    ],
)
def test_a_bad_template_file_is_an_error(tmp_path: Path, text: str | None, what: str) -> None:
    path = tmp_path / "templates.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(InputError) as caught:
        read_templates(path)
    assert caught.value.code == "bad-prompt-templates"
    assert what in caught.value.what


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"template_names": ("verdct",)}, "unknown-prompt-template"),
        ({"template_names": ("praise",), "original_task_only": True}, "unknown-prompt-template"),
        ({"template_names": ("praise",), "max_rows": 1}, "no-prompts"),
    ],
)
def test_a_choice_that_leaves_nothing_is_an_error(films: tuple[str, Path], settings: Any, code: str) -> None:
    with pytest.raises(InputError) as caught:
        build([films[0]], PromptsourceSettings(templates=films[1], **settings))
    assert caught.value.code == code


def test_a_field_that_is_nested_too_deep_refuses_its_row() -> None:
    deep: Any = "x"
    for _ in range(3000):
        deep = [deep]
    with pytest.raises(RowProblem, match="nested too deep"):
        render("{{a}} ||| b", {"a": deep})


@pytest.mark.parametrize(
    ("jinja", "prompt"),
    [
        ("{{a}}", "['a', 'b|||c']"),
        ("{{a | string | upper}}", "['A', 'B|||C']"),
        ("{{[a | string]}}", "[\"['a', 'b|||c']\"]"),
        ("{{a[1]}} {{a[1] | length}}", "b|||c 5"),
    ],
)
def test_a_separator_in_a_list_that_is_printed_stays_as_it_is(jinja: str, prompt: str) -> None:
    made = render(jinja + " ||| x", {"a": ["a", "b|||c"]})
    assert made is not None and made.prompt == prompt
