"""Multiple-choice items and prompts with worked examples, as token ids, and the random model that is asked.

``mmlu``: made of the project's own generated text, in the form and about the lengths of MMLU: five worked examples,
a question, four options, the answer is a letter. ``bbh``: the files of Big-Bench Hard with three worked examples,
the answer is one of the options as written.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.byte_bpe import train_byte_bpe
from precept.bundled.corpus import documents
from precept.bundled.world import build_world

VOCABULARY = 16_384
CONTEXT = 2048
END = "<|endoftext|>"
SUBJECTS = 4
SHOTS = {"mmlu": 5, "bbh": 3}
ITEMS = {"mmlu": 100, "bbh": 32}
"""Items a task. The real ones have more, which share more: MMLU at least 100 a subject, Big-Bench Hard 250 a file."""
MOST_OPTIONS = 20


@dataclass(frozen=True)
class Question:
    """One item: the worked examples of its task stand in ``context`` before it; ``options`` follow it."""

    task: str
    context: tuple[int, ...]
    options: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class _Text:
    prompt: str
    options: tuple[str, ...]
    answer: str


def make_questions(workload: str, tokenizer: Any, *, data: Path, items: int | None = None) -> list[Question]:
    """``items`` questions of each task of a workload, the same at every call; by default ``ITEMS``."""
    items = items or ITEMS[workload]
    tasks = dict(_mmlu(items) if workload == "mmlu" else _bbh(data))
    shots = SHOTS[workload]
    questions = []
    for name, texts in tasks.items():
        before = "".join(f"{text.prompt} {text.answer}\n\n" for text in texts[:shots])
        head = f"The following are multiple choice questions (with answers) about {name}.\n\n"
        for text in texts[shots : shots + items]:
            context = tokenizer.encode(head + before + text.prompt).ids
            # As lm-evaluation-harness splits them: the option is what the whole has beyond the context.
            wholes = [tokenizer.encode(f"{head}{before}{text.prompt} {option}").ids for option in text.options]
            if max(map(len, wholes)) <= CONTEXT:
                questions.append(Question(name, tuple(context), tuple(tuple(w[len(context) :]) for w in wholes)))
    return questions


def write_questions(questions: Sequence[Question], path: Path) -> None:
    path.write_text(json.dumps([asdict(question) for question in questions]))


def make_model(folder: Path, *, data: Path) -> Path:
    """A random Llama of 23 million parameters and a byte-level BPE, as ``float32`` and ``bfloat16`` in the folder.

    Both hold the same numbers. Made once.
    """
    if (folder / "bfloat16" / "model.safetensors").is_file():
        return folder
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = train_byte_bpe(_texts(data), vocabulary=VOCABULARY, specials=[END], longest=CONTEXT)
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] + '\n' }}{% endfor %}"
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=6,
        num_key_value_heads=6,
        intermediate_size=1024,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "proj" in name or "lm_head" in name:
                parameter.mul_(2.5)  # as unlike a uniform guesser as a trained model is
    for dtype in (torch.bfloat16, torch.float32):
        model.to(dtype).save_pretrained(folder / str(dtype).removeprefix("torch."))
        tokenizer.save_pretrained(folder / str(dtype).removeprefix("torch."))
    return folder


def read_tokenizer(folder: Path) -> Any:
    """The tokenizer of ``make_model``, as the tokenizers library has it."""
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(folder / "float32" / "tokenizer.json"))


def _texts(data: Path) -> Iterator[str]:
    yield from documents(build_world(), seed=0, count=4000)
    yield from (text.prompt for _, texts in _bbh(data) for text in texts)


def _mmlu(items: int) -> Iterator[tuple[str, list[_Text]]]:
    """Sentences of generated pages as questions of 15 to 75 words, with four options of 1 to 12 words each."""
    rng = random.Random(0)
    words = " ".join(documents(build_world(), seed=1, count=400)).split()
    for subject in range(SUBJECTS):
        texts = []
        for _ in range(SHOTS["mmlu"] + items):
            longest = rng.choice((2, 6, 12))
            options = [_some(words, rng, 1, longest) for _ in range(4)]
            lines = "\n".join(f"{letter}. {option}" for letter, option in zip("ABCD", options, strict=True))
            texts.append(_Text(f"{_some(words, rng, 15, 75)}?\n{lines}\nAnswer:", tuple("ABCD"), rng.choice("ABCD")))
        yield f"subject {subject + 1}", texts


def _some(words: Sequence[str], rng: random.Random, fewest: int, most: int) -> str:
    start = rng.randrange(len(words) - most)
    return " ".join(words[start : start + rng.randint(fewest, most)])


def _bbh(data: Path) -> Iterator[tuple[str, list[_Text]]]:
    """Every task whose questions list their options, or whose answers are few words in all."""
    for path in sorted((data / "bbh").glob("*.json")):
        examples = json.loads(path.read_text())["examples"]
        few = tuple(sorted({example["target"] for example in examples}))
        texts = []
        for example in examples:
            listed = tuple(re.findall(r"^(\([A-Z]\)|(?<=^- )\w+)", example["input"], flags=re.MULTILINE))
            options = listed if example["target"] in listed else few
            if 2 <= len(options) <= MOST_OPTIONS:
                texts.append(_Text(f"Q: {example['input']}\nA:", options, example["target"]))
        if texts:
            yield path.stem.replace("_", " "), texts
