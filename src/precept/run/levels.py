"""Questions on four levels of novelty, put to a base model in its best way, to the tuned one, and to trivial rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from precept.bundled.tasks import Question
from precept.evaluate import Item
from precept.evaluate.extract import first_line, first_sentence
from precept.evaluate.metrics import SCORES
from precept.evaluate.statistics import interval, paired_difference
from precept.run.console import progress_line
from precept.types import IntArray, Message, Source, TokenSequence

if TYPE_CHECKING:
    from precept.run.opened import OpenedModel

METRICS = ("exact_match", "rouge_l")
ROOM = 4
"""Tokens that an answer may have beyond the longest right one."""

Answers = Mapping[str, Sequence[str]]
"""Answers of everyone asked, by name, in the order of the questions."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and the level it belongs to."""

    level: str
    question: Question


def ask_tuned(model: OpenedModel, asked: Sequence[Asked]) -> list[str]:
    """The first line of each answer to the plain question."""
    prompts = [model.renderer.prompt_ids(_messages(entry.question)) for entry in asked]
    return [first_line(text) for text in _generate(model, asked, prompts, model.stop_ids, "tuned")]


def ask_base(model: OpenedModel, asked: Sequence[Asked]) -> dict[str, list[str]]:
    """Four ways to ask a model that follows no instructions: the plain question, or two worked examples before it;
    and each again with the options of a choice by likelihood instead of what is generated.

    Generation ends at an end token or a line feed, and counts up to the end of its first sentence.
    """
    tokenizer = model.loaded.tokenizer
    breaks = [index for index in tokenizer.get_vocab().values() if "\n" in tokenizer.decode([index])]
    stop = (*model.stop_ids, *breaks)
    answers = {}
    for name, count in (("base, question alone", 0), ("base, 2 examples", 2)):
        prompts = [_without_ends(model, _messages(entry.question, examples=count)) for entry in asked]
        written = [first_sentence(text) for text in _generate(model, asked, prompts, stop, name)]
        answers[name] = written
        answers[f"{name}, options by likelihood"] = _choose(model, asked, prompts, written)
    return answers


def ask_rules(asked: Sequence[Asked]) -> dict[str, list[str]]:
    """What needs no model: the input itself, the task's most frequent right answer, the first example's answer."""
    frequent: dict[tuple[str, str], Counter[str]] = {}
    for entry in asked:
        frequent.setdefault((entry.level, entry.question.task), Counter())[entry.question.reference] += 1
    return {
        "copy the input": [entry.question.input for entry in asked],
        "most frequent answer": [frequent[entry.level, entry.question.task].most_common(1)[0][0] for entry in asked],
        "first example's answer": [entry.question.examples[0][1] for entry in asked],
    }


def score_level(asked: Sequence[Asked], tuned: Sequence[str], base: Answers, rules: Answers) -> dict[str, Any]:
    """One level's entry of the document. The base column is the way of asking with the highest exact match; the other
    ways stand beside the rules. ``best_other`` compares with the best of all of them on the same items."""
    scores = {name: _scores(asked, answers) for name, answers in {"tuned": tuned, **base, **rules}.items()}
    exact = {name: float(np.mean(own["exact_match"])) for name, own in scores.items()}
    chosen = max(base, key=lambda name: exact[name])
    best = max((name for name in scores if name != "tuned"), key=lambda name: exact[name])
    ours = scores["tuned"]
    return {
        "base": _means(scores[chosen]),
        "base_way": chosen,
        "tuned": _means(ours),
        "baselines": {name: _means(own) for name, own in scores.items() if name not in ("tuned", chosen)},
        "difference": {metric: paired_difference(ours[metric], scores[chosen][metric]) for metric in METRICS},
        "best_other": {
            "name": best,
            "difference": {metric: paired_difference(ours[metric], scores[best][metric]) for metric in METRICS},
        },
        "parts": _parts(asked, ours["exact_match"], lambda question: question.wording),
        "tasks": _parts(asked, ours["exact_match"], lambda question: question.task),
    }


def _messages(question: Question, *, examples: int = 0) -> list[Message]:
    turns = [
        Message(role, text)
        for prompt, answer in question.examples[:examples]
        for role, text in (("user", prompt), ("assistant", answer))
    ]
    return [*turns, Message("user", question.prompt)]


def _without_ends(model: OpenedModel, messages: Sequence[Message]) -> IntArray:
    """A prompt for a model that completes text: its end token opens no text, and would close the one it reads."""
    ids = model.renderer.prompt_ids(messages)
    return ids[~np.isin(ids, model.stop_ids)]


def _generate(
    model: OpenedModel, asked: Sequence[Asked], prompts: Sequence[IntArray], stop: Sequence[int], label: str
) -> list[str]:
    """What is generated for each prompt; the tasks with short answers apart, since a base model rarely stops."""
    rooms = _rooms(model, asked)
    sampler = model.sampler(stop_ids=stop)
    texts = [""] * len(asked)
    with progress_line(label, total=len(asked)) as progress:
        done = 0
        for room in sorted(set(rooms)):
            places = [place for place, own in enumerate(rooms) if own == room]
            generations = sampler.generate([prompts[place] for place in places], max_new_tokens=room)
            for place, generation in zip(places, generations, strict=True):
                texts[place] = generation.text
            done += len(places)
            progress(done, len(asked))
    return texts


def _rooms(model: OpenedModel, asked: Sequence[Asked]) -> list[int]:
    """New tokens for each question: those of its task's longest right answer and ``ROOM`` more, in steps of it."""
    longest: dict[str, int] = {}
    for entry in asked:
        length = len(model.loaded.tokenizer(f" {entry.question.reference}", add_special_tokens=False).input_ids)
        longest[entry.question.task] = max(longest.get(entry.question.task, 0), length)
    return [-(-longest[entry.question.task] // ROOM) * ROOM + ROOM for entry in asked]


def _choose(
    model: OpenedModel, asked: Sequence[Asked], prompts: Sequence[IntArray], written: Sequence[str]
) -> list[str]:
    """The likeliest option where a question has options, else what was written."""
    from precept.run.opened import make_chooser

    tokenizer = model.loaded.tokenizer

    def option_sequences(item: Item) -> list[TokenSequence]:
        prompt = prompts[int(item.id)]
        answers = [tokenizer(f" {option}", add_special_tokens=False).input_ids for option in item.options]
        return [
            TokenSequence(
                ids=np.concatenate([prompt, np.asarray(answer, np.int32)]),
                weights=np.repeat(np.array([0, 1], np.float32), [len(prompt), len(answer)]),
                source=Source(item.task, 1, "0" * 16),
            )
            for answer in answers
        ]

    found = [(place, entry.question) for place, entry in enumerate(asked) if entry.question.options]
    items = [Item(str(place), question.task, (), (), (), question.options) for place, question in found]
    chosen = list(written)
    for (place, question), choice in zip(found, make_chooser(model, option_sequences)(items), strict=True):
        chosen[place] = question.options[choice.index]
    return chosen


def _scores(asked: Sequence[Asked], answers: Sequence[str]) -> dict[str, list[float]]:
    return {
        metric: [SCORES[metric](answer, entry.question.reference) for entry, answer in zip(asked, answers, strict=True)]
        for metric in METRICS
    }


def _means(scores: Mapping[str, Sequence[float]]) -> dict[str, dict[str, float]]:
    return {metric: _mean(values) for metric, values in scores.items()}


def _mean(values: Sequence[float]) -> dict[str, float]:
    low, high = interval(values)
    return {"value": float(np.mean(values)), "low": low, "high": high, "n": len(values)}


def _parts(
    asked: Sequence[Asked], exact: Sequence[float], key: Callable[[Question], str]
) -> dict[str, dict[str, dict[str, float]]]:
    """The tuned model's exact match by a property of the questions."""
    groups: dict[str, list[float]] = {}
    for entry, value in zip(asked, exact, strict=True):
        groups.setdefault(key(entry.question), []).append(value)
    return {name: {"exact_match": _mean(values)} for name, values in groups.items()}
