from pathlib import Path
from typing import Any

import pytest
import torch
from tests.tiny import tiny_model_folder

from precept.errors import InputError
from precept.models.load import LoadedModel, load_model
from precept.models.quantize import survives_nf4
from precept.models.save import count_parameters, trainable_state
from precept.models.settings import ModelSettings

IDS = torch.tensor([[5, 300, 7, 8, 9]])


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Llama has its own output head, Qwen3 shares it with the embedding."""
    root = tmp_path_factory.mktemp("adapters")
    return {family: tiny_model_folder(root / family, family) for family in ("llama", "qwen3")}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Layers as wide as a block of 64 weights."""
    return tiny_model_folder(tmp_path_factory.mktemp("wide") / "llama", hidden_size=64, intermediate_size=128)


def load(path: Path, *, new_tokens: tuple[str, ...] = (), **settings: Any) -> LoadedModel:
    torch.manual_seed(0)
    return load_model(path, ModelSettings(dtype="float32", **settings), train=True, device="cpu", new_tokens=new_tokens)


def logits(loaded: LoadedModel, ids: torch.Tensor = IDS) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=loaded.compute_dtype == torch.bfloat16):
        return loaded.model(input_ids=ids, use_cache=False).logits.float()


def train_once(loaded: LoadedModel, ids: torch.Tensor = IDS) -> None:
    optimizer = torch.optim.SGD(trainable_state(loaded.model).values(), lr=1.0)
    for _ in range(2):  # a fresh adapter's first matrices get no gradient before its second ones have moved
        optimizer.zero_grad()
        logps = logits(loaded, ids)[0, :-1].log_softmax(-1)
        (-logps.gather(-1, ids[0, 1:, None])).mean().backward()
        optimizer.step()


def test_all_linear_is_every_linear_layer_but_the_head(folders: dict[str, Path]) -> None:
    state = trainable_state(load(folders["llama"], adapter="lora", lora_r=4).model)
    layers = {name.split(".lora_")[0].split("layers.")[1] for name in state}
    modules = [f"self_attn.{p}_proj" for p in "qkvo"] + [f"mlp.{p}_proj" for p in ("gate", "up", "down")]
    assert layers == {f"{layer}.{module}" for layer in (0, 1) for module in modules}


def test_counts_of_a_rank_4_adapter_add_up(folders: dict[str, Path]) -> None:
    # r (in + out) a layer: q, o 32+32; k, v 32+16; gate, up 32+64; down 64+32: 4 (128 + 96 + 288) = 2048, two layers
    counts = count_parameters(load(folders["llama"], adapter="lora", lora_r=4).model)
    assert counts.trainable == 4096
    assert counts.total == count_parameters(load(folders["llama"]).model).total + 4096


@pytest.mark.parametrize("adapter", ["lora", "dora"])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_a_fresh_adapter_changes_no_output(folders: dict[str, Path], adapter: str, family: str) -> None:
    base, adapted = logits(load(folders[family])), logits(load(folders[family], adapter=adapter))
    if adapter == "lora":  # its second matrix is zero
        assert torch.equal(adapted, base)
    else:  # its weight is scaled by norm / norm
        torch.testing.assert_close(adapted, base, rtol=0, atol=1e-5)


@pytest.mark.parametrize("adapter", ["lora", "dora"])
def test_only_the_adapter_trains_and_in_float32(tmp_path: Path, adapter: str) -> None:
    folder = tiny_model_folder(tmp_path / "base", dtype=torch.bfloat16)
    torch.manual_seed(0)
    settings = ModelSettings(adapter=adapter, dtype="bfloat16")  # type: ignore[arg-type]
    loaded = load_model(folder, settings, train=True, device="cpu")
    frozen = {name: p.clone() for name, p in loaded.model.named_parameters() if not p.requires_grad}
    trained = {name: p.detach().clone() for name, p in trainable_state(loaded.model).items()}
    assert {p.dtype for p in frozen.values()} == {torch.bfloat16}
    assert {p.dtype for p in trained.values()} == {torch.float32}
    train_once(loaded)
    now = dict(loaded.model.named_parameters())
    assert all(torch.equal(now[name], old) for name, old in frozen.items())
    assert [name for name, old in trained.items() if torch.equal(now[name], old)] == []


def test_full_tuning_trains_tied_weights_once(folders: dict[str, Path]) -> None:
    loaded = load(folders["qwen3"])
    state = trainable_state(loaded.model)
    assert "model.embed_tokens.weight" in state
    assert "lm_head.weight" not in state
    train_once(loaded)
    assert loaded.model.get_output_embeddings().weight is loaded.model.get_input_embeddings().weight


@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_rows_of_added_tokens_train_under_an_adapter_and_no_others(folders: dict[str, Path], family: str) -> None:
    loaded = load(folders[family], adapter="lora", new_tokens=("<|tool|>", "<|done|>"))
    assert loaded.added_ids == (384, 385)
    tables = loaded.model.get_input_embeddings(), loaded.model.get_output_embeddings()
    before = [table.weight.detach().clone() for table in tables]
    train_once(loaded, torch.tensor([[5, 384, 7, 385, 9]]))
    for table, old in zip(tables, before, strict=True):
        new = table.weight.detach()
        assert torch.equal(new[:384], old[:384])
        assert (new[384:] != old[384:]).any(dim=1).all()
    tied = family == "qwen3"
    assert torch.equal(tables[0].weight, tables[1].weight) is tied
    # two rows of 32 numbers, in the head too where that has its own
    rows = [p for name, p in trainable_state(loaded.model).items() if "token" in name]
    assert [tuple(p.shape) for p in rows] == [(2, 32)] * (1 if tied else 2)


def test_an_adapter_on_tied_ends_is_refused(folders: dict[str, Path]) -> None:
    for target in ("lm_head", "embed_tokens"):
        with pytest.raises(InputError, match="share one weight") as caught:
            load(folders["qwen3"], adapter="lora", lora_target_modules=["q_proj", target])
        assert caught.value.code == "adapter-on-tied-weights"
    assert load(folders["llama"], adapter="lora", lora_target_modules=["lm_head"]).adapter == "lora"


def test_an_unknown_target_module_is_refused(folders: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="cannot be put on this model") as caught:
        load(folders["llama"], adapter="lora", lora_target_modules=["query"])
    assert "query" in str(caught.value)


def test_dora_on_fused_experts_is_refused_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="adapter=dora cannot be put on this model"):
        load(tiny_model_folder(tmp_path / "moe", "qwen3_moe"), adapter="dora")


def test_transposed_linear_layers_are_adapted(tmp_path: Path) -> None:
    loaded = load(tiny_model_folder(tmp_path / "gpt2", "gpt2"), adapter="lora", lora_r=4)
    shapes = {name: tuple(p.shape) for name, p in trainable_state(loaded.model).items() if "h.0.mlp.c_fc" in name}
    assert list(shapes.values()) == [(4, 32), (128, 4)]


class TestFourBits:
    @pytest.fixture(autouse=True)
    def quantizer(self) -> None:
        pytest.importorskip("bitsandbytes")

    def test_the_base_is_held_in_4_bits_and_only_the_adapter_trains(self, wide: Path) -> None:
        loaded = load(wide, adapter="qlora", lora_r=4)
        kinds = {type(p).__name__ for name, p in loaded.model.named_parameters() if "q_proj.base_layer" in name}
        assert kinds == {"Params4bit"}
        # a layer: q, o 64 64; k, v 64 32; gate, up, down 64 128: 36864. Embedding and head 384 64 each, norms 5 64
        packed, rest = 2 * 36864, 2 * 384 * 64 + 5 * 64
        assert count_parameters(loaded.model).total - count_parameters(loaded.model).trainable == packed + rest
        assert loaded.notices == ("60% of the base's weights are held in 4 bits (NF4)",)  # 73728 of 123200
        frozen = {name: p.clone() for name, p in loaded.model.named_parameters() if not p.requires_grad}
        train_once(loaded)
        now = dict(loaded.model.named_parameters())
        assert all(torch.equal(now[name], old) for name, old in frozen.items())
        assert all(p.grad is not None and p.grad.any() for p in trainable_state(loaded.model).values())

    def test_no_weight_moves_by_more_than_half_a_step_of_nf4(self, wide: Path) -> None:
        from bitsandbytes.functional import dequantize_4bit

        name = "model.layers.0.mlp.down_proj"
        whole = load(wide).model.get_submodule(name).weight.detach()
        packed = load(wide, adapter="qlora").model.base_model.model.get_submodule(name).base_layer.weight
        found = dequantize_4bit(packed.data, packed.quant_state)
        # the widest step lies between 1 and 0.6962 of the largest of 64 weights; 0.152 is half of it
        largest = whole.view(-1, 64).abs().amax(dim=1, keepdim=True)
        assert ((found.view(-1, 64) - whole.view(-1, 64)).abs() <= 0.16 * largest).all()
        assert not torch.equal(found, whole)

    def test_layers_that_do_not_come_back_from_4_bits_keep_their_precision(self, folders: dict[str, Path]) -> None:
        assert survives_nf4(64, torch.device("cpu"), torch.float32)
        model = load(folders["llama"], adapter="qlora").model  # down_proj takes 64 inputs, all others 32
        packed = {name for name, p in model.named_parameters() if type(p).__name__ == "Params4bit"}
        wide = {f"base_model.model.model.layers.{i}.mlp.down_proj.base_layer.weight" for i in (0, 1)}
        if survives_nf4(32, torch.device("cpu"), torch.float32):  # where bitsandbytes is mended
            assert packed > wide
        else:
            assert packed == wide

    def test_an_evaluation_leaves_the_4_bit_weights_as_they_were(self, wide: Path) -> None:
        loaded = load(wide, adapter="qlora")
        before = logits(loaded)
        with torch.no_grad():
            loaded.model.eval()
            evaluated = logits(loaded)
            loaded.model.train()
        assert torch.equal(evaluated, before)
        assert torch.equal(logits(loaded), before)

    def test_4_bits_stay_near_the_base(self, wide: Path) -> None:
        base, packed = logits(load(wide)), logits(load(wide, adapter="qlora"))
        difference = float(((packed - base).norm() / base.norm()).detach())
        print(f"relative difference of logits in NF4: {difference:.3f}")
        assert 1e-4 < difference < 0.2

    def test_a_model_without_plain_linear_layers_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="none of this model's weights"):
            load(tiny_model_folder(tmp_path / "falcon", "falcon"), adapter="qlora")
