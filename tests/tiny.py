"""Tiny random models in Hugging Face layout, made on the spot: two layers, a few hundred tokens.

``tiny_model_folder(tmp_path / "base", "llama")`` writes what a user would have on disk: config,
safetensors and a tokenizer. Nothing is downloaded and nothing is cached between runs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

PAD, BOS, EOS = "<|pad|>", "<|bos|>", "<|endoftext|>"
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
SPECIAL_TOKENS = (PAD, BOS, EOS, IM_START, IM_END)  # ids 0 to 4

CHATML = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)

SENTENCES = (
    "The answer is forty two, and the question is what you get when you multiply six by seven.",
    "Write a short summary of the following article. Name three colours of the rainbow.",
    "Translate the sentence into French: the cat sat on the mat and looked at the other cat.",
    "You are a helpful assistant. What is the capital of Norway? The capital of Norway is Oslo.",
    "Classify the review as positive or negative: this was the best film that I have seen this year.",
    "user assistant system tool: give me the weather in Paris, then answer with one word.",
)

_SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
_GROUPED = {**_SMALL, "num_key_value_heads": 2, "intermediate_size": 64}
_HEAD = {**_GROUPED, "head_dim": 8}

CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {**_GROUPED, "tie_word_embeddings": False},
    "qwen3": {**_HEAD, "tie_word_embeddings": True},
    "qwen3_moe": {**_HEAD, "moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2},
    "mistral": {**_GROUPED, "sliding_window": 8},
    "gemma3_text": {**_HEAD, "sliding_window": 8, "layer_types": ["sliding_attention", "full_attention"]},
    "gpt_oss": {
        **_HEAD,
        "sliding_window": 8,
        "layer_types": ["sliding_attention", "full_attention"],
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    },
    "gpt_neox": {**_SMALL, "intermediate_size": 64},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}
    | {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "opt": {**_SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32, "dropout": 0.0},
    "olmo2": _GROUPED,
    "phi3": _GROUPED,
    "smollm3": {**_GROUPED, "tie_word_embeddings": True},
    "falcon": {**_SMALL, "new_decoder_architecture": False, "multi_query": True, "alibi": False},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "t5": {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "dropout_rate": 0.0},
}
FAMILIES = tuple(CONFIGS)
_ALIASES = {"gemma3": "gemma3_text"}


@lru_cache(maxsize=8)
def _tokenizer_json(vocab_size: int, special_tokens: tuple[str, ...]) -> str:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(special_tokens),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    return str(tokenizer.to_str())


def tiny_tokenizer(
    *,
    vocab_size: int = 384,
    special_tokens: tuple[str, ...] = SPECIAL_TOKENS,
    chat_template: str | None = None,
    adds_bos: bool = False,
    adds_eos: bool = False,
) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: any text survives encode and decode. EOS is ``<|endoftext|>``.

    ``adds_bos`` and ``adds_eos`` make ``encode`` add them, as Llama's and T5's tokenizers do.
    """
    from tokenizers import Tokenizer
    from tokenizers.processors import ByteLevel, Sequence, TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer.from_str(_tokenizer_json(vocab_size, special_tokens))
    processors: list[Any] = [ByteLevel(trim_offsets=False)]
    if adds_bos or adds_eos:
        single = [BOS] * adds_bos + ["$A"] + [EOS] * adds_eos
        ids = [(token, core.token_to_id(token)) for token in (BOS, EOS) if token in single]
        processors.append(TemplateProcessing(single=single, special_tokens=ids))
    core.post_processor = Sequence(processors)
    named = {"pad_token": PAD, "bos_token": BOS, "eos_token": EOS}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        clean_up_tokenization_spaces=False,
        model_max_length=256,
        **{name: token for name, token in named.items() if token in special_tokens},
    )
    tokenizer.chat_template = chat_template
    return tokenizer


def tiny_config(family: str, *, vocab_size: int = 384, **changes: Any) -> PretrainedConfig:
    """The family's configuration at tiny size, with ``changes`` on top."""
    from transformers import AutoConfig

    model_type = _ALIASES.get(family, family)
    ids = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    if model_type == "t5":
        ids["decoder_start_token_id"] = 0
    return AutoConfig.for_model(model_type, **{"vocab_size": vocab_size, **ids, **CONFIGS[model_type], **changes})


def tiny_model(
    family: str, *, seed: int = 0, dtype: torch.dtype | None = None, vocab_size: int = 384, **changes: Any
) -> PreTrainedModel:
    """A random model in eval mode, float32 unless ``dtype`` says otherwise.

    Every weight, biases and norms too, gets noise of 0.05, so that no parameter hides behind a 0 or a 1.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    config = tiny_config(family, vocab_size=vocab_size, **changes)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
        model = auto.from_config(config)
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.05)
    return model.to(dtype or torch.float32).eval()


def tiny_model_folder(
    path: Path,
    family: str = "llama",
    *,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    chat_template: str | None = None,
    tokenizer: PreTrainedTokenizerFast | None = None,
    max_shard_size: str = "5GB",
    **changes: Any,
) -> Path:
    """Write a tiny random model with its tokenizer to ``path``, which is returned.

    ``changes`` go to the configuration.
    """
    tokenizer = tokenizer or tiny_tokenizer(chat_template=chat_template, adds_eos=family == "t5")
    changes.setdefault("vocab_size", len(tokenizer))
    model = tiny_model(family, seed=seed, dtype=dtype, **changes)
    model.save_pretrained(path, max_shard_size=max_shard_size)
    tokenizer.save_pretrained(path)
    return Path(path)
