import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import CHATML, tiny_model_folder

from precept.errors import InputError, WorkError
from precept.models import merge as merging
from precept.models.folder import check_model_folder
from precept.models.load import load_model
from precept.models.merge import compare, merge
from precept.models.save import save_model, trainable_state
from precept.models.settings import ModelSettings

FLOAT32 = ModelSettings(dtype="float32")
IDS = torch.tensor([[5, 384, 7, 385, 9]])


def make_adapter(root: Path, family: str, adapter: str, **base: Any) -> Path:
    """An adapter with two added tokens, and every number in it away from where it started."""
    folder = tiny_model_folder(root / "base", family, **base)
    settings = ModelSettings(adapter=adapter, dtype="float32")  # type: ignore[arg-type]
    loaded = load_model(folder, settings, train=True, device="cpu", new_tokens=("<|tool|>", "<|done|>"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in trainable_state(loaded.model).values():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    out = root / "adapter"
    save_model(loaded, out, save_dtype="auto", stop_ids=[4], chat_template=CHATML, tokenizer=loaded.tokenizer)
    return out


def logits(folder: Path) -> torch.Tensor:
    model = load_model(folder, FLOAT32, train=False, device="cpu").model
    extra = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    return model(input_ids=IDS, **extra).logits


@pytest.mark.parametrize("adapter", ["lora", "dora"])
@pytest.mark.parametrize("family", ["llama", "qwen3", "gemma3", "gpt2", "t5", "gpt_oss"])
def test_the_merged_model_is_base_and_adapter(tmp_path: Path, family: str, adapter: str) -> None:
    folder = make_adapter(tmp_path, family, adapter)
    report = merge(folder, tmp_path / "out", device="cpu")
    print(f"{family} {adapter}: {report}")
    assert report.dtype == "float32"
    assert report.max_abs_logit_difference <= report.bound
    assert report.max_abs_logit_difference < 1e-3 * report.adapter_effect
    assert report.mean_kl < 1e-6
    assert report.top1_agreement == 1.0
    assert not check_model_folder(tmp_path / "out").is_adapter
    torch.testing.assert_close(logits(tmp_path / "out"), logits(folder), rtol=1e-4, atol=1e-4)


def test_experts_are_merged(tmp_path: Path) -> None:
    report = merge(make_adapter(tmp_path, "qwen3_moe", "lora"), tmp_path / "out", device="cpu")
    assert report.max_abs_logit_difference < 1e-3 * report.adapter_effect


def test_the_merged_model_is_saved_as_the_base_was(tmp_path: Path) -> None:
    report = merge(make_adapter(tmp_path, "qwen3", "lora", dtype=torch.bfloat16), tmp_path / "out", device="cpu")
    assert report.dtype == "bfloat16"
    assert report.max_abs_logit_difference < report.saved_max_abs_logit_difference  # rounding costs more than folding
    merged = load_model(tmp_path / "out", FLOAT32, train=False, device="cpu")
    assert merged.base_dtype == torch.bfloat16
    assert merged.model.get_output_embeddings().weight is merged.model.get_input_embeddings().weight
    assert merged.model.generation_config.eos_token_id == 4
    assert merged.tokenizer.chat_template == CHATML
    assert merged.tokenizer.encode("<|done|>")[-1] == 385


def test_a_4_bit_adapter_is_merged_into_the_full_precision_base(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    folder = make_adapter(tmp_path, "llama", "qlora", hidden_size=64, intermediate_size=128)
    report = merge(folder, tmp_path / "out", device="cpu")
    print(report)
    assert report.max_abs_logit_difference < 1e-3 * report.adapter_effect
    assert "quantization_config" not in check_model_folder(tmp_path / "out").config


def test_the_difference_is_measured_on_the_rows_given(tmp_path: Path) -> None:
    report = merge(make_adapter(tmp_path, "llama", "lora"), tmp_path / "out", prompts=[[5, 6, 7], [8]], device="cpu")
    assert report.tokens == 4


def test_a_merge_beyond_the_bound_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_adapter(tmp_path, "llama", "lora")
    monkeypatch.setattr(merging, "MAX_SHARE_OF_LOGITS", 0.0)
    monkeypatch.setattr(merging, "MAX_SHARE_OF_EFFECT", 0.0)
    with pytest.raises(WorkError, match="not the same function") as caught:
        merge(folder, tmp_path / "out", device="cpu")
    assert caught.value.exit_code == 1
    assert not (tmp_path / "out").exists()


def test_a_full_model_has_nothing_to_merge(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no adapter to merge"):
        merge(tiny_model_folder(tmp_path / "base"), tmp_path / "out", device="cpu")


def test_differences_by_hand() -> None:
    # the second row moves from p = (1/2, 1/2) to (1/4, 3/4): KL = 1/2 log 2 + 1/2 log(2/3); its argmax moves too
    before = [torch.tensor([[0.0, 1.0], [0.0, 0.0]])]
    after = [torch.tensor([[0.0, 1.0], [0.0, math.log(3)]])]
    difference = compare(before, after)
    assert difference.max_abs == pytest.approx(math.log(3))
    assert difference.mean_kl == pytest.approx((0.5 * math.log(2) + 0.5 * math.log(2 / 3)) / 2)
    assert difference.top1_agreement == 0.5
