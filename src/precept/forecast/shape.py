"""The numbers of a model that memory and time follow from, read without its weights."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer: its name, inputs and outputs."""

    name: str
    inputs: int
    outputs: int

    @property
    def weights(self) -> int:
        """Numbers in its matrix."""
        return self.inputs * self.outputs


@dataclass(frozen=True, slots=True)
class ModelShape:
    """A model in numbers. ``parameters`` counts tied weights once; ``linears`` are all linear layers but the head;
    ``head`` counts the output head's matrix, also where it is tied."""

    parameters: int
    linears: tuple[Linear, ...]
    head: int
    hidden: int
    vocabulary: int
    layers: int
    attention_heads: int

    @property
    def linear_parameters(self) -> int:
        """Numbers in the matrices of ``linears``."""
        return sum(linear.weights for linear in self.linears)


def read_shape(folder: Path, *, trust_remote_code: bool = False) -> ModelShape:
    """The shape of the model that a folder's ``config.json`` describes. No weight is read or made."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    options = {"trust_remote_code": trust_remote_code}
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True, **options)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    with torch.device("meta"):
        model = auto.from_config(config, **options)
    return shape_of(model)


def shape_of(model: Any) -> ModelShape:
    """The shape of a transformers model without adapters, on any device."""
    import torch
    from transformers.pytorch_utils import Conv1D

    head = model.get_output_embeddings()
    text = model.config.get_text_config()
    linears = []
    for name, module in model.named_modules():
        if module is head or not isinstance(module, torch.nn.Linear | Conv1D):
            continue
        first, second = module.weight.shape
        linears.append(Linear(name, first, second) if isinstance(module, Conv1D) else Linear(name, second, first))
    embedding = model.get_input_embeddings().weight
    return ModelShape(
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        linears=tuple(linears),
        head=0 if head is None else head.weight.numel(),
        hidden=text.hidden_size,
        vocabulary=(embedding if head is None else head.weight).shape[0],
        layers=text.num_hidden_layers,
        attention_heads=text.num_attention_heads,
    )


def write_first_layers(
    folder: Path, output: Path, *, layers: int, own_weights: bool = False, trust_remote_code: bool = False
) -> Path:
    """A model of the first ``layers`` layers of the one in ``folder``, in its class and precision.

    Its weights are random, since memory and time do not depend on them, or the model's own. Lists of the configuration
    with an entry a layer are cut.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    output.mkdir(parents=True, exist_ok=True)
    text = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (output / "config.json").write_text(json.dumps(_first_layers(text, layers)), encoding="utf-8")
    config = AutoConfig.from_pretrained(str(output), local_files_only=True, trust_remote_code=trust_remote_code)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    stored = text.get("dtype") or text.get("torch_dtype") or "float32"
    dtype = torch.float32 if stored == "float32" else torch.bfloat16
    options = {"dtype": dtype, "trust_remote_code": trust_remote_code}
    if own_weights:
        local = {"local_files_only": True, "use_safetensors": True}
        model = auto.from_pretrained(str(folder), config=config, **local, **options)
    else:
        with torch.random.fork_rng([]):
            model = auto.from_config(config, **options)
    model.save_pretrained(str(output))
    return output


def _first_layers(config: dict[str, Any], layers: int) -> dict[str, Any]:
    """A configuration with fewer layers; nested configurations (of text) are cut too."""
    counts = [
        config[key] for key in ("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers") if key in config
    ]
    cut: dict[str, Any] = {}
    for key, value in config.items():
        if key in ("num_hidden_layers", "n_layer", "num_layers", "num_decoder_layers"):
            cut[key] = min(layers, value)
        elif isinstance(value, dict) and "hidden_size" in value:
            cut[key] = _first_layers(value, layers)
        elif isinstance(value, list) and len(value) in counts:
            cut[key] = value[:layers]
        else:
            cut[key] = value
    return cut
