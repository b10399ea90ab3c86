"""Suites, few-shot prompts, resuming and exporting from the command line, on a tiny random model."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.command_line import precept, write_rows
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.errors import InputError
from precept.evaluate import ItemResult, Task, load_task
from precept.evaluate.manifest import check_manifest
from precept.evaluate.suite import load_suite
from precept.evaluate.task import Metric
from precept.run.eval.answer import own_template
from precept.run.eval.evaluate import run_eval
from precept.run.eval.export import without_form
from precept.run.eval.rounds import Round
from precept.run.eval.store import BLOCK, make_store, open_stores
from precept.run.eval.suite_tasks import suite_tasks
from precept.run.eval.tasks import Asking

PROMPT = "canary\n-----\nAdd.\n\n" + "\n\n".join(
    f"Q: {n} + 1?\nA: Let's think step by step.\nWe add. So the answer is {n + 1}." for n in range(3)
)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama without a chat template."""
    return tiny_model_folder(tmp_path_factory.mktemp("base") / "base", max_position_embeddings=2048)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small files in the formats of MMLU, BBH, GSM8K, the Vicuna questions and MT-bench."""
    folder = tmp_path_factory.mktemp("data")
    for split, count in (("dev", 5), ("test", 7)):
        for subject in ("anatomy", "world_religions"):
            lines = [f"What is {n} + {n}?,{2 * n},{n},{n + 1},{n + 7},{'ABCD'[n % 4]}" for n in range(9, 9 + count)]
            path = folder / "mmlu" / split / f"{subject}_{split}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines) + "\n")
    (folder / "bbh" / "cot-prompts").mkdir(parents=True)
    for name in ("sums", "more_sums"):
        examples = [{"input": f"{n} + 1?", "target": f"{n + 1}"} for n in range(4)]
        (folder / "bbh" / f"{name}.json").write_text(json.dumps({"canary": "no", "examples": examples}))
        (folder / "bbh" / "cot-prompts" / f"{name}.txt").write_text(PROMPT)
    (folder / "gsm8k").mkdir()
    for split, count in (("train", 9), ("test", BLOCK + 6)):
        rows = [{"question": f"What is {n} + 1?", "answer": f"It is {n + 1}.\n#### {n + 1}"} for n in range(count)]
        write_rows(folder / "gsm8k" / f"{split}.jsonl", rows)
    for name, turns in (("vicuna80", ["Why?"]), ("mt_bench", ["Why?", "Say it shorter."])):
        (folder / name).mkdir()
        questions = [{"question_id": n, "category": c, "turns": turns} for n, c in ((81, "writing"), (111, "math"))]
        write_rows(folder / name / "question.jsonl", questions)
    return folder


def evaluate(base: Path, data: Path, output: Path, *words: str | Path) -> Any:
    folder = ("--data-dir", data) if "--suite" in words else ()
    ended = precept("eval", "--model", base, *folder, "-o", output, "--json", *words)
    assert ended.code == 0, ended.err
    return ended.json


def items(output: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / name).read_text().splitlines()]


def test_mmlu_shows_the_examples_of_each_subject_and_averages_over_subjects(
    base: Path, data: Path, tmp_path: Path
) -> None:
    document = evaluate(base, data, tmp_path, "--suite", "mmlu")
    assert list(document["tasks"]) == ["anatomy", "world_religions"]
    (prompt, *_) = [item["prompt"] for item in items(tmp_path, "base.world_religions.items.jsonl")]
    assert prompt.startswith("The following are multiple choice questions (with answers) about world religions.\n\n")
    assert prompt.count("\nAnswer: ") == 5 and prompt.endswith("What is 9 + 9?\nA. 18\nB. 9\nC. 10\nD. 16\nAnswer:")
    score = document["suite"]["scores"]["direct"]["accuracy"]
    means = [task["accuracy"]["value"] for task in document["tasks"].values()]
    assert score["value"] == pytest.approx(sum(means) / 2) and (score["n"], score["tasks"]) == (14, 2)
    assert document["asked"]["anatomy"]["guessing"] == 0.25 and document["asked"]["anatomy"]["shots"] == 5
    assert check_manifest(document) == [] and document["scope"].startswith("MMLU")
    assert len(document["model_hash"]) == 64 and document["asked"]["anatomy"]["files"][0]["sha256"]


def test_bbh_is_asked_directly_and_by_chain_of_thought_with_its_prompt_files(
    base: Path, data: Path, tmp_path: Path
) -> None:
    document = evaluate(base, data, tmp_path, "--suite", "bbh", "--max-new-tokens", "4")
    assert list(document["tasks"]) == ["more_sums_direct", "sums_direct", "more_sums_cot", "sums_cot"]
    assert list(document["suite"]["scores"]) == ["direct", "cot"]
    assert list(document["tasks"]["sums_cot"]) == ["exact_match", "exact_match_lenient"]
    direct = items(tmp_path, "base.sums_direct.items.jsonl")[3]["prompt"]
    assert direct == "Add.\n\nQ: 0 + 1?\nA: 1\n\nQ: 1 + 1?\nA: 2\n\nQ: 2 + 1?\nA: 3\n\nQ: 3 + 1?\nA:"
    cot = items(tmp_path, "base.sums_cot.items.jsonl")[3]["prompt"]
    assert cot == PROMPT.split("-----\n")[1] + "\n\nQ: 3 + 1?\nA: Let's think step by step."


def test_a_recipe_asks_a_suite_once_and_again_when_its_data_changes(base: Path, data: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "mmlu", tmp_path / "mmlu")
    asks = {"model": str(base), "suite": "mmlu", "data_dir": str(tmp_path), "limit": 2, "shots": 1}
    recipe = tmp_path / "ask.yaml"
    recipe.write_text(json.dumps({"name": "ask", "steps": [{"name": "eval", "uses": "eval", "with": asks}]}))
    states = []
    for number in range(3):
        if number == 2:
            with (tmp_path / "mmlu" / "test" / "anatomy_test.csv").open("a") as file:
                file.write("What is 1 + 1?,2,1,3,7,A\n")
        ended = precept("run", recipe, "-o", tmp_path / "out", "--json")
        assert ended.code == 0, ended.err
        (step,) = ended.json["steps"]
        assert step["result"]["suite"]["scores"]["direct"]["accuracy"]["n"] == 4
        states.append(step["state"])
    assert states == ["done", "reused", "done"]


def test_an_eval_step_names_a_task_or_a_suite(base: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "ask.yaml"
    recipe.write_text(f"steps:\n- name: eval\n  uses: eval\n  with: {{model: {base}}}\n")
    ended = precept("run", recipe, "-o", tmp_path / "out")
    assert ended.code == 2 and "needs a task or a suite" in ended.err
    recipe.write_text(f"steps:\n- name: eval\n  uses: eval\n  with: {{model: {base}, task: t.jsonl, data_dir: d}}\n")
    ended = precept("run", recipe, "-o", tmp_path / "out")
    assert ended.code == 2 and "'data_dir' is read for a suite alone" in ended.err


def test_fewer_examples_are_shown_when_asked_for(base: Path, data: Path, tmp_path: Path) -> None:
    evaluate(base, data, tmp_path, "--suite", "bbh", "--shots", "1", "--limit", "1", "--max-new-tokens", "2")
    assert items(tmp_path, "base.sums_direct.items.jsonl")[0]["prompt"] == "Add.\n\nQ: 0 + 1?\nA: 1\n\nQ: 0 + 1?\nA:"


def test_first_rows_that_serve_as_examples_are_not_asked(base: Path, data: Path, tmp_path: Path) -> None:
    task = tmp_path / "sums.yaml"
    task.write_text(f"family: gsm8k\ndata: {data / 'gsm8k' / 'train.jsonl'}\nshots: 2\nmax_new_tokens: 2\n")
    evaluate(base, data, tmp_path / "out", "--task", task)
    found = items(tmp_path / "out", "base.sums.items.jsonl")
    assert [item["references"] for item in found] == [[str(n + 1)] for n in range(2, 9)]
    assert all(item["prompt"].count("####") == 2 for item in found)


def test_an_evaluation_that_was_killed_goes_on_behind_its_last_block(base: Path, data: Path, tmp_path: Path) -> None:
    words = ("--suite", "gsm8k", "--max-new-tokens", "3")
    whole = evaluate(base, data, tmp_path / "whole", *words)
    evaluate(base, data, tmp_path / "killed", *words)
    path = tmp_path / "killed" / "base.gsm8k.items.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    marked = lines[0].replace(b'"output":"', b'"output":"kept ')
    path.write_bytes(b"".join([marked, *lines[1 : BLOCK + 2], lines[BLOCK + 2][:30]]))  # a torn line in block two
    (tmp_path / "killed" / "result.json").unlink()
    ended = precept("eval", "--model", base, "--data-dir", data, "-o", tmp_path / "killed", "--json", *words)
    assert ended.code == 0 and f"{BLOCK} of {BLOCK + 6} items were answered before" in ended.err
    assert path.read_bytes().splitlines()[0] == marked.rstrip() and len(path.read_bytes().splitlines()) == BLOCK + 6
    assert path.read_bytes().splitlines()[1:] == [line.rstrip() for line in lines[1:]]
    assert ended.json["tasks"] == whole["tasks"]


@pytest.mark.parametrize("tail", [b'{"id": "torn', b"damaged\n", b'{"id": "another row", "task": "t"}\n'])
def test_what_a_kill_leaves_behind_whole_blocks_is_removed(base: Path, data: Path, tmp_path: Path, tail: bytes) -> None:
    asking = Asking(max_new_tokens=1)
    (asked,) = suite_tasks(load_suite("gsm8k"), data, asking)
    store = make_store(tmp_path, "base", Round(asked, 0), {})
    results = [ItemResult(item.id, "gsm8k", "", item.references, "", "", {}) for item in asked.items]
    assert store.done() == []
    store.append(results[:BLOCK])
    store.path.write_bytes(store.path.read_bytes() + tail)
    assert store.done() == results[:BLOCK]
    assert store.path.read_bytes().count(b"\n") == BLOCK and tail not in store.path.read_bytes()
    store.append(results[BLOCK:])
    assert store.done() == results


def test_a_finished_evaluation_is_told_again_without_its_model(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--suite", "gsm8k", "--limit", "2", "--max-new-tokens", "2")
    first = evaluate(base, data, tmp_path, *words)

    def no_model(*_: object, **__: object) -> None:
        raise AssertionError("a model is loaded")

    monkeypatch.setattr("precept.run.eval.model.open_asked", no_model)
    assert evaluate(base, data, tmp_path, *words)["tasks"] == first["tasks"]


def test_a_command_whose_model_did_not_load_blocks_no_other(
    base: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["eval", "--model", base, "--suite", "gsm8k", "--limit", "2", "-o", tmp_path, "--data-dir", data]

    def refuse(*_: object, **__: object) -> None:
        raise InputError("the model does not load", code="broken")

    with monkeypatch.context() as patch:
        patch.setattr("precept.run.eval.model.open_asked", refuse)
        assert precept(*words, "--max-new-tokens", "3").code == 2
    path = tmp_path / "base.gsm8k.items.jsonl"
    assert not path.exists()
    path.write_bytes(b'{"id": "torn')
    assert precept(*words, "--max-new-tokens", "2").code == 0
    assert len(items(tmp_path, path.name)) == 2


def test_other_settings_need_fresh(base: Path, data: Path, tmp_path: Path) -> None:
    words = ["--suite", "gsm8k", "--limit", "2", "-o", tmp_path, "--data-dir", data, "--max-new-tokens"]
    assert precept("eval", "--model", base, *words, "2").code == 0
    ended = precept("eval", "--model", base, *words, "3")
    assert ended.code == 2 and "code: evaluation-differs" in ended.err
    assert "max_new_tokens: 2 -> 3" in ended.err and "--fresh" in ended.err
    assert precept("eval", "--model", base, *words, "3", "--fresh").code == 0


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    with (
        open_stores(tmp_path, [], fresh=False),
        pytest.raises(InputError) as caught,
        open_stores(tmp_path, [], fresh=False),
    ):
        pass
    assert caught.value.code == "output-in-use"


def test_both_turns_are_answered_and_written_for_the_judge(base: Path, data: Path, tmp_path: Path) -> None:
    document = evaluate(base, data, tmp_path, "--suite", "mt_bench", "--max-new-tokens", "4")
    assert document["answers"] == {"mt_bench": "base.mt_bench.answers.jsonl"}
    lines = items(tmp_path, "base.mt_bench.answers.jsonl")
    assert [line["question_id"] for line in lines] == [81, 111]
    assert all(len(line["choices"][0]["turns"]) == 2 for line in lines)
    again = evaluate(base, data, tmp_path / "again", "--suite", "mt_bench", "--max-new-tokens", "4")
    assert again["tasks"] == document["tasks"]
    assert items(tmp_path / "again", "base.mt_bench.answers.jsonl") == lines  # drawn with the same seed


def test_the_stored_prompt_of_two_turns_is_the_dialogue_that_was_sent(base: Path, data: Path, tmp_path: Path) -> None:
    strict = tmp_path / "strict.jinja"  # as of Gemma and Mistral: user and assistant take turns
    strict.write_text(
        "{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
        "{{ raise_exception('Conversation roles must alternate') }}{% endif %}"
        "[{{ m.role }}]{{ m.content }}<|endoftext|>{% endfor %}{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    words = ("--suite", "mt_bench", "--max-new-tokens", "4", "--chat-template", strict)
    document = evaluate(base, data, tmp_path / "out", *words)
    for item in items(tmp_path / "out", document["item_files"][0]):
        first = item["turns"][0]
        wanted = f"[user]Why?<|endoftext|>[assistant]{first}<|endoftext|>[user]Say it shorter.<|endoftext|>[assistant]"
        assert item["prompt"] == wanted


def test_the_bundled_world_is_a_suite_without_files(base: Path, tmp_path: Path) -> None:
    words = ("--suite", "knowledge", "--limit", "1", "--max-new-tokens", "2")
    document = evaluate(base, tmp_path / "absent", tmp_path / "out", *words)
    assert list(document["suite"]["scores"]) == [
        "unseen_instances",
        "unseen_wordings",
        "unseen_combinations",
        "unseen_tasks",
    ]


def test_a_model_with_a_template_is_asked_through_it_unless_told_otherwise(data: Path, tmp_path: Path) -> None:
    model = tiny_model_folder(tmp_path / "chat", tokenizer=tiny_tokenizer(chat_template=CHATML))
    assert own_template(model) == CHATML
    for word, start in (("--chat", "<|im_start|>user\nWhy?"), ("--plain", "Why?")):
        words = ("--suite", "vicuna80", "--max-new-tokens", "2", word)
        document = evaluate(model, data, tmp_path / word, *words)
        assert document["asked"]["vicuna80"]["chat"] == (word == "--chat") == (document["chat_template"] is not None)
        assert items(tmp_path / word, "chat.vicuna80.items.jsonl")[0]["prompt"].startswith(start)


def test_a_model_without_a_template_is_said_to_be_asked_in_plain_text(base: Path, data: Path, tmp_path: Path) -> None:
    words = ("--suite", "vicuna80", "--max-new-tokens", "2", "--data-dir", data, "-o", tmp_path / "out")
    ended = precept("eval", "--model", base, *words, "--json")
    assert "has no chat template: it is asked in plain text" in ended.err
    assert load_task("vicuna80").chat and ended.json["asked"]["vicuna80"]["chat"] is False
    assert ended.json["chat_template"] is None
    assert precept("report", tmp_path / "out").code == 0


@pytest.mark.parametrize("swapped", [False, True])
def test_a_base_model_is_compared_with_the_template_of_the_tuned_one(
    base: Path, data: Path, tmp_path: Path, swapped: bool
) -> None:
    tuned = tiny_model_folder(tmp_path / "chat", tokenizer=tiny_tokenizer(chat_template=CHATML))
    first, second = (tuned, base) if swapped else (base, tuned)
    words = ("--suite", "vicuna80", "--limit", "1", "--max-new-tokens", "2")
    document = evaluate(first, data, tmp_path / "out", *words, "--against", second)
    assert document["asked"]["vicuna80"]["chat"] and document["against"]["asked"] == {"vicuna80": {"chat": True}}
    assert document["chat_template"] == document["against"]["chat_template"] is not None
    names = ("chat.vicuna80.items.jsonl", "base.vicuna80.items.jsonl")
    one, other = (items(tmp_path / "out", name)[0]["prompt"] for name in names)
    assert one == other and one.startswith("<|im_start|>user")


def test_a_model_is_not_said_to_be_asked_with_a_template_where_no_task_is(
    base: Path, data: Path, tmp_path: Path
) -> None:
    tuned = tiny_model_folder(tmp_path / "chat", tokenizer=tiny_tokenizer(chat_template=CHATML))
    words = ("eval", "-m", tuned, "--against", base, "--data-dir", data, "--limit", "1", "--max-new-tokens", "2")
    plain = precept(*words, "-o", tmp_path / "plain", "-s", "mmlu")
    assert plain.code == 0 and "no chat template" not in plain.err
    through = precept(*words, "-o", tmp_path / "through", "-s", "vicuna80")
    assert f"{base} has no chat template: it is asked with the one of" in " ".join(through.err.split())


def test_a_comparison_says_better_worse_or_undecided(base: Path, data: Path, tmp_path: Path) -> None:
    words = ("--suite", "gsm8k", "--limit", "3", "--max-new-tokens", "2", "--against", base)
    document = evaluate(base, data, tmp_path, *words)
    assert document["verdict"] == {"exact_match": "undecided", "exact_match_lenient": "undecided"}
    assert list(document["difference"]["exact_match"]) == ["value", "low", "high", "p", "n"]


def test_the_table_shows_the_means_of_the_groups(base: Path, data: Path, tmp_path: Path) -> None:
    ended = precept("eval", "-m", base, "-s", "mmlu", "--data-dir", data, "-o", tmp_path, "--limit", "2")
    assert ended.code == 0 and "mmlu: mean over tasks" in ended.out and "direct" in ended.out


def test_suites_are_listed() -> None:
    ended = precept("eval", "--list", "--json")
    assert ended.code == 0 and {"mmlu", "bbh"} <= {suite["name"] for suite in ended.json["suites"]}
    assert "--suite NAME" in precept("eval", "--list").out


def refused(*words: str | Path) -> str:
    ended = precept("eval", *words)
    assert ended.code == 2, ended.err
    return ended.err.rpartition("code: ")[2].strip()


def test_what_cannot_be_asked_is_refused_by_its_code(base: Path, data: Path, tmp_path: Path) -> None:
    model, out = ("--model", base, "-o", tmp_path / "out"), ("--data-dir", data)
    assert refused(*model, *out) == "nothing-to-evaluate"
    assert refused(*model, *out, "--suite", "tydiqa") == "suite-data-missing"
    assert refused(*model, "--suite", "mmlu", "--data-dir", tmp_path / "absent") == "suite-data-missing"
    assert refused(*model, *out, "--suite", "bbh", "--shots", "4") == "too-few-examples"
    empty = write_rows(tmp_path / "rows.jsonl", [{"prompt": "a", "completion": "b"}])
    assert refused(*model, "--task", empty, "--shots", "1") == "shots-without-layout"
    one = write_rows(tmp_path / "one.jsonl", [{"question": "1 + 1?", "answer": "2"}])
    task = tmp_path / "one.yaml"
    task.write_text(f"family: gsm8k\ndata: {one}\nshots: 1\n")
    assert refused(*model, "--task", task) == "nothing-to-ask"
    (tmp_path / "prompt.txt").write_text("no questions")
    task.write_text(f"family: gsm8k\ndata: {one}\nshots: 1\nexamples: prompt.txt\n")
    assert refused(*model, "--task", task) == "prompt-unreadable"
    suite = tmp_path / "mine.yaml"
    suite.write_text('tasks:\n  - {task: knowledge, data: "bundled:moon"}\n')
    assert refused(*model, *out, "--suite", suite) == "level-unknown"
    suite.write_text("tasks:\n  - {task: gsm8k, data: gsm8k/test.jsonl, each: true, leave_out: [test]}\n")
    assert refused(*model, *out, "--suite", suite) == "suite-empty"
    suite.write_text("tasks: []\n")
    assert refused(*model, *out, "--suite", suite) == "suite-empty"
    (tmp_path / "none.json").write_text(json.dumps({"Definition": ["Add."], "Instances": []}))
    assert refused(*model, "--task", tmp_path / "none.json") == "no-readable-file"


def test_an_exported_task_holds_the_items_as_they_are_asked(data: Path, tmp_path: Path) -> None:
    task = tmp_path / "sums.yaml"
    task.write_text(f"family: gsm8k\ndata: {data / 'gsm8k' / 'train.jsonl'}\nshots: 2\n")
    words = ("eval", "--export-task", task, "--to", "lm-eval", "-o", tmp_path / "out")
    ended = precept(*words, "--json")
    assert ended.code == 0 and (ended.json["task"], ended.json["items"]) == ("precept_sums", 7)
    documents = items(tmp_path / "out", "precept_sums.jsonl")
    assert documents[0]["references"] == ["3"] and documents[0]["prompt"].endswith("Question: What is 2 + 1?\nAnswer:")
    text = (tmp_path / "out" / "precept_sums.yaml").read_text()
    assert "output_type: generate_until" in text and "!function precept_sums_scores.process_results" in text
    assert "--tasks precept_sums" in precept(*words).out
    assert refused("--export-task", task, "--to", "helm") == "export-target"
    questions = data / "mt_bench" / "question.jsonl"
    assert refused("--export-task", questions, "-o", tmp_path / "out") == "export-unsupported"
    task.write_text(task.read_text() + "temperature: {default: 0.7}\n")
    ended = precept("eval", "--export-task", task, "-o", tmp_path / "out")
    assert ended.code == 2 and "found: temperature 0.7 (default)\n" in ended.err


@pytest.mark.parametrize(
    ("task", "found"),
    [
        (replace(load_task("gsm8k"), temperature={"default": 0.0}), []),
        (replace(load_task("gsm8k"), temperature={"default": 0.7, "math": 0.0}), ["temperature 0.7 (default)"]),
        (load_task("superni_xlingual"), ["rouge_l_byte_bpe scored as rouge_l_byte_bpe"]),
        (load_task("alpaca_eval"), ["kind answers"]),
        (replace(load_task("choice"), metrics={"a": Metric("option", "none", "tokens")}), ["a normalized by tokens"]),
    ],
)
def test_what_the_harness_has_no_form_for_is_named(task: Task, found: list[str]) -> None:
    assert without_form(task) == found


def test_an_exported_prompt_is_the_published_one_byte_by_byte_also_of_a_question_with_options(tmp_path: Path) -> None:
    question = "Which one?\nOptions:\n(A) the red book\n(B) the blue one"
    examples = [{"input": question, "target": "(A)"}, {"input": "3 + 1?", "target": "4"}]
    (tmp_path / "books.json").write_text(json.dumps({"examples": examples}))
    (tmp_path / "books.txt").write_text(PROMPT)
    task = tmp_path / "books.yaml"
    task.write_text("family: bbh_cot_few_shot\ndata: books.json\nexamples: books.txt\n")
    ended = precept("eval", "--export-task", task, "-o", tmp_path / "out", "--json")
    assert ended.code == 0, ended.err
    file, asked = PROMPT.split("-----\n")[1], (question, "3 + 1?")
    assert [document["prompt"] for document in items(tmp_path / "out", "precept_books.jsonl")] == [
        f"{file}\n\nQ: {text}\nA: Let's think step by step." for text in asked
    ]


def test_scores_of_an_exported_task_are_those_of_the_evaluation() -> None:
    from precept.run.eval.export import scorer

    metrics = {"m": {"score": "same_number", "extract": "last_number", "normalization": "none"}}
    score = scorer("generate", ["Question:"], metrics)
    assert score({"references": ["18"]}, ["It is $18. Question: 3"]) == {"m": 1.0}
    choose = scorer("choice", [], {"m": {"score": "option", "extract": "none", "normalization": "characters"}})
    # -2 over 1 character against -3 over 3.
    assert choose({"options": ["a", "bcd"], "references": ["bcd"]}, [(-2.0, False), (-3.0, False)]) == {"m": 1.0}


def test_a_tokenizer_without_bos_and_eos_opens_no_text_for_the_harness(base: Path) -> None:
    from precept.run.eval.lm_eval_scores import HarnessScores
    from precept.run.opened import open_model

    model = open_model(str(base), chat_template="plain")
    model.loaded.tokenizer.bos_token = model.loaded.tokenizer.eos_token = None
    with pytest.raises(InputError) as caught:
        HarnessScores(model).loglikelihood([("", "a")])
    assert caught.value.code == "no-prefix-token"


def test_run_eval_without_a_task_or_suite_names_both(base: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"against": None, "chat_template": None, "limit": None, "max_new_tokens": None}
    with pytest.raises(AssertionError):
        run_eval(str(base), output=tmp_path, bad_rows="error", **asked)
