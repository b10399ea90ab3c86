"""Tiny tokenizers, small chat templates and a short way to write rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from precept.render import Renderer
from precept.types import Conversation, Message, Source

LINES = ["hello world", "the answer is four", "user assistant system tool", "why is the sky blue"] * 5
SPECIAL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot|>", "<|head|>", "<|/head|>", "<turn>", "</turn>"]
SPECIAL += [
    "<|start|>",
    "<|end|>",
    "<|message|>",
    "<|channel|>",
    "<|return|>",
    "<|call|>",
    "<｜User｜>",
    "<｜Assistant｜>",
]
SPECIAL += ["[INST]", "[/INST]", "<|user|>", "<|assistant|>", "<|system|>"]
SPECIAL += ["<|sep|>", "<|/call|>", "<|/calls|>", "<|result|>", "<|/result|>"]
SOURCE = Source("rows.jsonl", 1, "0" * 16)


def byte_level(*, trim_offsets: bool = False, special: tuple[str, ...] = tuple(SPECIAL)) -> PreTrainedTokenizerFast:
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=list(special),
        show_progress=False,
    )
    backend.train_from_iterator(LINES, trainer)
    backend.post_processor = processors.ByteLevel(trim_offsets=trim_offsets)
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token="<s>", eos_token="</s>")


def byte_fallback() -> PreTrainedTokenizerFast:
    """As Llama 2 has it: a blank before the text, blanks as ▁, unknown characters as bytes, BOS by convention."""
    backend = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    backend.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<unk>", "<s>", "</s>", "[INST]", "[/INST]", *bytes_], show_progress=False
    )
    backend.train_from_iterator(LINES, trainer)
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def unigram() -> PreTrainedTokenizerFast:
    """As T5 has it: Metaspace, NFKC, unknown characters lost, EOS by convention."""
    backend = Tokenizer(models.Unigram())
    backend.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(" {2,}", " ")])
    backend.pre_tokenizer = pre_tokenizers.Metaspace()
    backend.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False
    )
    backend.train_from_iterator(LINES, trainer)
    backend.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", eos_token="</s>", pad_token="<pad>")


def word_piece() -> PreTrainedTokenizerFast:
    """As BERT has it: lower case, blanks belong to no token."""
    backend = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    trainer = trainers.WordPieceTrainer(vocab_size=120, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False)
    backend.train_from_iterator(LINES, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", eos_token="[SEP]"
    )


KINDS: dict[str, Callable[[], PreTrainedTokenizerFast]] = {
    "byte level": byte_level,
    "byte level, trimmed": lambda: byte_level(trim_offsets=True),
    "byte fallback": byte_fallback,
    "unigram": unigram,
    "word piece": word_piece,
}


def row(*turns: tuple[str, str] | Message, **fields: Any) -> Conversation:
    """A conversation of (role, content) pairs or messages."""
    messages = tuple(turn if isinstance(turn, Message) else Message(*turn) for turn in turns)
    return Conversation(messages, SOURCE, **fields)


def trained(renderer: Renderer, conversation: Any) -> list[str]:
    """The trained characters of a row: one text for each span of each sequence."""
    explained = renderer.explain(conversation)
    assert explained.refusal is None, explained.refusal
    return [
        sequence.text[span.start : span.end]
        for sequence in explained.sequences
        for span in sequence.spans
        if span.weight > 0
    ]


# Small templates of the kinds in use, written for these tests.
CHATML = """{% for m in messages %}<|im_start|>{{ m.role }}
{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

HEADERS = """{{ bos_token }}{% for m in messages %}<|head|>{{ m['role'] }}<|/head|>

{{ m['content'] | trim }}<|eot|>{% endfor %}{% if add_generation_prompt %}<|head|>assistant<|/head|>

{% endif %}"""

RENAMED = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ 'model' if m.role == 'assistant' else m.role }}\n"
    "{{ m.content | trim }}</turn>\n{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}"
)

CHANNELS = """{% for m in messages %}
{%- if m.role != 'assistant' %}
    {%- set head = messages[loop.index0 - 1].tool_calls[0].function.name if m.role == 'tool' else m.role %}
    {{- '<|start|>' + head + '<|message|>' + m.content + '<|end|>' }}
{%- elif m.tool_calls %}
    {%- set call = m.tool_calls[0].function %}
    {{- '<|start|>assistant to=' + call.name + '<|channel|>calls<|message|>' + call.arguments | tojson + '<|call|>' }}
{%- elif loop.last and not add_generation_prompt %}
    {{- '<|start|>assistant<|channel|>analysis<|message|>' + m.thinking + '<|end|>' if m.thinking }}
    {{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|return|>' }}
{%- else %}
    {{- '<|start|>assistant<|channel|>final<|message|>' + m.content + '<|end|>' }}
{%- endif %}
{%- endfor %}{{ '<|start|>assistant' if add_generation_prompt }}"""

THINKS = """{{ bos_token }}{% for m in messages %}
{%- if m.role == 'user' %}
    {{- '<｜User｜>' + m.content }}
{%- else %}
    {{- '<｜Assistant｜>' + (m.content if loop.last else m.content.split('</think>')[-1]) + eos_token }}
{%- endif %}
{%- endfor %}{{ '<｜Assistant｜><think>\n' if add_generation_prompt and messages[-1].role == 'user' }}"""

INSTRUCT = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}[INST] {{ m.content }} [/INST]"
    "{% else %} {{ m.content }}{{ eos_token }}{% endif %}{% endfor %}"
)

ALWAYS_A_THOUGHT = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n"
    "{{ '<think></think>' if m.role == 'assistant' and '</think>' not in m.content }}{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)

# Special tokens around calls, the turn's own end after them; results answered without a new header.
CALL_TOKENS = """{{ bos_token }}{% set ns = namespace(tool=false) %}{% for m in messages %}
{%- if m.role == 'user' %}
    {{- '<｜User｜>' + m.content }}
{%- elif m.role == 'tool' %}
    {{- '<|result|>' + m.content + '<|/result|>' }}
{%- else %}
    {{- '' if ns.tool else '<｜Assistant｜>' }}
    {{- m.content }}
    {%- for c in m.tool_calls or [] %}
        {{- '<|call|>function<|sep|>' + c.function.name + '\n' + c.function.arguments + '<|/call|>' }}
    {%- endfor %}
    {{- '<|/calls|>' if m.tool_calls }}{{ eos_token }}
{%- endif %}
{%- set ns.tool = m.role == 'tool' %}
{%- endfor %}{{ '<｜Assistant｜><think>\n' if add_generation_prompt and not ns.tool }}"""

HEADERS_ONLY = """{% for m in messages %}
{%- if m.role == 'assistant' %}
    {{- '<|assistant|>\n<think></think>' }}
    {{- '\n' + m.content if m.content }}
    {%- for c in m.tool_calls or [] %}
        {{- '\n<tool_call>' + c.function.name }}
        {%- for k, v in c.function.arguments.items() %}
            {{- '\n<arg>' + k + '=' + (v if v is string else v | tojson) + '</arg>' }}
        {%- endfor %}
        {{- '\n</tool_call>' }}
    {%- endfor %}
{%- else %}
    {{- '<|' + m.role + '|>\n' + m.content }}
{%- endif %}
{%- endfor %}{{ '<|assistant|>' if add_generation_prompt }}"""

EOS_AT_THE_END = """{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}<|end|>
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% else %}{{ eos_token }}{% endif %}"""

NO_TERMINATOR = """{% for m in messages %}<|{{ m.role }}|>
{{ m.content }}
{% endfor %}{% if add_generation_prompt %}<|assistant|>
{% endif %}"""

EMPTY_THOUGHT = """{% for m in messages %}<|im_start|>{{ m.role }}
{% if m.role == 'assistant' and loop.last %}<think>
{{ m.reasoning_content or '' }}
</think>

{% endif %}{{ m.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""

EOS_BETWEEN_TURNS = (
    "{{ bos_token }}{% for m in messages %}{{ m.role | upper }}: {{ m.content }}"
    "{{ (eos_token if m.role == 'assistant' else ' ') if not loop.last }}{% endfor %}"
    "{{ ' ASSISTANT:' if add_generation_prompt }}"
)

PLAIN_HEADERS = (
    "{% for m in messages %}{{ '\n' if not loop.first }}{{ m.role | capitalize }}: {{ m.content }}{% endfor %}"
    "{{ '\nAssistant:' if add_generation_prompt }}"
)
