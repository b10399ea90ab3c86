import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.tiny import tiny_model, tiny_model_folder, tiny_tokenizer

from precept.errors import InputError
from precept.models.load import load_model, load_tokenizer
from precept.models.precision import choose_compute_dtype, choose_weight_dtype
from precept.models.settings import ModelSettings

CPU = torch.device("cpu")
FLOAT32 = ModelSettings(dtype="float32")


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stored in bfloat16, as most bases are."""
    return tiny_model_folder(tmp_path_factory.mktemp("load") / "llama", dtype=torch.bfloat16)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return tiny_model_folder(tmp_path / "copied")


def edit_weights(path: Path, *, without: str = "", **extra: torch.Tensor) -> None:
    state = load_file(path / "model.safetensors")
    state.pop(without, None)
    save_file({**state, **extra}, path / "model.safetensors", metadata={"format": "pt"})


def test_full_tuning_holds_float32_masters_that_equal_the_file(llama: Path) -> None:
    loaded = load_model(llama, ModelSettings(), train=True, device="cpu")
    stored = load_file(llama / "model.safetensors")
    state = loaded.model.state_dict()
    assert stored.keys() == state.keys()
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert torch.equal(tensor, stored[name].float())
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    assert loaded.model.training
    assert (loaded.base_dtype, loaded.adapter, loaded.path) == (torch.bfloat16, "none", llama)
    assert loaded.max_positions == 256
    assert not loaded.is_encoder_decoder


def test_a_model_loaded_to_answer_is_frozen_and_in_the_compute_dtype(llama: Path) -> None:
    loaded = load_model(llama, FLOAT32, train=False, device="cpu")
    assert not loaded.model.training
    assert not any(parameter.requires_grad for parameter in loaded.model.parameters())
    assert {parameter.dtype for parameter in loaded.model.parameters()} == {torch.float32}
    halved = load_model(llama, ModelSettings(dtype="bfloat16"), train=False, device="cpu")
    assert {parameter.dtype for parameter in halved.model.parameters()} == {torch.bfloat16}


def test_nothing_is_computed_in_float16() -> None:
    for base in (torch.float16, torch.bfloat16, torch.float32):
        for train in (True, False):
            compute = choose_compute_dtype("auto", CPU, base_dtype=base, train=train)
            assert compute in (torch.float32, torch.bfloat16)
            for adapter in ("none", "lora"):
                held = choose_weight_dtype(adapter, base_dtype=base, compute_dtype=compute, train=train)
                assert held in (torch.float32, torch.bfloat16)
    # a float16 base keeps all its bits under an adapter
    held = choose_weight_dtype("lora", base_dtype=torch.float16, compute_dtype=torch.bfloat16, train=True)
    assert held == torch.float32


def test_an_encoder_decoder_is_recognised(tmp_path: Path) -> None:
    loaded = load_model(tiny_model_folder(tmp_path / "t5", "t5"), FLOAT32, train=True, device="cpu")
    assert loaded.is_encoder_decoder
    assert loaded.max_positions is None


def test_models_that_refuse_sdpa_get_eager_attention(tmp_path: Path, llama: Path) -> None:
    folder = tiny_model_folder(tmp_path / "oss", "gpt_oss")
    assert load_model(folder, FLOAT32, train=False).model.config._attn_implementation == "eager"
    assert load_model(llama, FLOAT32, train=False).model.config._attn_implementation == "sdpa"
    with pytest.raises(InputError, match="cannot open") as caught:
        load_model(folder, ModelSettings(attn_implementation="sdpa"), train=False)
    assert caught.value.code == "model-unreadable"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"without": "lm_head.weight"}, "1 missing: lm_head.weight"),
        ({"surplus.weight": torch.zeros(2)}, "1 left over: surplus.weight"),
        ({"model.norm.weight": torch.zeros(31)}, "1 of another shape: model.norm.weight"),
    ],
)
def test_weights_that_are_not_the_models_are_refused(copied: Path, change: dict[str, object], found: str) -> None:
    edit_weights(copied, **change)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=found) as caught:
        load_model(copied, FLOAT32, train=False)
    assert caught.value.code == "weights-mismatch"


def test_a_head_of_its_own_stays_so_whatever_the_config_says(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "base", "qwen3")
    own = torch.full((384, 32), 0.5)
    edit_weights(folder, **{"lm_head.weight": own})
    model = load_model(folder, FLOAT32, train=True).model
    assert torch.equal(model.get_output_embeddings().weight, own)
    assert not model.config.tie_word_embeddings


def test_a_config_that_makes_no_model_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "hidden_act": "gelou"}))
    with pytest.raises(InputError, match="gelou"):
        load_model(copied, FLOAT32, train=False)


def test_a_masked_language_model_is_refused(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "architectures": ["LlamaForMaskedLM"]}))
    with pytest.raises(InputError, match="fills in masked words"):
        load_model(copied, FLOAT32, train=False)


def test_a_tokenizer_beyond_the_embedding_is_refused(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "small", tokenizer=tiny_tokenizer(), vocab_size=380)
    with pytest.raises(InputError, match="380 rows, and 4 tokens lie beyond") as caught:
        load_model(folder, FLOAT32, train=False)
    assert caught.value.code == "vocabulary-too-large"


def test_an_unused_special_token_beyond_the_embedding_is_a_notice(tmp_path: Path) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.add_tokens(["<image>"], special_tokens=True)
    folder = tiny_model_folder(tmp_path / "gemma", tokenizer=tokenizer, vocab_size=384)
    (notice,) = load_model(folder, FLOAT32, train=False).notices
    assert "<image>" in notice


def test_a_slow_tokenizer_is_refused(copied: Path) -> None:
    (copied / "tokenizer.json").unlink()
    (copied / "vocab.json").write_text('{"a": 0}')
    (copied / "tokenizer_config.json").write_text('{"tokenizer_class": "CTRLTokenizer"}')
    (copied / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(InputError) as caught:
        load_tokenizer(copied)
    assert caught.value.code in {"slow-tokenizer", "tokenizer-unreadable"}


def test_llama_2s_generation_config_becomes_savable(copied: Path, tmp_path: Path) -> None:
    path = copied / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "do_sample": False, "temperature": 0.6}))
    generation = load_model(copied, FLOAT32, train=False).model.generation_config
    assert (generation.do_sample, generation.temperature) == (True, 0.6)
    generation.save_pretrained(tmp_path)


def test_added_tokens_start_as_the_mean_of_the_old_rows(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "base")
    before = tiny_model("llama")
    tokens = ["<|tool|>", "<|im_end|>", "<|done|>"]  # the second is there already
    loaded = load_model(folder, FLOAT32, train=True, new_tokens=tokens)
    assert loaded.added_ids == (384, 385)
    assert loaded.tokenizer.convert_tokens_to_ids("<|tool|>") == 384
    assert loaded.tokenizer.encode("a<|done|>")[-1] == 385
    for old, new in (
        (before.get_input_embeddings().weight, loaded.model.get_input_embeddings().weight),
        (before.get_output_embeddings().weight, loaded.model.get_output_embeddings().weight),
    ):
        assert new.shape == (386, 32)
        assert torch.equal(new[:384], old)
        torch.testing.assert_close(new[384:], old.mean(dim=0).expand(2, 32))


def test_added_tokens_use_rows_that_padding_left_free(tmp_path: Path) -> None:
    folder = tiny_model_folder(tmp_path / "padded", "qwen3", tokenizer=tiny_tokenizer(), vocab_size=400)
    loaded = load_model(folder, FLOAT32, train=True, new_tokens=["<|tool|>"])
    table = loaded.model.get_input_embeddings().weight
    assert table.shape == (400, 32)
    torch.testing.assert_close(table[384], table[:384].mean(dim=0))
    assert loaded.model.get_output_embeddings().weight is table  # still tied


def test_gradient_checkpointing_changes_no_gradient(llama: Path) -> None:
    ids = torch.tensor([[5, 6, 7, 8]])
    gradients = []
    for checkpointing in (False, True):
        settings = ModelSettings(dtype="float32", gradient_checkpointing=checkpointing)
        model = load_model(llama, settings, train=True, device="cpu").model
        assert any(getattr(module, "gradient_checkpointing", False) for module in model.modules()) is checkpointing
        model(input_ids=ids, use_cache=False).logits.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.parameters()])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, recomputed)
