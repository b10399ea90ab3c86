"""Questions on four levels of novelty, put to a base model in its best way, to the tuned one, and to trivial rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from precept.bundled.tasks import Question
from precept.evaluate import Item, ItemResult, summarize
from precept.evaluate.extract import first_line
from precept.evaluate.metrics import SCORES
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

    Generation ends at an end token, a line feed or a full stop, which no score looks at.
    """
    tokenizer = model.loaded.tokenizer
    texts = {index: tokenizer.decode([index]) for index in tokenizer.get_vocab().values()}
    stop = (*model.stop_ids, *(index for index, text in texts.items() if "\n" in text or text == "."))
    answers = {}
    for name, count in (("base, question alone", 0), ("base, 2 examples", 2)):
        prompts = [_without_ends(model, _messages(entry.question, examples=count)) for entry in asked]
        written = [first_line(text) for text in _generate(model, asked, prompts, stop, name)]
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
    ours = _results(asked, tuned)
    others = {name: _results(asked, answers) for name, answers in {**base, **rules}.items()}
    overall = {name: summarize({name: own})["overall"] for name, own in others.items()}
    ranked = sorted(others, key=lambda name: -overall[name]["exact_match"]["value"])
    way = next(name for name in ranked if name in base)
    whole = summarize({"tuned": ours}, against={"tuned": others[way]})
    return {
        "base": overall.pop(way),
        "base_way": way,
        "tuned": whole["overall"],
        "baselines": overall,
        "difference": whole["difference"],
        "best_other": {
            "name": ranked[0],
            "difference": summarize({"tuned": ours}, against={"tuned": others[ranked[0]]})["difference"],
        },
        "parts": _scores_by(ours, [entry.question.wording for entry in asked]),
        "tasks": _scores_by(ours, [entry.question.task for entry in asked]),
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
    """What is generated for each prompt."""
    sampler = model.sampler(stop_ids=stop)
    with progress_line(label, total=len(asked)) as progress:
        generations = sampler.generate(prompts, max_new_tokens=_rooms(model, asked), progress=progress)
    return [generation.text for generation in generations]


def _rooms(model: OpenedModel, asked: Sequence[Asked]) -> list[int]:
    """New tokens for each question: those of its task's longest right answer and ``ROOM`` more."""
    longest: dict[str, int] = {}
    for entry in asked:
        length = len(model.loaded.tokenizer(f" {entry.question.reference}", add_special_tokens=False).input_ids)
        longest[entry.question.task] = max(longest.get(entry.question.task, 0), length)
    return [longest[entry.question.task] + ROOM for entry in asked]


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


def _results(asked: Sequence[Asked], answers: Sequence[str]) -> list[ItemResult]:
    return [
        ItemResult(
            question.id,
            question.task,
            question.prompt,
            (question.reference,),
            output=answer,
            extracted=answer,
            scores={metric: SCORES[metric](answer, question.reference) for metric in METRICS},
        )
        for question, answer in zip((entry.question for entry in asked), answers, strict=True)
    ]


def _scores_by(results: Sequence[ItemResult], names: Sequence[str]) -> dict[str, Any]:
    """The scores of each group of results, by its name."""
    groups: dict[str, list[ItemResult]] = {}
    for name, result in zip(names, results, strict=True):
        groups.setdefault(name, []).append(result)
    return dict(summarize(groups)["tasks"])
