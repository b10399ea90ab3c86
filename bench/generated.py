"""Seeded rows in the shapes of the real files: what the workloads are made from where those files are absent.

Words are drawn from an invented lexicon by Zipf's law, so that a tokenizer trained on them meets frequent and rare
words, and lengths follow those of the real files. Nothing here means anything: it is read for speed, not for sense.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from precept.types import Conversation, Message, Source, ToolCall

WORDS = 4000
SYLLABLES = [a + b + c for a in "bdfgklmnprstv" for b in "aeiou" for c in ("", "n", "r", "s")]
LABELS = ("yes", "no", "positive", "negative", "neutral")


class Writer:
    """Text from one seed."""

    def __init__(self, seed: str) -> None:
        self.rng = random.Random(seed)
        lexicon = random.Random("lexicon")
        words = ("".join(lexicon.choices(SYLLABLES, k=lexicon.choice((1, 2, 2, 3)))) for _ in range(WORDS))
        self._words = list(dict.fromkeys(words))
        self._cumulative = list(accumulate(1 / (rank + 3) for rank in range(len(self._words))))

    def words(self, n: int) -> str:
        """Exactly ``n`` words as sentences of eight to twenty."""
        drawn = self.rng.choices(self._words, cum_weights=self._cumulative, k=n)
        sentences, start = [], 0
        while start < n:
            stop = start + self.rng.randint(8, 20)
            sentences.append(" ".join(drawn[start:stop]).capitalize() + ".")
            start = stop
        return " ".join(sentences)

    def about(self, n: int, *, spread: float = 0.5) -> str:
        """Log-normally many words, ``n`` in the median, at most eight times as many."""
        return self.words(max(1, min(8 * n, round(n * self.rng.lognormvariate(0, spread)))))


@dataclass(frozen=True)
class Task:
    """A prompt that stands before every instance of a task."""

    name: str
    prompt: str
    labelled: bool


def super_ni_tasks(writer: Writer, count: int) -> list[Task]:
    """Definitions with two worked examples, as Tk-Instruct writes them."""
    tasks = []
    for number in range(count):
        labelled = number % 2 == 0
        examples = "".join(
            f" Positive Example {i} -\nInput: {writer.about(30)}\nOutput: {_answer(writer, labelled)}\n\n"
            for i in (1, 2)
        )
        tasks.append(Task(f"task{number:04d}", f"Definition: {writer.about(45)}\n\n{examples}", labelled))
    return tasks


def super_ni_rows(count: int, *, tasks: int, seed: int) -> list[Conversation]:
    """Instances of tasks drawn at random, as the reader of Super-NaturalInstructions gives them."""
    writer = Writer(f"super-ni {tasks} {seed}")
    known = super_ni_tasks(writer, tasks)
    rows = []
    for number in range(count):
        task = writer.rng.choice(known)
        prompt = f"{task.prompt}Now complete the following example -\nInput: {writer.about(28)}\nOutput: "
        rows.append(_row([("user", prompt), ("assistant", _answer(writer, task.labelled))], number, task.name))
    return rows


def few_shot_rows(count: int, *, seed: int) -> list[Conversation]:
    """Fifteen tasks with three reasoned examples each before every question, in the shape of the prompts for BBH."""
    writer = Writer(f"few-shot {seed}")
    prompts = [
        writer.words(12)
        + "".join(f"\n\nQ: {writer.about(45)}\nA: Let's think step by step.\n{writer.about(110)}" for _ in range(3))
        for _ in range(15)
    ]
    rows = []
    for number in range(count):
        task = writer.rng.randrange(len(prompts))
        question = f"{prompts[task]}\n\nQ: {writer.about(45)}\nA: Let's think step by step."
        answer = f"So the answer is ({writer.rng.choice('ABCDE')})."
        rows.append(_row([("user", question), ("assistant", answer)], number, f"few_shot_{task}"))
    return rows


def template_rows(count: int, *, seed: int) -> list[Conversation]:
    """Eighty prompt templates around passages, in the shape of P3."""
    writer = Writer(f"templates {seed}")
    templates = [
        (writer.about(8) + "\n" if number % 2 else "", "\n" + writer.about(12), number % 3 == 0) for number in range(80)
    ]
    rows = []
    for number in range(count):
        task = writer.rng.randrange(len(templates))
        before, after, labelled = templates[task]
        question = before + writer.about(70, spread=0.7) + after
        rows.append(_row([("user", question), ("assistant", _answer(writer, labelled))], number, f"template_{task}"))
    return rows


def alpaca_rows(count: int, *, seed: int, tasks: int | None = None) -> list[Conversation]:
    """Instructions with answers of Alpaca's lengths; two in five have an input.

    Each row has an instruction of its own, or one of ``tasks`` with an input of its own.
    """
    writer = Writer(f"alpaca {tasks} {seed}")
    instructions = [writer.about(12) for _ in range(count if tasks is None else tasks)]
    rows = []
    for number in range(count):
        task = number if tasks is None else writer.rng.randrange(tasks)
        given = tasks is not None or writer.rng.random() < 0.4
        prompt = instructions[task] + (f"\n\n{writer.about(15)}" if given else "")
        rows.append(_row([("user", prompt), ("assistant", writer.about(55, spread=0.8))], number, f"alpaca_{task}"))
    return rows


def chat_rows(count: int, *, seed: int) -> list[Conversation]:
    """Conversations of one to four rounds; every other one calls a tool in its first round."""
    writer = Writer(f"chat {seed}")
    tools: list[dict[str, Any]] = [
        {
            "type": "function",
            "function": {
                "name": f"tool_{number}",
                "description": writer.words(12),
                "parameters": {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]},
            },
        }
        for number in range(40)
    ]
    rows = []
    for number in range(count):
        messages: list[Message] = []
        used: tuple[dict[str, Any], ...] = ()
        for turn in range(writer.rng.randint(1, 4)):
            messages.append(Message("user", writer.about(14)))
            if number % 2 == 0 and turn == 0:
                tool = writer.rng.choice(tools)
                used = (tool,)
                name = str(tool["function"]["name"])
                messages.append(Message("assistant", None, tool_calls=(ToolCall(name, {"query": writer.words(3)}),)))
                messages.append(Message("tool", writer.about(15), name=name))
            messages.append(Message("assistant", writer.about(30)))
        rows.append(Conversation(tuple(messages), _source("chat", number), tools=used, task=f"chat_{number}"))
    return rows


def _answer(writer: Writer, labelled: bool) -> str:
    return writer.rng.choice(LABELS) if labelled else writer.about(8)


def _row(turns: list[tuple[str, str]], number: int, task: str) -> Conversation:
    return Conversation(tuple(Message(role, text) for role, text in turns), _source(task, number), task=task)


def _source(name: str, number: int) -> Source:
    return Source(f"generated/{name}", number + 1, f"{number:016x}")
