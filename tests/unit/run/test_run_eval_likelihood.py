"""Perplexity and bits per byte of ``precept eval``, against plain transformers on a tiny model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.command_line import precept, write_rows
from tests.tiny import CHATML, tiny_model_folder, tiny_tokenizer

from precept.errors import InputError
from precept.evaluate import load_task
from precept.evaluate.likelihood import Likelihood, corpus_score, text_windows

TEXTS = ("The answer is forty two.", "Grüße aus Oslo, der Hauptstadt von Norwegen. " * 12, "7")
PAIRS = (("Capital of Norway?", "Oslo"), ("Add 1 and 2", "3, of course"))


def logp_of(folder: Path, pieces: list[tuple[list[int], list[int]]]) -> float:
    """The log-probability of what is predicted after what is read, by transformers alone."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    total = 0.0
    for read, predicted in pieces:
        ids = torch.tensor([[*read, *predicted]])
        with torch.no_grad():
            logps = model(ids).logits[0].double().log_softmax(-1)
        total += sum(float(logps[len(read) + n - 1, token]) for n, token in enumerate(predicted))
    return total


def evaluate(folder: Path, task: Path, output: Path, *words: str) -> Any:
    ended = precept("eval", "--model", folder, "--task", task, "-o", output, "--json", *words)
    assert ended.code == 0, ended.err
    return ended.json


def test_texts_are_scored_as_transformers_scores_them(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "base", max_position_embeddings=64)
    tokenizer = tiny_tokenizer()
    rows = write_rows(tmp_path / "texts.jsonl", [{"text": text} for text in TEXTS])
    found = evaluate(folder, rows, tmp_path / "out")
    ids = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in TEXTS]
    assert len(ids[1]) > 3 * 64  # cut into pieces
    pieces = [list(text_windows(own, tokenizer.bos_token_id, 64)) for own in ids]
    logps = [logp_of(folder, own) for own in pieces]
    perplexity = math.exp(-sum(logps) / sum(map(len, ids)))
    bits = -sum(logps) / math.log(2) / sum(len(text.encode()) for text in TEXTS)
    scores = found["tasks"]["texts"]
    assert scores["perplexity"]["value"] == pytest.approx(perplexity, rel=1e-4)
    assert scores["bits_per_byte"]["value"] == pytest.approx(bits, rel=1e-4)
    assert scores["perplexity"]["low"] <= perplexity <= scores["perplexity"]["high"] and scores["perplexity"]["n"] == 3
    items = [json.loads(line) for line in (tmp_path / "out" / found["item_files"][0]).read_text().splitlines()]
    assert [item["likelihood"]["logp"] for item in items] == pytest.approx(logps, rel=1e-4)
    assert [item["likelihood"]["tokens"] for item in items] == list(map(len, ids))
    assert [item["prompt"] for item in items] == list(TEXTS) and found["asked"]["texts"]["guessing"] == 0
    assert precept("report", tmp_path / "out").code == 0
    told = precept("eval", "--model", folder, "--task", rows, "-o", tmp_path / "out").out
    assert f"{perplexity:.4g}" in told and "score %" not in told and f"{perplexity:.4g} %" not in told
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"{perplexity:.4g}" in page and "perplexity and bits per byte as they are" in page


@pytest.mark.parametrize("template", [None, CHATML])
def test_the_reference_is_scored_given_its_prompt(tmp_path: Path, template: str | None) -> None:
    tokenizer = tiny_tokenizer(chat_template=template)
    folder = tiny_model_folder(tmp_path / "base", tokenizer=tokenizer)
    rows = [{"prompt": question, "completion": answer} for question, answer in PAIRS]
    write_rows(tmp_path / "rows.jsonl", [*rows, {"prompt": "long " * 300, "completion": "too"}])
    (tmp_path / "mine.yaml").write_text("family: likelihood\ndata: rows.jsonl\n")
    found = evaluate(folder, tmp_path / "mine.yaml", tmp_path / "out")
    pieces = []
    for question, answer in PAIRS:
        prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n" if template else f"{question}\n\n"
        pieces.append(tuple(tokenizer(text, add_special_tokens=False)["input_ids"] for text in (prompt, answer)))
    logp = logp_of(folder, pieces)
    scores = found["overall"]
    assert scores["perplexity"]["value"] == pytest.approx(math.exp(-logp / sum(len(b) for _, b in pieces)), rel=1e-4)
    size = sum(len(answer.encode()) for _, answer in PAIRS)
    assert scores["bits_per_byte"]["value"] == pytest.approx(-logp / math.log(2) / size, rel=1e-4)
    assert (scores["perplexity"]["n"], found["counts"]["too_long"]) == (2, 1)
    assert precept("report", tmp_path / "out").code == 0


def test_a_corpus_counts_each_text_by_its_length() -> None:
    found = [Likelihood(-6.0, 2, 3), Likelihood(-2.0, 6, 5)]
    # exp(8 / 8) over all tokens, not the mean of exp(3) and exp(1/3); 8 nats over 8 bytes.
    assert corpus_score("perplexity", found)["value"] == pytest.approx(math.e)
    assert corpus_score("bits_per_byte", found)["value"] == pytest.approx(1 / math.log(2))


@pytest.mark.parametrize("length", [1, 3, 4, 5, 9, 11])
def test_each_token_is_predicted_once_after_as_much_as_fits(length: int) -> None:
    ids = list(range(1, length + 1))
    windows = list(text_windows(ids, 0, 4))
    assert [token for _, predicted in windows for token in predicted] == ids
    for read, predicted in windows:
        assert 2 <= len(read) + len(predicted) <= 4 and read == list(range(predicted[0] - len(read), predicted[0]))
    if length > 4:
        assert all(len(read) + len(predicted) == 4 for read, predicted in windows)


def test_what_takes_scores_to_lie_between_0_and_1_is_refused(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "base")
    rows = write_rows(tmp_path / "texts.jsonl", [{"text": "a b"}])
    ended = precept("eval", "--model", folder, "--task", rows, "--against", folder, "-o", tmp_path / "out")
    assert ended.code == 2 and "likelihood-alone" in ended.err
    (tmp_path / "mine.yaml").write_text("family: likelihood\nmetrics: {ppl: {score: perplexity}}\n")
    with pytest.raises(InputError, match="call it perplexity"):
        load_task(tmp_path / "mine.yaml")


def test_both_scores_are_listed() -> None:
    listed = precept("eval", "--list", "--json").json["likelihood"]
    assert [entry["name"] for entry in listed] == ["perplexity", "bits_per_byte"]


def test_a_model_that_scores_no_whole_texts_is_refused(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "t5", "t5")
    rows = write_rows(tmp_path / "texts.jsonl", [{"text": "a b"}])
    ended = precept("eval", "--model", folder, "--task", rows, "-o", tmp_path / "out")
    assert ended.code == 2 and "code: no-text-likelihood" in ended.err
