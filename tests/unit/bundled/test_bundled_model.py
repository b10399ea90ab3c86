"""The committed base: its size and files, the corpus it names, what it knows, and that text comes back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from precept.bundled import build_world, documents
from precept.bundled.cloze import cloze_accuracy, cloze_questions, main
from precept.models.folder import BUNDLED, resolve_model


def test_the_weights_are_small_bfloat16_and_of_a_llama() -> None:
    config = json.loads((BUNDLED / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert config["max_position_embeddings"] == 2048
    assert (BUNDLED / "model.safetensors").stat().st_size < 16 * 2**20
    assert not (BUNDLED / "chat_template.jinja").exists()
    assert resolve_model("bundled") == BUNDLED


def test_the_corpus_is_the_one_that_the_folder_names() -> None:
    corpus = json.loads((BUNDLED / "corpus.json").read_text())
    world = build_world(corpus["seed"])
    digest = hashlib.sha256()
    for text in documents(world, seed=corpus["seed"], count=corpus["documents"]):
        digest.update(text.encode() + b"\0")
    assert digest.hexdigest() == corpus["corpus_hash"]
    assert corpus["corpus_hash"] in (BUNDLED / "README.md").read_text()


def test_what_the_card_says_is_measured_again() -> None:
    stored = json.loads((BUNDLED / "cloze.json").read_text())
    measured = cloze_accuracy(str(BUNDLED))
    assert set(measured) == set(stored)
    for skill, score in measured.items():
        assert score["n"] == stored[skill]["n"]
        assert score["value"] == pytest.approx(stored[skill]["value"], abs=2 / score["n"])
    assert sum(score["value"] >= 0.9 for score in measured.values()) >= 100


def test_cloze_questions_are_cut_before_their_answer() -> None:
    world = build_world(0)
    questions = cloze_questions(world)
    text, answer = questions["reverse_name"][0]
    listed = text.removeprefix("The list is ").partition(".")[0].split(", ")
    assert answer == ", ".join(reversed(listed))
    name, job = questions["person_job"][0]
    assert world.find("person", name.split()[0]).facts["job"] == job
    assert questions == cloze_questions(world)


def test_any_text_goes_in_and_comes_out() -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(BUNDLED)
    for text in ("Zoë paid 3 € for it.\n\n\t\U0001f600", "def f(x): return x ** 2", "Describe the following sentence."):
        assert tokenizer.decode(tokenizer(text).input_ids) == text
    # common words of instructions are one token each
    assert len(tokenizer(" with the following sentence").input_ids) == 4


def test_a_folder_that_is_no_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--model", str(tmp_path)]) == 2
    assert "does not load" in capsys.readouterr().err
