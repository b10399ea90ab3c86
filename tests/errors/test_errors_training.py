"""Each error that training, its folders and its proofs end in, by its smallest case."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tests.fakes import BigramPolicy, ListMonitor, sequence
from tests.tiny import tiny_model, tiny_model_folder, tiny_tokenizer
from transformers import FSMTConfig, FSMTForConditionalGeneration, GPTJConfig, GPTJForCausalLM

from precept.bundled.finish import finish
from precept.bundled.make import make
from precept.bundled.start import StartSettings, start
from precept.errors import PreceptError
from precept.forest import build_forest
from precept.models.adapters import add_adapter
from precept.models.load import load_model
from precept.models.masks import attention_masks
from precept.models.merge import merge
from precept.models.precision import choose_device
from precept.models.probe import choose_policy
from precept.models.quantize import check_quantized
from precept.models.save import cast_state
from precept.models.settings import ModelSettings
from precept.objectives import sft
from precept.prove.proof import Proof
from precept.run.chat import room_for_answer
from precept.run.data.rows import settle_refusals
from precept.run.eval.evaluate import run_eval
from precept.run.failures import explain_failure
from precept.run.output import open_output, stored_result
from precept.run.proving.proofs import refuse_unproven
from precept.run.report.report import report
from precept.run.settings import parse_settings
from precept.run.tuning.unread import refuse_unread
from precept.train.checkpoint import Checkpoint, CheckpointStore
from precept.train.loop import Work, fit
from precept.train.optimizer import make_optimizer
from precept.train.settings import OptimizerSettings
from precept.types import Source, TokenSequence

ROWS = [sequence(1, 2, 3), sequence(1, 2, 4, 5)]
LORA = ModelSettings(dtype="float32", adapter="lora", lora_r=2)


def train(folder: Path, *, words: int = 8, rate: float = 0.1, stop: bool = False) -> object:
    policy, store = BigramPolicy(words), CheckpointStore(folder)
    if rate != rate:
        policy.table.data.fill_(rate)
    return fit(
        Work(
            policy=policy,
            objective=sft,
            parameters=policy.parameters(),
            optimizer=make_optimizer(policy.parameters(), OptimizerSettings(), learning_rate=0.1),
            batch_at=lambda step: [build_forest(ROWS)],
            learning_rate_at=lambda step: 0.1,
            max_grad_norm=1.0,
            total_steps=2,
            save_steps=1,
            checkpoints=store,
            monitor=ListMonitor(),
            start=store.load_latest()[0],
            stop_requested=lambda: stop,
        )
    )


def go_on_with_another_model(out: Path) -> object:
    train(out)
    store = CheckpointStore(out)
    other = store.load(2)
    store.save(Checkpoint(3, {"other": torch.zeros(1)}, {}, other.random, other.state))
    return train(out)


def save_below_a_file(out: Path) -> object:
    (out / "file").write_text("")
    return CheckpointStore(out / "file").save(Checkpoint(1, {}, {}, torch.zeros(1), {}))


def open_twice(out: Path) -> None:
    with open_output(out / "o", {}) as first:
        first.claim({})
        with open_output(out / "o", {}):
            pass


def read_a_damaged_result(out: Path) -> object:
    with open_output(out / "o", {}) as first:
        first.claim({"method": "sft"})
    (out / "o" / "COMPLETED").write_text("{")
    return stored_result(out / "o", {"method": "sft"})


def report_a_damaged_run(out: Path) -> object:
    (out / "metrics.jsonl").write_text('{"step": 1, "loss": "low"}\n')
    (out / "run.yaml").write_text("method: sft\n")
    return report(out, output=None)


def two_devices(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    return choose_device()


def masks_without_a_mask() -> object:
    config = tiny_model("llama").config
    config._attn_implementation = "flash_attention_2"
    return attention_masks(build_forest(ROWS), config, device=torch.device("cpu"), dtype=torch.float32)


def a_decoder_of_five_words() -> object:
    """Rows are drawn from the encoder's forty."""
    sizes = {"src_vocab_size": 40, "tgt_vocab_size": 5, "d_model": 8, "encoder_layers": 1, "decoder_layers": 1}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 8, "decoder_ffn_dim": 8}
    model = FSMTForConditionalGeneration(FSMTConfig(**sizes, **heads, tie_word_embeddings=False))
    return choose_policy(model, build=build_forest)


def a_weight_that_is_no_number() -> object:
    model = torch.nn.Linear(1, 1)
    model.weight.data.fill_(float("nan"))
    return cast_state(model, torch.float32)


def a_head_with_a_bias() -> object:
    model = GPTJForCausalLM(GPTJConfig(vocab_size=9, n_embd=8, n_layer=1, n_head=1, rotary_dim=4))
    return add_adapter(model, LORA, added=[8])


def an_adapter_on_tied_ends(out: Path) -> object:
    folder = tiny_model_folder(out / "tied", "qwen3")
    settings = LORA.model_copy(update={"lora_target_modules": ("q_proj", "lm_head")})
    return load_model(folder, settings, train=True, device="cpu")


def save_adapter(base: Path, out: Path, config: Any, *, fill: float | None = None) -> Path:
    from peft import get_peft_model

    model = get_peft_model(load_model(base, ModelSettings(dtype="float32"), train=False, device="cpu").model, config)
    for name, parameter in model.named_parameters():
        if fill is not None and "lora_" in name:
            parameter.data.fill_(fill)
    model.peft_config["default"].base_model_name_or_path = str(base)
    model.save_pretrained(out / "adapter")
    return out / "adapter"


def merge_what_overflows(base: Path, out: Path) -> object:
    from peft import LoraConfig

    adapter = save_adapter(base, out, LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM"), fill=1e19)
    return merge(adapter, out / "merged")


def merge_a_prompt(base: Path, out: Path) -> object:
    from peft import PromptTuningConfig

    return merge(save_adapter(base, out, PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)), out / "m")


def an_option_that_spells_an_end(base: Path, out: Path) -> object:
    row = {"messages": [{"role": "user", "content": "which?"}], "references": ["a"], "options": ["a", "b<|im_end|>"]}
    (out / "rows.jsonl").write_text(json.dumps(row))
    (out / "task.yaml").write_text("family: choice\ndata: rows.jsonl\n")
    asked = {"against": None, "chat_template": None, "limit": None, "max_new_tokens": None}
    return run_eval(str(base), [str(out / "task.yaml")], output=out / "items", bad_rows="error", **asked)


def told(error: BaseException) -> object:
    found = explain_failure(error)
    assert found is not None
    raise found


def unread() -> object:
    return refuse_unread(parse_settings({"data": ["rows.jsonl"], "lora_r": 4}), where=lambda key: None)


# code: the case; it gets the tiny base, a folder of its own and a monkeypatch
WORK: dict[str, Callable[[Path, Path, pytest.MonkeyPatch], object]] = {
    "adapter-on-tied-weights": lambda base, out, patch: an_adapter_on_tied_ends(out),
    "added-tokens-head-bias": lambda base, out, patch: a_head_with_a_bias(),
    "attention-without-mask": lambda base, out, patch: masks_without_a_mask(),
    "bad-count": lambda base, out, patch: make(out, count=0),
    "checkpoint-damaged": lambda base, out, patch: CheckpointStore(out).load(1),
    "checkpoint-not-written": lambda base, out, patch: save_below_a_file(out),
    "checkpoint-other-model": lambda base, out, patch: go_on_with_another_model(out),
    "context-full": lambda base, out, patch: room_for_answer(9, SimpleNamespace(max_positions=9)),  # type: ignore[arg-type]
    "empty-sequence": lambda base, out, patch: build_forest(
        [TokenSequence(np.array([], np.int32), np.array([], np.float32), Source("a", 1, "0"))]
    ),
    "interrupted": lambda base, out, patch: train(out, stop=True),
    "merge-differs": lambda base, out, patch: merge_what_overflows(base, out),
    "merge-unsupported": lambda base, out, patch: merge_a_prompt(base, out),
    "no-rows": lambda base, out, patch: settle_refusals([], kept=0, bad_rows="error"),
    "no-world": lambda base, out, patch: start(StartSettings(world=str(out)), out / "model"),
    "nothing-to-quantize": lambda base, out, patch: check_quantized(tiny_model("llama")),
    "option-refused": lambda base, out, patch: an_option_that_spells_an_end(base, out),
    "non-finite-loss": lambda base, out, patch: train(out, rate=float("nan")),
    "out-of-memory": lambda base, out, patch: told(MemoryError()),
    "output-in-use": lambda base, out, patch: open_twice(out),
    "path-refused": lambda base, out, patch: told(OSError(errno.EACCES, "Permission denied", "out")),
    "policy-not-exact": lambda base, out, patch: a_decoder_of_five_words(),
    "proof-failed": lambda base, out, patch: refuse_unproven([Proof("single_bos", False, "row 1: twice")]),
    "result-damaged": lambda base, out, patch: read_a_damaged_result(out),
    "run-file-damaged": lambda base, out, patch: report_a_damaged_run(out),
    "run-not-completed": lambda base, out, patch: finish(out, out, out / "model"),
    "setting-not-read": lambda base, out, patch: unread(),
    "several-devices": lambda base, out, patch: two_devices(patch),
    "sharing-not-exact": lambda base, out, patch: choose_policy(
        tiny_model("llama", attention_dropout=0.1), build=build_forest, sharing="on"
    ),
    "vocabulary-too-large": lambda base, out, patch: load_model(
        tiny_model_folder(out / "small", tokenizer=tiny_tokenizer(), vocab_size=380), LORA, train=False, device="cpu"
    ),
    "weights-not-finite": lambda base, out, patch: a_weight_that_is_no_number(),
}


@pytest.mark.parametrize("code", WORK)
def test_the_work_ends_in_its_code(
    base_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    with pytest.raises(PreceptError) as ended:
        WORK[code](base_folder, tmp_path, monkeypatch)
    assert ended.value.code == code and ended.value.do
