"""``precept check`` from the command line, and training that refuses what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.command_line import chat_rows, precept, write_rows
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.run.proving.proofs import ORDER

NO_END = CHATML.replace("<|im_end|>", "")
FAMILIES = ("llama", "qwen3", "mistral", "gemma3_text", "gpt2", "gpt_neox", "phi3", "falcon", "bloom", "t5")
SINGLE = [row for row in chat_rows(40) if [message["role"] for message in row["messages"]] == ["user", "assistant"]]


@pytest.mark.parametrize("family", FAMILIES)
def test_all_proofs_hold_on_ten_families(family: str, tmp_path: Path) -> None:
    model = tiny_model_folder(tmp_path / "model", family, chat_template=None if family == "t5" else CHATML)
    rows = write_rows(tmp_path / "rows.jsonl", SINGLE if family == "t5" else chat_rows(20))
    settings = ["chat_template=flan"] if family == "t5" else []
    ended = precept("check", "--model", model, "--data", rows, "--json", "eval_fraction=0.2", *settings)
    document = json.loads(ended.out)
    assert [proof for proof in document["proofs"] if not proof["ok"]] == []
    assert ended.code == 0
    assert document["ok"]
    assert tuple(proof["name"] for proof in document["proofs"]) == ORDER
    assert set(document["proofs"][0]) == {"name", "ok", "applies", "value", "bound", "detail"}
    skipped = {proof["name"] for proof in document["proofs"] if not proof["applies"]}
    assert skipped == {"adapter_identity"} | ({"sharing_exact"} if family in ("bloom", "t5") else set())


@pytest.mark.parametrize("adapter", ["lora", "dora"])
def test_adapters_are_proven(base_folder: Path, chat_file: Path, adapter: str) -> None:
    ended = precept("check", "--model", base_folder, "--data", chat_file, "--json", f"adapter={adapter}")
    proof = next(proof for proof in json.loads(ended.out)["proofs"] if proof["name"] == "adapter_identity")
    assert proof["applies"]
    assert proof["ok"], proof["detail"]


def test_a_recipe_is_checked_step_by_step(base_folder: Path, chat_file: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "two.yaml"
    recipe.write_text(
        f"steps:\n  - name: first\n    uses: train.sft\n    with: {{model: {base_folder}, data: {chat_file}}}\n"
        f"  - name: second\n    uses: train.sft\n    with: {{model: '${{first}}', data: {chat_file}}}\n"
    )
    ended = precept("check", recipe, "--json", "second.eval_fraction=0.2")
    assert ended.code == 0, ended.err
    steps = [proof["step"] for proof in json.loads(ended.out)["proofs"]]
    assert steps == ["first"] * len(ORDER) + ["second"] * len(ORDER)


def test_the_table_names_every_proof(base_folder: Path, chat_file: Path) -> None:
    ended = precept("check", "--model", base_folder, "--data", chat_file)
    assert ended.code == 0, ended.err
    for name in ORDER:
        assert name in ended.out
    assert "all that apply hold" in ended.out


def test_training_refuses_what_does_not_hold_and_a_skipped_proof_stands_in_the_card(
    chat_file: Path, tmp_path: Path
) -> None:
    model = tiny_model_folder(tmp_path / "model", chat_template=NO_END)
    checked = precept("check", "--model", model, "--data", chat_file, "--json")
    failing = [proof["name"] for proof in json.loads(checked.out)["proofs"] if not proof["ok"]]
    assert (checked.code, failing) == (1, ["terminator_trained"])
    words = ("train", "sft", "--model", model, "--data", chat_file, "-o", tmp_path / "out", "max_steps=1")
    refused = precept(*words)
    assert refused.code == 1
    assert "terminator_trained" in refused.err
    assert not (tmp_path / "out" / "COMPLETED").exists()
    trained = precept(*words, "--skip-proof", "terminator_trained")
    assert trained.code == 0, trained.err
    assert "trained without the proofs terminator_trained" in (tmp_path / "out" / "README.md").read_text()


def test_a_doubled_bos_of_the_tokenizers_own_template_is_caught(chat_file: Path, tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer(chat_template="{{ bos_token }}{{ bos_token }}" + CHATML, adds_bos=True)
    model = tiny_model_folder(tmp_path / "model", tokenizer=tokenizer)
    ended = precept("check", "--model", model, "--data", chat_file, "--json")
    assert [proof["name"] for proof in json.loads(ended.out)["proofs"] if not proof["ok"]] == ["single_bos"]


def test_sharing_forced_on_an_alibi_model_is_caught(chat_file: Path, tmp_path: Path) -> None:
    model = tiny_model_folder(tmp_path / "model", "bloom", chat_template=CHATML)
    ended = precept("check", "--model", model, "--data", chat_file, "--json", "sharing=on")
    assert ended.code == 1
    broken = [proof for proof in json.loads(ended.out)["proofs"] if not proof["ok"]]
    assert "sharing_exact" in {proof["name"] for proof in broken}


def test_a_row_of_the_evaluation_file_in_the_training_file_is_caught(
    base_folder: Path, chat_file: Path, tmp_path: Path
) -> None:
    row = json.loads(chat_file.read_text().splitlines()[3])
    row["messages"][0]["content"] = f"  {row['messages'][0]['content'].upper()}"
    held_out = write_rows(tmp_path / "held_out.jsonl", [row])
    ended = precept("check", "--model", base_folder, "--data", chat_file, "--json", f"eval_data={held_out}")
    broken = [proof for proof in json.loads(ended.out)["proofs"] if not proof["ok"]]
    assert [proof["name"] for proof in broken] == ["train_eval_disjoint"]
    assert "held_out.jsonl row 1" in broken[0]["detail"]


def test_a_question_of_the_recipes_evaluation_in_the_training_file_is_caught(
    base_folder: Path, chat_file: Path, tmp_path: Path
) -> None:
    question = json.loads(chat_file.read_text().splitlines()[0])["messages"][0]["content"]
    task = write_rows(
        tmp_path / "task.jsonl", [{"messages": [{"role": "user", "content": question}], "references": ["x"]}]
    )
    words = (f"tune.model={base_folder}", f"tune.data={chat_file}", "tune.eval_fraction=0", f"eval.task={task}")
    checked = precept("check", "sft", *words, "--json")
    broken = [proof["name"] for proof in json.loads(checked.out)["proofs"] if not proof["ok"]]
    assert broken == ["train_eval_disjoint"]


def test_an_unknown_proof_cannot_be_skipped(base_folder: Path, chat_file: Path, tmp_path: Path) -> None:
    ended = precept(
        "train", "sft", "-m", base_folder, "-d", chat_file, "-o", tmp_path / "out", "--skip-proof", "all_of_them"
    )
    assert ended.code == 2
    assert "skip_proof" in ended.err
